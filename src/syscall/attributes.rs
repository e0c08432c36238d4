//! chmod, chown, utimensat, truncate: the attributes of files.
//!
//! Linux: 2.6.38 `fs/open.c`, `fs/utimes.c`, `kernel/uid16.c`.

use super::SysResult;
use super::paths::{AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, lookup};
use super::read_write::{fget, write_failed};
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{get_user, getname};
use crate::base::errno::Errno;
use crate::fs::cpio::FileType;
use crate::fs::file::{File, O_ACCMODE, Object};
use crate::fs::permission::{MAY_WRITE, permission};
use crate::fs::rootfs::Inode;
use crate::fs::tmpfs::attributes::{SetTime, chmod, chown, set_size, utimes};

const UTIME_NOW: u32 = 0x3fff_ffff;
const UTIME_OMIT: u32 = 0x3fff_fffe;

/// Returns the object behind an open file that has attributes. EPERM for a file without a name.
fn inode_of(file: &File) -> Result<Inode, Errno> {
    match &file.object {
        Object::Inode(inode) | Object::Null(inode) | Object::Zero(inode) => Ok(inode.clone()),
        Object::Full(inode) | Object::Random(inode) | Object::Tty(inode) => Ok(inode.clone()),
        _ => Err(Errno::EPERM),
    }
}

/// Sets the permissions of the file at a path.
///
/// # Errors
/// EPERM; those of a lookup.
pub fn sys_chmod(path: u32, mode: u32) -> SysResult {
    sys_fchmodat(AT_FDCWD, path, mode)
}

/// Sets the permissions of a file, from directory `dirfd`.
pub fn sys_fchmodat(dirfd: u32, path: u32, mode: u32) -> SysResult {
    let inode = lookup(dirfd, path, true)?;
    chmod(inode.node()?, mode, &current().cred()).map(|()| 0)
}

/// Sets the permissions of an open file.
pub fn sys_fchmod(fd: u32, mode: u32) -> SysResult {
    let inode = inode_of(&*fget(fd)?)?;
    chmod(inode.node()?, mode, &current().cred()).map(|()| 0)
}

/// Sets owner and group of the file at a path.
///
/// # Errors
/// EPERM; those of a lookup.
pub fn sys_chown(path: u32, uid: u32, gid: u32) -> SysResult {
    sys_fchownat(AT_FDCWD, path, uid, gid, 0)
}

/// Sets owner and group of a file; of a symbolic link itself.
pub fn sys_lchown(path: u32, uid: u32, gid: u32) -> SysResult {
    sys_fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW)
}

/// Sets owner and group of an open file.
pub fn sys_fchown(fd: u32, uid: u32, gid: u32) -> SysResult {
    let inode = inode_of(&*fget(fd)?)?;
    chown(inode.node()?, uid, gid, &current().cred()).map(|()| 0)
}

/// Sets owner and group of a file, from directory `dirfd`.
pub fn sys_fchownat(dirfd: u32, path: u32, uid: u32, gid: u32, flags: u32) -> SysResult {
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & AT_EMPTY_PATH != 0 && getname(path)?.is_empty() {
        return sys_fchown(dirfd, uid, gid);
    }
    let inode = lookup(dirfd, path, flags & AT_SYMLINK_NOFOLLOW == 0)?;
    chown(inode.node()?, uid, gid, &current().cred()).map(|()| 0)
}

/// Widens a 16-bit user or group: -1 still means "as it is".
const fn wide(id: u32) -> u32 {
    match id & 0xffff {
        0xffff => u32::MAX,
        id => id,
    }
}

/// Sets owner and group as chown does, by 16-bit numbers.
pub fn sys_chown16(path: u32, uid: u32, gid: u32) -> SysResult {
    sys_chown(path, wide(uid), wide(gid))
}

/// Sets owner and group as lchown does, by 16-bit numbers.
pub fn sys_lchown16(path: u32, uid: u32, gid: u32) -> SysResult {
    sys_lchown(path, wide(uid), wide(gid))
}

/// Sets owner and group as fchown does, by 16-bit numbers.
pub fn sys_fchown16(fd: u32, uid: u32, gid: u32) -> SysResult {
    sys_fchown(fd, wide(uid), wide(gid))
}

/// Sets the size of the file at a path.
///
/// # Errors
/// EINVAL, EISDIR, EACCES, ETXTBSY, EFBIG; those of a lookup.
pub fn sys_truncate(path: u32, size: u32) -> SysResult {
    truncate(path, i64::from(size as i32))
}

/// Sets the size of the file at a path, in 64 bits.
pub fn sys_truncate64(path: u32, low: u32, high: u32) -> SysResult {
    truncate(path, (u64::from(high) << 32 | u64::from(low)) as i64)
}

fn truncate(path: u32, size: i64) -> SysResult {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    let inode = lookup(AT_FDCWD, path, true)?;
    match inode.file_type() {
        FileType::Regular => {}
        FileType::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    permission(&inode.stat(), MAY_WRITE, &current().cred())?;
    let node = inode.node()?;
    node.get_write_access()?;
    let result = set_size(node, size).map_err(write_failed);
    node.put_write_access();
    result.map(|()| 0)
}

/// Sets the size of an open file.
///
/// # Errors
/// EBADF, EINVAL if it cannot be written or is no regular file, EFBIG.
pub fn sys_ftruncate(fd: u32, size: u32) -> SysResult {
    ftruncate(fd, i64::from(size as i32))
}

/// Sets the size of an open file, in 64 bits.
pub fn sys_ftruncate64(fd: u32, low: u32, high: u32) -> SysResult {
    ftruncate(fd, (u64::from(high) << 32 | u64::from(low)) as i64)
}

fn ftruncate(fd: u32, size: i64) -> SysResult {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    let file = fget(fd)?;
    let (node, _) = file.regular().ok_or(Errno::EINVAL)?;
    if file.flags() & O_ACCMODE == 0 {
        return Err(Errno::EINVAL);
    }
    set_size(node, size).map_err(write_failed)?;
    Ok(0)
}

/// Sets the times of a file with 32-bit times: see [`utimensat`].
pub fn sys_utimensat(dirfd: u32, path: u32, times: u32, flags: u32) -> SysResult {
    let times = match times {
        0 => None,
        at => get_user::<[u32; 4]>(at).map(|words| {
            let seconds = |word: u32| i64::from(word as i32);
            Some([(seconds(words[0]), words[1]), (seconds(words[2]), words[3])])
        })?,
    };
    utimensat(dirfd, path, times, flags)
}

/// Sets the times of a file with 64-bit times: see [`utimensat`].
pub fn sys_utimensat64(dirfd: u32, path: u32, times: u32, flags: u32) -> SysResult {
    let times = match times {
        0 => None,
        at => get_user::<[u32; 8]>(at).map(|words| {
            let seconds = |low: u32, high: u32| (u64::from(high) << 32 | u64::from(low)) as i64;
            Some([
                (seconds(words[0], words[1]), words[2]),
                (seconds(words[4], words[5]), words[6]),
            ])
        })?,
    };
    utimensat(dirfd, path, times, flags)
}

/// Sets the times of a file to whole seconds, or with null to the present.
pub fn sys_utime(path: u32, times: u32) -> SysResult {
    let times = match times {
        0 => None,
        at => {
            let words = get_user::<[u32; 2]>(at)?;
            Some(words.map(|word| (i64::from(word as i32), 0)))
        }
    };
    utimensat(AT_FDCWD, path, times, 0)
}

/// Sets the times of a file to microseconds, or with null to the present.
///
/// # Errors
/// EINVAL for a million microseconds or more; those of utimensat.
pub fn sys_utimes(path: u32, times: u32) -> SysResult {
    sys_futimesat(AT_FDCWD, path, times)
}

/// Sets the times of a file as utimes does, from directory `dirfd`.
pub fn sys_futimesat(dirfd: u32, path: u32, times: u32) -> SysResult {
    let times = match times {
        0 => None,
        at => {
            let words = get_user::<[u32; 4]>(at)?;
            if words[1] >= 1_000_000 || words[3] >= 1_000_000 {
                return Err(Errno::EINVAL);
            }
            let time = |seconds: u32, micros: u32| {
                (i64::from(seconds as i32), micros.saturating_mul(1000))
            };
            Some([time(words[0], words[1]), time(words[2], words[3])])
        }
    };
    utimensat(dirfd, path, times, 0)
}

/// Sets the times of the file at a path, or without one of the file behind the descriptor. Each is a
/// number of seconds and of nanoseconds, or UTIME_NOW or UTIME_OMIT in place of the latter.
///
/// # Errors
/// EINVAL, EBADF, EPERM, EACCES, and those of a path lookup; success when both times stay unchanged.
fn utimensat(dirfd: u32, path: u32, times: Option<[(i64, u32); 2]>, flags: u32) -> SysResult {
    let times = times.unwrap_or([(0, UTIME_NOW); 2]);
    if times.iter().all(|time| time.1 == UTIME_OMIT) {
        return Ok(0);
    }
    let is_time = |nanos: u32| matches!(nanos, 0..1_000_000_000 | UTIME_NOW | UTIME_OMIT);
    if !times.iter().all(|time| is_time(time.1)) || flags & !AT_SYMLINK_NOFOLLOW != 0 {
        return Err(Errno::EINVAL);
    }
    let inode = match path == 0 && dirfd != AT_FDCWD {
        true => inode_of(&*fget(dirfd)?)?,
        false => lookup(dirfd, path, flags & AT_SYMLINK_NOFOLLOW == 0)?,
    };
    let times = times.map(|(seconds, nanos)| match nanos {
        UTIME_NOW => SetTime::Now,
        UTIME_OMIT => SetTime::Omit,
        nanos => {
            // Times before 1970 become the beginning of 1970.
            let seconds = u64::try_from(seconds).unwrap_or(0);
            let whole = seconds.saturating_mul(1_000_000_000);
            SetTime::At(whole.saturating_add(nanos.into()))
        }
    });
    utimes(inode.node()?, times, &current().cred()).map(|()| 0)
}

//! stat, access, chdir, readlink, getdents: files by their paths.
//!
//! Book: ch. 12, "Pathname Lookup". Linux: 2.6.38 `fs/stat.c`, `fs/open.c`, `fs/namei.c`.

use alloc::sync::Arc;

use super::SysResult;
use super::read_write::fget;
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{copy_to_user, getname};
use crate::base::errno::Errno;
use crate::fs::cpio::FileType;
use crate::fs::file::Object;
use crate::fs::files_struct::FsStruct;
use crate::fs::namei;
use crate::fs::permission::{MAY_EXEC, MAY_READ, MAY_WRITE, permission};
use crate::fs::rootfs::{self, Inode};
use crate::fs::stat::Stat;
use crate::task::cred::Cred;

/// In place of a descriptor: the working directory.
pub const AT_FDCWD: u32 = -100i32 as u32;
/// A symbolic link at the end of the path is not followed.
pub const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
const AT_NO_AUTOMOUNT: u32 = 0x800;
/// An empty path means the file behind the descriptor.
pub const AT_EMPTY_PATH: u32 = 0x1000;

/// Returns the running task's directory and mask.
///
/// # Errors
/// ENOENT if the task has given them up.
pub fn fs() -> Result<Arc<FsStruct>, Errno> {
    current().fs.lock().clone().ok_or(Errno::ENOENT)
}

/// Returns the directory that `path` begins in: the root, the working directory, or the one behind
/// `dirfd`.
///
/// # Errors
/// EBADF, ENOTDIR.
pub fn start_of(dirfd: u32, path: &[u8]) -> Result<Inode, Errno> {
    if path.starts_with(b"/") {
        return Ok(rootfs::root());
    }
    if dirfd == AT_FDCWD {
        return Ok(fs()?.cwd());
    }
    match &fget(dirfd)?.object {
        Object::Inode(inode) if inode.file_type() == FileType::Directory => Ok(inode.clone()),
        _ => Err(Errno::ENOTDIR),
    }
}

/// Looks up the file at a path, from directory `dirfd`.
///
/// # Errors
/// Those of reading the path, of [`start_of`] and of a lookup.
pub fn lookup(dirfd: u32, path: u32, follow: bool) -> Result<Inode, Errno> {
    lookup_as(dirfd, path, follow, &current().cred())
}

fn lookup_as(dirfd: u32, path: u32, follow: bool, cred: &Cred) -> Result<Inode, Errno> {
    let path = getname(path)?;
    namei::lookup(start_of(dirfd, &path)?, &path, follow, cred)
}

fn put_stat64(address: u32, stat: &Stat) -> SysResult {
    copy_to_user(address, &stat.to_stat64()).map(|()| 0)
}

/// Stores the attributes of the file at a path.
pub fn sys_stat64(path: u32, buffer: u32) -> SysResult {
    put_stat64(buffer, &lookup(AT_FDCWD, path, true)?.stat())
}

/// Stores the attributes of the file at a path, of a symbolic link itself.
pub fn sys_lstat64(path: u32, buffer: u32) -> SysResult {
    put_stat64(buffer, &lookup(AT_FDCWD, path, false)?.stat())
}

/// Stores the attributes of the file behind a descriptor.
pub fn sys_fstat64(fd: u32, buffer: u32) -> SysResult {
    put_stat64(buffer, &fget(fd)?.stat())
}

/// Stores the attributes of a file as stat, lstat or fstat does, depending on `flags`.
pub fn sys_fstatat64(dirfd: u32, path: u32, buffer: u32, flags: u32) -> SysResult {
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & AT_EMPTY_PATH != 0 && dirfd != AT_FDCWD && getname(path)?.is_empty() {
        return sys_fstat64(dirfd, buffer);
    }
    put_stat64(
        buffer,
        &lookup(dirfd, path, flags & AT_SYMLINK_NOFOLLOW == 0)?.stat(),
    )
}

/// Checks whether the real user may read (4), write (2) or execute (1) a file.
pub fn sys_access(path: u32, mode: u32) -> SysResult {
    sys_faccessat(AT_FDCWD, path, mode)
}

/// Checks access as [`sys_access`] does, from directory `dirfd`.
pub fn sys_faccessat(dirfd: u32, path: u32, mode: u32) -> SysResult {
    if mode & !(MAY_READ | MAY_WRITE | MAY_EXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut cred = current().cred();
    (cred.uid.fs, cred.gid.fs) = (cred.uid.real, cred.gid.real);
    // The real user must also be able to search the directories on the way.
    let inode = lookup_as(dirfd, path, true, &cred)?;
    permission(&inode.stat(), mode, &cred).map(|()| 0)
}

/// Changes the working directory.
pub fn sys_chdir(path: u32) -> SysResult {
    set_cwd(lookup(AT_FDCWD, path, true)?)
}

/// Changes the working directory to the one behind a descriptor.
pub fn sys_fchdir(fd: u32) -> SysResult {
    match &fget(fd)?.object {
        Object::Inode(inode) => set_cwd(inode.clone()),
        _ => Err(Errno::ENOTDIR),
    }
}

fn set_cwd(inode: Inode) -> SysResult {
    if inode.file_type() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    let cred = current().cred();
    permission(&inode.stat(), MAY_EXEC, &cred)?;
    fs()?.set_cwd(inode);
    Ok(0)
}

/// Stores the path of the working directory; returns its length with the final zero.
///
/// # Errors
/// ERANGE if the path does not fit, EFAULT.
pub fn sys_getcwd(buffer: u32, size: u32) -> SysResult {
    let name = fs()?.cwd().path()?;
    let length = (name.len() as u32).saturating_add(2);
    if length > size {
        return Err(Errno::ERANGE);
    }
    copy_to_user(buffer, b"/")?;
    copy_to_user(buffer.wrapping_add(1), &name)?;
    copy_to_user(buffer.wrapping_add(length).wrapping_sub(1), &[0])?;
    Ok(length)
}

/// Sets the permissions that new files do not get; returns the former ones.
pub fn sys_umask(mask: u32) -> SysResult {
    Ok(fs()?.umask(mask))
}

/// Stores the target of a symbolic link.
///
/// # Errors
/// EINVAL if the file is no link, EACCES if the caller may not see the target; those of a path
/// lookup.
pub fn sys_readlink(path: u32, buffer: u32, size: u32) -> SysResult {
    sys_readlinkat(AT_FDCWD, path, buffer, size)
}

/// Stores the target of a symbolic link, looked up from directory `dirfd`.
pub fn sys_readlinkat(dirfd: u32, path: u32, buffer: u32, size: u32) -> SysResult {
    if size as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    let inode = lookup(dirfd, path, false)?;
    let target = inode.link_target()?;
    let target = &target[..target.len().min(size as usize)];
    copy_to_user(buffer, target)?;
    Ok(target.len() as u32)
}

/// Stores the next entries of a directory.
pub fn sys_getdents64(fd: u32, buffer: u32, count: u32) -> SysResult {
    fget(fd)?.getdents64(buffer, count)
}

/// Does nothing for sync: no data ever waits to be written.
pub fn sys_sync() -> SysResult {
    Ok(0)
}

/// Does nothing for fsync and fdatasync.
///
/// # Errors
/// EBADF; EINVAL for a file that cannot be synchronized.
pub fn sys_fsync(fd: u32) -> SysResult {
    match &fget(fd)?.object {
        Object::Inode(_) => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

//! memfd_create, fallocate, sendfile, copy_file_range: calls on the contents of regular files.
//!
//! Linux: memfd_create(2), fallocate(2), sendfile(2), copy_file_range(2).

use alloc::vec::Vec;

use super::SysResult;
use super::read_write::{fget, files, write_failed};
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{get_user, put_user, strncpy_from_user};
use crate::base::errno::Errno;
use crate::fs::file::{File, MAX_RW_COUNT, O_ACCMODE, O_APPEND, O_WRONLY, Object};
use crate::fs::rootfs::Inode;
use crate::fs::stat::S_IFREG;
use crate::fs::tmpfs::file_io::{self, Source, file_remove_suid, max_size};
use crate::fs::tmpfs::node::{CTIME, Kind, MTIME, Node};
use crate::fs::tmpfs::pages::{MAX_LFS_FILESIZE, Pages, punch_hole, split};
use crate::hw::pte::{PAGE_SHIFT, PAGE_SIZE};
use crate::mm::fallible::{TryVec, try_arc};
use crate::process::signal::signal_pending;

const MFD_CLOEXEC: u32 = 1;
const MFD_ALLOW_SEALING: u32 = 2;
/// Longest name of a memory file, in bytes.
const MFD_NAME_MAX: u32 = 249;
const FALLOC_FL_KEEP_SIZE: u32 = 1;
const FALLOC_FL_PUNCH_HOLE: u32 = 2;

/// Makes a file in memory that has no name, and opens it.
///
/// # Errors
/// EINVAL (unknown flags, long name), EFAULT, EMFILE, ENOSPC, ENOMEM.
pub fn sys_memfd_create(name: u32, flags: u32) -> SysResult {
    if flags & !(MFD_CLOEXEC | MFD_ALLOW_SEALING) != 0 {
        return Err(Errno::EINVAL);
    }
    strncpy_from_user(name, MFD_NAME_MAX.saturating_add(1)).map_err(|errno| match errno {
        Errno::ENAMETOOLONG => Errno::EINVAL,
        errno => errno,
    })?;
    let cred = current().cred();
    let kind = Kind::Regular(try_arc(Pages::new(&[]))?);
    let node = Node::new(kind, S_IFREG | 0o777, cred.uid.fs, cred.gid.fs)?;
    node.get_write_access()?;
    let file = File::new(Object::Inode(Inode::File(node)), 2);
    files()?.install(try_arc(file)?, 0, flags & MFD_CLOEXEC != 0)
}

/// Gives a range of a file memory, or with PUNCH_HOLE takes it away.
///
/// # Errors
/// EBADF, EINVAL, EOPNOTSUPP, ENODEV, ESPIPE, EFBIG, ENOSPC, EINTR.
pub fn sys_fallocate(
    fd: u32,
    mode: u32,
    offset_low: u32,
    offset_high: u32,
    length_low: u32,
    length_high: u32,
) -> SysResult {
    let file = fget(fd)?;
    let wide = |low: u32, high: u32| (u64::from(high) << 32 | u64::from(low)) as i64;
    let (offset, length) = (wide(offset_low, offset_high), wide(length_low, length_high));
    if offset < 0 || length <= 0 {
        return Err(Errno::EINVAL);
    }
    let holes = mode & FALLOC_FL_PUNCH_HOLE != 0;
    if mode & !(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE) != 0
        || holes && mode & FALLOC_FL_KEEP_SIZE == 0
    {
        return Err(Errno::EOPNOTSUPP);
    }
    if file.flags() & O_ACCMODE == 0 {
        return Err(Errno::EBADF);
    }
    if file.pipe().is_some() {
        return Err(Errno::ESPIPE);
    }
    let (node, pages) = file.regular().ok_or(Errno::ENODEV)?;
    let end = offset.checked_add(length).ok_or(Errno::EFBIG)? as u64;
    if end > MAX_LFS_FILESIZE {
        return Err(Errno::EFBIG);
    }
    let _locked = node.mutex.lock();
    if end > pages.size().max(max_size()) {
        return Err(write_failed(Errno::EFBIG));
    }
    file_remove_suid(node);
    if holes {
        punch_hole(pages, offset as u64, end)?;
    } else {
        let mut at = offset as u64;
        while at < end {
            if signal_pending(&current()) {
                return Err(Errno::EINTR);
            }
            let page = split(at).0;
            pages.frame(page, false)?;
            at = u64::from(page).saturating_add(1) << PAGE_SHIFT;
        }
        if mode & FALLOC_FL_KEEP_SIZE == 0 {
            pages.grow_to(end);
        }
    }
    node.touch(&[MTIME, CTIME]);
    Ok(0)
}

/// Copies bytes from a regular file to another file; the 32-bit position at `offset` counts instead
/// of the file's own, unless it is null.
///
/// # Errors
/// EBADF, EINVAL unless both are regular files, EFAULT; those of write.
pub fn sys_sendfile(out: u32, input: u32, offset: u32, count: u32) -> SysResult {
    let start = match offset {
        0 => None,
        at => Some(u64::from(get_user::<u32>(at)?)),
    };
    let (done, end) = copy(input, start, out, None, count)?;
    if offset != 0 {
        put_user(offset, end.0 as u32)?;
    }
    Ok(done)
}

/// Copies bytes as sendfile does, with a 64-bit position.
pub fn sys_sendfile64(out: u32, input: u32, offset: u32, count: u32) -> SysResult {
    let start = match offset {
        0 => None,
        at => Some(get_user::<u64>(at)?),
    };
    let (done, end) = copy(input, start, out, None, count)?;
    if offset != 0 {
        put_user(offset, end.0)?;
    }
    Ok(done)
}

/// Copies bytes from one regular file to another, each at its position or at a given one.
///
/// # Errors
/// EBADF, EINVAL, EFAULT; those of write.
pub fn sys_copy_file_range(
    input: u32,
    in_offset: u32,
    out: u32,
    out_offset: u32,
    count: u32,
    flags: u32,
) -> SysResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let start = |at: u32| match at {
        0 => Ok(None),
        at => get_user::<u64>(at).map(Some),
    };
    let (from, to) = (start(in_offset)?, start(out_offset)?);
    if fget(out)?.flags() & O_APPEND != 0 {
        return Err(Errno::EBADF);
    }
    let (done, end) = copy(input, from, out, to, count)?;
    for (at, end) in [(in_offset, end.0), (out_offset, end.1)] {
        if at != 0 {
            put_user(at, end)?;
        }
    }
    Ok(done)
}

/// Copies up to `count` bytes between regular files, through a page of the kernel's. Returns the
/// number of bytes, and both positions after them.
fn copy(
    input: u32,
    from: Option<u64>,
    out: u32,
    to: Option<u64>,
    count: u32,
) -> Result<(u32, (u64, u64)), Errno> {
    let (input, out) = (fget(input)?, fget(out)?);
    if input.flags() & O_ACCMODE == O_WRONLY || out.flags() & O_ACCMODE == 0 {
        return Err(Errno::EBADF);
    }
    let (_, source) = input.regular().ok_or(Errno::EINVAL)?;
    let (node, pages) = out.regular().ok_or(Errno::EINVAL)?;
    let append = out.flags() & O_APPEND != 0;
    let mut read = from.map_or_else(|| input.seek(0, 1), Ok)?;
    let mut written = to.map_or_else(|| out.seek(0, 1), Ok)?;
    if i64::try_from(read).is_err() || i64::try_from(written).is_err() {
        return Err(Errno::EINVAL);
    }
    let mut buffer = Vec::new();
    buffer.try_resize_with(PAGE_SIZE as usize, || 0)?;
    let (mut done, count) = (0_u32, count.min(MAX_RW_COUNT));
    while done < count && !signal_pending(&current()) {
        let length = count.saturating_sub(done).min(PAGE_SIZE) as usize;
        let length = source.read_kernel(&mut buffer[..length], read);
        if length == 0 {
            break;
        }
        let bytes = Source::Kernel(&buffer[..length]);
        match file_io::write(node, pages, bytes, length as u32, written, append) {
            Ok((now, end)) => {
                written = end;
                read = read.saturating_add(now.into());
                done = done.saturating_add(now);
            }
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    if from.is_none() {
        input.seek(read as i64, 0)?;
    }
    if to.is_none() {
        out.seek(written as i64, 0)?;
    }
    Ok((done, (read, written)))
}

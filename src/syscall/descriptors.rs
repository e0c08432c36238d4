//! open, close, dup, pipe, fcntl, ioctl: descriptors and the files behind them.
//!
//! Book: ch. 12, "The open() System Call"; ch. 19, "Creating and Destroying a Pipe".
//! Linux: 2.6.38 `fs/open.c`, `fs/fcntl.c`, `fs/ioctl.c`, `fs/pipe.c`.

use core::sync::atomic::Ordering;

use super::SysResult;
use super::locks;
use super::paths::{AT_FDCWD, fs, start_of};
use super::read_write::{fget, files};
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{getname, put_user};
use crate::base::errno::Errno;
use crate::fs::file::{File, O_CLOEXEC, O_CREAT, O_NONBLOCK, O_TRUNC, O_WRONLY, Object};
use crate::fs::open::open;
use crate::fs::pipe::pipe;
use crate::mm::fallible::try_arc;

const F_DUPFD: u32 = 0;
const F_GETFD: u32 = 1;
const F_SETFD: u32 = 2;
const F_GETFL: u32 = 3;
const F_SETFL: u32 = 4;
const F_DUPFD_CLOEXEC: u32 = 1030;
const F_GETLK64: u32 = 12;
const F_SETLKW64: u32 = 14;
const F_OFD_GETLK: u32 = 36;
const F_OFD_SETLKW: u32 = 38;
const F_SETPIPE_SZ: u32 = 1031;
const F_GETPIPE_SZ: u32 = 1032;
const FD_CLOEXEC: u32 = 1;
const FIOCLEX: u32 = 0x5451;
const FIONCLEX: u32 = 0x5450;

/// Opens a file by its path, from the working directory.
pub fn sys_open(path: u32, flags: u32, mode: u32) -> SysResult {
    sys_openat(AT_FDCWD, path, flags, mode)
}

/// Opens a file by its path, from directory `dirfd`.
pub fn sys_openat(dirfd: u32, path: u32, flags: u32, mode: u32) -> SysResult {
    let path = getname(path)?;
    let cred = current().cred();
    let mode = mode & !fs()?.current_umask();
    let file = open(start_of(dirfd, &path)?, &path, flags, mode, &cred)?;
    files()?.install(try_arc(file)?, 0, flags & O_CLOEXEC != 0)
}

/// Opens a file for writing, creating and emptying it.
pub fn sys_creat(path: u32, mode: u32) -> SysResult {
    sys_open(path, O_CREAT | O_WRONLY | O_TRUNC, mode)
}

/// Frees a descriptor.
pub fn sys_close(fd: u32) -> SysResult {
    files()?.close(fd).map(|()| 0)
}

/// Returns a second descriptor for the same file.
pub fn sys_dup(fd: u32) -> SysResult {
    files()?.install(fget(fd)?, 0, false)
}

/// Duplicates a descriptor to the number `new`.
pub fn sys_dup2(old: u32, new: u32) -> SysResult {
    let file = fget(old)?;
    if old != new {
        files()?.replace(new, file, false)?;
    }
    Ok(new)
}

/// Duplicates a descriptor as dup2 does, also with O_CLOEXEC.
///
/// # Errors
/// EBADF; EINVAL for equal numbers or other flags.
pub fn sys_dup3(old: u32, new: u32, flags: u32) -> SysResult {
    if flags & !O_CLOEXEC != 0 || old == new {
        return Err(Errno::EINVAL);
    }
    files()?.replace(new, fget(old)?, flags != 0)?;
    Ok(new)
}

/// Makes a pipe and stores its two descriptors, for reading and for writing.
pub fn sys_pipe(fds: u32) -> SysResult {
    sys_pipe2(fds, 0)
}

/// Makes a pipe as pipe(2) does, also with O_CLOEXEC and O_NONBLOCK.
pub fn sys_pipe2(fds: u32, flags: u32) -> SysResult {
    if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let files = files()?;
    let (reader, writer) = pipe()?;
    let close_on_exec = flags & O_CLOEXEC != 0;
    let status = flags & O_NONBLOCK;
    let reader = try_arc(File::new(Object::PipeReader(reader), status))?;
    let writer = try_arc(File::new(Object::PipeWriter(writer), status | O_WRONLY))?;
    let read_fd = files.install(reader, 0, close_on_exec)?;
    let stored = files
        .install(writer, 0, close_on_exec)
        .and_then(|write_fd| {
            put_user(fds, [read_fd, write_fd]).inspect_err(|_| {
                let _closed = files.close(write_fd);
            })
        });
    if stored.is_err() {
        let _closed = files.close(read_fd);
    }
    stored.map(|()| 0)
}

/// Performs a command as [`sys_fcntl64`] does, but for those with 64-bit structures.
///
/// # Errors
/// EBADF; EINVAL for those and for unknown commands.
pub fn sys_fcntl(fd: u32, command: u32, argument: u32) -> SysResult {
    match command {
        F_GETLK64..=F_SETLKW64 | F_OFD_GETLK..=F_OFD_SETLKW => fget(fd).and(Err(Errno::EINVAL)),
        _ => sys_fcntl64(fd, command, argument),
    }
}

/// Duplicates a descriptor, reads or changes its flags, the size of a pipe, or the locks on a file.
///
/// # Errors
/// EBADF; EINVAL for unknown commands.
pub fn sys_fcntl64(fd: u32, command: u32, argument: u32) -> SysResult {
    let file = fget(fd)?;
    let files = files()?;
    match command {
        F_DUPFD | F_DUPFD_CLOEXEC => files.install(file, argument, command == F_DUPFD_CLOEXEC),
        F_GETFD => files
            .close_on_exec(fd)
            .map(|close| if close { FD_CLOEXEC } else { 0 }),
        F_SETFD => files
            .set_close_on_exec(fd, argument & FD_CLOEXEC != 0)
            .map(|()| 0),
        F_GETFL => Ok(file.flags()),
        F_SETFL => {
            file.set_flags(argument);
            Ok(0)
        }
        F_SETPIPE_SZ => {
            let capable = current().cred().capable();
            file.pipe().ok_or(Errno::EBADF)?.set_size(argument, capable)
        }
        F_GETPIPE_SZ => Ok(file.pipe().ok_or(Errno::EBADF)?.size()),
        _ => locks::fcntl(fd, &file, command, argument).unwrap_or(Err(Errno::EINVAL)),
    }
}

/// Performs an ioctl of a terminal, or one that every file has.
pub fn sys_ioctl(fd: u32, command: u32, argument: u32) -> SysResult {
    let file = fget(fd)?;
    match command {
        FIOCLEX | FIONCLEX => files()?
            .set_close_on_exec(fd, command == FIOCLEX)
            .map(|()| 0),
        _ => file.ioctl(
            command,
            argument,
            current().signal.session.load(Ordering::Relaxed),
        ),
    }
}

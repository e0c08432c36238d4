//! read, write, and other calls that move bytes.
//!
//! Book: ch. 12, "The read() and write() System Calls". Linux: 2.6.38 `fs/read_write.c`.

use alloc::sync::Arc;

use super::SysResult;
use crate::arch::x86::current::{Current, current};
use crate::arch::x86::entry::uaccess::{get_user, put_user};
use crate::base::errno::Errno;
use crate::fs::file::{File, MAX_RW_COUNT};
use crate::fs::files_struct::FilesStruct;
use crate::process::signal::send_to_thread;
use crate::process::sigset::{SIGPIPE, SIGXFSZ};
use crate::task::rlimit::{RLIM_INFINITY, RLIMIT_FSIZE};
use crate::task::siginfo::{SI_USER, SigInfo};

/// Most pieces of readv and writev.
const UIO_MAXIOV: u32 = 1024;

/// Returns the running task's descriptors.
///
/// # Errors
/// EBADF if the task has given them up.
pub fn files() -> Result<Arc<FilesStruct>, Errno> {
    current().files.lock().clone().ok_or(Errno::EBADF)
}

/// Returns the file behind descriptor `fd`.
///
/// # Errors
/// EBADF.
pub fn fget(fd: u32) -> Result<Arc<File>, Errno> {
    files()?.get(fd)
}

/// Returns the file behind descriptor `fd`, for a call that opens and closes no descriptor; `None`
/// if it is not open, or if another task shares the descriptors and could close it: then the caller
/// needs a reference.
///
/// Linux: 2.6.38 `fget_light`.
///
/// # Safety
/// 1. The running task opens, closes and shares no descriptor while the result is used.
#[inline(always)]
unsafe fn fget_light(me: &Current, fd: u32) -> Option<&File> {
    // SAFETY: only the task itself ever changes its pointer to its descriptors.
    let files = unsafe { (*me.files.as_ptr()).as_ref()? };
    if Arc::strong_count(files) != 1 {
        return None;
    }
    // SAFETY: no other task shares them, and by 1 we close none.
    unsafe { files.get_unshared(fd).ok() }
}

/// Reads from the file's position.
pub fn sys_read(fd: u32, buffer: u32, count: u32) -> SysResult {
    let me = current();
    // SAFETY: reading a file changes no descriptor.
    match unsafe { fget_light(&me, fd) } {
        Some(file) => file.read(buffer, count),
        None => read_counted(fd, buffer, count),
    }
}

#[inline(never)]
fn read_counted(fd: u32, buffer: u32, count: u32) -> SysResult {
    fget(fd)?.read(buffer, count)
}

/// Writes to a file; a pipe without readers also raises SIGPIPE.
pub fn sys_write(fd: u32, buffer: u32, count: u32) -> SysResult {
    let me = current();
    // SAFETY: writing a file changes no descriptor.
    match unsafe { fget_light(&me, fd) } {
        Some(file) => write(file, buffer, count),
        None => write_counted(fd, buffer, count),
    }
}

#[inline(never)]
fn write_counted(fd: u32, buffer: u32, count: u32) -> SysResult {
    write(&*fget(fd)?, buffer, count)
}

/// Reads from byte `high:low`; the file's position does not change.
pub fn sys_pread64(fd: u32, buffer: u32, count: u32, low: u32, high: u32) -> SysResult {
    let at = u64::from(high) << 32 | u64::from(low);
    if high >> 31 != 0 {
        return Err(Errno::EINVAL);
    }
    fget(fd)?.read_at(buffer, count, at)
}

/// Writes to byte `high:low`; the file's position does not change.
pub fn sys_pwrite64(fd: u32, buffer: u32, count: u32, low: u32, high: u32) -> SysResult {
    let at = u64::from(high) << 32 | u64::from(low);
    if high >> 31 != 0 {
        return Err(Errno::EINVAL);
    }
    let written = fget(fd)?.write_at(buffer, count, at);
    written.map_err(write_failed)
}

/// Reads into several buffers.
pub fn sys_readv(fd: u32, vector: u32, pieces: u32) -> SysResult {
    let file = fget(fd)?;
    for_each_piece(vector, pieces, |buffer, count| file.read(buffer, count))
}

/// Writes from several buffers.
pub fn sys_writev(fd: u32, vector: u32, pieces: u32) -> SysResult {
    let file = fget(fd)?;
    for_each_piece(vector, pieces, |buffer, count| write(&file, buffer, count))
}

/// Moves the file's position; EOVERFLOW if it needs more than 31 bits.
pub fn sys_lseek(fd: u32, offset: u32, whence: u32) -> SysResult {
    let position = fget(fd)?.seek(i64::from(offset as i32), whence)?;
    u32::try_from(position)
        .ok()
        .filter(|p| *p <= i32::MAX as u32)
        .ok_or(Errno::EOVERFLOW)
}

/// Moves the file's position by `high:low`; stores all 64 bits of it at `result`.
pub fn sys_llseek(fd: u32, high: u32, low: u32, result: u32, whence: u32) -> SysResult {
    let offset = u64::from(high) << 32 | u64::from(low);
    let position = fget(fd)?.seek(offset as i64, whence)?;
    put_user(result, position)?;
    Ok(0)
}

#[inline(always)]
fn write(file: &File, buffer: u32, count: u32) -> SysResult {
    match file.write(buffer, count) {
        Ok(written) => Ok(written),
        Err(errno) => Err(write_failed(errno)),
    }
}

/// Sends the running task the signal that goes with the error of a write: SIGPIPE, or SIGXFSZ if the
/// process has a limit for the size of files.
#[cold]
#[inline(never)]
pub fn write_failed(errno: Errno) -> Errno {
    let me = current();
    let signal = match errno {
        Errno::EPIPE => SIGPIPE,
        Errno::EFBIG if me.signal.rlim.cur(RLIMIT_FSIZE) != RLIM_INFINITY => SIGXFSZ,
        _ => return errno,
    };
    // As if the task had sent the signal to itself.
    let info = SigInfo::sent(signal, SI_USER, me.tgid, me.cred().uid.real);
    // Only real-time signals are refused.
    let _queued = send_to_thread(info, &me);
    errno
}

/// Moves the pieces of an iovec one by one, until one is moved only in part.
fn for_each_piece(
    vector: u32,
    pieces: u32,
    mut io: impl FnMut(u32, u32) -> SysResult,
) -> SysResult {
    if pieces > UIO_MAXIOV {
        return Err(Errno::EINVAL);
    }
    let mut total = 0u32;
    for piece in 0..pieces {
        let [buffer, count] = get_user::<[u32; 2]>(vector.wrapping_add(piece.wrapping_mul(8)))?;
        if count > i32::MAX as u32 {
            return Err(Errno::EINVAL);
        }
        if count == 0 {
            continue;
        }
        match io(buffer, count.min(MAX_RW_COUNT.saturating_sub(total))) {
            Ok(done) => {
                total = total.saturating_add(done);
                if done < count {
                    break;
                }
            }
            Err(_) if total > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(total)
}

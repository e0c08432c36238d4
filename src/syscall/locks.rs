//! flock, and the commands of fcntl for locks: F_GETLK, F_SETLK, F_SETLKW and F_OFD_*.
//!
//! Book: ch. 12, "File Locking". Linux: 2.6.38 `fs/locks.c` (`flock_to_posix_lock`,
//! `fcntl_setlk64`); 3.15 for F_OFD_*; fcntl(2), flock(2).

use alloc::sync::Arc;

use super::SysResult;
use super::read_write::{fget, files};
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{get_user, put_user};
use crate::base::errno::Errno;
use crate::fs::file::{File, O_ACCMODE, O_WRONLY};
use crate::fs::locks::{Kind, Owner, locks_of};
use crate::fs::range_lock::FileLock;

const LOCK_SH: u32 = 1;
const LOCK_EX: u32 = 2;
const LOCK_NB: u32 = 4;
const LOCK_UN: u32 = 8;
const F_GETLK: u32 = 5;
const F_SETLK: u32 = 6;
const F_SETLKW: u32 = 7;
const F_GETLK64: u32 = 12;
const F_SETLK64: u32 = 13;
const F_SETLKW64: u32 = 14;
const F_OFD_GETLK: u32 = 36;
const F_OFD_SETLK: u32 = 37;
const F_OFD_SETLKW: u32 = 38;
const F_RDLCK: u32 = 0;
const F_WRLCK: u32 = 1;
const F_UNLCK: u32 = 2;
/// Last byte that a lock can cover (`OFFSET_MAX`).
const OFFSET_MAX: i64 = i64::MAX;
/// Last byte that the 32-bit form of F_GETLK can tell (`OFFT_OFFSET_MAX`).
const OFFT_OFFSET_MAX: u64 = i32::MAX as u64;

/// Sets or takes away the lock of an open file.
///
/// # Errors
/// EBADF, EINVAL, EAGAIN (EWOULDBLOCK), ERESTARTSYS, ENOLCK.
pub fn sys_flock(fd: u32, operation: u32) -> SysResult {
    let file = fget(fd)?;
    let locks = locks_of(&file);
    let owner = file.lock_owner();
    let lock = |is_exclusive| FileLock {
        owner,
        start: 0,
        end: u64::MAX,
        is_exclusive,
        pid: current().tgid,
    };
    let waits = operation & LOCK_NB == 0;
    match operation & !LOCK_NB {
        LOCK_SH => locks?.set(Kind::Whole, lock(false), waits)?,
        LOCK_EX => locks?.set(Kind::Whole, lock(true), waits)?,
        LOCK_UN => locks?.unset(Kind::Whole, owner, 0, u64::MAX)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// `struct flock` or `struct flock64` of i386.
struct Flock {
    kind: u32,
    whence: u32,
    start: i64,
    length: i64,
    pid: u32,
}

/// Returns the structure at user address `at`, in the form with 64-bit numbers if `is_wide`.
fn get_flock(at: u32, is_wide: bool) -> Result<Flock, Errno> {
    let wide = |low: u32, high: u32| (u64::from(high) << 32 | u64::from(low)) as i64;
    let (first, start, length, pid) = match is_wide {
        true => {
            let [first, a, b, c, d, pid] = get_user::<[u32; 6]>(at)?;
            (first, wide(a, b), wide(c, d), pid)
        }
        false => {
            let [first, start, length, pid] = get_user::<[u32; 4]>(at)?;
            (first, (start as i32).into(), (length as i32).into(), pid)
        }
    };
    Ok(Flock {
        kind: first & 0xffff,
        whence: first >> 16,
        start,
        length,
        pid,
    })
}

/// Stores the facts about `lock` at user address `at`. Fails with EOVERFLOW if the 32-bit form
/// cannot tell them, EFAULT.
fn put_flock(at: u32, is_wide: bool, lock: &FileLock<Owner>) -> Result<(), Errno> {
    let kind = match lock.is_exclusive {
        true => F_WRLCK,
        false => F_RDLCK,
    };
    let reaches_end = lock.end >= OFFSET_MAX as u64;
    let length = match reaches_end {
        true => 0,
        false => lock.end.saturating_sub(lock.start).saturating_add(1),
    };
    let pid = lock.pid as u32;
    if is_wide {
        let [a, b] = [lock.start as u32, (lock.start >> 32) as u32];
        return put_user(at, [kind, a, b, length as u32, (length >> 32) as u32, pid]);
    }
    if lock.start > OFFT_OFFSET_MAX || !reaches_end && lock.end > OFFT_OFFSET_MAX {
        return Err(Errno::EOVERFLOW);
    }
    put_user(at, [kind, lock.start as u32, length as u32, pid])
}

/// Returns the first and the last byte that the structure denotes. Fails with EINVAL, EOVERFLOW.
fn range(flock: &Flock, file: &File) -> Result<(u64, u64), Errno> {
    let from = match flock.whence {
        0 => 0,
        1 => file.seek(0, 1).unwrap_or(0),
        2 => file.regular().map_or(0, |(_, pages)| pages.size()),
        _ => return Err(Errno::EINVAL),
    };
    let start = i64::try_from(from)
        .ok()
        .and_then(|from| from.checked_add(flock.start));
    let mut start = start.ok_or(Errno::EOVERFLOW)?;
    if start < 0 {
        return Err(Errno::EINVAL);
    }
    let end = match flock.length {
        0 => OFFSET_MAX,
        1.. => {
            let end = start.checked_add(flock.length.saturating_sub(1));
            end.ok_or(Errno::EOVERFLOW)?
        }
        ..0 => {
            let end = start.saturating_sub(1);
            start = start.saturating_add(flock.length);
            end
        }
    };
    match start {
        0.. => Ok((start as u64, end as u64)),
        _ => Err(Errno::EINVAL),
    }
}

/// Performs a command of fcntl for locks on descriptor `fd`, which leads to `file`; `None` for any
/// other command.
///
/// # Errors
/// EFAULT, EINVAL, EOVERFLOW, EBADF, EAGAIN, EDEADLK, ERESTARTSYS, ENOLCK.
pub fn fcntl(fd: u32, file: &Arc<File>, command: u32, argument: u32) -> Option<SysResult> {
    let (is_wide, waits) = match command {
        F_GETLK | F_SETLK => (false, false),
        F_SETLKW => (false, true),
        F_GETLK64 | F_SETLK64 | F_OFD_GETLK | F_OFD_SETLK => (true, false),
        F_SETLKW64 | F_OFD_SETLKW => (true, true),
        _ => return None,
    };
    let is_ofd = (F_OFD_GETLK..=F_OFD_SETLKW).contains(&command);
    let is_test = [F_GETLK, F_GETLK64, F_OFD_GETLK].contains(&command);
    Some(get_flock(argument, is_wide).and_then(|flock| {
        let owner = match is_ofd {
            true => file.lock_owner(),
            false => files()?.lock_owner(),
        };
        match is_test {
            true => getlk(file, &flock, owner, argument, is_wide),
            false => setlk(fd, file, &flock, owner, waits),
        }
    }))
}

fn lock_of(
    flock: &Flock,
    owner: Owner,
    (start, end): (u64, u64),
) -> Result<FileLock<Owner>, Errno> {
    let pid = match owner {
        Owner::Files(_) => current().tgid,
        // It belongs to no process; the program must say so, too.
        Owner::File(_) if flock.pid != 0 => return Err(Errno::EINVAL),
        Owner::File(_) => -1,
    };
    Ok(FileLock {
        owner,
        start,
        end,
        is_exclusive: flock.kind == F_WRLCK,
        pid,
    })
}

fn getlk(file: &File, flock: &Flock, owner: Owner, at: u32, is_wide: bool) -> SysResult {
    if flock.kind > F_WRLCK {
        return Err(Errno::EINVAL);
    }
    let lock = lock_of(flock, owner, range(flock, file)?)?;
    match locks_of(file)?.test(&lock) {
        Some(other) => put_flock(at, is_wide, &other)?,
        None => put_user(at, F_UNLCK as u16)?,
    }
    Ok(0)
}

fn setlk(fd: u32, file: &Arc<File>, flock: &Flock, owner: Owner, waits: bool) -> SysResult {
    let (start, end) = range(flock, file)?;
    let mode = file.flags() & O_ACCMODE;
    match flock.kind {
        F_RDLCK if mode == O_WRONLY => return Err(Errno::EBADF),
        F_WRLCK if mode == 0 => return Err(Errno::EBADF),
        F_RDLCK..=F_UNLCK => {}
        _ => return Err(Errno::EINVAL),
    }
    let lock = lock_of(flock, owner, (start, end))?;
    let locks = locks_of(file)?;
    if flock.kind == F_UNLCK {
        locks.unset(Kind::Range, owner, start, end)?;
        return Ok(0);
    }
    locks.set(Kind::Range, lock, waits)?;
    // Another thread may have closed the descriptor, and so missed this lock.
    let is_open = files()?.get(fd).is_ok_and(|now| Arc::ptr_eq(&now, file));
    if !is_open && matches!(owner, Owner::Files(_)) {
        locks.release(owner);
        return Err(Errno::EBADF);
    }
    Ok(0)
}

#![forbid(unsafe_code)]
//! GETSIGINFO, PEEKSIGINFO, GETSIGMASK and the like: the signals of a stopped task.
//!
//! Linux: 2.6.38 `ptrace_getsiginfo`; 3.10 `ptrace_peek_siginfo`; 3.11 PTRACE_GETSIGMASK.

use super::SysResult;
use super::held::Held;
use crate::arch::x86::entry::uaccess::{get_user, put_user};
use crate::base::errno::Errno;
use crate::base::thread_info::{TIF_SIGPENDING, set_flag};
use crate::process::sigset::SigSet;
use crate::task::siginfo::SigInfo;

/// Stores the facts about the signal for which the task has stopped at user address `to`.
///
/// # Errors
/// EINVAL if it has stopped with its process; EFAULT.
pub fn getsiginfo(held: &Held, to: u32) -> SysResult {
    let info = { *held.task().ptrace.siginfo.lock() };
    put_user(to, info.ok_or(Errno::EINVAL)?)?;
    Ok(0)
}

/// Replaces these facts by those at user address `from`.
///
/// # Errors
/// EINVAL if the task has stopped with its process; EFAULT.
pub fn setsiginfo(held: &Held, from: u32) -> SysResult {
    let info: SigInfo = get_user(from)?;
    let mut mine = held.task().ptrace.siginfo.lock();
    if mine.is_none() {
        return Err(Errno::EINVAL);
    }
    *mine = Some(info);
    Ok(0)
}

/// Bytes of the set of signals, which the tracer passes.
const SIGSET_BYTES: u32 = 8;

/// Stores the blocked set at user address `to`.
///
/// # Errors
/// EINVAL for another size, EFAULT.
pub fn getsigmask(held: &Held, bytes: u32, to: u32) -> SysResult {
    if bytes != SIGSET_BYTES {
        return Err(Errno::EINVAL);
    }
    let blocked = { held.task().signals.lock().blocked };
    put_user(to, blocked.0)?;
    Ok(0)
}

/// Sets the blocked set from user address `from`.
///
/// # Errors
/// EINVAL for another size, EFAULT.
pub fn setsigmask(held: &Held, bytes: u32, from: u32) -> SysResult {
    if bytes != SIGSET_BYTES {
        return Err(Errno::EINVAL);
    }
    let blocked = SigSet(get_user(from)?).without(SigSet::UNBLOCKABLE);
    let task = held.task();
    task.signals.lock().blocked = blocked;
    // It looks at its signals on the way out.
    set_flag(task.thread_info(), TIF_SIGPENDING);
    Ok(0)
}

/// Flag of PEEKSIGINFO: the signals of the process, not of the thread.
const PTRACE_PEEKSIGINFO_SHARED: u32 = 1;

/// Stores facts about pending signals at user address `to`: `arguments` points to the place of the
/// first (64 bits), flags, and their number. Returns how many were stored.
///
/// # Errors
/// EINVAL for unknown flags and a negative number; EFAULT if not even the first can be stored.
pub fn peeksiginfo(held: &Held, arguments: u32, to: u32) -> SysResult {
    let [low, high, flags, number]: [u32; 4] = get_user(arguments)?;
    if flags & !PTRACE_PEEKSIGINFO_SHARED != 0 || (number as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    if high != 0 {
        return Ok(0);
    }
    let task = held.task();
    let shared = flags & PTRACE_PEEKSIGINFO_SHARED != 0;
    for nth in 0..number {
        let at = low.checked_add(nth).map(|at| at as usize);
        let info = match shared {
            true => at.and_then(|at| task.signal.shared_pending.lock().nth(at)),
            false => at.and_then(|at| task.signals.lock().pending.nth(at)),
        };
        let place = nth
            .checked_mul(size_of::<SigInfo>() as u32)
            .and_then(|offset| to.checked_add(offset));
        let (Some(info), Some(place)) = (info, place) else {
            return Ok(nth);
        };
        if let Err(errno) = put_user(place, info) {
            return if nth == 0 { Err(errno) } else { Ok(nth) };
        }
    }
    Ok(number)
}

//! rt_sigtimedwait, rt_sigqueueinfo, rt_tgsigqueueinfo: signals as messages.
//!
//! Linux: 2.6.38 `kernel/signal.c` (`do_sigtimedwait`, `do_rt_tgsigqueueinfo`).

use super::SysResult;
use super::signal::{SIGSET_BYTES, find_thread, kill_thread};
use super::timespec::{Timespec32, Timespec64};
use super::user_time::get_ticks;
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{get_user, put_user};
use crate::base::errno::Errno;
use crate::process::kill::{Target, kill};
use crate::process::signal::recalc_sigpending;
use crate::process::signal_delivery::dequeue_signal;
use crate::process::signal_wait::do_sigtimedwait;
use crate::process::sigset::SigSet;
use crate::task::siginfo::{SI_TKILL, SigInfo};

/// Takes a pending signal of `set`, or sleeps until one comes: its action is not performed, but its
/// facts are stored at `info`. `timeout` is a 32-bit timespec.
///
/// # Errors
/// EINVAL, EFAULT, EAGAIN when the time is over, EINTR when another signal comes.
pub fn sys_rt_sigtimedwait(set: u32, info: u32, timeout: u32, bytes: u32) -> SysResult {
    wait_for_signal(set, info, bytes, || get_ticks::<Timespec32>(timeout))
}

/// Takes a signal as [`sys_rt_sigtimedwait`] does, with a 64-bit timespec.
pub fn sys_rt_sigtimedwait64(set: u32, info: u32, timeout: u32, bytes: u32) -> SysResult {
    wait_for_signal(set, info, bytes, || get_ticks::<Timespec64>(timeout))
}

fn wait_for_signal(
    set: u32,
    info: u32,
    bytes: u32,
    timeout: impl FnOnce() -> Result<Option<u64>, Errno>,
) -> SysResult {
    if bytes != SIGSET_BYTES {
        return Err(Errno::EINVAL);
    }
    let wanted = SigSet(get_user(set)?).without(SigSet::UNBLOCKABLE);
    let ticks = timeout()?;
    let me = current();
    let others = SigSet(!wanted.0);
    let mut found = dequeue_signal(me, others);
    let mut errno = Errno::EAGAIN;
    if found.is_none() && ticks != Some(0) {
        errno = do_sigtimedwait(me, wanted, ticks);
        found = dequeue_signal(me, others);
    }
    recalc_sigpending(me);
    let found = found.ok_or(errno)?;
    if info != 0 {
        put_user(info, found)?;
    }
    Ok(found.signal)
}

/// Returns `info` for `signal`. EPERM when it claims to come from the kernel, kill or tgkill, and
/// is not for the caller itself.
fn siginfo(signal: u32, info: SigInfo, to_myself: bool) -> Result<SigInfo, Errno> {
    let code = info.code;
    if (code >= 0 || code == SI_TKILL) && !to_myself {
        return Err(Errno::EPERM);
    }
    Ok(SigInfo { signal, ..info })
}

/// Sends a signal to a process, with the facts that the caller gives.
///
/// # Errors
/// EFAULT, EPERM, ESRCH, EINVAL, EAGAIN.
pub fn sys_rt_sigqueueinfo(pid: u32, signal: u32, info: u32) -> SysResult {
    let info = siginfo(signal, get_user(info)?, current().pid() as u32 == pid)?;
    kill(Target::Process(pid as i32), info)?;
    Ok(0)
}

/// Sends a signal to one thread, with the facts that the caller gives.
pub fn sys_rt_tgsigqueueinfo(tgid: u32, tid: u32, signal: u32, info: u32) -> SysResult {
    let info = get_user(info)?;
    let thread = find_thread(tgid, tid);
    if thread.as_ref().err() == Some(&Errno::EINVAL) {
        return Err(Errno::EINVAL);
    }
    let info = siginfo(signal, info, current().pid() as u32 == tid)?;
    kill_thread(&*thread?, info)
}

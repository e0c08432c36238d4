//! kill, sigaction, sigprocmask, sigreturn and similar calls.
//!
//! Book: ch. 11, "System Calls Related to Signal Handling". Linux: 2.6.38 `kernel/signal.c`.

use core::sync::atomic::Ordering;

use super::SysResult;
use crate::arch::x86::current::{current, current_pt_regs};
use crate::arch::x86::entry::uaccess::{copy_to_user, get_user, put_user};
use crate::base::errno::Errno;
use crate::process::altstack::StackT;
use crate::process::kill::{Target, check_kill_permission, kill};
use crate::process::signal::{SigAction, index, send_to_thread, set_blocked};
use crate::process::signal_delivery::{SA_NODEFER, SA_RESETHAND, rt_sigreturn, sigreturn};
use crate::process::signal_group::flush_ignored;
use crate::process::sigset::{NSIG, SIGKILL, SIGSTOP, SigSet};
use crate::process::tasklist::find_task_by_pid;
use crate::sched::wait_queue::WaitQueue;
use crate::task::siginfo::{SI_TKILL, SI_USER, SigInfo};
use crate::task::task_struct::{TaskRef, TaskStruct};

const SIG_BLOCK: u32 = 0;
const SIG_UNBLOCK: u32 = 1;
const SIG_SETMASK: u32 = 2;
/// Size of a set of signals in bytes.
pub const SIGSET_BYTES: u32 = 8;

fn info(signal: u32, code: i32) -> SigInfo {
    let me = current();
    let uid = me.cred().uid.real;
    SigInfo::sent(signal, code, me.tgid, uid)
}

/// Sends a signal to a process; to a process group for 0 and below -1; for -1 to all processes
/// except init and the caller's.
pub fn sys_kill(pid: u32, signal: u32) -> SysResult {
    let target = match pid as i32 {
        0 => Target::Group(current().signal.pgrp.load(Ordering::Relaxed)),
        -1 => Target::All,
        pid if pid > 0 => Target::Process(pid),
        group => Target::Group(group.saturating_neg()),
    };
    kill(target, info(signal, SI_USER))?;
    Ok(0)
}

/// Sends a signal to a thread, if the caller may.
///
/// # Errors
/// EINVAL, EPERM, EAGAIN.
pub fn kill_thread(task: &TaskStruct, info: SigInfo) -> SysResult {
    check_kill_permission(current(), task, info.signal)?;
    if info.signal != 0 {
        send_to_thread(info, task)?;
    }
    Ok(0)
}

/// Sends a signal to one thread.
pub fn sys_tkill(tid: u32, signal: u32) -> SysResult {
    if tid as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    let task = find_task_by_pid(tid as i32).ok_or(Errno::ESRCH)?;
    kill_thread(&task, info(signal, SI_TKILL))
}

/// Sends a signal to one thread of one process.
pub fn sys_tgkill(tgid: u32, tid: u32, signal: u32) -> SysResult {
    kill_thread(&*find_thread(tgid, tid)?, info(signal, SI_TKILL))
}

/// Returns the thread `tid` of process `tgid`.
///
/// # Errors
/// EINVAL, ESRCH.
pub fn find_thread(tgid: u32, tid: u32) -> Result<TaskRef, Errno> {
    if tid as i32 <= 0 || tgid as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    find_task_by_pid(tid as i32)
        .filter(|t| t.tgid == tgid as i32)
        .ok_or(Errno::ESRCH)
}

fn do_sigaction(signal: u32, new: Option<SigAction>) -> Result<SigAction, Errno> {
    let unchangeable = signal == SIGKILL || signal == SIGSTOP;
    if signal == 0 || signal > NSIG || new.is_some() && unchangeable {
        return Err(Errno::EINVAL);
    }
    let me = current();
    let Some(mut action) = new else {
        return Ok(me.signal.action(signal));
    };
    action.mask = action.mask.without(SigSet::UNBLOCKABLE);
    let sighand = me.signal.sighand();
    let was = core::mem::replace(&mut sighand.lock()[index(signal)], action);
    flush_ignored(me, signal);
    Ok(was)
}

/// Sets and reads an action: handler, flags, restorer, 64-bit mask.
pub fn sys_rt_sigaction(signal: u32, new: u32, old: u32, bytes: u32) -> SysResult {
    if bytes != SIGSET_BYTES {
        return Err(Errno::EINVAL);
    }
    let action = match new {
        0 => None,
        at => {
            let w: [u32; 5] = get_user(at)?;
            let mask = SigSet(u64::from(w[4]) << 32 | u64::from(w[3]));
            Some(SigAction {
                handler: w[0],
                flags: w[1],
                restorer: w[2],
                mask,
            })
        }
    };
    let was = do_sigaction(signal, action)?;
    if old != 0 {
        let (low, high) = (was.mask.0 as u32, (was.mask.0 >> 32) as u32);
        put_user(old, [was.handler, was.flags, was.restorer, low, high])?;
    }
    Ok(0)
}

/// Sets and reads an action as `rt_sigaction` does, with a 32-bit mask between handler and flags.
pub fn sys_sigaction(signal: u32, new: u32, old: u32) -> SysResult {
    let action = match new {
        0 => None,
        at => {
            let w: [u32; 4] = get_user(at)?;
            Some(SigAction {
                handler: w[0],
                mask: SigSet(w[1].into()),
                flags: w[2],
                restorer: w[3],
            })
        }
    };
    let was = do_sigaction(signal, action)?;
    if old != 0 {
        put_user(
            old,
            [was.handler, was.mask.0 as u32, was.flags, was.restorer],
        )?;
    }
    Ok(0)
}

/// Sets a handler by the oldest form of the call: it handles one signal, which is not blocked
/// meanwhile.
pub fn sys_signal(signal: u32, handler: u32) -> SysResult {
    let flags = SA_RESETHAND | SA_NODEFER;
    let was = do_sigaction(
        signal,
        Some(SigAction {
            handler,
            flags,
            ..SigAction::default()
        }),
    )?;
    Ok(was.handler)
}

fn change_blocked(how: u32, set: u64) -> Result<(), Errno> {
    let me = current();
    let old = me.signals.lock().blocked;
    let new = match how {
        SIG_BLOCK => old.union(SigSet(set)),
        SIG_UNBLOCK => old.without(SigSet(set)),
        SIG_SETMASK => SigSet(set),
        _ => return Err(Errno::EINVAL),
    };
    set_blocked(me, new);
    Ok(())
}

/// Changes and reads the set of blocked signals.
pub fn sys_rt_sigprocmask(how: u32, set: u32, old: u32, bytes: u32) -> SysResult {
    if bytes != SIGSET_BYTES {
        return Err(Errno::EINVAL);
    }
    let was = current().signals.lock().blocked.0;
    if set != 0 {
        change_blocked(how, get_user(set)?)?;
    }
    if old != 0 {
        put_user(old, was)?;
    }
    Ok(0)
}

/// Changes and reads the set of blocked signals, for the first 32 signals.
pub fn sys_sigprocmask(how: u32, set: u32, old: u32) -> SysResult {
    let was = current().signals.lock().blocked.0;
    if set != 0 {
        let low: u32 = get_user(set)?;
        let keep = if how == SIG_SETMASK {
            was & !0xffff_ffff
        } else {
            0
        };
        change_blocked(how, keep | u64::from(low))?;
    }
    if old != 0 {
        put_user(old, was as u32)?;
    }
    Ok(0)
}

/// Stores the pending blocked signals: the first `bytes` of the set, at most 8.
pub fn sys_rt_sigpending(set: u32, bytes: u32) -> SysResult {
    if bytes > SIGSET_BYTES {
        return Err(Errno::EINVAL);
    }
    let me = current();
    let shared = me.signal.shared_pending.lock().set();
    let pending = {
        let own = me.signals.lock();
        own.pending.set().union(shared).0 & own.blocked.0
    };
    copy_to_user(set, &pending.to_le_bytes()[..bytes as usize])?;
    Ok(0)
}

/// Stores the pending blocked signals among the first 32.
pub fn sys_sigpending(set: u32) -> SysResult {
    sys_rt_sigpending(set, 4)
}

/// Sleeps until a signal comes.
pub fn sys_pause() -> SysResult {
    static NEVER: WaitQueue = WaitQueue::new();
    let slept = NEVER.wait_until(|| false);
    slept.map_err(|_| Errno::ERESTARTNOHAND)?;
    Ok(0)
}

/// Sleeps until a signal comes that `set` does not block; its delivery restores the former set.
pub fn sys_rt_sigsuspend(set: u32, bytes: u32) -> SysResult {
    if bytes != SIGSET_BYTES {
        return Err(Errno::EINVAL);
    }
    suspend(get_user(set)?)
}

fn suspend(new: u64) -> SysResult {
    let me = current();
    {
        let mut own = me.signals.lock();
        own.saved_blocked = Some(own.blocked);
    }
    set_blocked(me, SigSet(new));
    sys_pause()
}

/// Sleeps as [`sys_rt_sigsuspend`] does, with a set of the first 32 signals in the third argument.
pub fn sys_sigsuspend(_: u32, _: u32, set: u32) -> SysResult {
    suspend(set.into())
}

/// Ends a signal handler.
pub fn sys_sigreturn() -> SysResult {
    // SAFETY: the frame of the system call that we are in.
    Ok(sigreturn(current(), unsafe { &mut *current_pt_regs() }) as u32)
}

/// Ends a signal handler that was called with `siginfo`.
pub fn sys_rt_sigreturn() -> SysResult {
    // SAFETY: the frame of the system call that we are in.
    Ok(rt_sigreturn(current(), unsafe { &mut *current_pt_regs() }) as u32)
}

/// Sets and reads the alternate stack for handlers.
///
/// # Errors
/// EFAULT, EPERM while a handler runs on it, EINVAL, ENOMEM when it is too small.
pub fn sys_sigaltstack(new: u32, old: u32) -> SysResult {
    let me = current();
    // SAFETY: the frame of the system call that we are in; only read.
    let sp = unsafe { &*current_pt_regs() }.sp;
    let was = me.signals.lock().altstack;
    if new != 0 {
        let altstack = was.changed_to(&get_user::<StackT>(new)?, sp)?;
        me.signals.lock().altstack = altstack;
    }
    if old != 0 {
        put_user(old, was.seen_from(sp))?;
    }
    Ok(0)
}

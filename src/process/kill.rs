//! `kill`: whom a signal is for, and who may send it.
//!
//! Called by the system calls, with no lock held.
//!
//! Book: chapter 11, "System Calls Related to Signal Handling".
//! Linux: 2.6.38 `kill_something_info`, `check_kill_permission`.

use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU32, Ordering};

use super::pid::PidType;
use super::siginfo::SigInfo;
use super::signal::group_send_sig_info;
use super::sigset::{NSIG, SIGCONT};
use super::tasklist::{INIT_PID, TASKLIST, TaskList, do_each_task_pid};
use crate::arch::x86::current::{Current, current};
use crate::base::errno::Errno;
use crate::task::state::PF_KTHREAD;
use crate::task::task_struct::TaskStruct;

/// Which processes kill(2) means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The one that has this thread.
    Process(i32),
    /// All of a process group.
    Group(i32),
    /// All but init and the caller.
    All,
}

/// kill(2). Signal 0 only asks whether it could be sent.
///
/// Of several processes, each that there is when the call begins gets it, and each that is made
/// meanwhile by one that has not got it yet: a process is either on the list, or not made before its parent
/// has taken the signal (`copy_process`). One made by a process that has got it does not.
///
/// # Errors
/// ESRCH when there is nobody, EINVAL for a signal that does not exist, EPERM when it may be sent to
/// nobody; `Target::All` is content then. EAGAIN when too many wait.
pub fn kill(target: Target, info: SigInfo) -> Result<(), Errno> {
    match target {
        Target::Process(pid) => kill_process(pid, info),
        Target::Group(pgrp) => kill_many(PidType::Pgid, pgrp, info),
        Target::All => kill_many(PidType::Process, 0, info),
    }
}

/// The process that has thread `pid`.
fn kill_process(pid: i32, info: SigInfo) -> Result<(), Errno> {
    let me = current();
    let list = TASKLIST.lock();
    let thread = list.find_task_by_pid(pid).ok_or(Errno::ESRCH)?;
    let leader = match thread.tgid == pid {
        true => thread,
        // Any thread's number will do.
        false => list.find_task_by_pid(thread.tgid).ok_or(Errno::ESRCH)?,
    };
    if leader.has_flags(PF_KTHREAD) {
        return Err(Errno::ESRCH);
    }
    check_kill_permission(me, leader, info.signal)?;
    match info.signal {
        0 => Ok(()),
        _ => group_send_sig_info(&list, info, leader),
    }
}

fn kill_many(kind: PidType, head: i32, info: SigInfo) -> Result<(), Errno> {
    let me = current();
    let mut result = Err(Errno::ESRCH);
    let send = |list: &mut TaskList, task: &TaskStruct| {
        let spares_some = kind == PidType::Process;
        let is_meant = !spares_some || task.tgid != INIT_PID && task.tgid != me.tgid;
        if !is_meant {
            return ControlFlow::Continue(false);
        }
        if result == Err(Errno::ESRCH) {
            result = match spares_some {
                true => Ok(()),
                false => Err(Errno::EPERM),
            };
        }
        let sent = check_kill_permission(me, task, info.signal).and_then(|()| match info.signal {
            0 => Ok(()),
            _ => group_send_sig_info(list, info, task),
        });
        match sent {
            Ok(()) => result = Ok(()),
            Err(Errno::EPERM) => return ControlFlow::Continue(false),
            wrong => return ControlFlow::Break(wrong),
        }
        ControlFlow::Continue(info.signal != 0)
    };
    match for_each_process(kind, head, send) {
        Some(wrong) => wrong,
        None => result,
    }
}

/// Calls `send` with each process of a list; it says whether it has sent a signal, which is to reach all.
fn for_each_process<R>(
    kind: PidType,
    head: i32,
    mut send: impl FnMut(&mut TaskList, &TaskStruct) -> ControlFlow<R, bool>,
) -> Option<R> {
    static SENDINGS: AtomicU32 = AtomicU32::new(1);
    let sending = SENDINGS.fetch_add(1, Ordering::Relaxed);
    do_each_task_pid(kind, head, |list, task| {
        let sent_to_many = &task.signal.sent_to_many;
        if task.has_flags(PF_KTHREAD) || sent_to_many.load(Ordering::Relaxed) == sending {
            return ControlFlow::Continue(());
        }
        if send(list, task)? {
            // Last: a fork that reads it finds the signal, and one that does not will see that it has
            // changed.
            sent_to_many.store(sending, Ordering::Release);
        }
        ControlFlow::Continue(())
    })
}

/// Whether the running task may send `signal` to `task`. EINVAL when there is no such signal, EPERM.
pub fn check_kill_permission(me: Current, task: &TaskStruct, signal: u32) -> Result<(), Errno> {
    if signal > NSIG {
        return Err(Errno::EINVAL);
    }
    // Its own threads, even one that has other numbers.
    if me.tgid == task.tgid {
        return Ok(());
    }
    // One after the other: the two may be the same task.
    let mine = me.cred();
    let theirs = task.cred();
    let same_session =
        || me.signal.session.load(Ordering::Relaxed) == task.signal.session.load(Ordering::Relaxed);
    match mine.may_signal(&theirs) || signal == SIGCONT && same_session() {
        true => Ok(()),
        false => Err(Errno::EPERM),
    }
}

/// Sends a signal of the kernel's to all processes of group `pgrp`. Process context, no lock held.
pub fn kill_pgrp(pgrp: i32, signal: u32) {
    let info = SigInfo::kernel(signal);
    let _all = for_each_process(PidType::Pgid, pgrp, |list, task| {
        // Only real-time signals are refused.
        let _queued = group_send_sig_info(list, info, task);
        ControlFlow::<(), bool>::Continue(true)
    });
}

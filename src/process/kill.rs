//! `kill`: which processes get a signal, and which tasks may send it.
//!
//! Called by the system calls, with no lock held.
//!
//! Book: ch. 11, "System Calls Related to Signal Handling".
//! Linux: 2.6.38 `kill_something_info`, `check_kill_permission`.

use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU32, Ordering};

use super::pid::PidType;
use super::signal::group_send_sig_info;
use super::sigset::{NSIG, SIGCONT};
use super::tasklist::{INIT_PID, TASKLIST, TaskList, do_each_task_pid};
use crate::arch::x86::current::{Current, current};
use crate::base::errno::Errno;
use crate::task::siginfo::{SI_USER, SigInfo};
use crate::task::state::PF_KTHREAD;
use crate::task::task_struct::TaskStruct;

/// The processes that kill(2) addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The process that has this thread.
    Process(i32),
    /// All processes of a process group.
    Group(i32),
    /// All processes except init and the caller's.
    All,
}

/// Sends a signal as kill(2) does. Signal 0 only checks whether a signal could be sent.
///
/// If there are several processes, the signal reaches each that exists when the call begins, and
/// each that is forked meanwhile by a process that has not got it yet: a process is either on the
/// list, or not made before its parent has taken the signal (`copy_process`). A child forked by a
/// process that has got the signal does not get it.
///
/// # Errors
/// ESRCH when no process is addressed, EINVAL for a signal that does not exist, EPERM when no
/// process may be signalled; `Target::All` succeeds in that case. EAGAIN when too many signals are
/// queued.
pub fn kill(target: Target, info: SigInfo) -> Result<(), Errno> {
    match target {
        Target::Process(pid) => kill_process(pid, info),
        Target::Group(pgrp) => kill_many(PidType::Pgid, pgrp, info),
        Target::All => kill_many(PidType::Process, 0, info),
    }
}

/// Signals the process that has thread `pid`.
fn kill_process(pid: i32, info: SigInfo) -> Result<(), Errno> {
    let me = current();
    let list = TASKLIST.lock();
    let thread = list.find_task_by_pid(pid).ok_or(Errno::ESRCH)?;
    let leader = match thread.tgid == pid {
        true => thread,
        // The number of any thread names its process.
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

/// Sends the signal that a thread has asked for (`PR_SET_PDEATHSIG`) when its parent, the process of
/// the running task, ends: to the thread's process, as if the parent had called kill(2).
pub fn send_pdeath_signal(list: &TaskList, thread: &TaskStruct) {
    let signal = thread.pdeath_signal.load(Ordering::Relaxed);
    let Some(leader) = list.find_task_by_pid(thread.tgid) else {
        return;
    };
    let me = current();
    if signal != 0 && check_kill_permission(me, leader, signal).is_ok() {
        let info = SigInfo::sent(signal, SI_USER, me.tgid, me.cred().uid.real);
        // A full queue has no place for it.
        let _queued = group_send_sig_info(list, info, leader);
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

/// Calls `send` with each process of a list; `send` returns whether it has sent a signal that must
/// reach all of them.
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
            // Stored last: a fork that reads this value finds the signal, and a fork that read the
            // old one sees the change.
            sent_to_many.store(sending, Ordering::Release);
        }
        ControlFlow::Continue(())
    })
}

/// Checks that the running task may send `signal` to `task`.
///
/// # Errors
/// EINVAL when there is no such signal, EPERM.
pub fn check_kill_permission(me: Current, task: &TaskStruct, signal: u32) -> Result<(), Errno> {
    if signal > NSIG {
        return Err(Errno::EINVAL);
    }
    // A task may signal its own threads, even one with other credentials.
    if me.tgid == task.tgid {
        return Ok(());
    }
    // Two statements, never both locks at once: the two may be the same task.
    let mine = me.cred();
    let theirs = task.cred();
    let same_session =
        || me.signal.session.load(Ordering::Relaxed) == task.signal.session.load(Ordering::Relaxed);
    match mine.may_signal(&theirs) || signal == SIGCONT && same_session() {
        true => Ok(()),
        false => Err(Errno::EPERM),
    }
}

/// Sends a signal from the kernel to all processes of group `pgrp`. For process context, with no
/// lock held.
pub fn kill_pgrp(pgrp: i32, signal: u32) {
    let info = SigInfo::kernel(signal);
    let _all = for_each_process(PidType::Pgid, pgrp, |list, task| {
        // Only real-time signals are refused.
        let _queued = group_send_sig_info(list, info, task);
        ControlFlow::<(), bool>::Continue(true)
    });
}

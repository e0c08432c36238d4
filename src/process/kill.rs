//! `kill`: whom a signal is for, and who may send it.
//!
//! Called by the system calls, with no lock held.
//!
//! Book: chapter 11, "System Calls Related to Signal Handling".
//! Linux: 2.6.38 `kill_something_info`, `check_kill_permission`.

use core::sync::atomic::Ordering;

use super::sigframe::SigInfo;
use super::signal::{SI_KERNEL, group_send_sig_info};
use super::sigset::{NSIG, SIGCONT};
use super::tasklist::{INIT_PID, TASKLIST, TaskList};
use crate::arch::x86::current::{Current, current};
use crate::syscall::errno::Errno;
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
/// To several processes it is sent at one moment: who is just being made by one of them is either on
/// the list, or not made before its parent has taken the signal (`copy_process`).
///
/// # Errors
/// ESRCH when there is nobody, EINVAL for a signal that does not exist, EPERM when it may be sent to
/// nobody; `Target::All` is content then. EAGAIN when too many wait.
pub fn kill(target: Target, info: SigInfo) -> Result<(), Errno> {
    let me = current();
    let list = TASKLIST.lock();
    // Any thread's number will do.
    let process = match target {
        Target::Process(pid) => list.tasks.get(&pid).map(|entry| entry.task.tgid),
        _ => None,
    };
    let is_meant = |task: &TaskStruct| match target {
        Target::Process(_) => Some(task.tgid) == process,
        Target::Group(pgrp) => is_in_group(task, pgrp),
        Target::All => task.tgid != INIT_PID && task.tgid != me.tgid,
    };
    let is_for_many = !matches!(target, Target::Process(_));
    let mut result = Err(Errno::ESRCH);
    for task in processes(&list).filter(|task| is_meant(task)) {
        if result == Err(Errno::ESRCH) {
            result = match target {
                Target::All => Ok(()),
                _ => Err(Errno::EPERM),
            };
        }
        let sent = check_kill_permission(me, task, info.signal).and_then(|()| match info.signal {
            0 => Ok(()),
            _ if is_for_many => send_to_one_of_many(&list, info, task),
            _ => group_send_sig_info(&list, info, task),
        });
        match sent {
            Ok(()) => result = Ok(()),
            Err(Errno::EPERM) => {}
            wrong => return wrong,
        }
    }
    result
}

/// Whether the running task may send `signal` to `task`. EINVAL when there is no such signal, EPERM.
pub fn check_kill_permission(me: Current, task: &TaskStruct, signal: u32) -> Result<(), Errno> {
    if signal > NSIG {
        return Err(Errno::EINVAL);
    }
    // One after the other: the two may be the same task.
    let mine = *me.cred.lock();
    let theirs = *task.cred.lock();
    let same_session =
        || me.signal.session.load(Ordering::Relaxed) == task.signal.session.load(Ordering::Relaxed);
    match mine.may_signal(&theirs) || signal == SIGCONT && same_session() {
        true => Ok(()),
        false => Err(Errno::EPERM),
    }
}

/// Sends a signal of the kernel's to all processes of group `pgrp`.
pub fn kill_pgrp(list: &TaskList, pgrp: i32, signal: u32) {
    let info = SigInfo {
        signal,
        code: SI_KERNEL,
        fields: [0; 3],
    };
    for task in processes(list).filter(|task| is_in_group(task, pgrp)) {
        // Only real-time signals are refused.
        let _queued = send_to_one_of_many(list, info, task);
    }
}

fn send_to_one_of_many(list: &TaskList, info: SigInfo, task: &TaskStruct) -> Result<(), Errno> {
    let sent = group_send_sig_info(list, info, task);
    // Last: who counts it finds the signal, and who does not will see that it was not counted.
    task.signal.sent_to_many.fetch_add(1, Ordering::Release);
    sent
}

fn is_in_group(task: &TaskStruct, pgrp: i32) -> bool {
    task.signal.pgrp.load(Ordering::Relaxed) == pgrp
}

/// The leaders of all processes.
fn processes(list: &TaskList) -> impl Iterator<Item = &TaskStruct> {
    let tasks = list.tasks.values().map(|entry| &*entry.task);
    tasks.filter(|task| task.pid() == task.tgid && !task.has_flags(PF_KTHREAD))
}

//! `kill`: whom a signal is for, and who may send it.
//!
//! Called by the system calls, with no lock held.
//!
//! Book: chapter 11, "System Calls Related to Signal Handling".
//! Linux: 2.6.38 `kill_something_info`, `check_kill_permission`.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::sigframe::SigInfo;
use super::signal::send_to_process;
use super::sigset::{NSIG, SIGCONT};
use super::tasklist::{INIT_PID, TASKLIST, find_task_by_pid};
use crate::arch::x86::current::{Current, current};
use crate::syscall::errno::Errno;
use crate::task::state::PF_KTHREAD;
use crate::task::task_struct::{TaskRef, TaskStruct};

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
/// # Errors
/// ESRCH when there is nobody, EINVAL for a signal that does not exist, EPERM when it may be sent to
/// nobody; `Target::All` is content then. EAGAIN when too many wait.
pub fn kill(target: Target, info: SigInfo) -> Result<(), Errno> {
    let me = current();
    // Any thread's number will do.
    let process = match target {
        Target::Process(pid) => find_task_by_pid(pid).map(|task| task.tgid),
        _ => None,
    };
    let found = collect(|task| match target {
        Target::Process(_) => Some(task.tgid) == process,
        Target::Group(pgrp) => task.signal.pgrp.load(Ordering::Relaxed) == pgrp,
        Target::All => task.tgid != INIT_PID && task.tgid != me.tgid,
    })?;
    let mut result = match (found.is_empty(), target) {
        (true, _) => Err(Errno::ESRCH),
        (false, Target::All) => Ok(()),
        (false, _) => Err(Errno::EPERM),
    };
    for task in found {
        let sent = check_kill_permission(me, &task, info.signal).and_then(|()| match info.signal {
            0 => Ok(()),
            _ => send_to_process(info, &task),
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

/// The leaders of processes that `wanted` chooses. ENOMEM.
fn collect(wanted: impl Fn(&TaskStruct) -> bool) -> Result<Vec<TaskRef>, Errno> {
    let list = TASKLIST.lock();
    let mut found = Vec::new();
    for task in list.tasks.values().map(|entry| &entry.task) {
        if task.pid() == task.tgid && !task.has_flags(PF_KTHREAD) && wanted(task) {
            found.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            found.push(task.clone());
        }
    }
    Ok(found)
}

//! nice, getpriority, setpriority: the nice values of processes.
//!
//! Book: ch. 7, "System Calls Related to Scheduling". Linux: 2.6.38 `kernel/sys.c`,
//! `kernel/sched.c` (`can_nice`).

use super::SysResult;
use crate::arch::x86::current::current;
use crate::base::errno::Errno;
use crate::process::tasklist::{find_ge_pid, find_task_by_pid};
use crate::sched::policy::{get_scheduler, set_user_nice};
use crate::task::rlimit::RLIMIT_NICE;
use crate::task::sched_entity::DEFAULT_PRIO;
use crate::task::task_struct::{TaskRef, TaskStruct};
use core::sync::atomic::Ordering;

const PRIO_PROCESS: u32 = 0;
const PRIO_PGRP: u32 = 1;
const PRIO_USER: u32 = 2;

/// Returns the nice value of `p`, -20..=19.
fn task_nice(p: &TaskStruct) -> i32 {
    (get_scheduler(p).2 as i32).saturating_sub(DEFAULT_PRIO as i32)
}

/// Returns whether the running task may give `p` the nice value `nice`, though that is lower.
fn can_nice(p: &TaskStruct, nice: i32) -> bool {
    let value = 20_i32.saturating_sub(nice);
    value <= p.signal.rlim.cur(RLIMIT_NICE).min(40) as i32 || current().cred().capable()
}

/// Adds `increment` to the nice value of the running task.
///
/// # Errors
/// EPERM for a lower value without privilege, unless `RLIMIT_NICE` allows it.
pub fn sys_nice(increment: u32) -> SysResult {
    let me = current();
    let increment = (increment as i32).clamp(-40, 40);
    let nice = task_nice(&me).saturating_add(increment).clamp(-20, 19);
    if increment < 0 && !can_nice(&me, nice) {
        return Err(Errno::EPERM);
    }
    set_user_nice(&me, nice);
    Ok(0)
}

/// Calls `visit` with each task that `which` and `who` name, with no lock held; 0 stands for the
/// caller's.
///
/// # Errors
/// EINVAL for an unknown `which`, ESRCH if there is no such task.
fn for_each(which: u32, who: u32, mut visit: impl FnMut(&TaskRef)) -> Result<(), Errno> {
    let me = current();
    let who = match (which, who) {
        (PRIO_PROCESS, 0) => me.pid() as u32,
        (PRIO_PGRP, 0) => me.signal.pgrp.load(Ordering::Relaxed) as u32,
        (PRIO_USER, 0) => me.cred().uid.real,
        (..=PRIO_USER, who) => who,
        _ => return Err(Errno::EINVAL),
    };
    if which == PRIO_PROCESS {
        visit(&find_task_by_pid(who as i32).ok_or(Errno::ESRCH)?);
        return Ok(());
    }
    let (mut found, mut next) = (false, 1);
    while let Some(task) = find_ge_pid(next) {
        next = task.pid().saturating_add(1);
        let its = match which {
            PRIO_PGRP => task.signal.pgrp.load(Ordering::Relaxed) as u32,
            _ => task.cred().uid.real,
        };
        if its == who {
            found = true;
            visit(&task);
        }
    }
    match found {
        true => Ok(()),
        false => Err(Errno::ESRCH),
    }
}

/// Returns 20 less the lowest nice value among the tasks that `which` and `who` name, so that the
/// result is never negative.
///
/// # Errors
/// EINVAL, ESRCH.
pub fn sys_getpriority(which: u32, who: u32) -> SysResult {
    let mut lowest = 19;
    for_each(which, who, |task| lowest = lowest.min(task_nice(task)))?;
    Ok(20_i32.saturating_sub(lowest) as u32)
}

/// Gives the tasks that `which` and `who` name the nice value `nice`.
///
/// # Errors
/// EINVAL, ESRCH; EPERM for another user's task, EACCES for a lower value, both without privilege.
/// After an error for one task the others have the new value.
pub fn sys_setpriority(which: u32, who: u32, nice: u32) -> SysResult {
    let nice = (nice as i32).clamp(-20, 19);
    let mut result = Ok(0);
    for_each(which, who, |task| {
        if let Err(errno) = set_one_prio(task, nice) {
            result = Err(errno);
        }
    })?;
    result
}

fn set_one_prio(task: &TaskStruct, nice: i32) -> Result<(), Errno> {
    let mine = current().cred();
    // Two statements, never both locks at once: the two may be the same task.
    let theirs = task.cred();
    if !mine.capable() && !mine.check_same_owner(&theirs) {
        return Err(Errno::EPERM);
    }
    if nice < task_nice(task) && !can_nice(task, nice) {
        return Err(Errno::EACCES);
    }
    set_user_nice(task, nice);
    Ok(())
}

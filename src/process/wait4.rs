//! `wait4`: hears of the end of a child, and reaps it; or that it has stopped or goes on.
//!
//! Book: ch. 3, "Process Removal". Linux: 2.6.38 `do_wait`, `release_task`.

use core::sync::atomic::Ordering;

use super::sigset::SIGCHLD;
use super::tasklist::{TASKLIST, TaskList};
use super::usage::Usage;
use crate::arch::x86::current::{Current, current};
use crate::syscall::errno::Errno;
use crate::task::state::EXIT_ZOMBIE;
use crate::task::task_struct::{TaskRef, TaskStruct};

/// Do not sleep.
pub const WNOHANG: u32 = 1;
const WUNTRACED: u32 = 2;
const WCONTINUED: u32 = 8;
const __WNOTHREAD: u32 = 0x2000_0000;
const __WALL: u32 = 0x4000_0000;
const __WCLONE: u32 = 0x8000_0000;

/// What was heard of a child.
pub struct Reaped {
    /// Its number.
    pub pid: i32,
    /// Its wait status.
    pub status: i32,
    /// What it and the children that it has waited for have used.
    pub usage: Usage,
    /// Dropping it gives up the last reference but the scheduler's.
    pub task: TaskRef,
}

/// Waits for a child: `pid` > 0 that one, -1 any; 0 one of the caller's process group, below -1 one of
/// group -`pid`.
/// None with WNOHANG when there is a child but nothing to hear of it.
///
/// # Errors
/// ECHILD without such a child, EINVAL for unknown options, ESRCH for a group that cannot be, ERESTARTSYS.
#[inline(never)]
pub fn do_wait(pid: i32, options: u32) -> Result<Option<Reaped>, Errno> {
    if options & !(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WALL | __WCLONE) != 0 {
        return Err(Errno::EINVAL);
    }
    if pid == i32::MIN {
        return Err(Errno::ESRCH);
    }
    let me = current();
    let leader = leader_of(me)?;
    let mut found = Ok(None);
    let mut look = || {
        found = look_once(
            &mut TASKLIST.lock(),
            leader.pid(),
            me.signal.pgrp.load(Ordering::Relaxed),
            pid,
            options,
        );
        !matches!(found, Ok(None))
    };
    if !look() && options & WNOHANG == 0 {
        let slept = leader.wait_chldexit.wait_until(&mut look);
        slept.map_err(|_| Errno::ERESTARTSYS)?;
    }
    if let Ok(Some(reaped)) = &found
        && reaped.status & 0x7f != 0x7f
    // neither stopped nor going on
    {
        let mut others = me.signal.usage.lock();
        others.children = others.children.plus(reaped.usage);
    }
    found
}

/// How a process ended: as the thread wanted that ended it for all, or else as its leader.
pub fn wait_status(leader: &TaskStruct) -> i32 {
    let of_leader = || leader.exit_code.load(Ordering::Relaxed);
    leader.signal.group_exit_code().unwrap_or_else(of_leader)
}

fn leader_of(me: Current) -> Result<TaskRef, Errno> {
    super::tasklist::find_task_by_pid(me.tgid).ok_or(Errno::ECHILD)
}

fn look_once(
    list: &mut TaskList,
    leader: i32,
    pgrp: i32,
    pid: i32,
    options: u32,
) -> Result<Option<Reaped>, Errno> {
    let entry = list.tasks.get(&leader).ok_or(Errno::ECHILD)?;
    let mut any = false;
    let mut zombie = None;
    for &child in &entry.children {
        let Some(c) = list.tasks.get(&child) else {
            continue;
        };
        let group = c.task.signal.pgrp.load(Ordering::Relaxed);
        let is_meant = match pid {
            -1 => true,
            0 => group == pgrp,
            ..-1 => group == pid.wrapping_neg(),
            1.. => child == pid,
        };
        // Children whose end is told by another signal are the business of who asks for them.
        let is_clone = c.task.exit_signal.load(Ordering::Relaxed) != SIGCHLD;
        let is_asked_for = options & __WALL != 0 || is_clone == (options & __WCLONE != 0);
        if !is_meant || !is_asked_for {
            continue;
        }
        any = true;
        if c.task.exit_state.load(Ordering::Relaxed) == EXIT_ZOMBIE && c.live_threads == 0 {
            zombie = Some((child, wait_status(&c.task)));
            break;
        }
        let stop = &c.task.signal.stop;
        if let Some(status) = stop.take_news(options & WUNTRACED != 0, options & WCONTINUED != 0) {
            let of_others = *c.task.signal.usage.lock();
            return Ok(Some(Reaped {
                pid: child,
                status,
                usage: Usage::of_process(list, &c.task).plus(of_others.children),
                task: c.task.clone(),
            }));
        }
    }
    match zombie {
        Some((pid, status)) => Ok(list.release(pid).map(|task| {
            let of_others = *task.signal.usage.lock();
            let usage = Usage::of(&task)
                .plus(of_others.threads)
                .plus(of_others.children);
            Reaped {
                pid,
                status,
                usage,
                task,
            }
        })),
        None if any => Ok(None),
        None => Err(Errno::ECHILD),
    }
}

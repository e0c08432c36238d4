//! How a tracer learns of its tasks: `wait4` reports their stops and their ends.
//!
//! A stop is reported once, whether the call asks for stops or not. A thread that has ended is
//! released here, since no parent waits for it. A leader is reported when no other thread is left;
//! then its parent, if that is not the tracer, is told as well.
//!
//! Linux: 2.6.38 `wait_task_stopped`, `wait_task_zombie`, `ptrace_reparented`.

use core::sync::atomic::Ordering;

use super::pid::PidType;
use super::release::{News, is_over};
use super::tasklist::TaskList;
use super::trace_link::detach;
use super::wait4::{Reaped, WEXITED, WNOWAIT, reap};
use crate::task::state::{EXIT_ZOMBIE, TASK_TRACED, TASK_TRACED_HELD};
use crate::task::task_struct::{TaskRef, TaskStruct};
use crate::task::traced::PT_LISTENING;

/// Reports the stop or the end of `task`, which the caller's process traces, if there is one to
/// report. Of the `options` of a wait, WEXITED and WNOWAIT matter.
pub fn take_tracee(list: &mut TaskList, task: &TaskRef, options: u32) -> Option<Reaped> {
    let stays = options & WNOWAIT != 0;
    match task.exit_state.load(Ordering::Relaxed) {
        0 => take_stop(task, stays),
        EXIT_ZOMBIE if options & WEXITED != 0 => take_end(list, task, stays),
        _ => None,
    }
}

/// Returns whether `task` has stopped for its tracer, which may look into it.
pub fn is_trapped(task: &TaskStruct) -> bool {
    task.state.is_one_of(TASK_TRACED | TASK_TRACED_HELD) && !task.ptrace.has(PT_LISTENING)
}

fn take_stop(task: &TaskRef, stays: bool) -> Option<Reaped> {
    if !is_trapped(task) {
        return None;
    }
    let code = &task.ptrace.code;
    let code = match stays {
        true => code.load(Ordering::Relaxed),
        false => code.swap(0, Ordering::Relaxed),
    };
    match code {
        0 => None,
        code => Some(Reaped::of_stop(task, code << 8 | 0x7f)),
    }
}

fn take_end(list: &mut TaskList, task: &TaskRef, stays: bool) -> Option<Reaped> {
    let pid = task.pid();
    let is_leader = pid == task.tgid;
    if is_leader && !is_over(list, pid) {
        return None;
    }
    if stays {
        return Some(Reaped::of_end(task.clone(), false, News::default()));
    }
    if list.pids.head_of(PidType::Zombie, pid).is_some() {
        // The tracer is its parent.
        return reap(list, task);
    }
    let mut news = News::default();
    detach(list, task, 0, &mut news);
    Some(Reaped::of_end(task.clone(), false, news))
}

//! `rseq_preempt`, `rseq_migrate`: a thread with a restartable sequence leaves its CPU.
//!
//! The switch calls these, and so does the code that moves a task to another CPU, run-queue lock
//! held. They only note the event: the thread itself looks at its section on the way back to ring
//! 3.
//!
//! Linux: 5.4 `include/linux/sched.h` (`rseq_preempt`, `rseq_migrate`, `rseq_set_notify_resume`).

use core::sync::atomic::Ordering;

use crate::base::thread_info::{TIF_NOTIFY_RESUME, set_flag};
use crate::task::hooks::HOOK_RSEQ;
use crate::task::rseq::{RSEQ_EVENT_MIGRATE, RSEQ_EVENT_PREEMPT};
use crate::task::task_struct::TaskStruct;

/// Notes that `prev` leaves its CPU, preempted or not.
#[inline(always)]
pub fn rseq_preempt(prev: &TaskStruct) {
    note(prev, RSEQ_EVENT_PREEMPT);
}

/// Notes that `p` will continue on another CPU, or is a copy of a thread that may have run on
/// another.
pub fn rseq_migrate(p: &TaskStruct) {
    note(p, RSEQ_EVENT_MIGRATE);
}

#[inline(always)]
fn note(task: &TaskStruct, event: u32) {
    if task.hooks.contains(HOOK_RSEQ) {
        task.rseq_event_mask.fetch_or(event, Ordering::Relaxed);
        set_flag(task.thread_info(), TIF_NOTIFY_RESUME);
    }
}

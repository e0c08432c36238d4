//! What else wants to know of a switch: called by `prepare_task_switch` and `finish_task_switch`.
//!
//! Few tasks have any of it, so a task has one word with a bit for each, and a switch looks at the
//! words of prev and next once.
//!
//! In reading order:
//! - [`kcov`]: what of the kernel it covers
//! - [`trace`]: a record of the switch
//! - [`sched_info`]: run delay and time on a CPU
//! - [`perf_event`]: what is counted for who asked
//! - [`rseq`]: restartable sequences
//! - [`preempt_notifier`]: who asked to be told
//! - [`membarrier`]: which hangs on the address space, not on the task
//!
//! Linux: 5.4 `prepare_task_switch`, `finish_task_switch`.

pub mod kcov;
pub mod membarrier;
pub mod perf_event;
pub mod preempt_notifier;
pub mod rseq;
pub mod sched_info;
pub mod trace;

use core::sync::atomic::{AtomicU32, Ordering};

/// `TaskStruct::hooks`: `sched_info` is kept.
pub const HOOK_SCHED_INFO: u32 = 1 << 0;
/// `TaskStruct::hooks`: preempt notifiers are registered.
pub const HOOK_PREEMPT_NOTIFIERS: u32 = 1 << 1;
/// `TaskStruct::hooks`: the task has registered for restartable sequences.
pub const HOOK_RSEQ: u32 = 1 << 3;
/// `TaskStruct::hooks`: the task is traced.
pub const HOOK_TRACE: u32 = 1 << 5;
pub use crate::task::kcov::HOOK_KCOV;
pub use crate::task::perf_event_context::HOOK_PERF_EVENTS;

/// Those that are told when a task comes onto a CPU.
pub const HOOKS_SCHED_IN: u32 = HOOK_PERF_EVENTS | HOOK_PREEMPT_NOTIFIERS | HOOK_KCOV;

const _: () = assert!(
    HOOK_SCHED_INFO
        + HOOK_PREEMPT_NOTIFIERS
        + HOOK_PERF_EVENTS
        + HOOK_RSEQ
        + HOOK_KCOV
        + HOOK_TRACE
        == 0b11_1111,
    "each has a bit of its own"
);

/// What the command line wants to know of every task.
static HOOKS_OF_NEW_TASKS: AtomicU32 = AtomicU32::new(0);

/// Gives a bit to every task that is made from now on. At boot, before the first.
pub fn add_hook_of_new_tasks(hook: u32) {
    HOOKS_OF_NEW_TASKS.fetch_or(hook, Ordering::Relaxed);
}

/// What a new task's `hooks` begin with.
pub fn hooks_of_new_task() -> u32 {
    HOOKS_OF_NEW_TASKS.load(Ordering::Relaxed)
}

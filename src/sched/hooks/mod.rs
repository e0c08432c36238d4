//! What else wants to know of a switch: called by `prepare_task_switch` and `finish_task_switch`.
//!
//! Few tasks have any of it, so a task has one word with a bit for each, and a switch looks at the
//! words of prev and next once.
//!
//! In reading order:
//! - [`kcov`]: what of the kernel it covers
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

/// `TaskStruct::hooks`: `sched_info` is kept.
pub const HOOK_SCHED_INFO: u32 = 1 << 0;
/// `TaskStruct::hooks`: preempt notifiers are registered.
pub const HOOK_PREEMPT_NOTIFIERS: u32 = 1 << 1;
/// `TaskStruct::hooks`: the task has registered for restartable sequences.
pub const HOOK_RSEQ: u32 = 1 << 3;
pub use crate::task::kcov::HOOK_KCOV;
pub use crate::task::perf_event_context::HOOK_PERF_EVENTS;

/// Those that are told when a task comes onto a CPU.
pub const HOOKS_SCHED_IN: u32 = HOOK_PERF_EVENTS | HOOK_PREEMPT_NOTIFIERS | HOOK_KCOV;

const _: () = assert!(
    HOOK_SCHED_INFO + HOOK_PREEMPT_NOTIFIERS + HOOK_PERF_EVENTS + HOOK_RSEQ + HOOK_KCOV == 0b11111,
    "each has a bit of its own"
);

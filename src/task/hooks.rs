#![forbid(unsafe_code)]
//! `Hooks`: one bit for each part of the kernel that follows a task's switches.
//!
//! Few tasks have any, so a switch looks once at the words of prev and next. `sched::hooks`
//! implements them.

use bitflags::bitflags;

bitflags! {
    /// The hooks of a task: `TaskStruct::hooks`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Hooks: u32 {
        const _ = !0;
    }
}

/// The task's `sched_info` is kept.
pub const HOOK_SCHED_INFO: Hooks = Hooks::from_bits_retain(1 << 0);
/// The task has registered preempt notifiers.
pub const HOOK_PREEMPT_NOTIFIERS: Hooks = Hooks::from_bits_retain(1 << 1);
/// Events are counted while the task runs.
pub const HOOK_PERF_EVENTS: Hooks = Hooks::from_bits_retain(1 << 2);
/// The task has registered for restartable sequences.
pub const HOOK_RSEQ: Hooks = Hooks::from_bits_retain(1 << 3);
/// The task's coverage is recorded.
pub const HOOK_KCOV: Hooks = Hooks::from_bits_retain(1 << 4);
/// The task is traced.
pub const HOOK_TRACE: Hooks = Hooks::from_bits_retain(1 << 5);

/// The hooks that run when a task comes onto a CPU.
pub const HOOKS_SCHED_IN: Hooks = HOOK_PERF_EVENTS
    .union(HOOK_PREEMPT_NOTIFIERS)
    .union(HOOK_KCOV);

const _: () = assert!(
    HOOK_SCHED_INFO.bits()
        + HOOK_PREEMPT_NOTIFIERS.bits()
        + HOOK_PERF_EVENTS.bits()
        + HOOK_RSEQ.bits()
        + HOOK_KCOV.bits()
        + HOOK_TRACE.bits()
        == 0b11_1111,
    "each has a bit of its own"
);

#![forbid(unsafe_code)]
//! A preempt notifier: who registers one is told when the task leaves a CPU and comes back.
//!
//! A hypervisor loads and stores its guest's registers so. The list belongs to the task, and is
//! changed by the task itself only, with preemption off.
//!
//! Linux: 2.6.23 `struct preempt_notifier`, `struct preempt_ops`.

/// What is called, inside the switch: run-queue lock held, interrupts off; nothing may be logged.
pub struct PreemptOps {
    /// The task has come onto a CPU, whose number this is.
    pub sched_in: fn(&PreemptNotifier, cpu: u32),
    /// The task leaves to the one with this number.
    pub sched_out: fn(&PreemptNotifier, next_pid: i32),
}

/// One registration.
pub struct PreemptNotifier {
    /// Who is called.
    pub ops: &'static PreemptOps,
    /// The next of the same task; null at the end.
    pub next: *const PreemptNotifier,
    /// Its owner's, for the calls.
    pub data: usize,
}

impl PreemptNotifier {
    /// One that is on no list.
    pub const fn new(ops: &'static PreemptOps, data: usize) -> Self {
        Self {
            ops,
            next: core::ptr::null(),
            data,
        }
    }
}

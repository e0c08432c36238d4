#![forbid(unsafe_code)]
//! A preempt notifier: callbacks for the moments when a task leaves a CPU and comes back.
//!
//! A hypervisor uses this to load and store its guest's registers. The list belongs to the task,
//! and only the task itself changes it, with preemption off.
//!
//! Linux: 2.6.23 `struct preempt_notifier`, `struct preempt_ops`.

/// The callbacks. They run inside the switch, with the run-queue lock held and interrupts off, and
/// must not log.
pub struct PreemptOps {
    /// Called when the task has come onto CPU `cpu`.
    pub sched_in: fn(&PreemptNotifier, cpu: u32),
    /// Called when the task leaves its CPU to the task with number `next_pid`.
    pub sched_out: fn(&PreemptNotifier, next_pid: i32),
}

/// The registration of a notifier.
pub struct PreemptNotifier {
    /// The callbacks to call.
    pub ops: &'static PreemptOps,
    /// The next notifier of the same task; null at the end.
    pub next: *const PreemptNotifier,
    /// Data of the owner, for the callbacks.
    pub data: usize,
}

impl PreemptNotifier {
    /// Returns a notifier that is on no list.
    pub const fn new(ops: &'static PreemptOps, data: usize) -> Self {
        Self {
            ops,
            next: core::ptr::null(),
            data,
        }
    }
}

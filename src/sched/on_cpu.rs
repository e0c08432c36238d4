#![forbid(unsafe_code)]
//! `on_cpu`: a task's registers are in a processor, or not yet all in its memory.
//!
//! Set before the switch to it, by the CPU that switches; cleared by whoever runs there next, when
//! the task is off its stack. Who wakes a task waits for that before another CPU may run it.
//! `tests/models` tries this in every order that two processors can find.
//!
//! Linux: 5.4 `prepare_task`, `finish_task`, `smp_cond_load_acquire` in `try_to_wake_up`.

use core::sync::atomic::{AtomicU32, Ordering};

/// Before the switch to the task: nobody may take it for free to run elsewhere. The lock of its
/// run queue is held, and releasing that tells the others.
#[inline(always)]
pub fn prepare_task(on_cpu: &AtomicU32) {
    on_cpu.store(1, Ordering::Relaxed);
}

/// After the switch away from the task: its registers are all saved, others may run it. Release,
/// so that who sees 0 sees them.
#[inline(always)]
pub fn finish_task(on_cpu: &AtomicU32) {
    on_cpu.store(0, Ordering::Release);
}

/// Waits until the task has left the CPU that it is on.
#[inline(always)]
pub fn wait_until_off_cpu(on_cpu: &AtomicU32) {
    while on_cpu.load(Ordering::Acquire) != 0 {
        core::hint::spin_loop();
    }
}

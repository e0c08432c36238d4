#![forbid(unsafe_code)]
//! `on_cpu`: says that a task's registers are in a processor, or not yet completely in memory.
//!
//! The CPU that switches to a task sets it before the switch; the next task on that CPU clears it
//! when the old task has left its stack. A waker waits for that before another CPU may run the
//! task. `tests/models` tries every order that two processors can produce.
//!
//! Linux: 5.4 `prepare_task`, `finish_task`, `smp_cond_load_acquire` in `try_to_wake_up`.

use core::sync::atomic::{AtomicU32, Ordering};

/// Marks the task before the switch to it, so that no other CPU runs it. The lock of its run queue
/// is held, and its release makes the mark visible.
#[inline(always)]
pub fn prepare_task(on_cpu: &AtomicU32) {
    on_cpu.store(1, Ordering::Relaxed);
}

/// Clears the mark after the switch away from the task: its registers are saved, and others may run
/// it. The release order makes the registers visible to a CPU that sees 0.
#[inline(always)]
pub fn finish_task(on_cpu: &AtomicU32) {
    on_cpu.store(0, Ordering::Release);
}

/// Waits until the task has left its CPU.
#[inline(always)]
pub fn wait_until_off_cpu(on_cpu: &AtomicU32) {
    while on_cpu.load(Ordering::Acquire) != 0 {
        core::hint::spin_loop();
    }
}

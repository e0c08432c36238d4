#![forbid(unsafe_code)]
//! The word of a lock: 1 while a CPU holds it.
//!
//! A run queue uses the bare word, without a guard: prev takes the lock in `schedule`, and the task
//! that runs next on that CPU releases it in `finish_task_switch`. `tests/models` tries every order
//! that two processors can produce.
//!
//! Book: ch. 5, "Spin Locks". Linux: 2.6.38 `prepare_lock_switch`, `finish_lock_switch`.

use core::sync::atomic::{AtomicU32, Ordering};

/// Takes the lock, and waits while another CPU holds it.
#[inline(always)]
pub fn acquire(lock: &AtomicU32) {
    // One bit set and tested: `lock btsl`.
    if lock.fetch_or(1, Ordering::Acquire) & 1 != 0 {
        acquire_slowpath(lock);
    }
}

#[cold]
#[inline(never)]
fn acquire_slowpath(lock: &AtomicU32) {
    while lock.fetch_or(1, Ordering::Acquire) & 1 != 0 {
        while lock.load(Ordering::Relaxed) != 0 {
            core::hint::spin_loop();
        }
    }
}

/// Takes the lock if it is free, and returns whether it was.
#[inline(always)]
#[must_use]
pub fn try_acquire(lock: &AtomicU32) -> bool {
    lock.fetch_or(1, Ordering::Acquire) & 1 == 0
}

/// Releases the lock, regardless of the CPU that took it.
#[inline(always)]
pub fn release(lock: &AtomicU32) {
    lock.store(0, Ordering::Release);
}

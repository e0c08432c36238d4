//! A mutex whose waiters sleep.
//!
//! For work that may take long or touch user memory: the holder may sleep and take page faults.
//! Only for process context.
//!
//! Book: ch. 5, "Semaphores". Linux: 2.6.38 `struct mutex`.

use core::sync::atomic::{AtomicBool, Ordering};

use super::wait_queue::WaitQueue;

/// A mutex without data.
pub struct Mutex {
    held: AtomicBool,
    waiters: WaitQueue,
}

/// Proof that a [`Mutex`] is held.
pub struct MutexGuard<'a>(&'a Mutex);

impl Mutex {
    /// Returns a mutex that is free.
    pub const fn new() -> Self {
        Self {
            held: AtomicBool::new(false),
            waiters: WaitQueue::new(),
        }
    }

    /// Takes the mutex, and sleeps until that is possible.
    pub fn lock(&self) -> MutexGuard<'_> {
        let take = || !self.held.swap(true, Ordering::Acquire);
        self.waiters.wait_uninterruptible(take);
        MutexGuard(self)
    }
}

impl Default for Mutex {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for MutexGuard<'_> {
    fn drop(&mut self) {
        self.0.held.store(false, Ordering::Release);
        self.0.waiters.wake_up_one();
    }
}

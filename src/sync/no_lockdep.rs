#![forbid(unsafe_code)]
//! What a kernel without debug assertions has in place of the lock checker: nothing.
//!
//! Called by every lock; see `lockdep`.

use super::lock_class::LockClass;

/// What the checker would keep in each lock.
pub struct LockMap;

impl LockMap {
    /// For a lock of any class.
    pub const fn new(_class: LockClass) -> Self {
        Self
    }

    /// Before waiting for the lock.
    #[inline(always)]
    pub fn acquire(&self) {}

    /// The lock is ours now.
    #[inline(always)]
    pub fn acquired(&self) {}

    /// Before the lock is given back.
    #[inline(always)]
    pub fn release(&self) {}
}

#![forbid(unsafe_code)]
//! What a kernel without debug assertions has in place of the lock checker: nothing.
//!
//! Called by every lock; see `lockdep`.

/// What the checker would keep in each lock.
pub struct LockMap;

impl Default for LockMap {
    fn default() -> Self {
        Self::new()
    }
}

impl LockMap {
    /// For any lock.
    pub const fn new() -> Self {
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

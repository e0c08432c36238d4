#![forbid(unsafe_code)]
//! `AtomicFlags`: a word of flags of one kind, which several CPUs may change.
//!
//! A task has four words of flags: `thread_info.flags`, `thread.work`, `task.flags` and
//! `task.hooks`. Each has its own type, so a flag of one word cannot be used as a mask of another:
//!
//! ```compile_fail,E0308
//! use switch_to::base::flags::AtomicFlags;
//! use switch_to::task::hooks::Hooks;
//! use switch_to::base::thread_info::TIF_SIGPENDING;
//! let hooks = AtomicFlags::<Hooks>::default();
//! hooks.insert(TIF_SIGPENDING); // a flag of `thread_info`
//! ```

use core::marker::PhantomData;
use core::sync::atomic::{AtomicU32, Ordering};

use bitflags::Flags;

/// A word of flags of the kind `F`.
#[repr(transparent)]
pub struct AtomicFlags<F>(AtomicU32, PhantomData<F>);

impl<F: Flags<Bits = u32>> AtomicFlags<F> {
    /// Returns a word with all flags clear.
    pub const fn empty() -> Self {
        Self(AtomicU32::new(0), PhantomData)
    }

    /// Returns the present flags.
    #[inline(always)]
    pub fn load(&self, order: Ordering) -> F {
        F::from_bits_retain(self.0.load(order))
    }

    /// Replaces the whole word, before other CPUs can reach it.
    #[inline(always)]
    pub fn store(&self, flags: F, order: Ordering) {
        self.0.store(flags.bits(), order);
    }

    /// Sets `flags` atomically.
    #[inline(always)]
    pub fn insert(&self, flags: F) {
        self.fetch_or(flags, Ordering::Relaxed);
    }

    /// Clears `flags`.
    #[inline(always)]
    pub fn remove(&self, flags: F) {
        self.0.fetch_and(!flags.bits(), Ordering::Relaxed);
    }

    /// Returns whether all of `flags` are set.
    #[inline(always)]
    pub fn contains(&self, flags: F) -> bool {
        self.0.load(Ordering::Relaxed) & flags.bits() == flags.bits()
    }

    /// Sets `flags` with the given memory ordering; returns the old flags.
    #[inline(always)]
    pub fn fetch_or(&self, flags: F, order: Ordering) -> F {
        F::from_bits_retain(self.0.fetch_or(flags.bits(), order))
    }
}

impl<F: Flags<Bits = u32>> Default for AtomicFlags<F> {
    fn default() -> Self {
        Self::empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::hooks::{HOOK_RSEQ, HOOK_TRACE, Hooks};

    #[test]
    fn flags_come_and_go_one_by_one() {
        let word = AtomicFlags::<Hooks>::empty();
        word.insert(HOOK_RSEQ | HOOK_TRACE);
        assert!(word.contains(HOOK_RSEQ) && word.contains(HOOK_RSEQ | HOOK_TRACE));
        word.remove(HOOK_RSEQ);
        assert!(!word.contains(HOOK_RSEQ | HOOK_TRACE));
        assert_eq!(word.load(Ordering::Relaxed), HOOK_TRACE);
        assert_eq!(word.fetch_or(HOOK_RSEQ, Ordering::Relaxed), HOOK_TRACE);
    }
}

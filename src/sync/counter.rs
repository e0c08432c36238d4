#![forbid(unsafe_code)]
//! Counters that one context at a time writes and any CPU may read.
//!
//! A [`Counter`] works like Linux's `rq->nr_running++` under the run queue's lock, or a task's
//! `nvcsw++` in its own switch: an `incl` on memory, without a locked instruction. It has 32 bits,
//! like an `unsigned long` of Linux/i386, and wraps to 0 after 4294967295. A [`Counter64`] is for
//! Linux's 64-bit counts, and counting costs the same.
//!
//! Only the CPU or the task that owns a counter writes it. Two concurrent writers would merely lose
//! counts.
//!
//! Linux: 2.6.38 `struct task_struct`, `struct rq`.

use core::sync::atomic::{AtomicU32, Ordering};

/// A counter of 32 bits that wraps around.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Counter(AtomicU32);

impl Counter {
    /// Returns a counter with the value `count`.
    pub const fn new(count: u32) -> Self {
        Self(AtomicU32::new(count))
    }

    /// Adds 1. Only the owner calls this.
    #[inline(always)]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Subtracts 1, in a counter of present objects. Only the owner calls this.
    #[inline(always)]
    pub fn dec(&self) {
        debug_assert!(self.get() != 0, "BUG: a counter goes below 0");
        self.add(u32::MAX);
    }

    /// Adds `more`. Only the owner calls this.
    #[inline(always)]
    pub fn add(&self, more: u32) {
        self.0
            .store(self.get().wrapping_add(more), Ordering::Relaxed);
    }

    /// Returns the value.
    #[inline(always)]
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets the value to `count`. Only the owner calls this.
    pub fn set(&self, count: u32) {
        self.0.store(count, Ordering::Relaxed);
    }
}

/// A counter of 63 bits for which counting costs no more than for 32: it changes only the lower
/// word, and the tick later notes by [`carry`](Self::carry) that the word's upper bit has changed.
///
/// i386 has no plain load or store of 64 bits. No reader needs one: the parity of the noted number
/// of halves equals the word's upper bit, unless the number is one change behind.
#[derive(Debug, Default)]
pub struct Counter64 {
    low: Counter,
    /// Number of times that 2³¹ was counted, as far as `carry` has noted.
    halves: AtomicU32,
}

impl Counter64 {
    /// Returns a counter with the value `count`.
    pub const fn new(count: u64) -> Self {
        Self {
            low: Counter::new(count as u32),
            halves: AtomicU32::new((count >> 31) as u32),
        }
    }

    /// Adds 1. Only the owner calls this.
    #[inline(always)]
    pub fn inc(&self) {
        self.low.inc();
    }

    /// Brings the number of halves up to date. The owner calls this at least once in 2³¹ counts.
    pub fn carry(&self) {
        self.halves.store(self.read().0, Ordering::Release);
    }

    /// Returns the lower word, which is enough to see whether the counter moves.
    pub fn low(&self) -> u32 {
        self.low.get()
    }

    /// Returns the value.
    pub fn get(&self) -> u64 {
        let (halves, low) = self.read();
        u64::from(halves) << 31 | u64::from(low & !(1 << 31))
    }

    /// Sets the value to `count`. Only the owner calls this, while nothing reads the counter.
    pub fn set(&self, count: u64) {
        self.low.set(count as u32);
        self.halves.store((count >> 31) as u32, Ordering::Relaxed);
    }

    /// Returns the number of times that 2³¹ was counted, and the lower word.
    fn read(&self) -> (u32, u32) {
        // In this order the word may be newer than the number, never older.
        let seen = self.halves.load(Ordering::Acquire);
        let low = self.low.get();
        let behind = (seen ^ low >> 31) & 1;
        (seen.wrapping_add(behind), low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_goes_on_at_0() {
        let counter = Counter::new(u32::MAX - 1);
        counter.inc();
        assert_eq!(counter.get(), u32::MAX);
        counter.inc();
        assert_eq!(counter.get(), 0);
        counter.add(3);
        counter.dec();
        assert_eq!(counter.get(), 2);
        counter.add(u32::MAX);
        assert_eq!(counter.get(), 1);
    }

    #[test]
    fn a_wide_counter_runs_over_before_and_after_its_carry() {
        for edge in [0x7_8000_0000, 0x8_0000_0000_u64] {
            let counter = Counter64::new(edge - 2);
            for count in edge - 1..edge + 4 {
                counter.inc();
                assert_eq!(counter.get(), count);
            }
            counter.carry();
            counter.carry();
            counter.inc();
            assert_eq!((counter.get(), counter.low()), (edge + 4, edge as u32 + 4));
        }
    }

    #[test]
    fn a_wide_counter_goes_on_from_where_it_is_set() {
        let counter = Counter64::default();
        counter.set(u64::from(u32::MAX));
        counter.carry();
        counter.inc();
        counter.carry();
        assert_eq!(counter.get(), 1 << 32);
    }
}

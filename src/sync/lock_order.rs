#![forbid(unsafe_code)]
//! Which lock was taken while which other was held, and whether that can end in a deadlock.
//!
//! Locks of one kind are one *class*; taking class b while holding a is an edge a → b. A circle of
//! edges is a deadlock that waits for its moment, even if none has happened yet.
//!
//! Linux: 2.6.38 `kernel/lockdep.c` (`check_noncircular`).

use core::sync::atomic::{AtomicU64, Ordering};

/// Classes that can be told apart.
pub const MAX_CLASSES: usize = 64;

/// The edges seen so far.
pub struct LockOrder {
    /// Bit b of word a: b was taken while a was held.
    after: [AtomicU64; MAX_CLASSES],
}

impl LockOrder {
    /// No edge yet.
    pub const fn new() -> Self {
        Self {
            after: [const { AtomicU64::new(0) }; MAX_CLASSES],
        }
    }

    /// Notes that `new` is taken while `held` is; true if that is news.
    pub fn add(&self, held: usize, new: usize) -> bool {
        let bit = 1 << new;
        let word = &self.after[held];
        word.load(Ordering::Relaxed) & bit == 0 && word.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// The first step of a way from `from` to `to`, if there is one: the class that was taken
    /// while `from` was held.
    pub fn first_step(&self, from: usize, to: usize) -> Option<usize> {
        classes(self.after[from].load(Ordering::Relaxed)).find(|&next| self.reaches(next, to))
    }

    /// Whether `to` is `from`, or was taken while it was held, directly or through others.
    fn reaches(&self, from: usize, to: usize) -> bool {
        let (mut seen, mut open) = (0u64, 1u64 << from);
        while open & !seen != 0 {
            let next = (open & !seen).trailing_zeros() as usize;
            seen |= 1 << next;
            open |= self.after[next].load(Ordering::Relaxed);
        }
        seen & 1 << to != 0
    }
}

impl Default for LockOrder {
    fn default() -> Self {
        Self::new()
    }
}

fn classes(set: u64) -> impl Iterator<Item = usize> {
    (0..MAX_CLASSES).filter(move |&class| set & 1 << class != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_circle_of_three_is_found() {
        let order = LockOrder::new();
        assert!(order.add(0, 1));
        assert!(order.add(1, 2));
        assert!(!order.add(0, 1), "it is no news the second time");
        assert_eq!(order.first_step(2, 0), None);
        // 0 is to be taken while 2 is held: from 0 a way leads to 2, first by 1.
        assert_eq!(order.first_step(0, 2), Some(1));
    }

    proptest! {
        #[test]
        fn locks_taken_in_order_of_number_make_no_circle(
            edges in proptest::collection::vec((0usize..64, 0usize..64), 0..200)
        ) {
            let order = LockOrder::new();
            for (a, b) in edges.into_iter().filter(|(a, b)| a < b) {
                order.add(a, b);
                prop_assert_eq!(order.first_step(b, a), None);
                prop_assert!(order.first_step(a, b).is_some());
            }
        }
    }
}

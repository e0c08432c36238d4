#![forbid(unsafe_code)]
//! The two reference counts of an address space.
//!
//! `mm_users` counts the tasks that live in it; when the last one leaves, its mappings go.
//! `mm_count` counts the holders that may still load its page directory: all users together count
//! once, and so does every kernel task that borrows it. When the last holder goes, the directory is
//! freed.
//!
//! Book: ch. 9, "The Memory Descriptor". Linux: 2.6.38 `mmput`, `mmdrop`.

use core::sync::atomic::{AtomicU32, Ordering};

/// The counts of one `mm_struct`.
pub struct MmCount {
    users: AtomicU32,
    count: AtomicU32,
}

impl MmCount {
    /// Returns counts for one user: `mm_users` 1, and the one `mm_count` that stands for all users.
    pub const fn new() -> Self {
        Self {
            users: AtomicU32::new(1),
            count: AtomicU32::new(1),
        }
    }

    /// Returns `mm_users`.
    pub fn users(&self) -> u32 {
        self.users.load(Ordering::Relaxed)
    }

    /// Returns `mm_count`.
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Adds a task that lives in the address space.
    pub fn get_user(&self) {
        let was = self.users.fetch_add(1, Ordering::Relaxed);
        debug_assert!(was != 0, "BUG: mm_users raised from 0");
    }

    /// Removes a task; returns true if it was the last, and the caller must remove the mappings.
    #[must_use]
    pub fn put_user(&self) -> bool {
        let was = self.users.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(was != 0, "BUG: mm_users below 0");
        was == 1
    }

    /// Adds a holder of the page directory.
    #[inline(always)]
    pub fn grab(&self) {
        let was = self.count.fetch_add(1, Ordering::Relaxed);
        debug_assert!(was != 0, "BUG: mm_count raised from 0");
    }

    /// Removes a holder; returns true if it was the last, and the caller must free the directory.
    #[must_use]
    #[inline(always)]
    pub fn drop_count(&self) -> bool {
        let was = self.count.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(was != 0, "BUG: mm_count below 0");
        was == 1
    }
}

impl Default for MmCount {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_directory_outlives_the_last_user_while_a_kernel_task_borrows_it() {
        let c = MmCount::new();
        c.grab(); // user -> kernel switch: mmgrab
        assert!(c.put_user()); // the process exits
        assert!(!c.drop_count()); // its users' single count
        assert_eq!(c.count(), 1);
        assert!(c.drop_count()); // kernel -> user switch: finish_task_switch
    }

    proptest! {
        #[test]
        fn freed_exactly_once_whatever_the_order(ops in proptest::collection::vec(0u8..4, 0..200)) {
            let c = MmCount::new();
            let (mut users, mut borrowed, mut dropped) = (1u32, 0u32, false);
            for op in ops {
                match op {
                    0 if users > 0 => { c.get_user(); users += 1; }
                    1 if users > 1 => { prop_assert!(!c.put_user()); users -= 1; }
                    2 if !dropped => { c.grab(); borrowed += 1; }
                    3 if borrowed > 0 => { prop_assert!(!c.drop_count()); borrowed -= 1; }
                    _ => {}
                }
            }
            while users > 0 {
                users -= 1;
                prop_assert_eq!(c.put_user(), users == 0);
            }
            dropped |= c.drop_count();
            prop_assert_eq!(dropped, borrowed == 0);
            while borrowed > 0 {
                borrowed -= 1;
                prop_assert_eq!(c.drop_count(), borrowed == 0);
            }
        }
    }
}

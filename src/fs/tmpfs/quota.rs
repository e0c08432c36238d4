#![forbid(unsafe_code)]
//! How much the files of the tmpfs may take: half of the memory, and so many names.
//!
//! Linux: 2.6.38 `mm/shmem.c` (`shmem_default_max_blocks`, `shmem_reserve_inode`).

use core::sync::atomic::{AtomicU32, Ordering};

use crate::base::errno::Errno;

/// A number that is in use, and may grow to a limit.
#[derive(Debug)]
pub struct Quota {
    used: AtomicU32,
    limit: AtomicU32,
}

/// Pages with contents.
pub static BLOCKS: Quota = Quota::unlimited();
/// Files and directories, and further names of files.
pub static INODES: Quota = Quota::unlimited();

impl Quota {
    /// Returns a quota without a limit.
    pub const fn unlimited() -> Self {
        Self {
            used: AtomicU32::new(0),
            limit: AtomicU32::new(u32::MAX),
        }
    }

    /// Sets the limit.
    pub fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Returns how much is in use, and the limit.
    pub fn usage(&self) -> (u32, u32) {
        (
            self.used.load(Ordering::Relaxed),
            self.limit.load(Ordering::Relaxed),
        )
    }

    /// Takes one.
    ///
    /// # Errors
    /// ENOSPC at the limit.
    pub fn take(&self) -> Result<(), Errno> {
        let limit = self.limit.load(Ordering::Relaxed);
        let more = |used: u32| used.checked_add(1).filter(|used| *used <= limit);
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.map(drop).map_err(|_| Errno::ENOSPC)
    }

    /// Gives one back.
    pub fn give(&self) {
        let before = self.used.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before != 0, "BUG: more given back than was taken");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_is_taken() {
        let quota = Quota::unlimited();
        quota.set_limit(2);
        assert_eq!((quota.take(), quota.take()), (Ok(()), Ok(())));
        assert_eq!(quota.take(), Err(Errno::ENOSPC));
        quota.give();
        assert_eq!((quota.take(), quota.usage()), (Ok(()), (2, 2)));
    }
}

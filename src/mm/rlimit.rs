//! The limits of the running process that bind an address space.
//!
//! Book: ch. 3, "Process Resource Limits". Linux: 2.6.38 `rlimit`, `may_expand_vm`.

use super::vma::MemoryMap;
use crate::base::upward::mm_rlimits;

/// The limits, in bytes; `u32::MAX` is no limit.
pub struct MmRlimits {
    /// Of the stack (`RLIMIT_STACK`).
    pub stack: u32,
    /// Of data and heap (`RLIMIT_DATA`).
    pub data: u32,
    /// Of all areas (`RLIMIT_AS`).
    all: u32,
}

impl MmRlimits {
    /// Returns those of the running process.
    pub fn current() -> Self {
        let [stack, data, all] = mm_rlimits();
        Self { stack, data, all }
    }

    /// Returns the limit of all areas as a number that is above every size if there is no limit.
    pub fn total(&self) -> u64 {
        match self.all {
            u32::MAX => u64::MAX,
            all => all.into(),
        }
    }

    /// Returns whether `bytes` more, a multiple of the page size, keep all areas of `map` within their
    /// limit.
    pub fn may_expand_vm(&self, map: &MemoryMap, bytes: u32) -> bool {
        map.size_and_peak().0.saturating_add(bytes.into()) <= self.total()
    }
}

#![forbid(unsafe_code)]
//! `fail_alloc=N`: every Nth allocation fails once the first program runs, so that a test sees what
//! becomes of each caller.
//!
//! Frames and heap objects count alike. A page fault that is refused a frame is tried again, as long as
//! there is free memory, so programs do not notice; their calls do. Only kernels with debug assertions
//! have it.
//!
//! Linux: `CONFIG_FAIL_PAGE_ALLOC`, `CONFIG_FAILSLAB` (`interval`), 2.6.38 `lib/fault-inject.c`.

use core::sync::atomic::{AtomicU32, Ordering};

/// As the command line has it.
static WANTED: AtomicU32 = AtomicU32::new(0);
/// What counts now; 0: none fails.
static INTERVAL: AtomicU32 = AtomicU32::new(0);
/// Allocations since [`start`]; wraps.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Remembers that every `interval`th allocation is to fail; 0: none.
pub fn setup(interval: u32) {
    WANTED.store(interval, Ordering::Relaxed);
}

/// Lets them fail from now on.
pub fn start() {
    INTERVAL.store(WANTED.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// Whether the allocation that is asked for now is to fail.
#[inline(always)]
pub fn should_fail() -> bool {
    if !cfg!(debug_assertions) {
        return false;
    }
    let interval = INTERVAL.load(Ordering::Relaxed);
    interval != 0
        && COUNT
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_add(1)
            .is_multiple_of(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_third_fails() {
        assert!((0..9).all(|_| !should_fail()));
        setup(3);
        assert!((0..9).all(|_| !should_fail()));
        start();
        let failed: Vec<bool> = (0..7).map(|_| should_fail()).collect();
        assert_eq!(failed, [false, false, true, false, false, true, false]);
        setup(0);
        start();
        assert!((0..9).all(|_| !should_fail()));
    }
}

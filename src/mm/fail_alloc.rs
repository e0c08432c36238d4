#![forbid(unsafe_code)]
//! `fail_alloc=N` makes every Nth allocation fail once the first program runs, so that a test sees
//! how each caller copes.
//!
//! Frames and heap objects count alike. A page fault that is refused a frame is retried as long as
//! memory is free, so a program notices failures only in its system calls. Only kernels with debug
//! assertions have this option.
//!
//! Linux: `CONFIG_FAIL_PAGE_ALLOC`, `CONFIG_FAILSLAB` (`interval`), 2.6.38 `lib/fault-inject.c`.

use core::sync::atomic::{AtomicU32, Ordering};

/// The interval from the command line.
static WANTED: AtomicU32 = AtomicU32::new(0);
/// The interval in force; 0: no allocation fails.
static INTERVAL: AtomicU32 = AtomicU32::new(0);
/// Allocations since [`start`]; wraps.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Remembers that every `interval`th allocation must fail after [`start`]; 0: no allocation fails.
pub fn setup(interval: u32) {
    WANTED.store(interval, Ordering::Relaxed);
}

/// Makes the interval of [`setup`] take effect.
pub fn start() {
    INTERVAL.store(WANTED.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// Counts one allocation and returns whether it must fail.
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

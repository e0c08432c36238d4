#![forbid(unsafe_code)]
//! When the time of an interrupted call ends that is run again: with the same arguments, which would
//! begin that time anew.
//!
//! A call that has a time takes what is kept before anything else can end it: what it left behind, a
//! later call would take for its own. A handler ends the call instead, and forgets it.
//!
//! Linux: 2.6.38 `restart_block`.

use core::sync::atomic::Ordering;

use crate::arch::x86::current::current;
use crate::base::errno::Errno;
use crate::drivers::tsc::since_boot_us;
use crate::sched::timer::TICK_US;

/// When the time of the running call ends, in microseconds since boot, if it is run again.
#[must_use = "it is gone now"]
pub fn take_end() -> Option<u64> {
    match current().restart_end.swap(0, Ordering::Relaxed) {
        0 => None,
        end_us => Some(end_us),
    }
}

/// The end of a time of so many ticks, which begins now unless the call is run again.
pub fn end_us(taken: Option<u64>, ticks: u64) -> u64 {
    taken.unwrap_or_else(|| since_boot_us().saturating_add(ticks.saturating_mul(TICK_US)))
}

/// The running call is interrupted: should it be run again, its time ends then.
pub fn keep_end(end_us: u64) {
    current().restart_end.store(end_us, Ordering::Relaxed);
}

/// The running call was interrupted, and is not to be run again: forgets its end; returns `errno`.
pub fn forget_end(errno: Errno) -> Errno {
    current().restart_end.store(0, Ordering::Relaxed);
    errno
}

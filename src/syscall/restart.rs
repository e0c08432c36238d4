#![forbid(unsafe_code)]
//! The end of an interrupted call's time: the call is restarted with the same arguments, which
//! would begin the time anew.
//!
//! A call that has a time takes the kept end before anything else can end it: otherwise a later
//! call would take that end for its own. If a handler ends the call, it forgets the end.
//!
//! Linux: 2.6.38 `restart_block`.

use core::sync::atomic::Ordering;

use crate::arch::x86::current::current;
use crate::base::errno::Errno;
use crate::drivers::tsc::since_boot_us;
use crate::sched::timer::TICK_US;

/// Returns the end of the running call's time, in microseconds since boot, if the call is
/// restarted.
#[must_use = "it is gone now"]
pub fn take_end() -> Option<u64> {
    match current().restart_end.swap(0, Ordering::Relaxed) {
        0 => None,
        end_us => Some(end_us),
    }
}

/// Returns the end of a time of `ticks`, which begins now unless the call is restarted and has
/// `taken` its end.
pub fn end_us(taken: Option<u64>, ticks: u64) -> u64 {
    taken.unwrap_or_else(|| since_boot_us().saturating_add(ticks.saturating_mul(TICK_US)))
}

/// Keeps the end of the running call's time, in microseconds since boot, in case the interrupted
/// call is restarted.
pub fn keep_end(end_us: u64) {
    current().restart_end.store(end_us, Ordering::Relaxed);
}

/// Forgets the end of the running call's time, because the call is not restarted; returns `errno`.
pub fn forget_end(errno: Errno) -> Errno {
    current().restart_end.store(0, Ordering::Relaxed);
    errno
}

//! Time: clock_gettime, nanosleep, getrusage.

use crate::{Errno, gates::syscall};

const SYS_GETRUSAGE: u32 = 77;
const SYS_NANOSLEEP: u32 = 162;
const SYS_CLOCK_GETTIME: u32 = 265;

pub const CLOCK_REALTIME: u32 = 0;
pub const CLOCK_MONOTONIC: u32 = 1;

pub const NS_PER_MS: u64 = 1_000_000;

pub fn clock_gettime(clock: u32) -> Result<[u32; 2], Errno> {
    let mut timespec = [0u32; 2]; // seconds, nanoseconds
    syscall(SYS_CLOCK_GETTIME, [clock, timespec.as_mut_ptr() as u32])?;
    Ok(timespec)
}

pub fn monotonic_ns() -> u64 {
    let [seconds, nanoseconds] = clock_gettime(CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC");
    u64::from(seconds) * 1_000_000_000 + u64::from(nanoseconds)
}

pub fn nanosleep(seconds: u32, nanoseconds: u32) -> Result<(), Errno> {
    let timespec = [seconds, nanoseconds];
    syscall(SYS_NANOSLEEP, [timespec.as_ptr() as u32, 0]).map(drop)
}

pub fn sleep_ms(ms: u32) {
    nanosleep(ms / 1000, ms % 1000 * 1_000_000).expect("nanosleep");
}

/// Nanoseconds longer than any event takes that comes at all, however busy the host is.
pub const PATIENCE_NS: u64 = 15_000 * NS_PER_MS;

/// Waits until `done`; returns false if that does not happen within [`PATIENCE_NS`].
pub fn comes_true(mut done: impl FnMut() -> bool) -> bool {
    let end = monotonic_ns() + PATIENCE_NS;
    while !done() {
        if monotonic_ns() > end {
            return false;
        }
        sleep_ms(1);
    }
    true
}

/// Returns the caller's switches: voluntary (`nvcsw`) and preempted (`nivcsw`).
pub fn switch_counts() -> Result<(u32, u32), Errno> {
    let mut rusage = [0u32; 18]; // 18 longs; the last two are the counts
    syscall(SYS_GETRUSAGE, [0, rusage.as_mut_ptr() as u32])?;
    Ok((rusage[16], rusage[17]))
}

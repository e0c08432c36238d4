//! POSIX timers.

use crate::errno::Errno;
use crate::gates::syscall;

const SYS_TIMER_CREATE: u32 = 259;
const SYS_TIMER_SETTIME: u32 = 260;
const SYS_TIMER_GETTIME: u32 = 261;

/// `sigev_notify`: the signal goes to the process.
pub const SIGEV_SIGNAL: u32 = 0;
/// `sigev_notify`: there is no signal.
pub const SIGEV_NONE: u32 = 1;
/// `sigev_notify`: the signal goes to a thread.
pub const SIGEV_THREAD_ID: u32 = 4;
/// Flag: the value is a time of the clock, not a time from now.
pub const TIMER_ABSTIME: u32 = 1;
/// `si_code` of a timer's signal.
pub const SI_TIMER: u32 = -2i32 as u32;

/// Makes a timer of `clock`; its `signal` carries `value` and goes where `how` says, perhaps to `tid`.
/// Returns its number.
pub fn create(clock: u32, signal: u32, how: u32, value: u32, tid: u32) -> Result<u32, Errno> {
    let (event, mut id) = ([value, signal, how, tid, 0, 0, 0, 0], 0u32);
    let at = [clock, event.as_ptr() as u32, &raw mut id as u32];
    syscall(SYS_TIMER_CREATE, at).map(|_| id)
}

/// Sets interval and value, in nanoseconds. Returns the old ones: seconds and nanoseconds of each.
pub fn set_ns(id: u32, flags: u32, interval_ns: u64, value_ns: u64) -> Result<[u32; 4], Errno> {
    let spec = |ns: u64| [(ns / 1_000_000_000) as u32, (ns % 1_000_000_000) as u32];
    let ([a, b], [c, d]) = (spec(interval_ns), spec(value_ns));
    let (new, mut old) = ([a, b, c, d], [0u32; 4]);
    let at = [id, flags, new.as_ptr() as u32, old.as_mut_ptr() as u32];
    syscall(SYS_TIMER_SETTIME, at).map(|_| old)
}

/// Returns the interval and the time left: seconds and nanoseconds of each.
pub fn get(id: u32) -> Result<[u32; 4], Errno> {
    let mut now = [0u32; 4];
    syscall(SYS_TIMER_GETTIME, [id, now.as_mut_ptr() as u32]).map(|_| now)
}

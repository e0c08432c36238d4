//! Reading and storing times in user memory.
//!
//! Called by the system calls that take or return a time, each with the type of its call number.
//!
//! Linux: 5.4 `get_timespec64`, `put_timespec64`, `get_old_timespec32`.

use super::timespec::UserTime;
use crate::arch::x86::entry::uaccess::{Pod, get_user, put_user};
use crate::base::errno::Errno;
use crate::sched::timer::HZ;

/// Returns the time at user address `at`, in nanoseconds.
///
/// # Errors
/// EFAULT, EINVAL.
pub fn get_ns<T: UserTime + Pod>(at: u32) -> Result<u64, Errno> {
    get_user::<T>(at)?.ns()
}

/// Returns the time at user address `at` in ticks, rounded up; `None` for a null pointer.
///
/// # Errors
/// EFAULT, EINVAL.
pub fn get_ticks<T: UserTime + Pod>(at: u32) -> Result<Option<u64>, Errno> {
    match at {
        0 => Ok(None),
        at => get_ns::<T>(at).map(|ns| Some(ticks(ns))),
    }
}

/// Stores a time of `us` microseconds at user address `to`.
///
/// # Errors
/// EFAULT.
pub fn put_us<T: UserTime + Pod>(to: u32, us: u64) -> Result<(), Errno> {
    put_user(to, T::from_us(us))
}

/// Converts nanoseconds to ticks, rounded up.
pub fn ticks(ns: u64) -> u64 {
    const TICK_NS: u64 = 1_000_000_000 / HZ as u64;
    ns.div_ceil(TICK_NS)
}

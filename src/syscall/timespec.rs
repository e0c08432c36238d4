#![forbid(unsafe_code)]
//! Times in the formats of ring 3: in 32 bits, and in 64 bits with padding.
//!
//! Each type is checked when it is converted to nanoseconds. All calls on times use these types:
//! padding is ignored, and a far-off time accepted, by all of them alike. `user_time` copies them.
//!
//! Linux: 5.4 `struct old_timespec32`, `struct __kernel_timespec`, `get_timespec64`,
//! `timespec64_valid`; 2.6.38 `poll_select_set_timeout`.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::base::errno::Errno;

const NS_PER_S: u64 = 1_000_000_000;
/// Longest time in seconds; longer ones count as this one (`KTIME_SEC_MAX`): 292 years.
const SEC_MAX: i64 = i64::MAX / 1_000_000_000;

/// A time in a format of ring 3.
pub trait UserTime: Copy {
    /// Returns the time in nanoseconds, at most 292 years. EINVAL for an invalid time.
    fn ns(self) -> Result<u64, Errno>;

    /// Returns a time of `us` microseconds; if it is too long, its low bits.
    fn from_us(us: u64) -> Self;
}

/// `struct timespec` of i386 (`old_timespec32`).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable)]
pub struct Timespec32 {
    tv_sec: i32,
    tv_nsec: i32,
}

/// `struct __kernel_timespec` of a 32-bit program: `long tv_nsec`, and padding.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable)]
pub struct Timespec64 {
    tv_sec: i64,
    tv_nsec: i32,
    /// Any value from programs, 0 from the kernel.
    padding: u32,
}

/// `struct timeval` of i386, as `select` takes it.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable)]
pub struct Timeval32 {
    tv_sec: i32,
    tv_usec: i32,
}

const _: () = assert!(size_of::<Timespec32>() == 8 && size_of::<Timespec64>() == 16);

impl UserTime for Timespec32 {
    fn ns(self) -> Result<u64, Errno> {
        ns(self.tv_sec.into(), self.tv_nsec)
    }

    fn from_us(us: u64) -> Self {
        Self {
            tv_sec: (us / 1_000_000) as i32,
            tv_nsec: ((us % 1_000_000) as i32).wrapping_mul(1000),
        }
    }
}

impl UserTime for Timespec64 {
    fn ns(self) -> Result<u64, Errno> {
        ns(self.tv_sec, self.tv_nsec)
    }

    fn from_us(us: u64) -> Self {
        Self {
            tv_sec: (us / 1_000_000) as i64,
            tv_nsec: ((us % 1_000_000) as i32).wrapping_mul(1000),
            padding: 0,
        }
    }
}

impl UserTime for Timeval32 {
    /// Returns the time in nanoseconds; a second or more of microseconds is accepted.
    fn ns(self) -> Result<u64, Errno> {
        let seconds = i64::from(self.tv_sec).saturating_add((self.tv_usec / 1_000_000).into());
        ns(seconds, (self.tv_usec % 1_000_000).wrapping_mul(1000))
    }

    fn from_us(us: u64) -> Self {
        Self {
            tv_sec: (us / 1_000_000) as i32,
            tv_usec: (us % 1_000_000) as i32,
        }
    }
}

fn ns(sec: i64, nsec: i32) -> Result<u64, Errno> {
    match (sec, nsec) {
        (0.., 0..1_000_000_000) => Ok((sec.min(SEC_MAX) as u64)
            .saturating_mul(NS_PER_S)
            .saturating_add(nsec as u64)),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_ignored_and_never_told() {
        let time = |padding| Timespec64 {
            tv_sec: 3,
            tv_nsec: 7,
            padding,
        };
        assert_eq!(time(0x7bad).ns(), Ok(3_000_000_007));
        assert_eq!(Timespec64::from_us(3_000_001).padding, 0);
    }

    #[test]
    fn far_off_times_are_times_and_negative_ones_are_not() {
        let ns = |tv_sec, tv_nsec| {
            Timespec64 {
                tv_sec,
                tv_nsec,
                padding: 0,
            }
            .ns()
        };
        assert_eq!(ns(1 << 32, 1), Ok((1 << 32) * NS_PER_S + 1));
        assert_eq!(ns(i64::MAX, 0), Ok(SEC_MAX as u64 * NS_PER_S));
        for (sec, nsec) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MIN, 0)] {
            assert_eq!(ns(sec, nsec), Err(Errno::EINVAL), "{sec} {nsec}");
        }
    }

    #[test]
    fn select_takes_a_second_of_microseconds_and_more() {
        let ns = |tv_sec, tv_usec| Timeval32 { tv_sec, tv_usec }.ns();
        assert_eq!(ns(1, 2_500_000), Ok(3_500_000_000));
        assert_eq!(ns(-1, 2_500_000), Ok(1_500_000_000));
        assert_eq!(ns(0, -1), Err(Errno::EINVAL));
        assert_eq!(
            ns(i32::MAX, i32::MAX).map(|ns| ns / NS_PER_S),
            Ok(2_147_485_794)
        );
    }
}

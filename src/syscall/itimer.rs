//! alarm, setitimer, getitimer: a signal after a time.
//!
//! ITIMER_REAL counts elapsed time, ITIMER_VIRTUAL the process's time in ring 3, ITIMER_PROF all its
//! time on a CPU.
//!
//! Linux: 2.6.38 `kernel/itimer.c`; setitimer(2).

use super::SysResult;
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{get_user, put_user};
use crate::base::errno::Errno;
use crate::process::itimer::{ItimerVal, getitimer, setitimer};
use crate::process::itimer_cpu::{Which, get_cpu_itimer, set_cpu_itimer};

const ITIMER_REAL: u32 = 0;
const ITIMER_VIRTUAL: u32 = 1;
const ITIMER_PROF: u32 = 2;
const US_PER_S: u64 = 1_000_000;

/// Sends SIGALRM after `seconds`, or never (0); returns the seconds that the old alarm had left,
/// rounded, but not to 0 if it had any time left.
pub fn sys_alarm(seconds: u32) -> SysResult {
    let old = setitimer(
        current(),
        ItimerVal {
            interval_us: 0,
            value_us: u64::from(seconds.min(i32::MAX as u32)).saturating_mul(US_PER_S),
        },
    );
    let (whole, rest) = (old.value_us / US_PER_S, old.value_us % US_PER_S);
    let up = rest >= US_PER_S / 2 || whole == 0 && rest != 0;
    Ok((whole as u32).saturating_add(up.into()))
}

/// Stores the state of a timer as two `struct timeval`: the interval, and the time to the next
/// signal.
///
/// # Errors
/// EINVAL for an unknown timer, EFAULT.
pub fn sys_getitimer(which: u32, value: u32) -> SysResult {
    let now = match which {
        ITIMER_REAL => getitimer(current()),
        ITIMER_VIRTUAL => get_cpu_itimer(current(), Which::Virtual),
        ITIMER_PROF => get_cpu_itimer(current(), Which::Prof),
        _ => return Err(Errno::EINVAL),
    };
    put_itimer(value, now)
}

/// Sets a timer; stores its former state at `old`, unless that is null.
///
/// # Errors
/// EINVAL for an unknown timer and for invalid times, EFAULT.
pub fn sys_setitimer(which: u32, value: u32, old: u32) -> SysResult {
    let new = match value {
        0 => ItimerVal {
            interval_us: 0,
            value_us: 0,
        },
        value => get_itimer(value)?,
    };
    let was = match which {
        ITIMER_REAL => setitimer(current(), new),
        ITIMER_VIRTUAL => set_cpu_itimer(current(), Which::Virtual, new),
        ITIMER_PROF => set_cpu_itimer(current(), Which::Prof, new),
        _ => return Err(Errno::EINVAL),
    };
    match old {
        0 => Ok(0),
        old => put_itimer(old, was),
    }
}

fn get_itimer(address: u32) -> Result<ItimerVal, Errno> {
    let [interval_s, interval_us, value_s, value_us]: [u32; 4] = get_user(address)?;
    let us = |seconds: u32, us: u32| match (seconds as i32, us) {
        (0.., 0..1_000_000) => Ok(u64::from(seconds)
            .saturating_mul(US_PER_S)
            .saturating_add(us.into())),
        _ => Err(Errno::EINVAL),
    };
    Ok(ItimerVal {
        interval_us: us(interval_s, interval_us)?,
        value_us: us(value_s, value_us)?,
    })
}

fn put_itimer(address: u32, it: ItimerVal) -> SysResult {
    let halves = |us: u64| [(us / US_PER_S) as u32, (us % US_PER_S) as u32];
    let ([interval_s, interval_us], [value_s, value_us]) =
        (halves(it.interval_us), halves(it.value_us));
    put_user(address, [interval_s, interval_us, value_s, value_us])?;
    Ok(0)
}

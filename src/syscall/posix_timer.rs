//! timer_create, timer_settime, timer_gettime, timer_getoverrun, timer_delete.
//!
//! The clocks are the time of day, the time since boot, and the CPU time of a process or of a thread
//! of the caller's.
//!
//! Linux: 2.6.38 `kernel/posix-timers.c`.

use super::SysResult;
use super::signal::find_thread;
use super::timespec::{Timespec32, Timespec64, UserTime};
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{Pod, get_user, put_user};
use crate::base::errno::Errno;
use crate::process::cpu_clock::CpuClock;
use crate::process::itimer::ItimerVal;
use crate::process::posix_timer::{self, Clock, Notify};
use crate::process::sigset::{NSIG, SIGALRM};

const CLOCK_REALTIME: u32 = 0;
const CLOCK_MONOTONIC: u32 = 1;
const CLOCK_MONOTONIC_RAW: u32 = 4;
const CLOCK_MONOTONIC_COARSE: u32 = 6;
const CLOCK_BOOTTIME: u32 = 7;
const TIMER_ABSTIME: u32 = 1;
const SIGEV_SIGNAL: u32 = 0;
const SIGEV_NONE: u32 = 1;
const SIGEV_THREAD: u32 = 2;
const SIGEV_THREAD_ID: u32 = 4;

/// Makes a timer; `event` is a `struct sigevent`, or null for SIGALRM.
///
/// # Errors
/// EINVAL for unknown clocks, ways of notification, signals and threads; EOPNOTSUPP for a clock that
/// has no timers; EFAULT, EAGAIN.
pub fn sys_timer_create(clock: u32, event: u32, id: u32) -> SysResult {
    let clock = match clock {
        CLOCK_REALTIME => Clock::OfDay,
        CLOCK_MONOTONIC | CLOCK_BOOTTIME => Clock::Boot,
        CLOCK_MONOTONIC_RAW..=CLOCK_MONOTONIC_COARSE => return Err(Errno::EOPNOTSUPP),
        _ => Clock::Cpu(CpuClock::find(clock)?),
    };
    let me = current();
    let (notify, signal, value) = match event {
        0 => (Notify::Process, SIGALRM, None),
        event => {
            let [value, signal, how, tid]: [u32; 4] = get_user(event)?;
            let notify = match how {
                SIGEV_NONE => Notify::Nobody,
                SIGEV_SIGNAL | SIGEV_THREAD => Notify::Process,
                SIGEV_THREAD_ID => {
                    let thread = find_thread(me.tgid as u32, tid).map_err(|_| Errno::EINVAL)?;
                    Notify::Thread(thread.pid())
                }
                _ => return Err(Errno::EINVAL),
            };
            (notify, signal, Some(value))
        }
    };
    if notify != Notify::Nobody && !(1..=NSIG).contains(&signal) {
        return Err(Errno::EINVAL);
    }
    let timer = posix_timer::timer_create(me, clock, notify, signal, value)?;
    put_user(id, timer).inspect_err(|_| _ = posix_timer::timer_delete(me, timer))?;
    Ok(0)
}

/// Starts or stops a timer by two 32-bit timespecs, interval and value.
///
/// # Errors
/// EINVAL, EFAULT.
pub fn sys_timer_settime(id: u32, flags: u32, new: u32, old: u32) -> SysResult {
    timer_settime::<Timespec32>(id, flags, new, old)
}

/// Starts or stops a timer as [`sys_timer_settime`] does, with 64-bit times.
pub fn sys_timer_settime64(id: u32, flags: u32, new: u32, old: u32) -> SysResult {
    timer_settime::<Timespec64>(id, flags, new, old)
}

fn timer_settime<T: UserTime + Pod>(id: u32, flags: u32, new: u32, old: u32) -> SysResult {
    if new == 0 {
        return Err(Errno::EINVAL);
    }
    let [interval, value] = get_user::<[T; 2]>(new)?;
    let us = |time: T| time.ns().map(|ns| ns.div_ceil(1000));
    let (interval_us, value_us) = (us(interval)?, us(value)?);
    let is_absolute = flags & TIMER_ABSTIME != 0;
    let was = posix_timer::timer_settime(current(), id, interval_us, value_us, is_absolute)?;
    if old != 0 {
        put_itimerspec::<T>(old, was)?;
    }
    Ok(0)
}

fn put_itimerspec<T: UserTime + Pod>(to: u32, it: ItimerVal) -> Result<(), Errno> {
    put_user(to, [it.interval_us, it.value_us].map(T::from_us))
}

/// Stores a timer's state: its interval, and the time to its expiry.
///
/// # Errors
/// EINVAL, EFAULT.
pub fn sys_timer_gettime(id: u32, value: u32) -> SysResult {
    put_itimerspec::<Timespec32>(value, posix_timer::timer_gettime(current(), id)?)?;
    Ok(0)
}

/// Stores a timer's state as [`sys_timer_gettime`] does, with 64-bit times.
pub fn sys_timer_gettime64(id: u32, value: u32) -> SysResult {
    put_itimerspec::<Timespec64>(value, posix_timer::timer_gettime(current(), id)?)?;
    Ok(0)
}

/// Returns how often a timer expired while its last signal was pending.
///
/// # Errors
/// EINVAL.
pub fn sys_timer_getoverrun(id: u32) -> SysResult {
    posix_timer::timer_getoverrun(current(), id)
}

/// Deletes a timer.
///
/// # Errors
/// EINVAL.
pub fn sys_timer_delete(id: u32) -> SysResult {
    posix_timer::timer_delete(current(), id)?;
    Ok(0)
}

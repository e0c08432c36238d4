//! Clocks and sleeping.
//!
//! Time is counted from boot; the time of day is that plus the clock chip's time at boot.
//!
//! Linux: 2.6.38 `kernel/posix-timers.c`, `kernel/time.c`.

use super::SysResult;
use super::restart::{keep_end, take_end};
use super::sched::do_nanosleep;
use super::timespec::{Timespec32, Timespec64, UserTime};
use super::user_time::{get_ns, put_us, ticks};
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{Pod, put_user};
use crate::base::errno::Errno;
use crate::drivers::rtc::time_of_day_us;
use crate::drivers::tsc::since_boot_us;
use crate::process::cpu_clock::CpuClock;
use crate::process::proc::format::USER_HZ;
use crate::process::signal::signal_pending;
use crate::process::usage::Usage;
use crate::sched::timer::{TICK_US, jiffies, schedule_timeout, ticks_in};
use crate::task::state::TASK_INTERRUPTIBLE;

const CLOCK_REALTIME: u32 = 0;
const CLOCK_MONOTONIC: u32 = 1;
const CLOCK_THREAD_CPUTIME_ID: u32 = 3;
const CLOCK_MONOTONIC_RAW: u32 = 4;
const CLOCK_REALTIME_COARSE: u32 = 5;
const CLOCK_MONOTONIC_COARSE: u32 = 6;
const CLOCK_BOOTTIME: u32 = 7;
const LAST_CLOCK: u32 = CLOCK_BOOTTIME;
const TIMER_ABSTIME: u32 = 1;

/// Returns the time of day in seconds and microseconds.
fn now() -> (u64, u32) {
    let us = time_of_day_us();
    (us / 1_000_000, (us % 1_000_000) as u32)
}

/// Returns the time of day in seconds, and stores it at `address` unless that is null.
pub fn sys_time(address: u32) -> SysResult {
    let seconds = now().0 as u32;
    if address != 0 {
        put_user(address, seconds)?;
    }
    Ok(seconds)
}

/// Stores the time of day in seconds and microseconds; the time zone is UTC.
pub fn sys_gettimeofday(tv: u32, tz: u32) -> SysResult {
    let (seconds, us) = now();
    if tv != 0 {
        put_user(tv, seconds as u32)?;
        put_user(tv.wrapping_add(4), us)?;
    }
    if tz != 0 {
        put_user(tz, 0u64)?;
    }
    Ok(0)
}

/// Returns the time of a clock, in microseconds. EINVAL for an unknown clock.
fn clock_us(clock: u32) -> Result<u64, Errno> {
    match clock {
        _ if CpuClock::is_one(clock) => Ok(CpuClock::find(clock)?.now_us()),
        CLOCK_REALTIME | CLOCK_REALTIME_COARSE => Ok(time_of_day_us()),
        0..=LAST_CLOCK => Ok(since_boot_us()),
        _ => Err(Errno::EINVAL),
    }
}

/// Stores the time of a clock in 32-bit seconds and nanoseconds.
pub fn sys_clock_gettime(clock: u32, tp: u32) -> SysResult {
    put_us::<Timespec32>(tp, clock_us(clock)?)?;
    Ok(0)
}

/// Stores the time of a clock in 64-bit seconds and nanoseconds.
pub fn sys_clock_gettime64(clock: u32, tp: u32) -> SysResult {
    put_us::<Timespec64>(tp, clock_us(clock)?)?;
    Ok(0)
}

/// Stores the resolution of a clock.
pub fn sys_clock_getres(clock: u32, tp: u32) -> SysResult {
    clock_getres::<Timespec32>(clock, tp)
}

/// Stores the resolution of a clock in 64 bits.
pub fn sys_clock_getres64(clock: u32, tp: u32) -> SysResult {
    clock_getres::<Timespec64>(clock, tp)
}

fn clock_getres<T: UserTime + Pod>(clock: u32, tp: u32) -> SysResult {
    clock_us(clock)?;
    if tp != 0 {
        let resolution_us = if CpuClock::is_one(clock) { TICK_US } else { 1 };
        put_us::<T>(tp, resolution_us)?;
    }
    Ok(0)
}

/// Sleeps for, or until, a time in 32-bit seconds.
pub fn sys_clock_nanosleep(clock: u32, flags: u32, request: u32, remaining: u32) -> SysResult {
    clock_nanosleep::<Timespec32>(clock, flags, request, remaining)
}

/// Sleeps for, or until, a time in 64-bit seconds.
pub fn sys_clock_nanosleep64(clock: u32, flags: u32, request: u32, remaining: u32) -> SysResult {
    clock_nanosleep::<Timespec64>(clock, flags, request, remaining)
}

/// Sleeps by `clock`. When a signal comes, stores the remaining time at `remaining`, unless the
/// time was absolute.
///
/// # Errors
/// EINVAL for an unknown clock, for the caller's own CPU time, which stands still meanwhile, and
/// for an invalid time; EOPNOTSUPP for a clock that cannot be slept by; EFAULT, ERESTARTNOHAND.
fn clock_nanosleep<T: UserTime + Pod>(
    clock: u32,
    flags: u32,
    request: u32,
    remaining: u32,
) -> SysResult {
    // Taken before anything else can end the call.
    let taken = take_end();
    let now_us = clock_us(clock)?;
    let of_cpu_time = match clock {
        CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME => false,
        CLOCK_THREAD_CPUTIME_ID | CLOCK_MONOTONIC_RAW..=CLOCK_MONOTONIC_COARSE => {
            return Err(Errno::EOPNOTSUPP);
        }
        _ => true,
    };
    let time_ns = get_ns::<T>(request)?;
    let is_absolute = flags & TIMER_ABSTIME != 0;
    let remaining = if is_absolute { 0 } else { remaining };
    if of_cpu_time {
        let from_us = if is_absolute { 0 } else { now_us };
        let end_us = from_us.saturating_add(time_ns.div_ceil(1000));
        return cpu_nanosleep(clock, taken.unwrap_or(end_us), remaining, put_us::<T>);
    }
    let wait_ns = match is_absolute {
        true => time_ns.saturating_sub(now_us.saturating_mul(1000)),
        false => time_ns,
    };
    do_nanosleep(taken, ticks(wait_ns), remaining, put_us::<T>)
}

/// Sleeps until a clock of CPU time shows `end_us`, checking at each tick: that clock counts in
/// ticks.
fn cpu_nanosleep(
    clock: u32,
    end_us: u64,
    remaining: u32,
    put_us: fn(u32, u64) -> Result<(), Errno>,
) -> SysResult {
    let me = current();
    let of_thread = (clock as i32) < 0 && clock & 4 != 0;
    if of_thread && matches!(!(clock as i32 >> 3), pid if pid == 0 || pid == me.pid()) {
        return Err(Errno::EINVAL);
    }
    loop {
        // The clock of a process that has ended stands still.
        let left_us = end_us.saturating_sub(clock_us(clock)?);
        if left_us == 0 {
            return Ok(0);
        }
        if signal_pending(&me) {
            if remaining != 0 {
                put_us(remaining, left_us)?;
            }
            keep_end(end_us);
            return Err(Errno::ERESTARTNOHAND);
        }
        me.state.set_current_state(TASK_INTERRUPTIBLE);
        schedule_timeout(1);
    }
}

/// Stores the time in ring 3 and in the kernel, of the process and of the children that it has
/// waited for; returns the time since boot. All are in hundredths of a second.
pub fn sys_times(buffer: u32) -> SysResult {
    if buffer != 0 {
        let me = current();
        let own = Usage::of_process(&me);
        let children = me.signal.usage.lock().children;
        let times = [own.utime, own.stime, children.utime, children.stime];
        put_user(buffer, times.map(|ticks| clock_t(ticks.into())))?;
    }
    Ok(clock_t(jiffies()))
}

/// Converts ticks to hundredths of a second; a `clock_t` wraps to 0.
fn clock_t(ticks: u64) -> u32 {
    ticks_in(USER_HZ, ticks) as u32
}

//! Clocks and sleeping.
//!
//! Time is counted from boot; the time of day is that plus what the clock chip said then.
//!
//! Linux: 2.6.38 `kernel/posix-timers.c`, `kernel/time.c`.

use super::SysResult;
use super::errno::Errno;
use super::restart::take_end;
use super::sched::{do_nanosleep, ns_to_ticks, timespec_to_ns};
use crate::arch::x86::current::current;
use crate::arch::x86::uaccess::{get_user, put_user};
use crate::drivers::rtc::time_of_day_us;
use crate::drivers::tsc::since_boot_us;
use crate::process::proc::format::USER_HZ;
use crate::process::tasklist::find_task_by_pid;
use crate::process::usage::Usage;
use crate::sched::timer::{HZ, jiffies, ticks_in};

const CLOCK_REALTIME: u32 = 0;
const CLOCK_MONOTONIC: u32 = 1;
const CLOCK_PROCESS_CPUTIME_ID: u32 = 2;
const CLOCK_THREAD_CPUTIME_ID: u32 = 3;
const CLOCK_REALTIME_COARSE: u32 = 5;
const LAST_CLOCK: u32 = 7;
const TIMER_ABSTIME: u32 = 1;

/// The time of day, in seconds and microseconds.
fn now() -> (u64, u32) {
    let us = time_of_day_us();
    (us / 1_000_000, (us % 1_000_000) as u32)
}

/// Seconds.
pub fn sys_time(address: u32) -> SysResult {
    let seconds = now().0 as u32;
    if address != 0 {
        put_user(address, seconds)?;
    }
    Ok(seconds)
}

/// Seconds and microseconds; the time zone is UTC.
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

/// What a clock shows, in microseconds. EINVAL.
///
/// A negative number is the clock of a process or thread: its own number, inverted, from bit 3 on;
/// bit 2 for a thread; in bits 0 and 1 what is counted: 0 all its time on a CPU, 1 that in ring 3,
/// 2 all of it.
fn clock_us(clock: u32) -> Result<u64, Errno> {
    let me = current();
    match clock {
        CLOCK_PROCESS_CPUTIME_ID => Ok(cpu_us(Usage::of_process(&me), 2)),
        CLOCK_THREAD_CPUTIME_ID => Ok(cpu_us(Usage::of(&me), 2)),
        CLOCK_REALTIME | CLOCK_REALTIME_COARSE => Ok(time_of_day_us()),
        0..=LAST_CLOCK => Ok(since_boot_us()),
        _ => {
            let (pid, which) = (!(clock as i32 >> 3), clock & 3);
            let task = match pid {
                0 => me.get_task_struct(),
                _ => find_task_by_pid(pid).ok_or(Errno::EINVAL)?,
            };
            let of_thread = clock & 4 != 0;
            let foreign = if of_thread {
                task.tgid != me.tgid
            } else {
                pid != 0 && task.pid() != task.tgid
            };
            if clock as i32 >= 0 || which == 3 || foreign {
                return Err(Errno::EINVAL);
            }
            let usage = match of_thread {
                true => Usage::of(&task),
                false => Usage::of_process(&task),
            };
            Ok(cpu_us(usage, which))
        }
    }
}

fn cpu_us(usage: Usage, which: u32) -> u64 {
    let ticks = match which {
        1 => usage.utime,
        _ => usage.utime.wrapping_add(usage.stime),
    };
    u64::from(ticks).saturating_mul((1_000_000 / HZ).into())
}

/// Microseconds as seconds and nanoseconds.
pub fn timespec_of(us: u64) -> [u64; 2] {
    [us / 1_000_000, (us % 1_000_000).saturating_mul(1000)]
}

/// A clock, in 32-bit seconds and nanoseconds.
pub fn sys_clock_gettime(clock: u32, tp: u32) -> SysResult {
    let us = clock_us(clock)?;
    let [seconds, ns] = timespec_of(us);
    put_user(tp, seconds as u32)?;
    put_user(tp.wrapping_add(4), ns as u32)?;
    Ok(0)
}

/// A clock, in 64-bit seconds and nanoseconds.
pub fn sys_clock_gettime64(clock: u32, tp: u32) -> SysResult {
    let us = clock_us(clock)?;
    let [seconds, ns] = timespec_of(us);
    put_user(tp, seconds)?;
    put_user(tp.wrapping_add(8), ns)?;
    Ok(0)
}

/// Resolution of a clock.
pub fn sys_clock_getres(clock: u32, tp: u32) -> SysResult {
    clock_us(clock)?;
    let of_cpu_time =
        clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID || clock > LAST_CLOCK;
    if tp != 0 {
        let ns = if of_cpu_time {
            1_000_000_000 / HZ
        } else {
            1000
        };
        put_user(tp, [0, ns])?;
    }
    Ok(0)
}

/// `time` is seconds and nanoseconds; `taken` is when the call ends if it is run again.
fn clock_sleep(
    taken: Option<u64>,
    clock: u32,
    flags: u32,
    time: [u64; 2],
    remaining: u32,
) -> SysResult {
    let [seconds, ns] = time;
    if clock > CLOCK_MONOTONIC {
        return Err(Errno::EINVAL);
    }
    let mut wait_ns = timespec_to_ns(seconds, ns)?;
    if flags & TIMER_ABSTIME != 0 {
        wait_ns = wait_ns.saturating_sub(clock_us(clock)?.saturating_mul(1000));
    }
    let remaining = if flags & TIMER_ABSTIME != 0 {
        0
    } else {
        remaining
    };
    do_nanosleep(taken, ns_to_ticks(wait_ns), remaining)
}

/// Sleeps for, or until, a time in 32-bit seconds.
pub fn sys_clock_nanosleep(clock: u32, flags: u32, request: u32, remaining: u32) -> SysResult {
    let taken = take_end();
    let time: [u32; 2] = get_user(request)?;
    if (time[0] as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    clock_sleep(taken, clock, flags, time.map(u64::from), remaining)
}

/// Sleeps for, or until, a time in 64-bit seconds. What is left is not told.
pub fn sys_clock_nanosleep64(clock: u32, flags: u32, request: u32, _remaining: u32) -> SysResult {
    let taken = take_end();
    clock_sleep(taken, clock, flags, get_user(request)?, 0)
}

/// Time in ring 3 and in the kernel, of the process and of the children that it has waited for;
/// returns the time since boot. All in hundredths of a second.
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

/// Ticks in hundredths of a second; what is more than a `clock_t` holds goes on at 0.
fn clock_t(ticks: u64) -> u32 {
    ticks_in(USER_HZ, ticks) as u32
}

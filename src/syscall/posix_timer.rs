//! timer_create, timer_settime, timer_gettime, timer_getoverrun, timer_delete.
//!
//! The clocks are those of the day and of the time since boot. Nobody sets the time of day, so a timer
//! counts the same by either once it runs.
//!
//! Linux: 2.6.38 `kernel/posix-timers.c`.

use super::SysResult;
use super::errno::Errno;
use super::sched::timespec_to_ns;
use super::signal::find_thread;
use super::time::timespec_of;
use crate::arch::x86::current::current;
use crate::arch::x86::uaccess::{Pod, get_user, put_user};
use crate::drivers::rtc::time_of_day_us;
use crate::drivers::tsc::since_boot_us;
use crate::process::itimer::ItimerVal;
use crate::process::posix_timer::{self, Notify};
use crate::process::sigset::{NSIG, SIGALRM};

const CLOCK_REALTIME: u32 = 0;
const CLOCK_MONOTONIC: u32 = 1;
const CLOCK_BOOTTIME: u32 = 7;
const TIMER_ABSTIME: u32 = 1;
const SIGEV_SIGNAL: u32 = 0;
const SIGEV_NONE: u32 = 1;
const SIGEV_THREAD: u32 = 2;
const SIGEV_THREAD_ID: u32 = 4;

/// Makes a timer; `event` is a `struct sigevent`, or null for SIGALRM.
///
/// # Errors
/// EINVAL for other clocks, ways to tell, signals and threads; EFAULT, EAGAIN.
pub fn sys_timer_create(clock: u32, event: u32, id: u32) -> SysResult {
    if !matches!(clock, CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME) {
        return Err(Errno::EINVAL);
    }
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
    let timer = posix_timer::timer_create(me, clock == CLOCK_REALTIME, notify, signal, value)?;
    put_user(id, timer).inspect_err(|_| _ = posix_timer::timer_delete(me, timer))?;
    Ok(0)
}

/// Starts or stops a timer: two 32-bit timespecs, interval and value. EINVAL, EFAULT.
pub fn sys_timer_settime(id: u32, flags: u32, new: u32, old: u32) -> SysResult {
    let words: [u32; 4] = new_setting(new)?;
    // Negative seconds are far away in 64 bits, too.
    let was = settime(id, flags, words.map(|word| word as i32 as u64))?;
    if old != 0 {
        put_user(old, timespecs(was).map(|word| word as u32))?;
    }
    Ok(0)
}

/// The same with 64-bit times.
pub fn sys_timer_settime64(id: u32, flags: u32, new: u32, old: u32) -> SysResult {
    let was = settime(id, flags, new_setting(new)?)?;
    if old != 0 {
        put_user(old, timespecs(was))?;
    }
    Ok(0)
}

fn new_setting<T: Pod>(new: u32) -> Result<T, Errno> {
    match new {
        0 => Err(Errno::EINVAL),
        at => get_user(at),
    }
}

fn settime(id: u32, flags: u32, words: [u64; 4]) -> Result<ItimerVal, Errno> {
    let [interval_s, interval_ns, value_s, value_ns] = words;
    let us = |s, ns| timespec_to_ns(s, ns).map(|ns| ns.div_ceil(1000));
    let mut new = ItimerVal {
        interval_us: us(interval_s, interval_ns)?,
        value_us: us(value_s, value_ns)?,
    };
    if flags & TIMER_ABSTIME != 0 && new.value_us != 0 {
        // One of the past ends at once.
        let now_us = match posix_timer::is_of_day(current(), id)? {
            true => time_of_day_us(),
            false => since_boot_us(),
        };
        new.value_us = new.value_us.saturating_sub(now_us).max(1);
    }
    posix_timer::timer_settime(current(), id, new)
}

fn timespecs(it: ItimerVal) -> [u64; 4] {
    let [[interval_s, interval_ns], [value_s, value_ns]] =
        [it.interval_us, it.value_us].map(timespec_of);
    [interval_s, interval_ns, value_s, value_ns]
}

/// How a timer stands: interval, and the time to its end. EINVAL, EFAULT.
pub fn sys_timer_gettime(id: u32, value: u32) -> SysResult {
    let now = timespecs(posix_timer::timer_gettime(current(), id)?);
    put_user(value, now.map(|word| word as u32))?;
    Ok(0)
}

/// The same with 64-bit times.
pub fn sys_timer_gettime64(id: u32, value: u32) -> SysResult {
    put_user(value, timespecs(posix_timer::timer_gettime(current(), id)?))?;
    Ok(0)
}

/// How often a timer ended while its last signal waited. EINVAL.
pub fn sys_timer_getoverrun(id: u32) -> SysResult {
    posix_timer::timer_getoverrun(current(), id)
}

/// Takes a timer away. EINVAL.
pub fn sys_timer_delete(id: u32) -> SysResult {
    posix_timer::timer_delete(current(), id)?;
    Ok(0)
}

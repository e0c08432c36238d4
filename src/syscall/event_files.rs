//! eventfd, timerfd and signalfd: a counter, a timer and signals as files, for poll and epoll.
//!
//! Linux: 2.6.38 `fs/eventfd.c`, `fs/timerfd.c`, `fs/signalfd.c`; eventfd(2), timerfd_create(2),
//! signalfd(2).

use super::SysResult;
use super::read_write::{fget, files};
use super::signal::SIGSET_BYTES;
use super::timespec::{Timespec32, Timespec64, UserTime};
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{Pod, get_user, put_user};
use crate::base::errno::Errno;
use crate::fs::eventfd::EventFd;
use crate::fs::file::{File, O_CLOEXEC, O_NONBLOCK, Object};
use crate::fs::signalfd::SignalFd;
use crate::fs::timerfd::{TimerFd, TimerFdValue};
use crate::mm::fallible::try_arc;
use crate::process::sigset::SigSet;

const EFD_SEMAPHORE: u32 = 1;
const TFD_TIMER_ABSTIME: u32 = 1;
/// A read fails if the clock was set. It never is, so this flag has no effect.
const TFD_TIMER_CANCEL_ON_SET: u32 = 2;
const CLOCK_REALTIME: u32 = 0;
const CLOCK_MONOTONIC: u32 = 1;
const CLOCK_BOOTTIME: u32 = 7;
const CLOCK_REALTIME_ALARM: u32 = 8;
const CLOCK_BOOTTIME_ALARM: u32 = 9;

/// Opens `object` for reading and writing under the lowest free descriptor, with O_CLOEXEC and
/// O_NONBLOCK as `flags` say.
fn install(object: Object, flags: u32) -> SysResult {
    let file = File::new(object, flags & O_NONBLOCK | 2);
    files()?.install(try_arc(file)?, 0, flags & O_CLOEXEC != 0)
}

/// Makes a counter that is `count`.
///
/// # Errors
/// EMFILE, ENOMEM.
pub fn sys_eventfd(count: u32) -> SysResult {
    sys_eventfd2(count, 0)
}

/// Makes a counter as [`sys_eventfd`] does; `flags` may have EFD_SEMAPHORE, EFD_CLOEXEC and
/// EFD_NONBLOCK.
///
/// # Errors
/// EINVAL, EMFILE, ENOMEM.
pub fn sys_eventfd2(count: u32, flags: u32) -> SysResult {
    if flags & !(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let counter = EventFd::new(count, flags & EFD_SEMAPHORE != 0);
    install(Object::EventFd(counter), flags)
}

/// Makes a timer by the time since boot or the time of day; `flags` may have TFD_CLOEXEC and
/// TFD_NONBLOCK. The clocks that would wake a sleeping machine are like the others here.
///
/// # Errors
/// EINVAL, EPERM for those clocks without privilege, EMFILE, ENOMEM.
pub fn sys_timerfd_create(clock: u32, flags: u32) -> SysResult {
    if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let is_realtime = match clock {
        CLOCK_REALTIME | CLOCK_REALTIME_ALARM => true,
        CLOCK_MONOTONIC | CLOCK_BOOTTIME | CLOCK_BOOTTIME_ALARM => false,
        _ => return Err(Errno::EINVAL),
    };
    if clock >= CLOCK_REALTIME_ALARM && !current().cred().capable() {
        return Err(Errno::EPERM);
    }
    install(Object::TimerFd(TimerFd::new(is_realtime)), flags)
}

/// Calls `body` with the timer behind a descriptor. EBADF, EINVAL.
fn with_timer<T>(fd: u32, body: impl FnOnce(&TimerFd) -> T) -> Result<T, Errno> {
    match &fget(fd)?.object {
        Object::TimerFd(timer) => Ok(body(timer)),
        _ => Err(Errno::EINVAL),
    }
}

/// Starts or stops a timer by two 32-bit timespecs, interval and value; stores its former state at
/// `old`, unless that is null.
///
/// # Errors
/// EFAULT, EINVAL, EBADF.
pub fn sys_timerfd_settime(fd: u32, flags: u32, new: u32, old: u32) -> SysResult {
    timerfd_settime::<Timespec32>(fd, flags, new, old)
}

/// Starts or stops a timer as [`sys_timerfd_settime`] does, with 64-bit times.
pub fn sys_timerfd_settime64(fd: u32, flags: u32, new: u32, old: u32) -> SysResult {
    timerfd_settime::<Timespec64>(fd, flags, new, old)
}

fn timerfd_settime<T: UserTime + Pod>(fd: u32, flags: u32, new: u32, old: u32) -> SysResult {
    let [interval, value] = get_user::<[T; 2]>(new)?;
    if flags & !(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL);
    }
    let us = |time: T| time.ns().map(|ns| ns.div_ceil(1000));
    let new = TimerFdValue {
        interval_us: us(interval)?,
        value_us: us(value)?,
    };
    let is_absolute = flags & TFD_TIMER_ABSTIME != 0;
    let was = with_timer(fd, |timer| timer.set(new, is_absolute))?;
    if old != 0 {
        put_value::<T>(old, was)?;
    }
    Ok(0)
}

fn put_value<T: UserTime + Pod>(to: u32, value: TimerFdValue) -> Result<(), Errno> {
    put_user(to, [value.interval_us, value.value_us].map(T::from_us))
}

/// Stores a timer's state: its interval, and the time to its next expiry.
///
/// # Errors
/// EBADF, EINVAL, EFAULT.
pub fn sys_timerfd_gettime(fd: u32, value: u32) -> SysResult {
    put_value::<Timespec32>(value, with_timer(fd, TimerFd::get)?)?;
    Ok(0)
}

/// Stores a timer's state as [`sys_timerfd_gettime`] does, with 64-bit times.
pub fn sys_timerfd_gettime64(fd: u32, value: u32) -> SysResult {
    put_value::<Timespec64>(value, with_timer(fd, TimerFd::get)?)?;
    Ok(0)
}

/// Makes a file for the signals of the set at `set`, of `bytes` bytes; or changes the set of the
/// file behind `fd`, unless that is -1.
///
/// # Errors
/// EINVAL, EFAULT, EBADF, EMFILE, ENOMEM.
pub fn sys_signalfd(fd: u32, set: u32, bytes: u32) -> SysResult {
    sys_signalfd4(fd, set, bytes, 0)
}

/// Makes or changes a file as [`sys_signalfd`] does; `flags` may have SFD_CLOEXEC and
/// SFD_NONBLOCK, which have effect only on a new file.
///
/// # Errors
/// EINVAL, EFAULT, EBADF, EMFILE, ENOMEM.
pub fn sys_signalfd4(fd: u32, set: u32, bytes: u32, flags: u32) -> SysResult {
    if bytes != SIGSET_BYTES {
        return Err(Errno::EINVAL);
    }
    let set = SigSet(get_user(set)?).without(SigSet::UNBLOCKABLE);
    if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    if fd as i32 == -1 {
        return install(Object::SignalFd(SignalFd::new(set.0)), flags);
    }
    match &fget(fd)?.object {
        Object::SignalFd(file) => file.set(set.0),
        _ => return Err(Errno::EINVAL),
    }
    Ok(fd)
}

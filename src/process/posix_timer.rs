//! POSIX timers of a process, each with a signal of its choice.
//!
//! A timer with an interval rests while its signal is pending: taking the signal restarts it and
//! reports how many expiries were missed meanwhile, its overruns. So however short the interval,
//! each signal that the program takes costs one interrupt. Only after an expiry whose signal has no
//! effect does the next follow at once, a tick later at the soonest. A timer that sends no signal
//! takes no interrupt at all.
//!
//! A timer goes by the time since boot, or by the CPU time of a process or of a thread. The latter
//! expires in a tick of that process or thread, which may belong to another program.
//!
//! A process's timers go when it ends or executes another program; a forked process has no timers.
//!
//! They are set by `syscall::posix_timer`, expire in the timer interrupt, and go on in
//! `dequeue_signal`.
//!
//! Linux: 2.6.38 `kernel/posix-timers.c` (`do_schedule_next_timer`, `posix_timer_fn`),
//! `kernel/posix-cpu-timers.c` (`posix_cpu_timer_set`, `cpu_timer_fire`);
//! timer_create(2).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::cpu_clock::CpuClock;
use super::itimer::ItimerVal;
use super::signal::{Sent, SignalStruct, send_sigqueue};
use super::tasklist::find_task_by_pid;
use crate::arch::x86::current::Current;
use crate::base::errno::Errno;
use crate::base::hrtimer::hrtimer_forward;
use crate::drivers::rtc::time_of_day_us;
use crate::drivers::tsc::since_boot_us;
use crate::mm::fallible::{TryVec, try_box};
use crate::sched::timer::{TICK_US, TimerKey, TimerList, add_timer, del_timer};
use crate::task::siginfo::SigInfo;
use crate::task::task_struct::{TaskRef, TaskStruct};

/// Most timers that a process can have.
const MAX_TIMERS: usize = 1024;
/// Most overruns that are reported to a program (POSIX: `DELAYTIMER_MAX`).
const DELAYTIMER_MAX: u64 = i32::MAX as u64;

/// The receiver of a timer's signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notify {
    /// No signal is sent: the program polls the timer.
    Nobody,
    /// The signal goes to whichever thread of the process takes it.
    Process,
    /// The signal goes to the thread with this number.
    Thread(i32),
}

/// The clock that a timer goes by.
#[derive(Clone)]
pub enum Clock {
    /// The time since boot.
    Boot,
    /// The time of day. It is never set, so a running timer counts the same by the time since boot.
    OfDay,
    /// A CPU time.
    Cpu(CpuClock),
}

impl Clock {
    /// Returns the time in the unit of `end_us`: microseconds of CPU time, or since boot.
    fn now_us(&self) -> i64 {
        match self {
            Self::Cpu(clock) => clock.now_us() as i64,
            _ => since_boot_us() as i64,
        }
    }

    /// Returns the `end_us` at which the clock shows 0.
    fn zero_us(&self) -> i64 {
        match self {
            Self::OfDay => self.now_us().saturating_sub_unsigned(time_of_day_us()),
            _ => 0,
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self, Self::Cpu(clock) if clock.has_ended())
    }
}

/// One timer, boxed because it must not move while it runs.
pub struct PosixTimer {
    place: TimerList,
    clock: Clock,
    notify: Notify,
    /// The number of its signal.
    signal: u32,
    /// The value sent with the signal (`si_value`).
    value: u32,
    /// The pending expiry; `None` while the signal is pending, and for a timer that sends no
    /// signal.
    timer: Option<TimerKey>,
    /// Time of the next expiry, or of the last if its signal is pending: microseconds of CPU time,
    /// or since boot, negative before. `None` if the timer is stopped.
    end_us: Option<i64>,
    /// Microseconds from one expiry to the next; 0 means a single expiry.
    incr_us: u64,
    /// Whether a signal of this timer may still be pending.
    told: bool,
    /// Whether the timer goes on once that signal is taken (Linux: `it_requeue_pending`).
    owes: bool,
    /// Expiries whose signal had no effect, since the last whose signal had one.
    overruns: u64,
    /// Overruns that the last signal reported (Linux: `it_overrun_last`).
    overruns_last: u32,
}

/// The timers of a process, by number.
#[derive(Default)]
pub struct PosixTimers(Vec<Option<Box<PosixTimer>>>);

impl PosixTimers {
    /// Returns an empty table.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    fn get(&mut self, id: u32) -> Result<&mut PosixTimer, Errno> {
        let slot = self.0.get_mut(id as usize).and_then(Option::as_deref_mut);
        slot.ok_or(Errno::EINVAL)
    }
}

impl PosixTimer {
    fn now(&self) -> ItimerVal {
        let now_us = self.clock.now_us();
        let left = |end_us: i64| match end_us.saturating_sub(now_us) {
            left @ 1.. => left as u64,
            // It has expired, but the interrupt has not come yet.
            _ if self.timer.is_some() => 1,
            _ => hrtimer_forward(end_us, now_us, self.incr_us)
                .map_or(0, |(next_us, _)| next_us.saturating_sub(now_us) as u64),
        };
        ItimerVal {
            interval_us: self.incr_us,
            value_us: match self.clock.has_ended() {
                true => 0,
                false => self.end_us.map_or(0, left),
            },
        }
    }

    /// Starts the timer, whose number is `id` and which must be stopped.
    fn start(&mut self, expires_us: u64, leader: TaskRef, id: u32) {
        // SAFETY: the timer is stopped and stays in its box until `stop`; the caller holds the lock
        // of the process's timers.
        let key = unsafe {
            match &self.clock {
                Clock::Cpu(clock) => {
                    let (timers, time) = (clock.timers(), clock.time());
                    timers.add(time, &self.place, expires_us, leader, id, timer_fn)
                }
                _ => add_timer(&self.place, expires_us, leader, id, timer_fn),
            }
        };
        self.timer = Some(key);
    }

    /// Stops the timer. The caller drops the result after releasing all locks: it may be the last
    /// reference.
    fn stop(&mut self) -> Option<TaskRef> {
        (self.end_us, self.owes) = (None, false);
        let key = self.timer.take()?;
        // SAFETY: the key is from the last `start`, by the same clock, and nothing else reaches the
        // timer: the caller holds the lock of the process's timers, or has taken the timer out of
        // them.
        unsafe {
            match &self.clock {
                Clock::Cpu(clock) => clock.timers().del(&self.place, key),
                _ => del_timer(&self.place, key),
            }
        }
    }

    /// Restarts timer number `id` of the process of `leader` after an expiry: the next expiry is
    /// after `now_us`. Returns the number of intervals between the two.
    fn go_on(&mut self, id: u32, leader: TaskRef, now_us: i64) -> u64 {
        let next = self
            .end_us
            .and_then(|end_us| hrtimer_forward(end_us, now_us, self.incr_us));
        let Some((next_us, intervals)) = next else {
            return 0;
        };
        self.end_us = Some(next_us);
        self.start(next_us.max(0) as u64, leader, id);
        intervals
    }
}

/// Makes a stopped timer and returns its number. If `value` is `None`, the timer's number is its
/// value.
///
/// # Errors
/// EAGAIN when the process has too many timers, or there is no memory.
pub fn timer_create(
    me: Current,
    clock: Clock,
    notify: Notify,
    signal: u32,
    value: Option<u32>,
) -> Result<u32, Errno> {
    // Made before the lock is taken: if it is refused, its clock may be the last reference to a task.
    let mut timer = try_box(PosixTimer {
        place: TimerList::new(),
        clock,
        notify,
        signal,
        value: value.unwrap_or(0),
        timer: None,
        end_us: None,
        incr_us: 0,
        told: false,
        owes: false,
        overruns: 0,
        overruns_last: 0,
    })
    .map_err(|_| Errno::EAGAIN)?;
    let mut timers = me.signal.timers.posix.lock();
    let free = timers.0.iter().position(Option::is_none);
    let id = match free {
        Some(id) => id,
        None if timers.0.len() >= MAX_TIMERS => return Err(Errno::EAGAIN),
        None => {
            let id = timers.0.len();
            timers.0.try_push(None).map_err(|_| Errno::EAGAIN)?;
            id
        }
    };
    if value.is_none() {
        timer.value = id as u32;
    }
    timers.0[id] = Some(timer);
    Ok(id as u32)
}

/// Returns a timer's remaining time and interval.
///
/// # Errors
/// EINVAL when there is no such timer.
pub fn timer_gettime(me: Current, id: u32) -> Result<ItimerVal, Errno> {
    Ok(me.signal.timers.posix.lock().get(id)?.now())
}

/// Returns the number of overruns that the timer's last taken signal reported.
///
/// # Errors
/// EINVAL when there is no such timer.
pub fn timer_getoverrun(me: Current, id: u32) -> Result<u32, Errno> {
    Ok(me.signal.timers.posix.lock().get(id)?.overruns_last)
}

/// Sets a timer to expire when its clock shows `value_us`, or, unless `is_absolute`, after
/// `value_us` microseconds of it; and again every `interval_us` unless that is 0. A `value_us` of 0
/// stops it. Returns its former value.
///
/// # Errors
/// EINVAL when there is no such timer, ESRCH when the process or thread of its clock has ended.
pub fn timer_settime(
    me: Current,
    id: u32,
    interval_us: u64,
    value_us: u64,
    is_absolute: bool,
) -> Result<ItimerVal, Errno> {
    let leader = find_task_by_pid(me.tgid);
    let (old, clock, was) = {
        let mut timers = me.signal.timers.posix.lock();
        let timer = timers.get(id)?;
        if timer.clock.has_ended() {
            return Err(Errno::ESRCH);
        }
        let (old, was) = (timer.now(), timer.stop());
        let from_us = match is_absolute {
            true => timer.clock.zero_us(),
            false => timer.clock.now_us(),
        };
        let end_us = from_us.saturating_add_unsigned(value_us);
        timer.end_us = (value_us != 0).then_some(end_us);
        timer.incr_us = interval_us;
        (timer.overruns, timer.overruns_last) = (0, 0);
        if let (1.., Some(leader), true) = (value_us, leader, timer.notify != Notify::Nobody) {
            timer.start(end_us.max(0) as u64, leader, id);
        }
        (old, timer.clock.clone(), was)
    };
    // Dropped after the lock is released: it may be the last reference.
    drop(was);
    // A clock of CPU time may stand still for long.
    if let Clock::Cpu(clock) = clock {
        clock.run_timers();
    }
    Ok(old)
}

/// Deletes a timer; a pending signal of it still arrives.
///
/// # Errors
/// EINVAL when there is no such timer.
pub fn timer_delete(me: Current, id: u32) -> Result<(), Errno> {
    let was = {
        let mut timers = me.signal.timers.posix.lock();
        let was = timers.get(id)?.stop();
        (was, timers.0[id as usize].take())
    };
    drop(was);
    Ok(())
}

/// Deletes all timers of a process that ends or executes another program.
pub fn exit_posix_timers(signal: &SignalStruct) {
    let timers = core::mem::take(&mut *signal.timers.posix.lock());
    for mut timer in timers.0.into_iter().flatten() {
        drop(timer.stop());
    }
}

/// Restarts the timer whose signal `info` the running task has taken, and adds the timer's overruns
/// to `info`.
pub fn do_schedule_next_timer(me: Current, info: &mut SigInfo) {
    let Some(leader) = find_task_by_pid(me.tgid) else {
        return;
    };
    let id = info.fields[0];
    let mut timers = me.signal.timers.posix.lock();
    let Ok(timer) = timers.get(id) else {
        return;
    };
    timer.told = false;
    if !core::mem::take(&mut timer.owes) || timer.timer.is_some() {
        return;
    }
    let now_us = timer.clock.now_us();
    let missed = timer.go_on(id, leader, now_us).saturating_sub(1);
    let overruns = core::mem::take(&mut timer.overruns).saturating_add(missed);
    timer.overruns_last = overruns.min(DELAYTIMER_MAX) as u32;
    let told = u64::from(info.fields[1]).saturating_add(timer.overruns_last.into());
    info.fields[1] = told.min(DELAYTIMER_MAX) as u32;
}

fn timer_fn(leader: &TaskRef, ended: TimerKey) {
    let id = ended.data;
    let to_tell = {
        let mut timers = leader.signal.timers.posix.lock();
        let Ok(timer) = timers.get(id) else {
            return;
        };
        if timer.timer != Some(ended) {
            return; // set anew before this interrupt took the lock
        }
        timer.timer = None;
        timer.owes = timer.incr_us != 0;
        if !timer.owes {
            timer.end_us = None;
        }
        let info = SigInfo::timer(timer.signal, id, 0, timer.value);
        match timer.told && overrun(leader, timer.notify, info) {
            true => None,
            false => {
                timer.told = true;
                Some((timer.notify, info))
            }
        }
    };
    let Some((notify, info)) = to_tell else {
        return;
    };
    let sent = match notify {
        Notify::Nobody => return,
        Notify::Process => send_sigqueue(info, leader, false),
        Notify::Thread(tid) => match find_task_by_pid(tid) {
            Some(thread) if thread.tgid == leader.tgid => send_sigqueue(info, &thread, true),
            // No thread is left to take the signal: the timer stops.
            _ => return,
        },
    };
    // A signal without effect, or for which there was no room, will not be taken.
    if matches!(sent, Ok(Sent::Waits)) {
        return;
    }
    let mut timers = leader.signal.timers.posix.lock();
    let Ok(timer) = timers.get(id) else {
        return;
    };
    if timer.timer.is_none() && core::mem::take(&mut timer.owes) {
        timer.told = false;
        let rests_us = match timer.incr_us < TICK_US {
            true => TICK_US as i64,
            false => 0,
        };
        let after_us = timer.clock.now_us().saturating_add(rests_us);
        let intervals = timer.go_on(id, leader.clone(), after_us);
        timer.overruns = timer.overruns.saturating_add(intervals);
    }
}

/// Counts an overrun in the timer's pending signal; returns false if there is no such signal.
fn overrun(leader: &TaskStruct, notify: Notify, info: SigInfo) -> bool {
    let is_it = |other: &SigInfo| {
        (other.signal, other.code, other.fields[0]) == (info.signal, info.code, info.fields[0])
    };
    let count = |waiting: Option<&mut SigInfo>| {
        waiting.map(|info| info.fields[1] = info.fields[1].saturating_add(1))
    };
    let counted = match notify {
        Notify::Thread(tid) => find_task_by_pid(tid)
            .and_then(|thread| count(thread.signals.lock().pending.find(is_it))),
        _ => count(leader.signal.shared_pending.lock().find(is_it)),
    };
    counted.is_some()
}

//! POSIX timers: a process's own, each with a signal of its choice.
//!
//! A timer with an interval rests while its signal waits: whoever takes the signal sets it going again and is
//! told how many ends went by meanwhile, its overruns. So however short the interval, the timer costs one
//! interrupt for each signal that its program takes. Only an end whose signal has no effect is followed by
//! the next at once, a tick later at the soonest. A timer that tells nobody has no interrupt at all.
//!
//! Timers go with the process and with its program; a forked process has none.
//!
//! Set by `syscall::posix_timer`, ends in the timer interrupt, goes on in `dequeue_signal`.
//!
//! Linux: 2.6.38 `kernel/posix-timers.c` (`do_schedule_next_timer`, `posix_timer_fn`); timer_create(2).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::itimer::ItimerVal;
use super::siginfo::SigInfo;
use super::signal::{Sent, SignalStruct, send_sigqueue};
use super::tasklist::find_task_by_pid;
use crate::arch::x86::current::Current;
use crate::base::errno::Errno;
use crate::drivers::tsc::since_boot_us;
use crate::mm::fallible::{TryVec, try_box};
use crate::sched::timer::{TICK_US, TimerKey, TimerList, add_timer, del_timer};
use crate::task::task_struct::{TaskRef, TaskStruct};

/// Timers of a process, at most.
const MAX_TIMERS: usize = 1024;
/// Overruns that a program is told of, at most (POSIX: `DELAYTIMER_MAX`).
const DELAYTIMER_MAX: u64 = i32::MAX as u64;

/// Who is told when a timer ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notify {
    /// Nobody: it is asked.
    Nobody,
    /// Whatever thread of the process takes the signal.
    Process,
    /// A thread of the process, by its number.
    Thread(i32),
}

/// One timer, in memory of its own: it must not move while it runs.
pub struct PosixTimer {
    place: TimerList,
    /// Whether its clock is the time of day.
    pub of_day: bool,
    /// Who is told, and by what signal.
    pub notify: Notify,
    /// The signal.
    pub signal: u32,
    /// Goes with the signal.
    pub value: u32,
    /// The interrupt that ends it; none while its signal waits, and of a timer that tells nobody.
    timer: Option<TimerKey>,
    /// When it ends, or has ended if its signal waits: microseconds since boot, negative before. None: it
    /// does not run.
    end_us: Option<i64>,
    /// From one end to the next in microseconds; 0: there is only one.
    incr_us: u64,
    /// Whether a signal of it may still wait.
    told: bool,
    /// Whether it goes on once that signal is taken (Linux: `it_requeue_pending`).
    owes: bool,
    /// Ends whose signal had no effect since the last that had one.
    overruns: u64,
    /// Overruns that the last signal told of (Linux: `it_overrun_last`).
    overruns_last: u32,
}

/// The timers of a process, by number.
#[derive(Default)]
pub struct PosixTimers(Vec<Option<Box<PosixTimer>>>);

impl PosixTimers {
    /// None.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    fn get(&mut self, id: u32) -> Result<&mut PosixTimer, Errno> {
        let slot = self.0.get_mut(id as usize).and_then(Option::as_deref_mut);
        slot.ok_or(Errno::EINVAL)
    }
}

/// The clock, as ends are counted.
fn now_us() -> i64 {
    since_boot_us() as i64
}

/// The first end after `now_us` of a timer that ended at `end_us` and again every `incr_us`, and how many
/// intervals later that is; none without an interval (Linux: `hrtimer_forward`).
pub fn forward(end_us: i64, now_us: i64, incr_us: u64) -> Option<(i64, u64)> {
    let late_us = now_us.saturating_sub(end_us).max(0) as u64;
    let intervals = late_us.checked_div(incr_us)?.saturating_add(1);
    let next_us = end_us.saturating_add_unsigned(intervals.saturating_mul(incr_us));
    Some((next_us, intervals))
}

impl PosixTimer {
    fn now(&self) -> ItimerVal {
        let now_us = now_us();
        let left = |end_us: i64| match end_us.saturating_sub(now_us) {
            left @ 1.. => left as u64,
            // The interrupt has not come yet.
            _ if self.timer.is_some() => 1,
            _ => forward(end_us, now_us, self.incr_us)
                .map_or(0, |(next_us, _)| next_us.saturating_sub(now_us) as u64),
        };
        ItimerVal {
            interval_us: self.incr_us,
            value_us: self.end_us.map_or(0, left),
        }
    }

    /// Sets it, which is number `id`; it does not run.
    fn start(&mut self, expires_us: u64, leader: TaskRef, id: u32) {
        // SAFETY: it does not run, and stays in its box until `stop`; the caller has the lock of the
        // process's timers.
        let key = unsafe { add_timer(&self.place, expires_us, leader, id, timer_fn) };
        self.timer = Some(key);
    }

    /// Stops it. What is returned is dropped when no lock is held: it may be the last reference.
    fn stop(&mut self) -> Option<TaskRef> {
        (self.end_us, self.owes) = (None, false);
        let key = self.timer.take()?;
        // SAFETY: that is how it was set last, and nobody else reaches it: the caller has the lock of
        // the process's timers, or has taken it out of them.
        unsafe { del_timer(&self.place, key) }
    }

    /// Sets timer number `id` of the process of `leader` going again after an end: the next is after
    /// `now_us`. Returns the number of intervals between the two.
    fn go_on(&mut self, id: u32, leader: TaskRef, now_us: i64) -> u64 {
        let next = self
            .end_us
            .and_then(|end_us| forward(end_us, now_us, self.incr_us));
        let Some((next_us, intervals)) = next else {
            return 0;
        };
        self.end_us = Some(next_us);
        self.start(next_us.max(0) as u64, leader, id);
        intervals
    }
}

/// Makes a timer that does not run; its number. `value` none: its number is its value. EAGAIN.
pub fn timer_create(
    me: Current,
    of_day: bool,
    notify: Notify,
    signal: u32,
    value: Option<u32>,
) -> Result<u32, Errno> {
    let mut timers = me.signal.posix_timers.lock();
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
    let timer = PosixTimer {
        place: TimerList::new(),
        of_day,
        notify,
        signal,
        value: value.unwrap_or(id as u32),
        timer: None,
        end_us: None,
        incr_us: 0,
        told: false,
        owes: false,
        overruns: 0,
        overruns_last: 0,
    };
    timers.0[id] = Some(try_box(timer).map_err(|_| Errno::EAGAIN)?);
    Ok(id as u32)
}

/// Whether a timer's clock is the time of day. EINVAL.
pub fn is_of_day(me: Current, id: u32) -> Result<bool, Errno> {
    Ok(me.signal.posix_timers.lock().get(id)?.of_day)
}

/// How a timer stands. EINVAL.
pub fn timer_gettime(me: Current, id: u32) -> Result<ItimerVal, Errno> {
    Ok(me.signal.posix_timers.lock().get(id)?.now())
}

/// How many ends went by between the last signal that was taken and its timer's end. EINVAL.
pub fn timer_getoverrun(me: Current, id: u32) -> Result<u32, Errno> {
    Ok(me.signal.posix_timers.lock().get(id)?.overruns_last)
}

/// Has a timer end at `end_us`, in microseconds since boot, which may lie in the past, and again every
/// `interval_us` unless that is 0; none: it stops. Returns how it stood. EINVAL.
pub fn timer_settime(
    me: Current,
    id: u32,
    interval_us: u64,
    end_us: Option<i64>,
) -> Result<ItimerVal, Errno> {
    let leader = find_task_by_pid(me.tgid);
    let (old, was) = {
        let mut timers = me.signal.posix_timers.lock();
        let timer = timers.get(id)?;
        let (old, was) = (timer.now(), timer.stop());
        (timer.incr_us, timer.end_us) = (interval_us, end_us);
        (timer.overruns, timer.overruns_last) = (0, 0);
        if let (Some(end_us), Some(leader), true) = (end_us, leader, timer.notify != Notify::Nobody)
        {
            timer.start(end_us.max(0) as u64, leader, id);
        }
        (old, was)
    };
    // Not under the lock: it may be the last reference.
    drop(was);
    Ok(old)
}

/// Takes a timer away; a signal of it that waits still comes. EINVAL.
pub fn timer_delete(me: Current, id: u32) -> Result<(), Errno> {
    let was = {
        let mut timers = me.signal.posix_timers.lock();
        let was = timers.get(id)?.stop();
        (was, timers.0[id as usize].take())
    };
    drop(was);
    Ok(())
}

/// The process ends, or its program does.
pub fn exit_posix_timers(signal: &SignalStruct) {
    let timers = core::mem::take(&mut *signal.posix_timers.lock());
    for mut timer in timers.0.into_iter().flatten() {
        drop(timer.stop());
    }
}

/// The running task has taken `info`, the signal of a timer: the timer goes on, and `info` tells how many
/// ends went by.
pub fn do_schedule_next_timer(me: Current, info: &mut SigInfo) {
    let Some(leader) = find_task_by_pid(me.tgid) else {
        return;
    };
    let id = info.fields[0];
    let mut timers = me.signal.posix_timers.lock();
    let Ok(timer) = timers.get(id) else {
        return;
    };
    timer.told = false;
    if !core::mem::take(&mut timer.owes) || timer.timer.is_some() {
        return;
    }
    let missed = timer.go_on(id, leader, now_us()).saturating_sub(1);
    let overruns = core::mem::take(&mut timer.overruns).saturating_add(missed);
    timer.overruns_last = overruns.min(DELAYTIMER_MAX) as u32;
    let told = u64::from(info.fields[1]).saturating_add(timer.overruns_last.into());
    info.fields[1] = told.min(DELAYTIMER_MAX) as u32;
}

fn timer_fn(leader: &TaskRef, ended: TimerKey) {
    let id = ended.data;
    let to_tell = {
        let mut timers = leader.signal.posix_timers.lock();
        let Ok(timer) = timers.get(id) else {
            return;
        };
        if timer.timer != Some(ended) {
            return; // set anew while we were on the way
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
            // There is nobody to take it: the timer stops.
            _ => return,
        },
    };
    // Nobody will take what has no effect, or had no room.
    if matches!(sent, Ok(Sent::Waits)) {
        return;
    }
    let mut timers = leader.signal.posix_timers.lock();
    let Ok(timer) = timers.get(id) else {
        return;
    };
    if timer.timer.is_none() && core::mem::take(&mut timer.owes) {
        timer.told = false;
        let rests_us = match timer.incr_us < TICK_US {
            true => TICK_US as i64,
            false => 0,
        };
        let after_us = now_us().saturating_add(rests_us);
        let intervals = timer.go_on(id, leader.clone(), after_us);
        timer.overruns = timer.overruns.saturating_add(intervals);
    }
}

/// Counts an overrun in the signal of the timer that waits, if there is one.
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

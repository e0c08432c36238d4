//! POSIX timers: a process's own, each with a signal of its choice.
//!
//! A timer that ends again while its last signal still waits sends none: it counts one more overrun,
//! which the signal tells when it comes. Timers go with the process and with its program; a forked
//! process has none.
//!
//! Set by `syscall::posix_timer`, ends in the timer interrupt.
//!
//! Linux: 2.6.38 `kernel/posix-timers.c`; timer_create(2).

use alloc::vec::Vec;

use super::itimer::{ItimerVal, next_expiry_us};
use super::siginfo::SigInfo;
use super::signal::{SignalStruct, send_to_process, send_to_thread};
use super::tasklist::find_task_by_pid;
use crate::arch::x86::current::Current;
use crate::base::errno::Errno;
use crate::drivers::tsc::since_boot_us;
use crate::sched::timer::{TimerKey, add_timer, del_timer};
use crate::task::task_struct::{TaskRef, TaskStruct};

/// Timers of a process, at most.
const MAX_TIMERS: usize = 1024;

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

/// One timer.
#[derive(Debug)]
pub struct PosixTimer {
    /// Whether its clock is the time of day.
    pub of_day: bool,
    /// Who is told, and by what signal.
    pub notify: Notify,
    /// The signal.
    pub signal: u32,
    /// Goes with the signal.
    pub value: u32,
    timer: Option<TimerKey>,
    /// From one end to the next in microseconds; 0: there is only one.
    incr_us: u64,
    overruns: u32,
}

/// The timers of a process, by number.
#[derive(Debug, Default)]
pub struct PosixTimers(Vec<Option<PosixTimer>>);

impl PosixTimers {
    /// None.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    fn get(&mut self, id: u32) -> Result<&mut PosixTimer, Errno> {
        let slot = self.0.get_mut(id as usize).and_then(Option::as_mut);
        slot.ok_or(Errno::EINVAL)
    }
}

impl PosixTimer {
    fn now(&self) -> ItimerVal {
        let left = |key: TimerKey| key.expires_us.saturating_sub(since_boot_us()).max(1);
        ItimerVal {
            interval_us: self.incr_us,
            value_us: self.timer.map_or(0, left),
        }
    }

    fn stop(&mut self) -> Option<TaskRef> {
        self.timer.take().and_then(del_timer)
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
            timers.0.try_reserve(1).map_err(|_| Errno::EAGAIN)?;
            let id = timers.0.len();
            timers.0.push(None);
            id
        }
    };
    timers.0[id] = Some(PosixTimer {
        of_day,
        notify,
        signal,
        value: value.unwrap_or(id as u32),
        timer: None,
        incr_us: 0,
        overruns: 0,
    });
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

/// How often it ended while its last signal waited. EINVAL.
pub fn timer_getoverrun(me: Current, id: u32) -> Result<u32, Errno> {
    Ok(me.signal.posix_timers.lock().get(id)?.overruns)
}

/// Sets a timer; returns how it stood. EINVAL.
pub fn timer_settime(me: Current, id: u32, new: ItimerVal) -> Result<ItimerVal, Errno> {
    let leader = find_task_by_pid(me.tgid);
    let (old, was) = {
        let mut timers = me.signal.posix_timers.lock();
        let timer = timers.get(id)?;
        let (old, was) = (timer.now(), timer.stop());
        (timer.incr_us, timer.overruns) = (new.interval_us, 0);
        if new.value_us != 0
            && let Some(leader) = leader
        {
            let expires_us = since_boot_us().saturating_add(new.value_us);
            timer.timer = Some(add_timer(expires_us, leader, timer_fn));
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
        timers.0[id as usize] = None;
        was
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

fn timer_fn(leader: &TaskRef, ended: TimerKey) {
    let told = {
        let mut timers = leader.signal.posix_timers.lock();
        let mut numbered = (0..).zip(timers.0.iter_mut());
        let found = numbered.find_map(|(id, slot)| {
            let timer = slot.as_mut()?;
            (timer.timer == Some(ended)).then_some((id, timer))
        });
        let Some((id, timer)) = found else {
            return; // set anew while we were on the way
        };
        let next_us = next_expiry_us(ended, timer.incr_us);
        timer.timer = next_us.map(|at| add_timer(at, leader.clone(), timer_fn));
        let info = SigInfo::timer(timer.signal, id, 0, timer.value);
        match timer.notify {
            Notify::Nobody => None,
            _ if overrun(leader, timer.notify, info) => {
                timer.overruns = timer.overruns.saturating_add(1);
                None
            }
            notify => {
                timer.overruns = 0;
                Some((notify, info))
            }
        }
    };
    // What cannot be queued is lost, as in Linux.
    let _queued = match told {
        None | Some((Notify::Nobody, _)) => Ok(()),
        Some((Notify::Process, info)) => send_to_process(info, leader),
        Some((Notify::Thread(tid), info)) => match find_task_by_pid(tid) {
            Some(thread) if thread.tgid == leader.tgid => send_to_thread(info, &thread),
            _ => Ok(()),
        },
    };
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

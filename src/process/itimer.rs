//! ITIMER_REAL of a process: SIGALRM after a time, once or again and again.
//!
//! A timer with an interval rests while its signal is pending, and goes on when the signal is
//! taken: however short the interval, each signal that the program takes costs one interrupt. If
//! SIGALRM has no effect, the timer therefore stops, as in Linux.
//!
//! It is set by `alarm` and `setitimer`, expires in the timer interrupt, and goes on in
//! `dequeue_signal`. It survives exec; a forked process starts without a timer.
//!
//! Book: ch. 6, "The setitimer() and alarm() System Calls". Linux: 2.6.38 `kernel/itimer.c`,
//! `it_real_fn`, `dequeue_signal`.

use super::itimer_cpu::{exit_cpu_itimers, move_cpu_itimers};
use super::posix_timer::exit_posix_timers;
use super::signal::send_to_process;
use super::sigset::SIGALRM;
use super::tasklist::find_task_by_pid;
use crate::arch::x86::current::Current;
use crate::base::hrtimer::hrtimer_forward;
use crate::drivers::tsc::since_boot_us;
use crate::sched::timer::{TimerKey, TimerList, add_timer, del_timer};
use crate::task::siginfo::SigInfo;
use crate::task::task_struct::{TaskRef, TaskStruct};

/// ITIMER_REAL of a process. It lies behind a lock and never moves out of it.
#[derive(Default)]
pub struct ItReal {
    place: TimerList,
    /// The pending expiry; `None` while the timer's signal is pending.
    timer: Option<TimerKey>,
    /// Time of the last expiry, in microseconds since boot.
    ended_us: u64,
    /// Microseconds from one signal to the next; 0 means a single signal.
    incr_us: u64,
}

impl ItReal {
    /// Starts the timer, which must be stopped.
    fn start(&mut self, expires_us: u64, leader: TaskRef) {
        // SAFETY: the timer is stopped and lies in the `SignalStruct` that `leader` keeps, behind
        // the lock that the caller holds.
        let key = unsafe { add_timer(&self.place, expires_us, leader, 0, it_real_fn) };
        self.timer = Some(key);
    }

    /// Stops the timer. The caller drops the result after releasing all locks: it may be the last
    /// reference.
    fn stop(&mut self) -> Option<TaskRef> {
        let key = self.timer.take()?;
        // SAFETY: the key is from the last `add_timer` for this place; the caller holds the lock.
        unsafe { del_timer(&self.place, key) }
    }
}

/// A timer's remaining time and interval, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ItimerVal {
    /// Time from one signal to the next; 0 means a single signal.
    pub interval_us: u64,
    /// Time until the next signal; 0 means the timer is stopped.
    pub value_us: u64,
}

impl ItReal {
    fn value(&self) -> ItimerVal {
        // A timer that has expired but whose interrupt has not come yet still counts as running.
        let left = |key: TimerKey| key.expires_us.saturating_sub(since_boot_us()).max(1);
        ItimerVal {
            interval_us: self.incr_us,
            value_us: self.timer.map_or(0, left),
        }
    }
}

/// Returns the remaining time and interval of the running task's timer.
pub fn getitimer(me: Current) -> ItimerVal {
    me.signal.timers.real.lock().value()
}

/// Sets the running task's timer and returns its former value.
pub fn setitimer(me: Current, new: ItimerVal) -> ItimerVal {
    let leader = find_task_by_pid(me.tgid);
    let (old, was) = {
        let mut it = me.signal.timers.real.lock();
        let old = it.value();
        let was = it.stop();
        // Without a next signal the timer stops for good, even if a signal is pending.
        it.incr_us = match new.value_us {
            0 => 0,
            _ => new.interval_us,
        };
        if new.value_us != 0
            && let Some(leader) = leader
        {
            let expires_us = since_boot_us().saturating_add(new.value_us);
            it.start(expires_us, leader);
        }
        (old, was)
    };
    drop(was);
    old
}

/// Moves the process's interval timers to the running task, which has become its leader.
pub fn move_itimer(me: Current) {
    let leader = find_task_by_pid(me.tgid);
    let was = {
        let mut it = me.signal.timers.real.lock();
        it.timer.zip(leader).and_then(|(key, leader)| {
            let was = it.stop();
            it.start(key.expires_us, leader);
            was
        })
    };
    drop(was);
    move_cpu_itimers(me);
}

/// Stops all timers of a process whose last thread has gone.
pub fn exit_itimers(task: &TaskStruct) {
    let was = task.signal.timers.real.lock().stop();
    drop(was);
    exit_cpu_itimers(&task.signal);
    exit_posix_timers(&task.signal);
}

/// Restarts an interval timer after the running task has taken the SIGALRM pending for its process.
/// Intervals that passed meanwhile are skipped.
pub fn restart_itimer(me: Current) {
    let leader = find_task_by_pid(me.tgid);
    let mut it = me.signal.timers.real.lock();
    if it.timer.is_some() {
        return;
    }
    let next = hrtimer_forward(it.ended_us as i64, since_boot_us() as i64, it.incr_us);
    if let Some(((next_us, _), leader)) = next.zip(leader) {
        it.start(next_us.max(0) as u64, leader);
    }
}

fn it_real_fn(leader: &TaskRef, ended: TimerKey) {
    {
        let mut it = leader.signal.timers.real.lock();
        if it.timer != Some(ended) {
            return; // set anew before this interrupt took the lock
        }
        (it.timer, it.ended_us) = (None, ended.expires_us);
    }
    let info = SigInfo::kernel(SIGALRM);
    // Only real-time signals are refused.
    let _queued = send_to_process(info, leader);
}

//! The interval timer of a process: SIGALRM after a time, once or again and again.
//!
//! With an interval it rests while its signal waits, and goes on when the signal is taken: however short
//! the interval, it costs one interrupt for each signal that the program takes. If SIGALRM has no effect,
//! the timer therefore stops, as in Linux.
//!
//! Set by `alarm` and `setitimer`, ends in the timer interrupt, goes on in `dequeue_signal`. It survives
//! exec; a forked process has none.
//!
//! Book: ch. 6, "The setitimer() and alarm() System Calls". Linux: 2.6.38 `kernel/itimer.c`,
//! `it_real_fn`, `dequeue_signal`.

use super::posix_timer::{exit_posix_timers, forward};
use super::siginfo::SigInfo;
use super::signal::send_to_process;
use super::sigset::SIGALRM;
use super::tasklist::find_task_by_pid;
use crate::arch::x86::current::Current;
use crate::drivers::tsc::since_boot_us;
use crate::sched::timer::{TimerKey, TimerList, add_timer, del_timer};
use crate::task::task_struct::{TaskRef, TaskStruct};

/// ITIMER_REAL of a process. Under a lock that it does not leave.
#[derive(Default)]
pub struct ItReal {
    place: TimerList,
    /// The interrupt that ends it; none while its signal waits.
    timer: Option<TimerKey>,
    /// When it ended last, in microseconds since boot.
    ended_us: u64,
    /// From one signal to the next in microseconds; 0: there is only one.
    incr_us: u64,
}

impl ItReal {
    /// Sets the timer, which does not run.
    fn start(&mut self, expires_us: u64, leader: TaskRef) {
        // SAFETY: it does not run, and it lies in the `SignalStruct` that `leader` keeps, behind the
        // lock that the caller has.
        let key = unsafe { add_timer(&self.place, expires_us, leader, 0, it_real_fn) };
        self.timer = Some(key);
    }

    /// Stops the timer. What is returned is dropped when no lock is held: it may be the last reference.
    fn stop(&mut self) -> Option<TaskRef> {
        let key = self.timer.take()?;
        // SAFETY: that is how it was set last; the caller has the lock.
        unsafe { del_timer(&self.place, key) }
    }
}

/// How a timer stands, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ItimerVal {
    /// From one signal to the next; 0: there is only one.
    pub interval_us: u64,
    /// Until the next; 0: none will come.
    pub value_us: u64,
}

impl ItReal {
    fn value(&self) -> ItimerVal {
        // One whose end has come, and whose interrupt has not, still runs.
        let left = |key: TimerKey| key.expires_us.saturating_sub(since_boot_us()).max(1);
        ItimerVal {
            interval_us: self.incr_us,
            value_us: self.timer.map_or(0, left),
        }
    }
}

/// How the running task's timer stands.
pub fn getitimer(me: Current) -> ItimerVal {
    me.signal.real_timer.lock().value()
}

/// Sets the running task's timer; returns how the old one stood.
pub fn setitimer(me: Current, new: ItimerVal) -> ItimerVal {
    let leader = find_task_by_pid(me.tgid);
    let (old, was) = {
        let mut it = me.signal.real_timer.lock();
        let old = it.value();
        let was = it.stop();
        // None to come means none at all, not one after the signal that waits.
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

/// The running task has become the leader of its process: its timer runs on for it.
pub fn move_itimer(me: Current) {
    let leader = find_task_by_pid(me.tgid);
    let was = {
        let mut it = me.signal.real_timer.lock();
        it.timer.zip(leader).and_then(|(key, leader)| {
            let was = it.stop();
            it.start(key.expires_us, leader);
            was
        })
    };
    drop(was);
}

/// The last thread of a process has gone.
pub fn exit_itimers(task: &TaskStruct) {
    let was = task.signal.real_timer.lock().stop();
    drop(was);
    exit_posix_timers(&task.signal);
}

/// The running task has taken SIGALRM from what waits for its process: the timer goes on if it has an
/// interval. Intervals that went by meanwhile are left out.
pub fn restart_itimer(me: Current) {
    let leader = find_task_by_pid(me.tgid);
    let mut it = me.signal.real_timer.lock();
    if it.timer.is_some() {
        return;
    }
    let next = forward(it.ended_us as i64, since_boot_us() as i64, it.incr_us);
    if let Some(((next_us, _), leader)) = next.zip(leader) {
        it.start(next_us.max(0) as u64, leader);
    }
}

fn it_real_fn(leader: &TaskRef, ended: TimerKey) {
    {
        let mut it = leader.signal.real_timer.lock();
        if it.timer != Some(ended) {
            return; // set anew while we were on the way
        }
        (it.timer, it.ended_us) = (None, ended.expires_us);
    }
    let info = SigInfo::kernel(SIGALRM);
    // Only real-time signals are refused.
    let _queued = send_to_process(info, leader);
}

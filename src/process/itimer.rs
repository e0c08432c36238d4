//! The interval timer of a process: SIGALRM after a time, once or again and again.
//!
//! Set by `alarm` and `setitimer`, ends in the timer interrupt. It survives exec; a forked process
//! has none.
//!
//! Book: ch. 6, "The setitimer() and alarm() System Calls". Linux: 2.6.38 `kernel/itimer.c`,
//! `it_real_fn`.

use super::posix_timer::exit_posix_timers;
use super::siginfo::SigInfo;
use super::signal::send_to_process;
use super::sigset::SIGALRM;
use super::tasklist::find_task_by_pid;
use crate::arch::x86::current::Current;
use crate::drivers::tsc::since_boot_us;
use crate::sched::timer::{TimerKey, add_timer, del_timer};
use crate::task::task_struct::{TaskRef, TaskStruct};

/// ITIMER_REAL of a process.
#[derive(Debug, Default)]
pub struct ItReal {
    timer: Option<TimerKey>,
    /// From one signal to the next in microseconds; 0: there is only one.
    incr_us: u64,
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
        let was = it.timer.take().map(del_timer);
        it.incr_us = new.interval_us;
        if new.value_us != 0
            && let Some(leader) = leader
        {
            let expires_us = since_boot_us().saturating_add(new.value_us);
            it.timer = Some(add_timer(expires_us, leader, it_real_fn));
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
            it.timer = Some(add_timer(key.expires_us, leader, it_real_fn));
            del_timer(key)
        })
    };
    drop(was);
}

/// The last thread of a process has gone.
pub fn exit_itimers(task: &TaskStruct) {
    let timer = task.signal.real_timer.lock().timer.take();
    drop(timer.map(del_timer));
    exit_posix_timers(&task.signal);
}

/// When a timer that has ended does so again, if it has an interval. What was missed is not made up
/// for.
pub fn next_expiry_us(ended: TimerKey, incr_us: u64) -> Option<u64> {
    let late_us = since_boot_us().saturating_sub(ended.expires_us);
    let intervals = late_us.checked_div(incr_us)?.saturating_add(1);
    Some(
        ended
            .expires_us
            .saturating_add(intervals.saturating_mul(incr_us)),
    )
}

fn it_real_fn(leader: &TaskRef, ended: TimerKey) {
    {
        let mut it = leader.signal.real_timer.lock();
        if it.timer != Some(ended) {
            return; // set anew while we were on the way
        }
        let next_us = next_expiry_us(ended, it.incr_us);
        it.timer = next_us.map(|at| add_timer(at, leader.clone(), it_real_fn));
    }
    let info = SigInfo::kernel(SIGALRM);
    // Only real-time signals are refused.
    let _queued = send_to_process(info, leader);
}

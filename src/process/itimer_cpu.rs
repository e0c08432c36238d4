//! ITIMER_VIRTUAL and ITIMER_PROF: SIGVTALRM or SIGPROF after so much CPU time of the process.
//!
//! ITIMER_VIRTUAL counts the time in ring 3, ITIMER_PROF all time. They go on whether or not the
//! signal is taken: at most one signal a tick, which the process pays with that tick.
//!
//! They are set by `setitimer`, and expire in the timer interrupt. They survive exec; a forked
//! process starts without them.
//!
//! Linux: 2.6.38 `kernel/itimer.c` (`set_cpu_itimer`), `kernel/posix-cpu-timers.c`
//! (`check_cpu_itimer`).

use super::itimer::ItimerVal;
use super::signal::{SignalStruct, send_to_process};
use super::sigset::{SIGPROF, SIGVTALRM};
use super::tasklist::find_task_by_pid;
use crate::arch::x86::current::Current;
use crate::base::hrtimer::hrtimer_forward;
use crate::sched::cpu_timer::CpuTime;
use crate::sched::timer::{TICK_US, TimerKey, TimerList};
use crate::task::siginfo::SigInfo;
use crate::task::task_struct::TaskRef;

const BOTH: [CpuTime; 2] = [CpuTime::User, CpuTime::All];

/// One of the two timers. It lies behind a lock and never moves out of it.
#[derive(Default)]
pub struct ItCpu {
    place: TimerList,
    /// The pending expiry.
    timer: Option<TimerKey>,
    /// Microseconds from one signal to the next; 0 means a single signal.
    incr_us: u64,
}

impl ItCpu {
    /// Starts the timer of the process of `leader`, which must be stopped.
    fn start(&mut self, time: CpuTime, expires_us: u64, leader: TaskRef) {
        let signal = leader.signal.clone();
        let timers = &signal.timers.cpu;
        // SAFETY: the timer is stopped and lies in the `SignalStruct` that `leader` keeps, behind
        // the lock that the caller holds.
        let key = unsafe {
            timers.add(
                time,
                &self.place,
                expires_us,
                leader,
                time as u32,
                it_cpu_fn,
            )
        };
        self.timer = Some(key);
    }

    /// Stops the timer, which is of the process of `signal`. The caller drops the result after
    /// releasing all locks: it may be the last reference.
    fn stop(&mut self, signal: &SignalStruct) -> Option<TaskRef> {
        let key = self.timer.take()?;
        // SAFETY: the key is from the last `start`, which was to this process's timers; the caller
        // holds the lock.
        unsafe { signal.timers.cpu.del(&self.place, key) }
    }

    fn value(&self, now_us: u64) -> ItimerVal {
        // A timer that has expired but whose signal has not been sent yet still counts as running.
        let left = |key: TimerKey| key.expires_us.saturating_sub(now_us).max(TICK_US);
        ItimerVal {
            interval_us: self.incr_us,
            value_us: self.timer.map_or(0, left),
        }
    }
}

fn now_us(signal: &SignalStruct, time: CpuTime) -> u64 {
    signal.timers.ticks.times_us()[time as usize]
}

/// Returns the remaining time and interval of a timer of the running task's process.
pub fn get_cpu_itimer(me: Current, time: CpuTime) -> ItimerVal {
    let it = me.signal.timers.virtual_and_prof[time as usize].lock();
    it.value(now_us(&me.signal, time))
}

/// Sets a timer of the running task's process and returns its former value. The tick that has begun
/// does not count, so a timer never comes early.
pub fn set_cpu_itimer(me: Current, time: CpuTime, new: ItimerVal) -> ItimerVal {
    let leader = find_task_by_pid(me.tgid);
    let (old, was) = {
        let mut it = me.signal.timers.virtual_and_prof[time as usize].lock();
        let now_us = now_us(&me.signal, time);
        let old = it.value(now_us);
        let was = it.stop(&me.signal);
        it.incr_us = match new.value_us {
            0 => 0,
            _ => new.interval_us,
        };
        if new.value_us != 0
            && let Some(leader) = leader
        {
            let after_us = new.value_us.saturating_add(TICK_US);
            it.start(time, now_us.saturating_add(after_us), leader);
        }
        (old, was)
    };
    drop(was);
    old
}

/// Moves both timers to the running task, which has become the leader of its process.
pub fn move_cpu_itimers(me: Current) {
    for time in BOTH {
        let leader = find_task_by_pid(me.tgid);
        let was = {
            let mut it = me.signal.timers.virtual_and_prof[time as usize].lock();
            it.timer.zip(leader).and_then(|(key, leader)| {
                let was = it.stop(&me.signal);
                it.start(time, key.expires_us, leader);
                was
            })
        };
        drop(was);
    }
}

/// Stops both timers of a process whose last thread has gone.
pub fn exit_cpu_itimers(signal: &SignalStruct) {
    for time in BOTH {
        let was = signal.timers.virtual_and_prof[time as usize]
            .lock()
            .stop(signal);
        drop(was);
    }
}

fn it_cpu_fn(leader: &TaskRef, ended: TimerKey) {
    let (time, signal) = match ended.data {
        0 => (CpuTime::User, SIGVTALRM),
        _ => (CpuTime::All, SIGPROF),
    };
    {
        let mut it = leader.signal.timers.virtual_and_prof[time as usize].lock();
        if it.timer != Some(ended) {
            return; // set anew before this interrupt took the lock
        }
        it.timer = None;
        let now_us = now_us(&leader.signal, time) as i64;
        if let Some((next_us, _)) = hrtimer_forward(ended.expires_us as i64, now_us, it.incr_us) {
            it.start(time, next_us.max(0) as u64, leader.clone());
        }
    }
    // Only real-time signals are refused.
    let _queued = send_to_process(SigInfo::kernel(signal), leader);
}

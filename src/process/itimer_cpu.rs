//! ITIMER_VIRTUAL, ITIMER_PROF and RLIMIT_CPU: a signal after so much CPU time of the process.
//!
//! ITIMER_VIRTUAL counts the time in ring 3, the other two all time. The interval timers go on whether
//! or not SIGVTALRM or SIGPROF is taken: at most one signal a tick, which the process pays with that
//! tick. Beyond its limit a process gets SIGXCPU each second, and at the limit's `max` SIGKILL.
//!
//! They are set by `setitimer` and `setrlimit`, and expire in the timer interrupt. They survive exec; a
//! forked process has the limit, and no interval timer.
//!
//! Linux: 2.6.38 `kernel/itimer.c` (`set_cpu_itimer`), `kernel/posix-cpu-timers.c`
//! (`check_cpu_itimer`, `check_process_timers`, `update_rlimit_cpu`).

use super::itimer::ItimerVal;
use super::signal::{SignalStruct, send_to_process};
use super::sigset::{SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU};
use super::tasklist::{TASKLIST, TaskList, find_task_by_pid};
use crate::arch::x86::current::Current;
use crate::base::hrtimer::hrtimer_forward;
use crate::sched::cpu_timer::CpuTime;
use crate::sched::timer::{TICK_US, TimerKey, TimerList};
use crate::task::rlimit::{RLIM_INFINITY, RLIMIT_CPU, Rlimit};
use crate::task::siginfo::SigInfo;
use crate::task::task_struct::TaskRef;

const US_PER_S: u64 = 1_000_000;

/// Which of the timers of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Which {
    /// ITIMER_VIRTUAL.
    Virtual,
    /// ITIMER_PROF.
    Prof,
    /// RLIMIT_CPU.
    Limit,
}

/// All of them.
const ALL: [Which; 3] = [Which::Virtual, Which::Prof, Which::Limit];

impl Which {
    fn time(self) -> CpuTime {
        match self {
            Which::Virtual => CpuTime::User,
            Which::Prof | Which::Limit => CpuTime::All,
        }
    }
}

/// One of the timers. It lies behind a lock and never moves out of it.
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
    fn start(&mut self, which: Which, expires_us: u64, leader: TaskRef) {
        let signal = leader.signal.clone();
        let timers = &signal.timers.cpu;
        // SAFETY: the timer is stopped and lies in the `SignalStruct` that `leader` keeps, behind
        // the lock that the caller holds.
        let key = unsafe {
            timers.add(
                which.time(),
                &self.place,
                expires_us,
                leader,
                which as u32,
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

fn now_us(signal: &SignalStruct, which: Which) -> u64 {
    signal.timers.ticks.times_us()[which.time() as usize]
}

/// Returns the remaining time and interval of a timer of the running task's process.
pub fn get_cpu_itimer(me: Current, which: Which) -> ItimerVal {
    let it = me.signal.timers.by_cpu_time[which as usize].lock();
    it.value(now_us(&me.signal, which))
}

/// Sets a timer of the running task's process and returns its former value. The tick that has begun
/// does not count, so a timer never comes early.
pub fn set_cpu_itimer(me: Current, which: Which, new: ItimerVal) -> ItimerVal {
    let leader = find_task_by_pid(me.tgid);
    let (old, was) = {
        let mut it = me.signal.timers.by_cpu_time[which as usize].lock();
        let now_us = now_us(&me.signal, which);
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
            it.start(which, now_us.saturating_add(after_us), leader);
        }
        (old, was)
    };
    drop(was);
    old
}

/// Arms the timer of the CPU limit of the process of `leader`, as the limit is now.
///
/// Linux: 2.6.38 `update_rlimit_cpu`.
pub fn update_rlimit_cpu(leader: &TaskRef) {
    let signal = &leader.signal;
    let timer = &signal.timers.by_cpu_time[Which::Limit as usize];
    let was = {
        let mut it = timer.lock();
        let was = it.stop(signal);
        let seconds = signal.rlim.cur(RLIMIT_CPU);
        if seconds != RLIM_INFINITY {
            let expires_us = u64::from(seconds).saturating_mul(US_PER_S);
            it.start(Which::Limit, expires_us, leader.clone());
        }
        was
    };
    drop(was);
    // A process that ended before this look no longer stops its timers.
    let lives = |list: &TaskList| {
        list.pids
            .get(leader.tgid)
            .is_some_and(|it| it.live_threads > 0)
    };
    if !lives(&TASKLIST.lock()) {
        let was = timer.lock().stop(signal);
        drop(was);
    }
}

/// Moves the timers to the running task, which has become the leader of its process.
pub fn move_cpu_itimers(me: Current) {
    for which in ALL {
        let leader = find_task_by_pid(me.tgid);
        let was = {
            let mut it = me.signal.timers.by_cpu_time[which as usize].lock();
            it.timer.zip(leader).and_then(|(key, leader)| {
                let was = it.stop(&me.signal);
                it.start(which, key.expires_us, leader);
                was
            })
        };
        drop(was);
    }
}

/// Stops the timers of a process whose last thread has gone.
pub fn exit_cpu_itimers(signal: &SignalStruct) {
    if signal.timers.cpu.armed() == 0 {
        return;
    }
    for which in ALL {
        let was = signal.timers.by_cpu_time[which as usize]
            .lock()
            .stop(signal);
        drop(was);
    }
}

fn it_cpu_fn(leader: &TaskRef, ended: TimerKey) {
    let (which, mut signal) = match ended.data {
        0 => (Which::Virtual, SIGVTALRM),
        1 => (Which::Prof, SIGPROF),
        _ => (Which::Limit, SIGXCPU),
    };
    {
        let mut it = leader.signal.timers.by_cpu_time[which as usize].lock();
        if it.timer != Some(ended) {
            return; // set anew before this interrupt took the lock
        }
        it.timer = None;
        let now_us = now_us(&leader.signal, which);
        let next_us = match which {
            Which::Limit => {
                let (is_over, next_us) = next_limit(&leader.signal, now_us);
                signal = if is_over { SIGKILL } else { SIGXCPU };
                next_us
            }
            _ => hrtimer_forward(ended.expires_us as i64, now_us as i64, it.incr_us)
                .map(|(next_us, _)| next_us.max(0) as u64),
        };
        if let Some(next_us) = next_us {
            it.start(which, next_us, leader.clone());
        }
    }
    // Only real-time signals are refused.
    let _queued = send_to_process(SigInfo::kernel(signal), leader);
}

/// Returns whether a process that has reached its CPU limit is at its `max`, and when it is told
/// again. Its limit rises by a second, as on Linux.
fn next_limit(signal: &SignalStruct, now_us: u64) -> (bool, Option<u64>) {
    let limit = signal.rlim.get(RLIMIT_CPU);
    let max_us = u64::from(limit.max).saturating_mul(US_PER_S);
    if limit.max != RLIM_INFINITY && now_us >= max_us {
        return (true, None);
    }
    let cur = limit.cur.saturating_add(1).min(limit.max);
    signal.rlim.set(RLIMIT_CPU, Rlimit { cur, ..limit });
    let next_us = u64::from(cur).saturating_mul(US_PER_S);
    (false, (cur != RLIM_INFINITY).then_some(next_us))
}

//! Timers by CPU time: they end when a process, or a thread, has run for so long.
//!
//! ```text
//!   process  ticks in ring 3, ticks in all ── a queue for each ┐ the tick that counts for a task
//!   thread   ticks in ring 3, ticks in all ── a queue for each ┘ ends what is due in its four queues
//! ```
//! A tick that finds no timer in them looks no further. The switch has no part in this.
//!
//! Linux: 2.6.38 `kernel/posix-cpu-timers.c` (`run_posix_cpu_timers`, `fastpath_timer_check`; its
//! per-process sums exist only while a timer runs, these always).

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::timer::{Function, TICK_US, TimerBase, TimerKey, TimerList};
use crate::arch::x86::current::current;
use crate::drivers::tsc::since_boot_us;
use crate::task::task_struct::{TaskRef, TaskStruct};

/// The time that a clock of CPU time counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum CpuTime {
    /// The time in ring 3 (Linux: `CPUCLOCK_VIRT`).
    User = 0,
    /// All time on a CPU (Linux: `CPUCLOCK_PROF`; here `CPUCLOCK_SCHED` counts in ticks too).
    All = 1,
}

/// The ticks of all threads of a process, also of those that have ended.
#[derive(Default)]
pub struct CpuTicks {
    user: AtomicU64,
    system: AtomicU64,
}

impl CpuTicks {
    /// Counts a tick that came in ring 3, or in the kernel.
    pub fn count(&self, in_user: bool) {
        let ticks = if in_user { &self.user } else { &self.system };
        ticks.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the time of each [`CpuTime`], in microseconds.
    pub fn times_us(&self) -> [u64; 2] {
        let [user, system] = [&self.user, &self.system].map(|ticks| ticks.load(Ordering::Relaxed));
        [user, user.saturating_add(system)].map(|ticks| ticks.saturating_mul(TICK_US))
    }
}

/// Returns a thread's time of each [`CpuTime`], in microseconds.
pub fn thread_times_us(task: &TaskStruct) -> [u64; 2] {
    let user = u64::from(task.utime.get());
    let all = user.saturating_add(task.stime.get().into());
    [user, all].map(|ticks| ticks.saturating_mul(TICK_US))
}

/// The timers of a process or of a thread, by the [`CpuTime`] that ends them.
#[derive(Default)]
pub struct CpuTimers {
    /// Number of timers in both queues, or a little more.
    armed: AtomicU32,
    queues: [TimerBase; 2],
}

impl CpuTimers {
    /// Makes the tick call `function` for `task` when `time` has reached `expires_us`. `data` is
    /// for the function.
    ///
    /// # Safety
    /// 1. `timer` does not run, and nobody else sets it meanwhile. 2. It stays where it is until it
    ///    has ended or is taken back.
    pub unsafe fn add(
        &self,
        time: CpuTime,
        timer: &TimerList,
        expires_us: u64,
        task: TaskRef,
        data: u32,
        function: Function,
    ) -> TimerKey {
        self.armed.fetch_add(1, Ordering::Relaxed);
        let queue = &self.queues[time as usize];
        // SAFETY: the caller's.
        unsafe { queue.add(time as u32, timer, expires_us, task, data, function) }
    }

    /// Deletes a timer that was set as `key`; returns its task, or `None` if the timer has ended.
    /// Its function may still be running then.
    ///
    /// # Safety
    /// 1. `key` is what the last [`add`](Self::add) for `timer` returned, that was to these timers,
    ///    and nobody sets the timer meanwhile.
    pub unsafe fn del(&self, timer: &TimerList, key: TimerKey) -> Option<TaskRef> {
        // SAFETY: by 1.
        let task = unsafe { self.queues[key.queue as usize].del(timer) };
        if task.is_some() {
            self.armed.fetch_sub(1, Ordering::Relaxed);
        }
        task
    }

    /// Ends the timers that are due at these times, as many as fit into the share of a tick that
    /// began at `begin_us`.
    pub fn run(&self, times_us: [u64; 2], begin_us: u64) {
        for (queue, now_us) in self.queues.iter().zip(times_us) {
            self.armed
                .fetch_sub(queue.run(now_us, begin_us), Ordering::Relaxed);
        }
    }

    /// Returns the number of timers in both queues, or a little more.
    pub fn armed(&self) -> u32 {
        self.armed.load(Ordering::Relaxed)
    }
}

/// Ends the timers that the running task's last tick has made due. From the timer interrupt.
pub fn run_posix_cpu_timers() {
    let me = current();
    let of_process = &me.signal.timers;
    if of_process.cpu.armed() | me.cpu_timers.armed() == 0 {
        return;
    }
    let begin_us = since_boot_us();
    of_process.cpu.run(of_process.ticks.times_us(), begin_us);
    me.cpu_timers.run(thread_times_us(&me), begin_us);
}

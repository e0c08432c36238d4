//! The clocks of CPU time: of a process, or of a thread.
//!
//! Each counts in ticks. The tick adds to a thread's time and to that of its process, so a process
//! of many threads has one sum, which needs no walk.
//!
//! Linux: 2.6.38 `include/linux/posix-timers.h` (`CPUCLOCK_*`), `kernel/posix-cpu-timers.c`
//! (`check_clock`, `posix_cpu_clock_get`).

use core::sync::atomic::Ordering;

use super::tasklist::find_task_by_pid;
use crate::arch::x86::current::current;
use crate::base::errno::Errno;
use crate::sched::cpu_timer::{CpuTime, CpuTimers, thread_times_us};
use crate::task::state::EXIT_DEAD;
use crate::task::task_struct::TaskRef;

const CLOCK_PROCESS_CPUTIME_ID: u32 = 2;
const CLOCK_THREAD_CPUTIME_ID: u32 = 3;
/// Bit of a negative clock number: the clock is a thread's.
const CPUCLOCK_PERTHREAD: u32 = 4;

/// A clock of CPU time.
#[derive(Clone)]
pub struct CpuClock {
    /// The thread, or the leader of the process.
    task: TaskRef,
    of_thread: bool,
    time: CpuTime,
}

impl CpuClock {
    /// Returns whether `clock` is the number of a clock of CPU time, though there may be no such
    /// process.
    pub fn is_one(clock: u32) -> bool {
        (clock as i32) < 0 || matches!(clock, CLOCK_PROCESS_CPUTIME_ID | CLOCK_THREAD_CPUTIME_ID)
    }

    /// Returns the clock with the number `clock`.
    ///
    /// A negative number is the clock of a process or thread: its own number, inverted, from bit 3
    /// on, or 0 for the caller; bit 2 for a thread, which must be of the caller's process; bits 0
    /// and 1 select the time that is counted: 0 all its time on a CPU, 1 that in ring 3, 2 all of
    /// it.
    ///
    /// # Errors
    /// EINVAL for other numbers, and when there is no such process or thread.
    pub fn find(clock: u32) -> Result<Self, Errno> {
        let me = current();
        let (pid, of_thread, time) = match clock {
            CLOCK_PROCESS_CPUTIME_ID => (0, false, CpuTime::All),
            CLOCK_THREAD_CPUTIME_ID => (0, true, CpuTime::All),
            _ if clock as i32 >= 0 => return Err(Errno::EINVAL),
            _ => {
                let time = match clock & 3 {
                    1 => CpuTime::User,
                    3 => return Err(Errno::EINVAL),
                    _ => CpuTime::All,
                };
                (!(clock as i32 >> 3), clock & CPUCLOCK_PERTHREAD != 0, time)
            }
        };
        let task = match (pid, of_thread) {
            (0, true) => me.get_task_struct(),
            (0, false) => find_task_by_pid(me.tgid).ok_or(Errno::EINVAL)?,
            _ => find_task_by_pid(pid).ok_or(Errno::EINVAL)?,
        };
        let is_foreign = match of_thread {
            true => task.tgid != me.tgid,
            false => task.pid() != task.tgid,
        };
        match is_foreign {
            true => Err(Errno::EINVAL),
            false => Ok(Self {
                task,
                of_thread,
                time,
            }),
        }
    }

    /// Returns the time that the clock shows, in microseconds.
    pub fn now_us(&self) -> u64 {
        self.times_us()[self.time as usize]
    }

    /// Returns whether the process or thread is no more: its clock stands still.
    pub fn has_ended(&self) -> bool {
        self.task.exit_state.load(Ordering::Relaxed) == EXIT_DEAD
    }

    /// Returns the time that the clock counts.
    pub fn time(&self) -> CpuTime {
        self.time
    }

    /// Returns the timers that the clock ends.
    pub fn timers(&self) -> &CpuTimers {
        match self.of_thread {
            true => &self.task.cpu_timers,
            false => &self.task.signal.timers.cpu,
        }
    }

    /// Ends all timers that are due by now, whether or not the clock goes on. For process context.
    pub fn run_timers(&self) {
        // A share that never begins is never used up.
        self.timers().run(self.times_us(), u64::MAX);
    }

    fn times_us(&self) -> [u64; 2] {
        match self.of_thread {
            true => thread_times_us(&self.task),
            false => self.task.signal.timers.ticks.times_us(),
        }
    }
}

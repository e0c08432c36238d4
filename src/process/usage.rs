//! Resource usage of processes: time, faults, switches.
//!
//! A thread that ends leaves its figures to its process, and a process that is waited for leaves
//! its figures to its parent.
//!
//! Book: ch. 6, "Updating Local CPU Statistics".
//! Linux: 2.6.38 `k_getrusage`, `thread_group_times`, `__exit_signal`.

use core::ops::ControlFlow;

use super::pid::PidType;
use super::tasklist::{BATCH, TASKLIST, do_each_task_pid};
use crate::process::proc::format::USER_HZ;
use crate::sched::timer::ticks_in;
use crate::task::task_struct::TaskStruct;

/// The usage of a thread, or a sum over several.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Ticks that came in ring 3.
    pub utime: u32,
    /// Ticks that came in the kernel.
    pub stime: u32,
    /// Page faults that provided a page, or a right to one.
    pub min_flt: u32,
    /// Voluntary switches.
    pub nvcsw: u32,
    /// Preemptions.
    pub nivcsw: u32,
}

impl Usage {
    /// Returns the sum; each figure wraps to 0, as an `unsigned long` of Linux/i386.
    pub fn plus(self, other: Self) -> Self {
        Self {
            utime: self.utime.wrapping_add(other.utime),
            stime: self.stime.wrapping_add(other.stime),
            min_flt: self.min_flt.wrapping_add(other.min_flt),
            nvcsw: self.nvcsw.wrapping_add(other.nvcsw),
            nivcsw: self.nivcsw.wrapping_add(other.nivcsw),
        }
    }
}

/// The usage of others that a process keeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct UsageOfOthers {
    /// Usage of its threads that have ended.
    pub threads: Usage,
    /// Usage of the children that it has waited for, and of their children.
    pub children: Usage,
}

impl Usage {
    /// Returns the usage of one thread.
    pub fn of(task: &TaskStruct) -> Self {
        Self {
            utime: task.utime.get(),
            stime: task.stime.get(),
            min_flt: task.min_flt.get(),
            nvcsw: task.nvcsw.get(),
            nivcsw: task.nivcsw.get(),
        }
    }

    /// Returns user and system time in clock ticks of 10 ms, the unit that programs see.
    pub fn clock_ticks(self) -> [u32; 2] {
        [self.utime, self.stime].map(|ticks| ticks_in(USER_HZ, ticks.into()) as u32)
    }

    /// Returns the usage of the process of `task`, including its ended threads. For process
    /// context, with no lock held.
    ///
    /// If the process has many threads, they are added up some at a time. If threads end meanwhile,
    /// which might be counted twice, the sum is taken again, up to three times in all.
    pub fn of_process(task: &TaskStruct) -> Self {
        const TRIES: u32 = 3;
        if let Some(sum) = Self::of_few_threads(task) {
            return sum;
        }
        let ended = || task.signal.usage.lock().threads;
        let mut before = ended();
        for _ in 1..TRIES {
            let sum = Self::of_live_threads(task);
            let after = ended();
            if before == after {
                return sum.plus(after);
            }
            before = after;
        }
        Self::of_live_threads(task).plus(before)
    }

    /// Returns the usage of the process at one moment; `None` if it has too many threads for that.
    fn of_few_threads(task: &TaskStruct) -> Option<Self> {
        let list = TASKLIST.lock();
        let ended = task.signal.usage.lock().threads;
        let mut threads = list.each(PidType::Tgid, task.tgid);
        let few = threads.by_ref().take(BATCH);
        let sum = few.fold(ended, |sum, thread| sum.plus(Self::of(thread)));
        threads.next().is_none().then_some(sum)
    }

    fn of_live_threads(task: &TaskStruct) -> Self {
        let mut sum = Self::default();
        let _all = do_each_task_pid(PidType::Tgid, task.tgid, |_, thread| {
            sum = sum.plus(Self::of(thread));
            ControlFlow::<()>::Continue(())
        });
        sum
    }
}

#![forbid(unsafe_code)]
//! `sched_info`: the time that a task ran, and the time that it waited to run.
//!
//! Times are counts of the time-stamp counter; they are converted only when they are read. Counts
//! and sums wrap to 0. The run-queue lock of the task's CPU guards them.
//!
//! Linux: 5.4 `struct sched_info`, `sched_info_queued`, `sched_info_arrive`, `sched_info_depart`.

/// The accounts of one task.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SchedInfo {
    /// Number of times that the task came onto a CPU.
    pub pcount: u32,
    /// Time that the task was runnable and did not run.
    pub run_delay: u64,
    /// Time that the task ran, up to its last departure.
    pub cpu_time: u64,
    /// Time when the task last came onto a CPU.
    pub last_arrival: u64,
    /// Time when the task became runnable; 0 while it is not runnable, or runs.
    pub last_queued: u64,
}

impl SchedInfo {
    /// Notes that the task becomes runnable.
    pub fn queued(&mut self, now: u64) {
        if self.last_queued == 0 {
            self.last_queued = now;
        }
    }

    /// Notes that the task comes onto a CPU.
    pub fn arrive(&mut self, now: u64) {
        if self.last_queued != 0 {
            let waited = now.saturating_sub(self.last_queued);
            self.run_delay = self.run_delay.wrapping_add(waited);
            self.last_queued = 0;
        }
        self.last_arrival = now;
        self.pcount = self.pcount.wrapping_add(1);
    }

    /// Notes that the task leaves the CPU, runnable or not.
    pub fn depart(&mut self, now: u64, is_runnable: bool) {
        if self.last_arrival != 0 {
            let ran = now.saturating_sub(self.last_arrival);
            self.cpu_time = self.cpu_time.wrapping_add(ran);
        }
        if is_runnable {
            self.queued(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_and_wait_add_up_to_the_time_between() {
        let mut info = SchedInfo::default();
        info.queued(100);
        info.arrive(130);
        info.depart(180, true); // preempted
        info.queued(190); // who wakes it late changes nothing
        info.arrive(200);
        info.depart(260, false); // sleeps
        assert_eq!(
            (info.pcount, info.cpu_time, info.run_delay),
            (2, 50 + 60, 30 + 20)
        );
        info.queued(1000);
        info.arrive(1001);
        assert_eq!(info.run_delay, 51);
    }

    #[test]
    fn what_is_full_goes_on_at_0() {
        let mut info = SchedInfo {
            pcount: u32::MAX,
            run_delay: u64::MAX,
            cpu_time: u64::MAX,
            ..SchedInfo::default()
        };
        info.queued(1);
        info.arrive(4);
        info.depart(9, false);
        assert_eq!((info.pcount, info.run_delay, info.cpu_time), (0, 2, 4));
    }
}

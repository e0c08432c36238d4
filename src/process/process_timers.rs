//! The timers of a process, of all kinds, and the CPU time that some of them go by.
//!
//! Linux: 2.6.38 `struct signal_struct` (`real_timer`, `it`, `posix_timers`, `cpu_timers`,
//! `cputimer`).

use super::itimer::ItReal;
use super::itimer_cpu::ItCpu;
use super::posix_timer::PosixTimers;
use crate::sched::cpu_timer::{CpuTicks, CpuTimers};
use crate::sync::{IrqSpinLock, LockClass};

/// The timers of a process, which its threads share.
pub struct ProcessTimers {
    /// ITIMER_REAL.
    pub real: IrqSpinLock<ItReal>,
    /// ITIMER_VIRTUAL, ITIMER_PROF and RLIMIT_CPU, by their [`Which`](super::itimer_cpu::Which).
    pub by_cpu_time: [IrqSpinLock<ItCpu>; 3],
    /// The POSIX timers that the process has made.
    pub posix: IrqSpinLock<PosixTimers>,
    /// The running timers of any process that go by the CPU time of this one.
    pub cpu: CpuTimers,
    /// The CPU time of the process.
    pub ticks: CpuTicks,
}

impl ProcessTimers {
    /// Returns the state of a process that has no timers and has not run yet.
    pub fn new() -> Self {
        let it_cpu = || IrqSpinLock::new(LockClass::Itimers, ItCpu::default());
        Self {
            real: IrqSpinLock::new(LockClass::Itimers, ItReal::default()),
            by_cpu_time: [it_cpu(), it_cpu(), it_cpu()],
            posix: IrqSpinLock::new(LockClass::PosixTimers, PosixTimers::new()),
            cpu: CpuTimers::default(),
            ticks: CpuTicks::default(),
        }
    }
}

impl Default for ProcessTimers {
    fn default() -> Self {
        Self::new()
    }
}

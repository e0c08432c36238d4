//! The scheduler: the choice of the next task, and the switch to it.
//!
//! In reading order:
//! - [`schedule`]: picks a task and calls [`context_switch`]
//! - [`context_switch`]: address space, then `switch_to`
//! - [`prepare_task_switch`], [`finish_task_switch`]: the work before and after a switch, always in
//!   pairs
//! - [`hooks`]: other parts of the kernel that follow switches
//! - [`rq`], [`rq_locked`]: a CPU's run queue; [`prio_array`]: its lists (pure)
//! - [`on_cpu`]: tasks that have not fully left a CPU (pure)
//! - [`wake_up`]: `try_to_wake_up`, and new tasks; [`ttwu`]: the steps of a wake-up (pure)
//! - [`balance`]: the choice of a CPU; [`migration`]: `sched_setaffinity`
//! - [`wait_queue`]: sleeping until a condition holds; [`mutex`]: a mutex with sleepers; [`timer`]: sleeping until a time
//! - [`tick`]: time slices; [`sched_fork`]: their inheritance; [`loadavg`]: the load averages;
//!   [`policy`]: `sched_setscheduler`, `sched_yield`
//! - [`status_line`]: the last row of the screen
//! - [`trace_thread`]: the thread that sends the trace out of the machine
//! - [`idle`]: the task that runs when no other task can
//! - [`smp_init`]: the other CPUs, from their start to the idle loop

#[cfg(target_os = "none")]
pub mod balance;
#[cfg(target_os = "none")]
pub mod context_switch;
#[cfg(target_os = "none")]
pub mod cpu_timer;
#[cfg(target_os = "none")]
pub mod finish_task_switch;
#[cfg(target_os = "none")]
pub mod hooks;
#[cfg(target_os = "none")]
pub mod idle;
#[cfg(target_os = "none")]
pub mod loadavg;
#[cfg(target_os = "none")]
pub mod migration;
#[cfg(target_os = "none")]
pub mod mutex;
pub mod on_cpu;
#[cfg(target_os = "none")]
pub mod policy;
#[cfg(target_os = "none")]
pub mod prepare_task_switch;
pub mod prio_array;
#[cfg(target_os = "none")]
pub mod rq;
#[cfg(target_os = "none")]
pub mod rq_locked;
#[cfg(target_os = "none")]
pub mod sched_fork;
#[cfg(target_os = "none")]
pub mod schedule;
#[cfg(target_os = "none")]
pub mod smp_init;
#[cfg(target_os = "none")]
pub mod status_line;
#[cfg(target_os = "none")]
pub mod tick;
#[cfg(target_os = "none")]
pub mod timer;
#[cfg(target_os = "none")]
pub mod trace_thread;
pub mod ttwu;
#[cfg(target_os = "none")]
pub mod wait_queue;
#[cfg(target_os = "none")]
pub mod wake_up;

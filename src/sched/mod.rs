//! Who runs next, and the change-over.
//!
//! In reading order:
//! - [`schedule`]: picks, and calls [`context_switch`]
//! - [`context_switch`]: address space, then `switch_to`
//! - [`prepare_task_switch`], [`finish_task_switch`]: before and after it, always in pairs
//! - [`hooks`]: who else wants to know of a switch
//! - [`rq`], [`rq_locked`]: a CPU's run queue; [`prio_array`]: its lists (pure)
//! - [`on_cpu`]: who is still on his way off a CPU (pure)
//! - [`wake_up`]: `try_to_wake_up`, and new tasks; [`ttwu`]: the order of a wake-up (pure)
//! - [`balance`]: which CPU; [`migration`]: `sched_setaffinity`
//! - [`wait_queue`]: sleeping until something holds; [`timer`]: until a time comes
//! - [`tick`]: time slices, [`sched_fork`]: how they are inherited; [`loadavg`]: how much there is to do; [`policy`]: `sched_setscheduler`, `sched_yield`
//! - [`trace_thread`]: takes the records of switches out of the machine
//! - [`idle`]: the task that runs when no other can
//! - [`smp_init`]: the other CPUs, from their first line to the idle loop

#[cfg(target_os = "none")]
pub mod balance;
#[cfg(target_os = "none")]
pub mod context_switch;
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

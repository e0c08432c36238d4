//! Tasks: the process descriptor and its parts.
//!
//! In reading order:
//! - [`task_struct`]: the process descriptor
//! - [`thread_struct`]: the hardware context while off the CPU
//! - [`fpu_state`]: its x87 and SSE registers while they are in memory
//! - [`last`]: the switch's three parameters as types
//! - [`comm`]: the task's name
//! - [`cred`]: credentials, and the rights that they give
//! - [`sched_entity`]: the scheduler's part of a task
//! - [`sched_info`], [`preempt_notifier`]: statistics of its switches, and callbacks
//! - [`perf_attr`], [`perf_event_context`]: events counted on request
//! - [`rseq`]: restartable sequences: the data that a thread shares with the kernel
//! - [`kcov`]: the recording of its coverage
//! - [`rlimit`]: how much of each resource a process may use
//! - [`siginfo`]: the facts about a signal; `traced`: its side of ptrace
//! - [`clone_flags`]: the flags of clone
//! - [`state`]: states and flags; [`hooks`]: flags of the parts that follow its switches
//! - [`user_desc`]: the TLS request: validity, encoding
//! - [`io_bitmap`]: the ports that a task may use, and the part that a switch copies

pub mod clone_flags;
pub mod comm;
pub mod cred;
pub mod fpu_state;
pub mod hooks;
pub mod io_bitmap;
pub mod kcov;
pub mod last;
pub mod perf_attr;
pub mod perf_event_context;
pub mod preempt_notifier;
pub mod rlimit;
pub mod rseq;
pub mod sched_entity;
pub mod sched_info;
pub mod siginfo;
pub mod state;
#[cfg(target_os = "none")]
pub mod task_struct;
pub mod thread_struct;
#[cfg(target_os = "none")]
pub mod traced;
pub mod user_desc;

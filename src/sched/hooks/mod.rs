//! Other parts of the kernel that follow switches, called by `prepare_task_switch` and
//! `finish_task_switch`.
//!
//! Few tasks have any hook, so a task has one word with a bit for each, and a switch looks once at
//! the words of prev and next.
//!
//! In reading order:
//! - [`kcov`]: coverage of kernel code
//! - [`trace`]: a record of the switch
//! - [`sched_info`]: run delay and time on a CPU
//! - [`perf_event`]: event counts for a program
//! - [`rseq`]: restartable sequences
//! - [`preempt_notifier`]: callbacks of a task
//! - [`membarrier`]: memory barriers; belongs to the address space, not to the task
//!
//! Linux: 5.4 `prepare_task_switch`, `finish_task_switch`.

pub mod kcov;
pub mod membarrier;
pub mod perf_event;
pub mod preempt_notifier;
pub mod rseq;
pub mod sched_info;
pub mod trace;

use core::sync::atomic::Ordering;

use crate::base::flags::AtomicFlags;
use crate::task::hooks::Hooks;

/// The hooks that the command line requests for every task.
static HOOKS_OF_NEW_TASKS: AtomicFlags<Hooks> = AtomicFlags::empty();

/// Sets `hook` for every task that is created from now on. Called at boot, before the first.
pub fn add_hook_of_new_tasks(hook: Hooks) {
    HOOKS_OF_NEW_TASKS.insert(hook);
}

/// Returns the initial `hooks` of a new task.
pub fn hooks_of_new_task() -> Hooks {
    HOOKS_OF_NEW_TASKS.load(Ordering::Relaxed)
}

//! What else wants to know of a switch: called by `prepare_task_switch` and `finish_task_switch`.
//!
//! Few tasks have any of it, so a task has one word with a bit for each, and a switch looks at the
//! words of prev and next once.
//!
//! In reading order:
//! - [`kcov`]: what of the kernel it covers
//! - [`trace`]: a record of the switch
//! - [`sched_info`]: run delay and time on a CPU
//! - [`perf_event`]: what is counted for who asked
//! - [`rseq`]: restartable sequences
//! - [`preempt_notifier`]: who asked to be told
//! - [`membarrier`]: which hangs on the address space, not on the task
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

/// What the command line wants to know of every task.
static HOOKS_OF_NEW_TASKS: AtomicFlags<Hooks> = AtomicFlags::empty();

/// Gives a bit to every task that is made from now on. At boot, before the first.
pub fn add_hook_of_new_tasks(hook: Hooks) {
    HOOKS_OF_NEW_TASKS.insert(hook);
}

/// What a new task's `hooks` begin with.
pub fn hooks_of_new_task() -> Hooks {
    HOOKS_OF_NEW_TASKS.load(Ordering::Relaxed)
}

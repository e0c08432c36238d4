//! `kcov_prepare_switch`, `kcov_finish_switch`: keep the code of the switch out of every task's
//! coverage.
//!
//! The switch calls them: prev before all other hooks, next after the run-queue lock is released.
//!
//! Linux: 5.4 `include/linux/kcov.h`.

use core::sync::atomic::Ordering;

use crate::task::hooks::HOOK_KCOV;
use crate::task::kcov::KCOV_IN_CTXSW;
use crate::task::task_struct::TaskStruct;

/// Stops the recording of `prev`'s coverage.
pub fn kcov_prepare_switch(prev: &TaskStruct) {
    if prev.hooks.contains(HOOK_KCOV) {
        let was = prev
            .kcov_task
            .mode
            .fetch_or(KCOV_IN_CTXSW, Ordering::Relaxed);
        debug_assert!(
            was & KCOV_IN_CTXSW == 0,
            "BUG: kcov_prepare_switch twice without kcov_finish_switch"
        );
    }
}

/// Resumes the recording of `curr`'s coverage, after [`kcov_prepare_switch`] has stopped it.
pub fn kcov_finish_switch(curr: &TaskStruct) {
    if curr.hooks.contains(HOOK_KCOV) {
        curr.kcov_task
            .mode
            .fetch_and(!KCOV_IN_CTXSW, Ordering::Relaxed);
    }
}

//! `kcov_prepare_switch`, `kcov_finish_switch`: what a switch runs is nobody's coverage.
//!
//! Called in the switch: by prev before all other hooks, by the task that comes once the run-queue
//! lock is released.
//!
//! Linux: 5.4 `include/linux/kcov.h`.

use core::sync::atomic::Ordering;

use crate::task::hooks::HOOK_KCOV;
use crate::task::kcov::KCOV_IN_CTXSW;
use crate::task::task_struct::TaskStruct;

/// Nothing of `prev` is recorded from here on.
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

/// It is again.
pub fn kcov_finish_switch(curr: &TaskStruct) {
    if curr.hooks.contains(HOOK_KCOV) {
        curr.kcov_task
            .mode
            .fetch_and(!KCOV_IN_CTXSW, Ordering::Relaxed);
    }
}

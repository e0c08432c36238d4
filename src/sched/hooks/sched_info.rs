//! `sched_info_switch`: accounts a switch to both tasks. With `schedstats=on`.
//!
//! Called in the switch and when a task becomes runnable, run-queue lock held.
//!
//! Linux: 5.4 `kernel/sched/stats.h`.

use core::sync::atomic::Ordering;

use super::add_hook_of_new_tasks;
use crate::base::insn::rdtsc;
use crate::sched::rq::task_rq_lock;
use crate::task::hooks::HOOK_SCHED_INFO;
use crate::task::sched_info::SchedInfo;
use crate::task::state::TASK_RUNNING;
use crate::task::task_struct::TaskStruct;

/// Turns accounting on for every task that is created from now on. Called at boot, before the
/// first.
pub fn force_schedstat_enabled() {
    add_hook_of_new_tasks(HOOK_SCHED_INFO);
}

/// Accounts for the departure of `prev` and the arrival of `next`. The idle task's time is kept
/// too, so the sum is complete.
///
/// # Safety
/// 1. The lock of the run queue of both is held.
#[inline(never)]
pub unsafe fn sched_info_switch(prev: &TaskStruct, next: &TaskStruct) {
    let now = rdtsc();
    let is_runnable = prev.state.get() == TASK_RUNNING && prev.pid() != 0;
    if prev.hooks.contains(HOOK_SCHED_INFO) {
        // SAFETY: by 1.
        unsafe { (*prev.sched_info.get()).depart(now, is_runnable) };
    }
    if next.hooks.contains(HOOK_SCHED_INFO) {
        // SAFETY: by 1.
        unsafe { (*next.sched_info.get()).arrive(now) };
    }
}

/// Notes that `p` becomes runnable.
///
/// # Safety
/// 1. The lock of its run queue is held.
#[inline(never)]
pub unsafe fn sched_info_queued(p: &TaskStruct) {
    // SAFETY: by 1.
    unsafe { (*p.sched_info.get()).queued(rdtsc()) };
}

/// Returns the present accounts of `p`, including the time since its last arrival if it runs.
pub fn sched_info_of(p: &TaskStruct) -> SchedInfo {
    let _locked = task_rq_lock(p);
    // SAFETY: the lock is held.
    let mut info = unsafe { *p.sched_info.get() };
    if p.on_cpu.load(Ordering::Relaxed) != 0 {
        info.depart(rdtsc(), false);
    }
    info
}

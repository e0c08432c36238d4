//! `prepare_task_switch`: the work due before a switch. One `finish_task_switch` follows each.
//!
//! Called by `context_switch` on prev's stack, run-queue lock held, interrupts off.
//!
//! Linux: 5.4 `prepare_task_switch`, `prepare_task`.

use core::sync::atomic::Ordering;

use super::hooks::kcov::kcov_prepare_switch;
use super::hooks::perf_event::perf_event_task_sched_out;
use super::hooks::preempt_notifier::fire_sched_out_preempt_notifiers;
use super::hooks::rseq::rseq_preempt;
use super::hooks::sched_info::sched_info_switch;
use super::hooks::trace::trace_sched_switch;
use crate::task::hooks::HOOK_RSEQ;
use crate::task::task_struct::TaskStruct;

/// Takes the steps in 5.4's order. One word says whether any of the rare steps is due.
///
/// # Safety
/// 1. `prev` runs here, and `next` is about to run; this CPU's run-queue lock is held, interrupts
///    are off.
#[inline(always)]
pub unsafe fn prepare_task_switch(prev: &TaskStruct, next: &TaskStruct) {
    let hooks = prev.hooks.load(Ordering::Relaxed) | next.hooks.load(Ordering::Relaxed);
    if !hooks.is_empty() {
        if hooks == HOOK_RSEQ {
            // A C library registers every thread for rseq, and few threads have another hook.
            rseq_preempt(prev);
        } else {
            // SAFETY: by 1.
            unsafe { call_hooks(prev, next) };
        }
    }
    prepare_task(next);
    prepare_arch_switch(next);
    #[cfg(debug_assertions)]
    pair_begins();
}

/// # Safety
/// The conditions of [`prepare_task_switch`] hold.
#[cold]
#[inline(never)]
unsafe fn call_hooks(prev: &TaskStruct, next: &TaskStruct) {
    kcov_prepare_switch(prev);
    trace_sched_switch(prev, next);
    // SAFETY: the caller vouches for it.
    unsafe { sched_info_switch(prev, next) };
    perf_event_task_sched_out(prev);
    rseq_preempt(prev);
    // SAFETY: the caller vouches for it.
    unsafe { fire_sched_out_preempt_notifiers(prev, next) };
}

/// Marks next as running before it runs, so that no other CPU runs it.
#[inline(always)]
fn prepare_task(next: &TaskStruct) {
    super::on_cpu::prepare_task(&next.on_cpu);
}

/// Does nothing on i386: its switch needs no lock released and no register window flushed before
/// it.
#[inline(always)]
fn prepare_arch_switch(_next: &TaskStruct) {}

/// Checks that this CPU is not in a switch already, and notes the beginning of one.
#[cfg(debug_assertions)]
fn pair_begins() {
    let open = crate::this_cpu_read!(switch_is_open);
    assert!(
        open == 0,
        "BUG: prepare_task_switch twice without finish_task_switch"
    );
    // SAFETY: a flag that only this check reads.
    unsafe { crate::this_cpu_write!(switch_is_open, 1) };
}

/// Checks that this CPU is in a switch, and notes its end. Called by `finish_task_switch` on the
/// same CPU, on next's stack.
#[cfg(debug_assertions)]
pub fn pair_ends() {
    let open = crate::this_cpu_read!(switch_is_open);
    assert!(
        open == 1,
        "BUG: finish_task_switch without prepare_task_switch"
    );
    // SAFETY: a flag that only this check reads.
    unsafe { crate::this_cpu_write!(switch_is_open, 0) };
}

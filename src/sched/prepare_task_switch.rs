//! `prepare_task_switch`: what is due before a switch. One `finish_task_switch` follows each.
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

/// The steps in 5.4's order. Those that few tasks have are asked for by one word.
///
/// # Safety
/// 1. `prev` runs here, and `next` is about to; this CPU's run-queue lock is held, interrupts are off.
#[inline(always)]
pub unsafe fn prepare_task_switch(prev: &TaskStruct, next: &TaskStruct) {
    let hooks = prev.hooks.load(Ordering::Relaxed) | next.hooks.load(Ordering::Relaxed);
    if !hooks.is_empty() {
        if hooks == HOOK_RSEQ {
            // Every thread of a C library has registered for it, and few have anything else.
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
/// As [`prepare_task_switch`].
#[cold]
#[inline(never)]
unsafe fn call_hooks(prev: &TaskStruct, next: &TaskStruct) {
    kcov_prepare_switch(prev);
    trace_sched_switch(prev, next);
    // SAFETY: the caller's.
    unsafe { sched_info_switch(prev, next) };
    perf_event_task_sched_out(prev);
    rseq_preempt(prev);
    // SAFETY: the caller's.
    unsafe { fire_sched_out_preempt_notifiers(prev, next) };
}

/// Marks next as running before it does, so that nobody takes it for free to run elsewhere.
#[inline(always)]
fn prepare_task(next: &TaskStruct) {
    super::on_cpu::prepare_task(&next.on_cpu);
}

/// i386 has nothing to do here: its switch needs no lock given up, and no window flushed, before it.
#[inline(always)]
fn prepare_arch_switch(_next: &TaskStruct) {}

/// Each CPU is in one switch at most.
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

/// The other half, from `finish_task_switch`: the same CPU, on next's stack.
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

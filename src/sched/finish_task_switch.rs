//! `finish_task_switch`: the work that next does for the task that ran before it.
//!
//! It is the first call on next's stack: from `context_switch` after `switch_to` has returned, or
//! from `schedule_tail` when next is new. A dead task's stack is freed only here, since no CPU uses
//! it any more.
//!
//! Book: ch. 7, "Actions performed by schedule() after a process switch".
//! Linux: 5.4 `finish_task_switch`, `schedule_tail`.

use core::sync::atomic::Ordering;

use super::hooks::kcov::kcov_finish_switch;
use super::hooks::membarrier::membarrier_mm_sync_core_before_usermode;
use super::hooks::perf_event::perf_event_task_sched_in;
use super::hooks::preempt_notifier::fire_sched_in_preempt_notifiers;
use super::rq::RqLocked;
use crate::arch::x86::current::{Current, current};
use crate::mm::mm_struct::mmdrop;
use crate::provides_upward;
use crate::sync::irq::{irqs_disabled, local_irq_enable};
use crate::sync::preempt::{PREEMPT_ACTIVE, preempt_count, preempt_enable};
use crate::task::hooks::HOOKS_SCHED_IN;
use crate::task::last::Last;
use crate::task::state::TASK_DEAD;
use crate::task::task_struct::{TaskRef, TaskStruct};
#[cfg(debug_assertions)]
use crate::{this_cpu_inc, this_cpu_write};

/// Ends the switch away from `last`.
///
/// # Safety
/// 1. This is the first call on next's stack: interrupts are off, and this CPU's run-queue lock is
///    still held, since `last` took it and handed it over.
#[inline(always)]
pub unsafe fn finish_task_switch(last: Last<TaskStruct>) {
    // SAFETY: by 1.
    let mut rq = unsafe { RqLocked::inherit(&last) };
    let last = last.into_ptr();
    debug_assert!(irqs_disabled(), "BUG: interrupts came on during the switch");
    debug_assert!(
        preempt_count() & !PREEMPT_ACTIVE == 2,
        "BUG: preemption count {:#x} after the switch",
        preempt_count()
    );
    #[cfg(debug_assertions)]
    {
        // SAFETY: only tests read it.
        unsafe { this_cpu_write!(debug_last, last as u32) };
        this_cpu_inc!(count.checks);
        super::prepare_task_switch::pair_ends();
    }

    let mm = rq.take_prev_mm();
    // Read before on_cpu becomes 0: from then on last may run elsewhere, and die there.
    // SAFETY: the scheduler keeps its reference to last until below.
    let state = unsafe { (*last).state.get() };
    if !current()
        .hooks
        .load(Ordering::Relaxed)
        .intersects(HOOKS_SCHED_IN)
    {
        // SAFETY: `last` is live, as above; by 1.
        unsafe { finish_task(last) };
        finish_lock_switch(rq);
    } else {
        // SAFETY: `last` is live, as above; by 1.
        unsafe { finish_with_hooks(current(), last, rq) };
    }

    if !mm.is_null() {
        // SAFETY: last's reference to the borrowed address space; CR3 has changed, or next uses it.
        // The locked instruction is the barrier that membarrier needs when CR3 was not written.
        unsafe {
            membarrier_mm_sync_core_before_usermode(&*mm);
            mmdrop(mm);
        }
    }
    if state == TASK_DEAD {
        // SAFETY: the scheduler's own reference, dropped once: last never runs again.
        drop(unsafe { TaskRef::from_raw(last) });
    }
}

/// Does the same two steps and calls the hooks of the task that came, in 5.4's order: events before
/// other CPUs may look, notifiers after the lock is released.
///
/// # Safety
/// The conditions of [`finish_task`] hold.
#[cold]
#[inline(never)]
unsafe fn finish_with_hooks(me: Current, last: *mut TaskStruct, rq: RqLocked) {
    perf_event_task_sched_in(&me);
    // SAFETY: the caller vouches for it.
    unsafe { finish_task(last) };
    finish_lock_switch(rq);
    kcov_finish_switch(&me);
    // SAFETY: our own notifiers, which no interrupt changes.
    unsafe { fire_sched_in_preempt_notifiers(&me) };
}

/// Tells other CPUs that all registers of `last` are saved, so they may run it.
///
/// # Safety
/// 1. `last` is live, and has left its stack.
#[inline(always)]
unsafe fn finish_task(last: *mut TaskStruct) {
    // SAFETY: `last` is live by 1.
    super::on_cpu::finish_task(unsafe { &(*last).on_cpu });
}

/// Releases the lock that `last` took in `schedule` and handed over in `prepare_lock_switch`.
#[inline(always)]
fn finish_lock_switch(rq: RqLocked) {
    drop(rq);
    local_irq_enable();
}

/// Ends the switch to a new task; its first call, from `ret_from_fork`.
///
/// # Safety
/// 1. `last` is the value that the switch left in eax, and nothing has run on this stack since.
#[unsafe(no_mangle)]
unsafe extern "C" fn schedule_tail(last: *mut ()) {
    // SAFETY: by 1.
    unsafe { finish_task_switch(Last::from_eax(last.cast())) };
    preempt_enable();
    crate::sched::wake_up::set_child_tid();
}

provides_upward!(schedule_tail);

//! `schedule`: gives the CPU to the task that should have it.
//!
//! A task that goes to sleep or has ended calls it, and so do the return paths to user mode and
//! from interrupts when `TIF_NEED_RESCHED` is set; always on the stack of the task that leaves.
//!
//! Book: ch. 7, "The schedule() Function". Linux: 2.6.38 `schedule`, 5.4 `__schedule`.

use core::ptr::NonNull;

use super::balance::idle_balance;
use super::context_switch::context_switch;
use super::rq::{RqLocked, this_rq};
use crate::base::thread_info::{
    TIF_NEED_RESCHED, TIF_SIGPENDING, clear_flag, current_thread_info, test_flag,
};
use crate::provides_upward;
use crate::sync::irq::{
    irqs_disabled, local_irq_disable, local_irq_disable_to_return, local_irq_enable,
};
use crate::sync::preempt::{
    PREEMPT_ACTIVE, add_preempt_count, preempt_count, preempt_disable, preempt_enable_no_resched,
    sub_preempt_count,
};
use crate::task::last::{Next, Prev};
use crate::task::state::{TASK_INTERRUPTIBLE, TASK_RUNNING};
use crate::task::task_struct::TaskStruct;

/// Gives up the CPU until the scheduler picks this task again. A task that wants to sleep sets its
/// state before the call.
#[unsafe(no_mangle)]
#[inline(never)]
#[unsafe(link_section = ".sched.text")]
pub extern "C" fn schedule() {
    __schedule(false);
    if test_flag(current_thread_info(), TIF_NEED_RESCHED) {
        // We run, so we are runnable: another pass is a preemption.
        preempt_schedule_common();
    }
}

provides_upward!(schedule);

/// Makes one pass: picks a task and, if it is another, switches to it. With `preempt` the task
/// stays runnable, even if it is about to sleep.
#[inline(always)]
fn __schedule(preempt: bool) {
    preempt_disable();
    debug_assert!(
        preempt_count() & !PREEMPT_ACTIVE == 1,
        "BUG: scheduling while atomic, preempt_count {:#x}",
        preempt_count()
    );
    local_irq_disable();
    let mut rq = this_rq().lock();
    // SAFETY: the task that runs is live, and we are that task.
    let prev = unsafe { Prev::new(rq.curr()) };

    let state = prev.state.get();
    let switch_count = if !preempt && state != TASK_RUNNING {
        if state == TASK_INTERRUPTIBLE && test_flag(prev.thread_info(), TIF_SIGPENDING) {
            prev.state.set_running();
        } else {
            // SAFETY: a running task is on its queue unless it is idle, which never sleeps.
            unsafe { rq.deactivate_task(prev.as_ptr()) };
        }
        &prev.nvcsw
    } else {
        &prev.nivcsw
    };

    let next;
    (rq, next) = match rq.pick_next_task() {
        Some(next) => (rq, next.as_ptr()),
        None => pick_after_balance(rq),
    };
    clear_flag(current_thread_info(), TIF_NEED_RESCHED);
    if next != prev.as_ptr() {
        rq.nr_switches.inc();
        switch_count.inc();
        // SAFETY: next is live and runnable here, so no CPU runs it; `rq` is this CPU's.
        unsafe {
            rq.set_curr(next);
            context_switch(rq, prev, Next::new(next));
        }
    } else {
        drop(rq);
        local_irq_enable();
    }
    preempt_enable_no_resched();
}

/// Picks a task when nothing is runnable here: one pulled from another CPU, or the idle task.
///
/// Takes `rq` by value, since a borrow would force the usual case to store it on the stack.
#[inline(never)]
fn pick_after_balance(mut rq: RqLocked) -> (RqLocked, *mut TaskStruct) {
    idle_balance(&mut rq);
    let next = rq.pick_next_task().map_or(rq.idle(), NonNull::as_ptr);
    (rq, next)
}

/// Preempts kernel code whose preemption count has just become 0, unless interrupts are off.
#[unsafe(no_mangle)]
pub fn preempt_schedule() {
    if preempt_count() != 0 || irqs_disabled() {
        return;
    }
    preempt_schedule_common();
}

provides_upward!(preempt_schedule);

/// Preempts kernel code on return from an interrupt. Entered and left with interrupts off.
#[unsafe(no_mangle)]
pub extern "C" fn preempt_schedule_irq() {
    debug_assert!(
        preempt_count() == 0 && irqs_disabled(),
        "BUG: preempt_schedule_irq"
    );
    preempt_schedule_common();
    local_irq_disable_to_return();
}

provides_upward!(preempt_schedule_irq);

/// Switches with PREEMPT_ACTIVE set, as long as a switch is due (Linux: 4.x
/// `preempt_schedule_common`).
#[cold]
#[inline(never)]
#[unsafe(link_section = ".sched.text")]
fn preempt_schedule_common() {
    loop {
        add_preempt_count(PREEMPT_ACTIVE);
        __schedule(true);
        sub_preempt_count(PREEMPT_ACTIVE);
        if !test_flag(current_thread_info(), TIF_NEED_RESCHED) {
            break;
        }
    }
}

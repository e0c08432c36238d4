//! The preemption count: the number of reasons not to switch here.
//!
//! It lies in `thread_info`, so it travels with the stack, as in the book's kernel:
//! low byte, nested `preempt_disable` and spin locks; bits 16 to 25, nested hard interrupts; bit 26, an
//! NMI.
//!
//! Book: ch. 5, "Kernel Preemption"; ch. 4, "Interrupt Handling" (`preempt_count`).
//! Linux: 2.6.38 `preempt_disable`, `preempt_enable`, `add_preempt_count`.

use core::sync::atomic::{Ordering, compiler_fence};

use crate::base::thread_info;
use crate::base::thread_info::{TIF_NEED_RESCHED, current_thread_info};
use crate::base::upward::preempt_schedule;

/// Amount by which one hard interrupt raises the count.
pub const HARDIRQ_OFFSET: i32 = 1 << 16;
/// Amount by which an NMI raises the count.
pub const NMI_OFFSET: i32 = 1 << 26;
/// Set while the kernel itself preempts a task: `schedule` must not put it to sleep.
pub const PREEMPT_ACTIVE: i32 = 1 << 28;

/// Returns the count of the running context.
#[inline(always)]
pub fn preempt_count() -> i32 {
    current_thread_info().preempt_count()
}

/// Adds `n` to the count of this context.
#[inline(always)]
pub fn add_preempt_count(n: i32) {
    let ti = current_thread_info();
    ti.set_preempt_count(ti.preempt_count().wrapping_add(n));
    compiler_fence(Ordering::SeqCst);
}

/// Subtracts `n` from the count of this context.
#[inline(always)]
pub fn sub_preempt_count(n: i32) {
    compiler_fence(Ordering::SeqCst);
    let ti = current_thread_info();
    debug_assert!(ti.preempt_count() >= n, "BUG: preemption count underflow");
    ti.set_preempt_count(ti.preempt_count().wrapping_sub(n));
}

/// Adds a reason not to be preempted.
#[inline(always)]
pub fn preempt_disable() {
    add_preempt_count(1);
}

/// Removes a reason, without checking whether a switch is due.
#[inline(always)]
pub fn preempt_enable_no_resched() {
    sub_preempt_count(1);
}

/// Removes a reason; switches at once if it was the last and a switch is due.
#[inline(always)]
pub fn preempt_enable() {
    preempt_enable_no_resched();
    preempt_check_resched();
}

/// Calls the scheduler if a switch is due and nothing forbids it.
#[inline(always)]
pub fn preempt_check_resched() {
    if thread_info::test_flag(current_thread_info(), TIF_NEED_RESCHED) {
        preempt_schedule();
    }
}

/// Returns whether this context is a hard interrupt.
#[inline(always)]
pub fn in_interrupt() -> bool {
    preempt_count() & (0xfff * HARDIRQ_OFFSET) != 0
}

/// Returns whether this context is an NMI, which may have interrupted the holder of any lock.
#[inline(always)]
pub fn in_nmi() -> bool {
    preempt_count() & NMI_OFFSET != 0
}

/// Keeps preemption off while it lives.
pub struct PreemptGuard(core::marker::PhantomData<*mut ()>);

impl PreemptGuard {
    /// Disables preemption.
    #[inline(always)]
    pub fn new() -> Self {
        preempt_disable();
        Self(core::marker::PhantomData)
    }
}

impl Default for PreemptGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for PreemptGuard {
    #[inline(always)]
    fn drop(&mut self) {
        preempt_enable();
    }
}

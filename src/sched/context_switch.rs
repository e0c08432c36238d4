//! `context_switch`: from prev's address space and stack to next's.
//!
//! Called by `schedule` only, with this CPU's run-queue lock held and interrupts off. It starts
//! on prev's stack as prev and ends on the stack of whoever was switched to.
//!
//! Book: ch. 7, "Actions performed by schedule() to make the process switch".
//! Linux: 5.4 `context_switch`.

use core::ptr;
use core::sync::atomic::Ordering;

use super::finish_task_switch::finish_task_switch;
use super::hooks::membarrier::membarrier_switch_mm;
use super::prepare_task_switch::prepare_task_switch;
use super::rq::Rq;
use crate::arch::x86::current::{current, current_by_stack};
use crate::arch::x86::insn;
use crate::arch::x86::mmu_context::{enter_lazy_tlb, switch_mm};
use crate::arch::x86::paravirt::arch_start_context_switch;
use crate::arch::x86::switch_to::switch_to;
use crate::mm::active_mm::{MmSwitch, mm_switch};
use crate::mm::mm_struct::{MmStruct, mmgrab};
use crate::sync::irq::irqs_disabled;
use crate::sync::preempt::{PREEMPT_ACTIVE, preempt_count};
use crate::task::last::Prev;
use crate::task::task_struct::TaskStruct;
use crate::task::thread_info::{STACK_END_MAGIC, THREAD_SIZE};
use crate::task::thread_struct::TIF_PARAVIRT;

/// Switches from the running task to `next`; returns when the running task runs again.
///
/// # Safety
/// 1. `rq` is this CPU's run queue, its lock is held and interrupts are off.
/// 2. `prev` is `current`, `next` is another task, live, runnable and on no CPU.
#[inline(always)]
pub unsafe fn context_switch(rq: *mut Rq, prev: Prev<TaskStruct>, next: *mut TaskStruct) {
    let prev_p = prev.into_ptr();
    // SAFETY: both are live by 2.
    let (p, n) = unsafe { (&*prev_p, &*next) };
    // SAFETY: by 1 and 2.
    unsafe { prepare_task_switch(p, n) };
    // SAFETY: prev's own context, and prev is us.
    if unsafe { (*p.thread()).work } & TIF_PARAVIRT != 0 {
        // SAFETY: as below.
        unsafe { switch_address_space_batched(rq, p, n) };
    } else {
        // SAFETY: the lock is held by 1; the tasks are those of 2.
        unsafe { switch_address_space::<false>(rq, p, n) };
    }

    if cfg!(debug_assertions) {
        check_switch(rq, p, n);
    }

    // SAFETY: by 1 and 2.
    let last = unsafe { switch_to(Prev::new(prev_p), next) };
    // We are whoever called this when it left. The locals are of that time; only `last` is now.
    // SAFETY: `switch_to` has just returned.
    unsafe { finish_task_switch(last) };
}

/// With a paravirtual back end that applies all of a switch in one go.
///
/// # Safety
/// As [`switch_address_space`].
#[cold]
#[inline(never)]
unsafe fn switch_address_space_batched(rq: *mut Rq, p: &TaskStruct, n: &TaskStruct) {
    // SAFETY: the caller's.
    unsafe {
        arch_start_context_switch(p);
        switch_address_space::<true>(rq, p, n);
    }
}

/// From prev's page tables to next's, by the kind of switch.
///
/// # Safety
/// 1. `rq` is this CPU's run queue, its lock is held and interrupts are off. 2. `p` is `current`, and
///    `n` comes next. 3. `BATCH` says whether a batch has begun.
#[inline(always)]
unsafe fn switch_address_space<const BATCH: bool>(rq: *mut Rq, p: &TaskStruct, n: &TaskStruct) {
    let mm = n.mm.load(Ordering::Relaxed);
    let oldmm = p.active_mm.load(Ordering::Relaxed);
    let prev_has_mm = !p.mm.load(Ordering::Relaxed).is_null();
    match mm_switch(prev_has_mm, !mm.is_null()) {
        MmSwitch::HandOver => {
            n.active_mm.store(oldmm, Ordering::Relaxed);
            // SAFETY: the count that prev had of it is next's now.
            unsafe { enter_lazy_tlb() };
            p.active_mm.store(ptr::null_mut(), Ordering::Relaxed);
        }
        MmSwitch::Borrow => {
            n.active_mm.store(oldmm, Ordering::Relaxed);
            // SAFETY: prev lives in it, and the count is next's.
            unsafe {
                mmgrab(oldmm);
                enter_lazy_tlb();
            }
        }
        MmSwitch::Return => {
            // SAFETY: prev holds a count of what it borrowed, next is a user of its own.
            unsafe { switch_mm_and_context::<BATCH>(rq, &*oldmm, &*mm) };
            // SAFETY: the lock is held by 1.
            unsafe { (*rq).prev_mm = oldmm };
            p.active_mm.store(ptr::null_mut(), Ordering::Relaxed);
        }
        // Two threads: it is loaded already, and not lazily, since prev ran in it.
        MmSwitch::Switch if ptr::eq(oldmm, mm) => {}
        MmSwitch::Switch => {
            // SAFETY: each task is a user of its own.
            unsafe { switch_mm_and_context::<BATCH>(rq, &*oldmm, &*mm) };
        }
    }
}

/// `switch_mm`, and what few address spaces have besides page tables: an LDT, a registration with
/// membarrier. That is owed a barrier between the store to `rq.curr` and ring 3: it is the write of
/// CR3, or, where none is written, the `mmdrop` of `prev_mm`.
///
/// # Safety
/// 1. `rq` is this CPU's run queue, its lock is held and interrupts are off. 2. CR3 is `old`'s.
#[inline(always)]
unsafe fn switch_mm_and_context<const BATCH: bool>(rq: *mut Rq, old: &MmStruct, mm: &MmStruct) {
    #[cold]
    #[inline(never)]
    unsafe fn with_context<const BATCH: bool>(rq: *mut Rq, old: &MmStruct, mm: &MmStruct) {
        // SAFETY: the caller's.
        unsafe {
            membarrier_switch_mm(rq, old, mm);
            switch_mm::<BATCH, true>(old, mm);
        }
    }
    let context =
        old.context_flags.load(Ordering::Relaxed) | mm.context_flags.load(Ordering::Relaxed);
    if context == 0 {
        // SAFETY: by 1 and 2; neither has an LDT.
        unsafe { switch_mm::<BATCH, false>(old, mm) };
    } else {
        // SAFETY: by 1 and 2.
        unsafe { with_context::<BATCH>(rq, old, mm) };
    }
}

/// What must hold at every switch; a kernel with debug assertions stops when it does not.
fn check_switch(rq: *mut Rq, prev: &TaskStruct, next: &TaskStruct) {
    assert!(irqs_disabled(), "BUG: switch with interrupts on");
    // SAFETY: only the lock word is read.
    let locked = unsafe { (*rq).is_locked() };
    assert!(locked, "BUG: switch without the run-queue lock");
    let count = preempt_count() & !PREEMPT_ACTIVE;
    assert!(
        count == 2,
        "BUG: switch with preemption count {count}, not 2"
    );
    let esp = insn::read_esp() as usize;
    let stack = prev.stack as usize;
    assert!(
        (stack..stack.saturating_add(THREAD_SIZE)).contains(&esp),
        "BUG: switch from {} with esp {esp:#x} outside its stack {stack:#x}",
        prev.pid()
    );
    for t in [prev, next] {
        assert!(
            t.thread_info().stack_end.get() == STACK_END_MAGIC,
            "BUG: kernel stack of task {} overran its end",
            t.pid()
        );
    }
    assert!(
        ptr::eq(current_by_stack(), prev) && ptr::eq(current().as_ptr(), prev),
        "BUG: current by stack {:p}, per CPU {:p}, prev {prev:p}",
        current_by_stack(),
        current().as_ptr()
    );
    assert!(
        !next.active_mm.load(Ordering::Relaxed).is_null(),
        "BUG: active_mm of next is none"
    );
    // SAFETY: the lock is held.
    let curr = unsafe { (*rq).curr };
    assert!(
        ptr::eq(curr, next),
        "BUG: rq.curr is not next at the switch"
    );
    crate::this_cpu_inc!(count.checks);
}

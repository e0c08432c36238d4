//! `context_switch`: from prev's address space and stack to next's.
//!
//! Called by `schedule` only, with this CPU's run-queue lock held and interrupts off. It starts on
//! prev's stack and ends on the stack of the task that was switched to.
//!
//! Book: ch. 7, "Actions performed by schedule() to make the process switch".
//! Linux: 5.4 `context_switch`.

use core::ptr;
use core::sync::atomic::Ordering;

use super::finish_task_switch::finish_task_switch;
use super::hooks::membarrier::membarrier_switch_mm;
use super::prepare_task_switch::prepare_task_switch;
use super::rq::{Rq, RqLocked, this_rq};
use crate::arch::x86::current::{current, current_by_stack};
use crate::arch::x86::switch::mmu_context::{enter_lazy_tlb, switch_mm};
use crate::arch::x86::switch::paravirt::{Batch, arch_start_context_switch};
use crate::arch::x86::switch::switch_to::switch_to;
use crate::arch::x86::switch::updates::{Now, Updates};
use crate::base::insn;
use crate::base::thread_info::{STACK_END_MAGIC, THREAD_SIZE};
use crate::mm::active_mm::{MmSwitch, mm_switch};
use crate::mm::mm_struct::{MmStruct, mmgrab};
use crate::sync::irq::irqs_disabled;
use crate::sync::preempt::{PREEMPT_ACTIVE, preempt_count};
use crate::task::last::{Next, Prev};
use crate::task::task_struct::TaskStruct;
use crate::task::thread_struct::TIF_PARAVIRT;
use crate::this_cpu_inc;

/// Switches from the running task to `next`; returns when the running task runs again.
///
/// It consumes `rq`, `prev` and `next`, which are valid only at the moment of the switch. When this
/// task runs again, perhaps on another CPU, neither they nor borrows from them can be named.
///
/// # Safety
/// 1. `rq` is this CPU's run queue, whose `curr` is `next`; interrupts are off.
#[inline(always)]
pub unsafe fn context_switch(mut rq: RqLocked, prev: Prev<TaskStruct>, next: Next<TaskStruct>) {
    // SAFETY: by 1.
    unsafe { prepare_task_switch(&prev, &next) };
    // SAFETY: by 1; the context is prev's own, and we are prev.
    unsafe {
        if (*prev.thread()).work.contains(TIF_PARAVIRT) {
            rq = switch_address_space_batched(rq, &prev, &next);
        } else {
            switch_address_space::<Now>(&mut rq, &prev, &next);
        }
    }

    if cfg!(debug_assertions) {
        check_switch(&rq, &prev, &next);
    }

    prepare_lock_switch(rq);
    // SAFETY: by 1, and the lock is handed over.
    let last = unsafe { switch_to(prev, next) };
    // We are the task that made this call; only `last` names the task that ran before us.
    // SAFETY: `switch_to` has just returned.
    unsafe { finish_task_switch(last) };
}

/// Hands the lock to next, which releases it in `finish_lock_switch`: see [`super::rq`]. (Linux
/// makes its lock checker forget the owner here; ours records CPUs, not tasks.)
#[inline(always)]
fn prepare_lock_switch(rq: RqLocked) {
    rq.hand_over();
}

/// Switches the address space through a paravirtual back end that applies a whole switch in one go.
/// Takes and returns the run queue by value, since a borrow would force the usual case to store it
/// on the stack.
///
/// # Safety
/// The conditions of [`switch_address_space`] hold.
#[cold]
#[inline(never)]
unsafe fn switch_address_space_batched(
    mut rq: RqLocked,
    p: &TaskStruct,
    n: &TaskStruct,
) -> RqLocked {
    // SAFETY: the caller vouches for it.
    unsafe {
        arch_start_context_switch(p);
        switch_address_space::<Batch>(&mut rq, p, n);
    }
    rq
}

/// Changes from prev's page tables to next's, according to the kind of switch.
///
/// # Safety
/// 1. `rq` is this CPU's run queue, and interrupts are off. 2. `p` is `current`, and the switch
///    goes to `n`. 3. A batch has begun if `To` is one.
#[inline(always)]
unsafe fn switch_address_space<To: Updates>(rq: &mut RqLocked, p: &TaskStruct, n: &TaskStruct) {
    let mm = n.mm.load(Ordering::Relaxed);
    let oldmm = p.active_mm.load(Ordering::Relaxed);
    let prev_has_mm = !p.mm.load(Ordering::Relaxed).is_null();
    match mm_switch(prev_has_mm, !mm.is_null()) {
        MmSwitch::HandOver => {
            n.active_mm.store(oldmm, Ordering::Relaxed);
            // SAFETY: prev's reference to it is next's now.
            unsafe { enter_lazy_tlb() };
            p.active_mm.store(ptr::null_mut(), Ordering::Relaxed);
            this_cpu_inc!(count.kernel_to_kernel);
        }
        MmSwitch::Borrow => {
            n.active_mm.store(oldmm, Ordering::Relaxed);
            // SAFETY: prev uses it, and next has a reference of its own.
            unsafe {
                mmgrab(oldmm);
                enter_lazy_tlb();
            }
            this_cpu_inc!(count.user_to_kernel);
        }
        MmSwitch::Return => {
            // SAFETY: prev holds a reference to the one that it borrowed, next is a user of its
            // own.
            unsafe { switch_mm_and_context::<To>(rq, &*oldmm, &*mm) };
            // SAFETY: prev's reference to it passes to the run queue.
            unsafe { rq.set_prev_mm(oldmm) };
            p.active_mm.store(ptr::null_mut(), Ordering::Relaxed);
            this_cpu_inc!(count.kernel_to_user);
        }
        // Two threads: the address space is already loaded, and not lazily, since prev ran in it.
        MmSwitch::Switch if ptr::eq(oldmm, mm) => {}
        MmSwitch::Switch => {
            // SAFETY: each task uses its own address space.
            unsafe { switch_mm_and_context::<To>(rq, &*oldmm, &*mm) };
        }
    }
}

/// Calls `switch_mm` and handles the rare extras of an address space: an LDT, a registration with
/// membarrier. The latter needs a barrier between the store to `rq.curr` and ring 3: the write of
/// CR3, or, without one, the `mmdrop` of `prev_mm`.
///
/// # Safety
/// 1. `rq` is this CPU's run queue, and interrupts are off. 2. CR3 is `old`'s.
#[inline(always)]
unsafe fn switch_mm_and_context<To: Updates>(rq: &Rq, old: &MmStruct, mm: &MmStruct) {
    #[cold]
    #[inline(never)]
    unsafe fn with_context<To: Updates>(rq: &Rq, old: &MmStruct, mm: &MmStruct) {
        // SAFETY: the caller vouches for it.
        unsafe {
            membarrier_switch_mm(rq, old, mm);
            switch_mm::<To, true>(old, mm);
        }
    }
    let context =
        old.context_flags.load(Ordering::Relaxed) | mm.context_flags.load(Ordering::Relaxed);
    if context == 0 {
        // SAFETY: by 1 and 2; neither has an LDT.
        unsafe { switch_mm::<To, false>(old, mm) };
    } else {
        // SAFETY: by 1 and 2.
        unsafe { with_context::<To>(rq, old, mm) };
    }
}

/// Checks the invariants of every switch, in a kernel with debug assertions.
fn check_switch(rq: &RqLocked, prev: &TaskStruct, next: &TaskStruct) {
    assert!(irqs_disabled(), "BUG: switch with interrupts on");
    assert!(
        rq.is_locked() && ptr::eq::<Rq>(&**rq, this_rq()),
        "BUG: switch without the run-queue lock"
    );
    let count = preempt_count() & !PREEMPT_ACTIVE;
    assert!(
        count == 2,
        "BUG: switch with preemption count {count}, not 2"
    );
    let esp = insn::read_esp() as usize;
    let stack = prev.stack() as usize;
    assert!(
        (stack..stack.saturating_add(THREAD_SIZE)).contains(&esp),
        "BUG: switch from {} with esp {esp:#x} outside its stack {stack:#x}",
        prev.pid()
    );
    for t in [prev, next] {
        assert!(
            t.thread_info().stack_end.load(Ordering::Relaxed) == STACK_END_MAGIC,
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
    assert!(
        ptr::eq(rq.curr(), next),
        "BUG: rq.curr is not next at the switch"
    );
    this_cpu_inc!(count.checks);
}

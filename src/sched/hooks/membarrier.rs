//! `membarrier`: lets one thread order the memory of all that run beside it.
//!
//! A process that pays for its barriers on the rare side only needs each CPU that runs one of its
//! threads to have passed a full barrier, between the caller's memory accesses before the call and
//! those after it. A CPU that runs such a thread is interrupted. One that does not will switch to
//! it first, and owes the barrier between the store to `rq.curr` and ring 3:
//!
//! ```text
//!   switch to another address space     the write of CR3
//!   kernel task to the same one         mmdrop of what the kernel task borrowed
//!   thread to thread of one process     none owed: it is interrupted before and after
//! ```
//! The other barrier, between ring 3 and the store to `rq.curr`, is the lock of the run queue.
//! Which CPUs take part in a global barrier is asked of `rq.membarrier_state`, a copy of the address
//! space's own, so that nobody has to look into another CPU's address space.
//!
//! Called by `context_switch` and `finish_task_switch` (interrupts off, and on again), by exec, and
//! by the system call.
//!
//! Linux: 5.4 `kernel/sched/membarrier.c`, `membarrier_switch_mm`,
//! `membarrier_mm_sync_core_before_usermode`. SDM: vol. 3, 8.3 "Serializing Instructions".

use core::ptr;
use core::sync::atomic::{Ordering, fence};

use crate::arch::x86::current::current;
use crate::arch::x86::irq::smp::{on_each_cpu, other_cpus, smp_call_function_many};
use crate::base::insn;
use crate::base::percpu::NR_CPUS;
use crate::mm::membarrier::{
    MEMBARRIER_STATE_GLOBAL_EXPEDITED, MEMBARRIER_STATE_PRIVATE_EXPEDITED_SYNC_CORE,
};
use crate::mm::mm_struct::MmStruct;
use crate::sched::rq::{Rq, cpu_rq, this_rq};
use crate::sync::{IrqGuard, PreemptGuard};
use crate::this_cpu_inc;

/// This CPU goes from `prev` to `next`: it takes part in what next has registered for.
#[inline(always)]
pub fn membarrier_switch_mm(rq: &Rq, prev: &MmStruct, next: &MmStruct) {
    if !ptr::eq(prev, next) {
        let state = next.context_flags.load(Ordering::Relaxed);
        rq.membarrier_state.store(state, Ordering::Relaxed);
    }
}

/// The way back to ring 3 by SYSEXIT serializes nothing, and no CR3 was written when a kernel task
/// gives `mm` back to a thread that lives in it.
pub fn membarrier_mm_sync_core_before_usermode(mm: &MmStruct) {
    if !ptr::eq(current().mm.load(Ordering::Relaxed), mm) {
        return;
    }
    let state = mm.context_flags.load(Ordering::Relaxed);
    if state & MEMBARRIER_STATE_PRIVATE_EXPEDITED_SYNC_CORE != 0 {
        sync_core();
    }
}

/// The running task is about to get the address space `mm` for a new program, which has registered
/// for nothing. Interrupts are off.
pub fn membarrier_exec_mmap(mm: &MmStruct) {
    // What the old program did comes before: from here on nobody waits for it.
    fence(Ordering::SeqCst);
    debug_assert!(mm.context_flags.load(Ordering::Relaxed) == 0);
    this_rq().membarrier_state.store(0, Ordering::Relaxed);
}

/// A barrier on every CPU. Linux waits until each has switched; here each is interrupted.
pub fn membarrier_global() {
    barrier_on(|_| true);
}

/// A barrier on all CPUs that run a registered process.
pub fn membarrier_global_expedited() {
    barrier_on(|curr| curr.in_user && curr.state & MEMBARRIER_STATE_GLOBAL_EXPEDITED != 0);
}

/// A barrier on all CPUs that run a thread of `mm`, the caller's own.
pub fn membarrier_private_expedited(mm: &MmStruct) {
    // Without another thread there is nobody to see an order.
    if mm.counts.users() > 1 {
        barrier_on(|curr| ptr::eq(curr.mm, mm));
    }
}

/// The same; and no CPU, this one included, goes on with instructions that it fetched before.
/// The others serialize by the IRET from the interrupt.
pub fn membarrier_private_expedited_sync_core(mm: &MmStruct) {
    membarrier_private_expedited(mm);
    sync_core();
}

/// Sets `set` in `mm`, has every CPU know, and then sets `ready`.
pub fn membarrier_register(mm: &MmStruct, set: u32, ready: u32) {
    if mm.context_flags.load(Ordering::Acquire) & ready == ready {
        return;
    }
    mm.context_flags.fetch_or(set, Ordering::SeqCst);
    // All CPUs, not only those that are seen to run it: one that is within a switch to it has
    // interrupts off, and so is interrupted only when `current` is right.
    on_each_cpu(&|| ipi_sync_rq_state(mm));
    mm.context_flags.fetch_or(ready, Ordering::SeqCst);
}

/// A kernel task that borrows it counts too: the switch back to its owner copies nothing.
fn ipi_sync_rq_state(mm: &MmStruct) {
    if ptr::eq(current().active_mm.load(Ordering::Relaxed), mm) {
        let state = mm.context_flags.load(Ordering::Relaxed);
        // This CPU's: we are an interrupt, or have interrupts off.
        this_rq().membarrier_state.store(state, Ordering::Relaxed);
    }
    fence(Ordering::SeqCst);
}

/// What another CPU runs.
struct Curr {
    mm: *mut MmStruct,
    in_user: bool,
    state: u32,
}

/// A barrier here, before and after, and between them on the other CPUs that `wanted` chooses.
fn barrier_on(wanted: impl Fn(&Curr) -> bool) {
    fence(Ordering::SeqCst);
    {
        let _no_preempt = PreemptGuard::new();
        let others = other_cpus();
        let mask = (0..NR_CPUS as u32)
            .filter(|cpu| others & 1 << cpu != 0 && wanted(&curr_of(*cpu)))
            .fold(0, |mask, cpu| mask | 1 << cpu);
        smp_call_function_many(mask, &ipi_mb);
    }
    fence(Ordering::SeqCst);
}

/// The lock keeps the task that runs there from ending meanwhile.
fn curr_of(cpu: u32) -> Curr {
    let _irq = IrqGuard::new();
    let rq = cpu_rq(cpu).lock();
    // SAFETY: a task that runs is live, and goes on running as long as we hold the lock.
    let mm = unsafe { (*rq.curr()).mm.load(Ordering::Relaxed) };
    Curr {
        mm,
        in_user: !mm.is_null(),
        state: rq.membarrier_state.load(Ordering::Relaxed),
    }
}

fn ipi_mb() {
    fence(Ordering::SeqCst);
    this_cpu_inc!(count.membarriers);
}

/// CPUID is the serializing instruction that has no other effect.
fn sync_core() {
    insn::cpuid(0, 0);
    this_cpu_inc!(count.core_syncs);
}

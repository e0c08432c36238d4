//! `membarrier`: makes all concurrent threads pass a memory barrier on behalf of one.
//!
//! A process may have cheap barriers on its frequent side and this call on the rare side. Then each
//! CPU that runs one of its threads must pass a full barrier between the caller's memory accesses
//! before the call and those after it. A CPU that runs such a thread gets an interrupt. Any other
//! CPU must switch to the thread first, and needs a barrier between the store to `rq.curr` and ring
//! 3:
//!
//! ```text
//!   switch to another address space     the write of CR3
//!   kernel task to the same one         mmdrop of the borrowed address space
//!   thread to thread of one process     none owed: it is interrupted before and after
//! ```
//! The other barrier, between ring 3 and the store to `rq.curr`, is the lock of the run queue.
//! `rq.membarrier_state`, a copy of the address space's own state, says whether a CPU takes part in
//! a global barrier, so no CPU has to look into another CPU's address space.
//!
//! `context_switch` (interrupts off), `finish_task_switch` (interrupts on), exec and the system
//! call use this.
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

/// Copies next's registration to this CPU's run queue when it switches from `prev` to `next`.
#[inline(always)]
pub fn membarrier_switch_mm(rq: &Rq, prev: &MmStruct, next: &MmStruct) {
    if !ptr::eq(prev, next) {
        let state = next.context_flags.load(Ordering::Relaxed);
        rq.membarrier_state.store(state, Ordering::Relaxed);
    }
}

/// Serializes the instruction stream, if `mm` has registered for that, when a kernel task returns
/// `mm` to one of its threads: then the switch does not write CR3, and SYSEXIT does not serialize.
pub fn membarrier_mm_sync_core_before_usermode(mm: &MmStruct) {
    if !ptr::eq(current().mm.load(Ordering::Relaxed), mm) {
        return;
    }
    let state = mm.context_flags.load(Ordering::Relaxed);
    if state & MEMBARRIER_STATE_PRIVATE_EXPEDITED_SYNC_CORE != 0 {
        sync_core();
    }
}

/// Clears the registration for the new address space `mm`, which the running task is about to get
/// for a new program. Interrupts are off.
pub fn membarrier_exec_mmap(mm: &MmStruct) {
    // The old program's accesses come before this: from here on no barrier waits for them.
    fence(Ordering::SeqCst);
    debug_assert!(mm.context_flags.load(Ordering::Relaxed) == 0);
    this_rq().membarrier_state.store(0, Ordering::Relaxed);
}

/// Makes every CPU pass a barrier. Linux waits until each has switched; this kernel interrupts
/// each.
pub fn membarrier_global() {
    barrier_on(|_| true);
}

/// Makes all CPUs that run a registered process pass a barrier.
pub fn membarrier_global_expedited() {
    barrier_on(|curr| curr.in_user && curr.state & MEMBARRIER_STATE_GLOBAL_EXPEDITED != 0);
}

/// Makes all CPUs that run a thread of `mm`, the caller's own, pass a barrier.
pub fn membarrier_private_expedited(mm: &MmStruct) {
    // Without another thread nothing can observe the order.
    if mm.counts.users() > 1 {
        barrier_on(|curr| ptr::eq(curr.mm, mm));
    }
}

/// Makes all CPUs that run a thread of `mm` pass a barrier and serialize, so that none of them,
/// including this one, executes instructions that it fetched before. The others serialize by the
/// IRET from the interrupt.
pub fn membarrier_private_expedited_sync_core(mm: &MmStruct) {
    membarrier_private_expedited(mm);
    sync_core();
}

/// Sets `set` in `mm`, tells every CPU, and then sets `ready`.
pub fn membarrier_register(mm: &MmStruct, set: u32, ready: u32) {
    if mm.context_flags.load(Ordering::Acquire) & ready == ready {
        return;
    }
    mm.context_flags.fetch_or(set, Ordering::SeqCst);
    // All CPUs, not only those that seem to run it: a CPU in the middle of a switch to it has
    // interrupts off, and takes the interrupt only when `current` is right.
    on_each_cpu(&|| ipi_sync_rq_state(mm));
    mm.context_flags.fetch_or(ready, Ordering::SeqCst);
}

/// Copies the state of `mm` to this CPU's run queue if the CPU uses `mm`. A kernel task that
/// borrows it counts too: the switch back to its owner copies nothing.
fn ipi_sync_rq_state(mm: &MmStruct) {
    if ptr::eq(current().active_mm.load(Ordering::Relaxed), mm) {
        let state = mm.context_flags.load(Ordering::Relaxed);
        // The run queue stays this CPU's: we are in an interrupt, or have interrupts off.
        this_rq().membarrier_state.store(state, Ordering::Relaxed);
    }
    fence(Ordering::SeqCst);
}

/// The task of another CPU: its own address space, whether it has one, and the CPU's registration.
struct Curr {
    mm: *mut MmStruct,
    in_user: bool,
    state: u32,
}

/// Executes a barrier on this CPU, then on the other CPUs that `wanted` chooses, then again on this
/// one.
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

/// Looks up the task of `cpu`. The lock keeps that task from ending meanwhile.
fn curr_of(cpu: u32) -> Curr {
    let _irq = IrqGuard::new();
    let rq = cpu_rq(cpu).lock();
    // SAFETY: a running task is live, and stays running as long as we hold the lock.
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

/// Serializes this CPU by CPUID, which has no other effect.
fn sync_core() {
    insn::cpuid(0, 0);
    this_cpu_inc!(count.core_syncs);
}

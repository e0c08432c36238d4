//! Lazy FPU: x87 and SSE registers move only when a task uses them.
//!
//! `__unlazy_fpu` saves at the switch what prev really used; next gets its registers at its first
//! FPU instruction, which faults with #NM because CR0.TS is set, or at once if it has used them
//! in more than five time slices in a row. Invariant: CR0.TS is clear exactly while the running
//! task has TS_USEDFPU.
//!
//! The switch calls the first half of this file with interrupts off; `math_state_restore` is
//! called by the #NM handler on the task's own stack.
//!
//! Book: ch. 3, "Saving and Loading the FPU, MMX, and XMM Registers".
//! Linux: 2.6.38 `arch/x86/kernel/traps.c`, `i387.c`. SDM: vol. 3, 13.4.

extern crate alloc;
use alloc::boxed::Box;

use super::current::{Current, current};
use super::insn;
pub use super::insn::clts;
use crate::hw::fxsave::FxsaveArea;
use crate::sync::PreemptGuard;
use crate::task::state::PF_USED_MATH;
use crate::task::thread_struct::{TS_FPU_COUNTED, TS_USEDFPU, ThreadStruct};
use crate::this_cpu_inc;

/// Above this many slices in a row the switch loads the FPU itself.
pub const FPU_PRELOAD_AFTER: u32 = 5;

/// Whether next is to have the FPU at once.
#[inline(always)]
pub fn switch_fpu_prepare(next: &ThreadStruct) -> bool {
    next.fpu.is_some() && next.fpu_counter > FPU_PRELOAD_AFTER
}

/// Saves prev's registers if it used them in this slice and takes the FPU away; otherwise its
/// run of slices with FPU use is over.
#[inline(always)]
pub fn __unlazy_fpu(prev: &mut ThreadStruct) {
    if prev.work & TS_USEDFPU != 0 {
        __save_init_fpu(prev);
        insn::stts();
    } else {
        set_fpu_counter(prev, 0);
    }
}

/// Stores the live registers, which are this task's, and ends its ownership.
#[inline(always)]
fn __save_init_fpu(task: &mut ThreadStruct) {
    if let Some(fpu) = task.fpu.as_deref_mut() {
        // SAFETY: the area is 512 bytes, aligned to 16, and ours.
        unsafe { insn::fxsave((&raw mut *fpu).cast()) };
    }
    task.set_work(TS_USEDFPU, false);
    this_cpu_inc!(count.fpu_saves);
}

/// Loads a task's registers; CR0.TS is clear already.
#[inline(always)]
pub fn __math_state_restore(task: &mut ThreadStruct) {
    if let Some(fpu) = task.fpu.as_deref() {
        // SAFETY: the area was written by fxsave, or is the initial state.
        unsafe { insn::fxrstor(core::ptr::from_ref(fpu).cast()) };
    }
    task.set_work(TS_USEDFPU, true);
    // Eight bits, so that a task which always uses the FPU is lazy again now and then.
    set_fpu_counter(task, (task.fpu_counter + 1) & 0xff);
}

#[inline(always)]
fn set_fpu_counter(task: &mut ThreadStruct, counter: u32) {
    task.fpu_counter = counter;
    task.set_work(TS_FPU_COUNTED, counter != 0);
}

/// #NM: the running task wants the FPU. Entered with interrupts off; the first use allocates.
///
/// Returns false when there is no memory for the state: the task is to be killed.
pub fn math_state_restore() -> bool {
    let me = current();
    // SAFETY: nobody else borrows our context: an interrupt does not touch it, and preemption
    // here switches us as a task without TS_USEDFPU.
    let thread = unsafe { me.thread_mut() };
    if thread.fpu.is_none() {
        let Some(state) = init_fpu() else {
            return false;
        };
        thread.fpu = Some(state);
        me.flags
            .fetch_or(PF_USED_MATH, core::sync::atomic::Ordering::Relaxed);
    }
    let _no_preempt = PreemptGuard::new();
    this_cpu_inc!(count.fpu_nm);
    clts();
    __math_state_restore(thread);
    true
}

/// Fresh state: FCW 0x37f, MXCSR 0x1f80, everything else empty.
fn init_fpu() -> Option<Box<FxsaveArea>> {
    Some(Box::new(FxsaveArea::INIT))
}

/// Makes the memory copy of the running task's registers complete (`unlazy_fpu`): before a
/// fork copies it. Linux: `prepare_to_copy`.
pub fn unlazy_fpu(me: Current) {
    let _no_preempt = PreemptGuard::new();
    // SAFETY: our own context, with preemption off.
    let thread = unsafe { me.thread_mut() };
    if thread.work & TS_USEDFPU != 0 {
        __save_init_fpu(thread);
        insn::stts();
    }
}

/// Forgets the running task's FPU state: at exec, and at exit (`clear_fpu`, `free_thread_xstate`).
pub fn clear_fpu(me: Current) {
    let state = {
        let _no_preempt = PreemptGuard::new();
        // SAFETY: our own context, with preemption off.
        let thread = unsafe { me.thread_mut() };
        if thread.work & TS_USEDFPU != 0 {
            thread.set_work(TS_USEDFPU, false);
            insn::stts();
        }
        set_fpu_counter(thread, 0);
        me.flags
            .fetch_and(!PF_USED_MATH, core::sync::atomic::Ordering::Relaxed);
        thread.fpu.take()
    };
    drop(state);
}

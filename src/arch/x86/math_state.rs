//! Lazy FPU: x87 and SSE registers move only when a task uses them.
//!
//! `__unlazy_fpu` saves at the switch what prev really used; next gets its registers at its first
//! FPU instruction, which faults with #NM because CR0.TS is set, or at once if it has used them
//! in more than five time slices in a row. Invariant: CR0.TS is clear exactly while the running
//! task has TS_USEDFPU.
//!
//! With `fpu=eager` next gets its registers at every switch, as if it had used them often; CR0.TS is
//! set only for tasks that have none (Linux: `eagerfpu`, from 3.7 on).
//!
//! The switch calls the first half of this file with interrupts off; `math_state_restore` is
//! called by the #NM handler on the task's own stack.
//!
//! Book: ch. 3, "Saving and Loading the FPU, MMX, and XMM Registers".
//! Linux: 2.6.38 `arch/x86/kernel/traps.c`, `i387.c`. SDM: vol. 3, 13.4 "Designing
//! OS Facilities for Saving x87 FPU, SSE and Extended States on Task or Context Switches".

extern crate alloc;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicI32, Ordering};

use super::current::{Current, current};
use super::insn::{self, clts};
use super::paravirt;
use crate::cmdline::Fpu;
use crate::hw::fxsave::FxsaveArea;
use crate::sync::PreemptGuard;
use crate::sync::irq::{irqs_disabled, local_irq_disable, local_irq_enable};
use crate::sync::preempt::preempt_count;
use crate::task::state::PF_USED_MATH;
use crate::task::thread_struct::{TS_FPU_COUNTED, TS_USEDFPU, ThreadStruct};
use crate::this_cpu_inc;

/// Above this many slices in a row the switch loads the FPU itself.
pub const FPU_PRELOAD_AFTER: u32 = 5;

/// The number in force: [`FPU_PRELOAD_AFTER`], or -1 with `fpu=eager`, which every count is above.
static PRELOAD_AFTER: AtomicI32 = AtomicI32::new(FPU_PRELOAD_AFTER as i32);

/// Chooses when a task gets its registers back. At boot, before any task has used the FPU.
pub fn set_mode(mode: Fpu) {
    if mode == Fpu::Eager {
        PRELOAD_AFTER.store(-1, Ordering::Relaxed);
    }
}

/// Whether every switch loads next's registers (`fpu=eager`).
#[inline(always)]
pub fn is_eager() -> bool {
    PRELOAD_AFTER.load(Ordering::Relaxed) < 0
}

/// Whether next is to have the FPU at once.
#[inline(always)]
pub fn switch_fpu_prepare(next: &ThreadStruct) -> bool {
    next.fpu_counter as i32 > PRELOAD_AFTER.load(Ordering::Relaxed) && next.fpu.is_some()
}

/// Saves prev's registers if it used them in this slice and takes the FPU away; otherwise its
/// run of slices with FPU use is over.
#[inline(always)]
pub fn __unlazy_fpu<const BATCH: bool>(prev: &mut ThreadStruct) {
    if prev.work & TS_USEDFPU != 0 {
        __save_init_fpu(prev);
        paravirt::stts::<BATCH>();
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
    task.set_work(TS_USEDFPU | TS_FPU_COUNTED, true);
    // Eight bits, so that a task which always uses the FPU is lazy again now and then.
    task.fpu_counter = (task.fpu_counter + 1) & 0xff;
}

#[inline(always)]
fn set_fpu_counter(task: &mut ThreadStruct, counter: u32) {
    task.fpu_counter = counter;
    task.set_work(TS_FPU_COUNTED, counter != 0 || must_preload(task));
}

/// Whether the switch to this task has to load its registers, however rarely it uses them.
pub fn must_preload(task: &ThreadStruct) -> bool {
    is_eager() && task.fpu.is_some()
}

/// #NM: the running task wants the FPU. Called with interrupts or preemption off; the first use
/// allocates, and has interrupts on meanwhile.
///
/// Returns false when there is no memory for the state: the task is to be killed.
pub fn math_state_restore() -> bool {
    debug_assert!(
        irqs_disabled() || preempt_count() != 0,
        "BUG: math_state_restore may be switched away"
    );
    let me = current();
    // SAFETY: nobody else borrows our context: an interrupt does not touch it, and preemption
    // in `first_use` switches us as a task without TS_USEDFPU.
    let thread = unsafe { me.thread_mut() };
    if thread.fpu.is_none() && !first_use(me, thread) {
        return false;
    }
    this_cpu_inc!(count.fpu_nm);
    clts();
    __math_state_restore(thread);
    true
}

/// Gives the running task a state of its own. False: no memory.
#[cold]
#[inline(never)]
fn first_use(me: Current, thread: &mut ThreadStruct) -> bool {
    let in_trap = irqs_disabled();
    if in_trap {
        local_irq_enable();
    }
    let state = init_fpu();
    if in_trap {
        local_irq_disable();
    }
    let Some(state) = state else { return false };
    thread.fpu = Some(state);
    me.flags.fetch_or(PF_USED_MATH, Ordering::Relaxed);
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
        if is_eager() {
            // FXSAVE leaves the registers as they are.
            thread.set_work(TS_USEDFPU, true);
        } else {
            insn::stts();
        }
    }
}

/// Gives the running task, whose state in memory is new, its registers at once if that is how
/// they are always given.
pub fn load_if_eager(me: Current) {
    let _no_preempt = PreemptGuard::new();
    // SAFETY: our own context, with preemption off.
    let thread = unsafe { me.thread_mut() };
    if must_preload(thread) && thread.work & TS_USEDFPU == 0 {
        clts();
        __math_state_restore(thread);
    }
}

/// A new program's state: none until its first FPU instruction, or with `fpu=eager` a fresh one.
pub fn flush_fpu(me: Current) {
    clear_fpu(me);
    if is_eager() {
        // SAFETY: our own context; the live registers are nobody's now.
        unsafe { me.thread_mut() }.fpu = init_fpu();
        me.flags.fetch_or(PF_USED_MATH, Ordering::Relaxed);
        load_if_eager(me);
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
        me.flags.fetch_and(!PF_USED_MATH, Ordering::Relaxed);
        let state = thread.fpu.take();
        set_fpu_counter(thread, 0);
        state
    };
    drop(state);
}

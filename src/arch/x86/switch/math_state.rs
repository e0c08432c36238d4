//! Lazy FPU: x87 and SSE registers move only when a task uses them.
//!
//! At the switch `__unlazy_fpu` saves prev's registers if prev used them. Next gets its registers
//! at its first FPU instruction, which faults with #NM because CR0.TS is set, or at once if it has
//! used them in more than five time slices in a row. Invariant: CR0.TS is clear exactly while the
//! running task has TS_USEDFPU.
//!
//! With `fpu=eager` next gets its registers at every switch, as if it had used them often; CR0.TS
//! is set only for tasks without FPU state (Linux: `eagerfpu`, from 3.7 on).
//!
//! The switch calls the first half of this file with interrupts off; `math_state_restore` is
//! called by the #NM handler on the task's own stack.
//!
//! Steps 1 and 7 of `__switch_to`; the book's step 1.
//!
//! Book: ch. 3, "Saving and Loading the FPU, MMX, and XMM Registers".
//! Linux: 2.6.38 `arch/x86/kernel/traps.c`, `i387.c`. SDM: vol. 3, 13.4 "Designing
//! OS Facilities for Saving x87 FPU, SSE and Extended States on Task or Context Switches".

extern crate alloc;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::arch::x86::current::{Current, current};
use crate::arch::x86::switch::updates::Updates;
use crate::base::cmdline::Fpu;
use crate::base::errno::Errno;
use crate::base::insn;
use crate::base::insn::clts;
use crate::hw::fxsave::FxsaveArea;
use crate::mm::fallible::try_box;
use crate::sync::PreemptGuard;
use crate::sync::irq::{irqs_disabled, local_irq_disable, local_irq_enable};
use crate::sync::preempt::preempt_count;
use crate::task::thread_struct::{TS_FPU_COUNTED, ThreadStruct};
use crate::this_cpu_inc;

/// Number of slices in a row above which the switch itself loads the FPU.
pub const FPU_PRELOAD_AFTER: u32 = 5;

/// The limit in force: [`FPU_PRELOAD_AFTER`], or -1 with `fpu=eager`, which every count exceeds.
static PRELOAD_AFTER: AtomicI32 = AtomicI32::new(FPU_PRELOAD_AFTER as i32);

/// Chooses when a task gets its registers back. Called at boot, before any task has used the FPU.
pub fn set_mode(mode: Fpu) {
    if mode == Fpu::Eager {
        PRELOAD_AFTER.store(-1, Ordering::Relaxed);
    }
}

/// Returns whether every switch loads next's registers (`fpu=eager`).
#[inline(always)]
pub fn is_eager() -> bool {
    PRELOAD_AFTER.load(Ordering::Relaxed) < 0
}

/// Returns whether next gets its FPU registers at once.
#[inline(always)]
pub fn switch_fpu_prepare(next: &ThreadStruct) -> bool {
    next.fpu_counter as i32 > PRELOAD_AFTER.load(Ordering::Relaxed) && next.used_math()
}

/// Saves prev's registers and takes the FPU away if prev used them in this slice; otherwise ends
/// its run of slices with FPU use.
///
/// # Safety
/// 1. `prev` is the task that ran on this CPU until now, and interrupts are off.
#[inline(always)]
pub unsafe fn __unlazy_fpu<To: Updates>(prev: &mut ThreadStruct) {
    if prev.fpu_is_live() {
        // SAFETY: by 1 the live registers are prev's, and nothing comes between.
        unsafe {
            __save_init_fpu(prev);
            To::stts();
        }
    } else {
        set_fpu_counter(prev, 0);
    }
}

/// Stores the live registers of `task`, and ends its ownership.
///
/// # Safety
/// 1. The registers of this CPU are those of `task`, and it cannot be switched away.
#[inline(always)]
unsafe fn __save_init_fpu(task: &mut ThreadStruct) {
    if let Some(fpu) = task.saved_fpu_mut() {
        // SAFETY: the area is 512 bytes, aligned to 16, and ours; by 1 it gets its own registers.
        unsafe { insn::fxsave((&raw mut *fpu).cast()) };
    }
    task.mark_saved();
    this_cpu_inc!(count.fpu_saves);
}

/// Loads the registers of `task`, which owns them from then on.
///
/// # Safety
/// 1. `task` is the task that runs on this CPU, or that it is about to run; it cannot be switched away.
/// 2. CR0.TS is clear, and no other task has its registers live here.
#[inline(always)]
pub unsafe fn __math_state_restore(task: &mut ThreadStruct) {
    if let Some(fpu) = task.saved_fpu() {
        // SAFETY: the area was written by fxsave or made by `to_fxsave`, or is the initial state.
        unsafe { insn::fxrstor(core::ptr::from_ref(fpu).cast()) };
    }
    task.mark_live();
    // Eight bits: a task that always uses the FPU is lazy again from time to time.
    task.fpu_counter = (task.fpu_counter + 1) & 0xff;
}

#[inline(always)]
fn set_fpu_counter(task: &mut ThreadStruct, counter: u32) {
    task.fpu_counter = counter;
    task.set_work(TS_FPU_COUNTED, counter != 0 || must_preload(task));
}

/// Returns whether the switch to this task has to load its registers, however rarely it uses them.
pub fn must_preload(task: &ThreadStruct) -> bool {
    is_eager() && task.used_math()
}

/// Calls `f` with the running task's own context, with preemption off so that nothing else borrows
/// it meanwhile. `f` neither sleeps nor allocates nor borrows a context.
fn with_thread<R>(me: Current, f: impl FnOnce(&mut ThreadStruct) -> R) -> R {
    let _no_preempt = PreemptGuard::new();
    // SAFETY: `__switch_to` cannot borrow it while we are not switched away, and the callers in this
    // file do not nest.
    f(unsafe { me.thread_mut() })
}

/// Handles #NM: gives the running task the FPU. Called with interrupts or preemption off; the first
/// use allocates, with interrupts on meanwhile.
///
/// Returns false if there is no memory for the state; the caller then kills the task.
pub fn math_state_restore() -> bool {
    debug_assert!(
        irqs_disabled() || preempt_count() != 0,
        "BUG: math_state_restore may be switched away"
    );
    let me = current();
    if !with_thread(me, |thread| thread.used_math()) && !first_use(me) {
        return false;
    }
    this_cpu_inc!(count.fpu_nm);
    clts();
    // SAFETY: the running task's, with preemption off; #NM says that no registers are live here.
    with_thread(me, |thread| unsafe { __math_state_restore(thread) });
    true
}

/// Gives the running task its own FPU state; returns false without memory.
#[cold]
#[inline(never)]
fn first_use(me: Current) -> bool {
    let in_trap = irqs_disabled();
    if in_trap {
        local_irq_enable();
    }
    let done = init_fpu(me, &FxsaveArea::INIT);
    if in_trap {
        local_irq_disable();
    }
    done.is_ok()
}

/// Gives the running task the FPU state `image`, in memory. May be preempted while it allocates,
/// when nothing is borrowed.
///
/// # Errors
/// ENOMEM if there is no memory for the state.
fn init_fpu(me: Current, image: &FxsaveArea) -> Result<(), Errno> {
    let memory = match with_thread(me, |thread| thread.has_fpu_memory()) {
        true => None,
        false => Some(try_box(FxsaveArea::INIT)?),
    };
    let (done, spare) = with_thread(me, |thread| thread.init_fpu(image, memory));
    drop(spare);
    match done {
        true => Ok(()),
        false => Err(Errno::ENOMEM),
    }
}

/// Makes the memory copy of the running task's registers complete (`unlazy_fpu`).
///
/// # Safety
/// 1. `thread` is the running task's, and preemption is off.
unsafe fn unlazy_fpu(thread: &mut ThreadStruct) {
    if thread.fpu_is_live() {
        // SAFETY: by 1 the live registers are this task's.
        unsafe { __save_init_fpu(thread) };
        if is_eager() {
            // FXSAVE leaves the registers as they are.
            thread.mark_live();
        } else {
            insn::stts();
        }
    }
}

/// Returns the running task's present FPU state, or `None` if it has none. Used before a fork
/// copies the state (Linux: `prepare_to_copy`), for a signal frame, and to find the exception that
/// was raised.
pub fn current_fpu_state(me: Current) -> Option<FxsaveArea> {
    with_thread(me, |thread| {
        // SAFETY: `with_thread` gives the running task's, with preemption off.
        unsafe { unlazy_fpu(thread) };
        thread.saved_fpu().copied()
    })
}

/// Gives `new`, the context of a child that has not run, the FPU state `image`.
///
/// # Errors
/// ENOMEM if there is no memory for the state.
pub fn copy_fpu_state(new: &mut ThreadStruct, image: &FxsaveArea) -> Result<(), Errno> {
    let (_done, _spare) = new.init_fpu(image, Some(try_box(FxsaveArea::INIT)?));
    new.set_work(TS_FPU_COUNTED, must_preload(new));
    Ok(())
}

/// Gives the running task the FPU state `image` (sigreturn).
///
/// # Errors
/// ENOMEM if there is no memory for the state; a task that has ever had a state has the memory.
pub fn set_fpu_state(me: Current, image: &FxsaveArea) -> Result<(), Errno> {
    clear_used_math(me);
    init_fpu(me, image)?;
    load_if_eager(me);
    Ok(())
}

/// Loads the running task's new state from memory at once if `fpu=eager` is in force.
fn load_if_eager(me: Current) {
    with_thread(me, |thread| {
        if must_preload(thread) && !thread.fpu_is_live() {
            clts();
            // SAFETY: the running task's, with preemption off; with `fpu=eager` each task has its own
            // registers live, and this one has none yet.
            unsafe { __math_state_restore(thread) };
        }
    });
}

/// Prepares the FPU for a new program or a signal handler: it starts without FPU state, or with a
/// fresh one under `fpu=eager`. If there is no memory for that, its first FPU instruction tries
/// again.
pub fn fresh_fpu(me: Current) {
    clear_used_math(me);
    if is_eager() && init_fpu(me, &FxsaveArea::INIT).is_ok() {
        load_if_eager(me);
    }
}

/// Forgets the running task's FPU state; the memory stays (Linux: `clear_fpu`, `clear_used_math`).
pub fn clear_used_math(me: Current) {
    with_thread(me, |thread| {
        if thread.forget_fpu() {
            insn::stts();
        }
        set_fpu_counter(thread, 0);
    });
}

/// Frees the FPU state of the running task, which exits (Linux: `free_thread_xstate`).
pub fn exit_fpu(me: Current) {
    clear_used_math(me);
    let memory = with_thread(me, |thread| thread.take_fpu_memory());
    drop(memory);
}

/// Bits that MXCSR has on every CPU of this machine (Linux: `mxcsr_feature_mask`).
static MXCSR_FEATURE_MASK: AtomicU32 = AtomicU32::new(u32::MAX);

/// Returns the bits of MXCSR that FXRSTOR accepts.
pub fn mxcsr_feature_mask() -> u32 {
    MXCSR_FEATURE_MASK.load(Ordering::Relaxed)
}

/// Asks this CPU which bits its MXCSR has. Called once per CPU, while CR0.TS is clear.
pub fn mxcsr_feature_mask_init() {
    let mut area = FxsaveArea::INIT;
    // SAFETY: 512 bytes of ours, aligned by their type.
    unsafe { insn::fxsave((&raw mut area).cast()) };
    MXCSR_FEATURE_MASK.fetch_and(area.mxcsr_bits(), Ordering::Relaxed);
}

//! `__switch_to`: the half of the switch that is not about the stack.
//!
//! Entered by `jmp` from `switch_to`, on next's stack, interrupts off, with prev in ecx (and
//! eax) and next in edx; returns prev in eax, to `next->thread.ip`. Nothing here logs: a log
//! line could wake a task and come back here.
//!
//! Between the `esp` load and the last step `current` is still prev, while
//! `current_thread_info()->task` is next.
//!
//! One sequence, in Linux's order, compiled three times, since `work` of both tasks says what is
//! due: the common steps are all; the FPU as well; all that there is.
//!
//! Book: ch. 3, "The __switch_to() function". Linux: 2.6.38 `arch/x86/kernel/process_32.c`
//! (the book's kernel loads TLS before it saves gs).

use super::lazy_gs::{lazy_load_gs, lazy_save_gs};
use super::load_sp0::{load_sp0, load_sp0_and_sysenter_cs};
use super::load_tls::load_tls_first;
use super::math_state::{__math_state_restore, __unlazy_fpu, switch_fpu_prepare};
use super::paravirt::{self, arch_end_context_switch};
use super::switch_to_xtra::__switch_to_xtra;
use crate::task::task_struct::TaskStruct;
use crate::task::thread_struct::{
    _TIF_WORK_CTXSW, TIF_PARAVIRT, TIF_SYSENTER_CS, TIF_TLS_ALL, TS_FPU_COUNTED, TS_USEDFPU,
};
use crate::{this_cpu_inc, this_cpu_write};

/// Bits of `thread.work` of a task whose FPU state may have to move.
const FPU: u32 = TS_USEDFPU | TS_FPU_COUNTED;
/// Bits of a task that has what few have.
const RARE: u32 = TIF_TLS_ALL | TIF_SYSENTER_CS | TIF_PARAVIRT | _TIF_WORK_CTXSW;

/// Moves all of the hardware context but `esp` and `eip` from `prev_p` to `next_p`.
///
/// # Safety
/// 1. Entered only by the `jmp` of `switch_to`, whose conditions hold.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".sched.text")]
pub unsafe extern "fastcall" fn __switch_to(
    prev_p: *mut TaskStruct,
    next_p: *mut TaskStruct,
) -> *mut TaskStruct {
    // SAFETY: both are live by 1.
    if unsafe { work(prev_p, next_p) } & (FPU | RARE) == 0 {
        // SAFETY: by 1, and neither task has any of them.
        unsafe { steps::<false, false>(prev_p, next_p) }
    } else {
        // SAFETY: by 1.
        unsafe { __switch_to_work(prev_p, next_p) }
    }
}

/// The bits of `work` that one of the two tasks has.
///
/// # Safety
/// 1. Both are live, and off their stack or not yet on it.
#[inline(always)]
unsafe fn work(prev_p: *mut TaskStruct, next_p: *mut TaskStruct) -> u32 {
    // SAFETY: by 1; the words are their own.
    unsafe { (*(*prev_p).thread()).work | (*(*next_p).thread()).work }
}

/// The steps with more than the common ones, out of their path.
///
/// # Safety
/// As [`__switch_to`].
#[cold]
#[inline(never)]
#[unsafe(link_section = ".sched.text")]
unsafe extern "fastcall" fn __switch_to_work(
    prev_p: *mut TaskStruct,
    next_p: *mut TaskStruct,
) -> *mut TaskStruct {
    // SAFETY: the caller's; without a bit of RARE neither task has what those steps move.
    unsafe {
        if work(prev_p, next_p) & RARE == 0 {
            steps::<true, false>(prev_p, next_p)
        } else {
            steps::<true, true>(prev_p, next_p)
        }
    }
}

/// The steps, in 2.6.38's order.
///
/// # Safety
/// 1. As [`__switch_to`]; `FPU_DUE` is true unless neither task has a bit of [`FPU`], and
///    `RARE_DUE` likewise of [`RARE`].
#[inline(always)]
unsafe fn steps<const FPU_DUE: bool, const RARE_DUE: bool>(
    prev_p: *mut TaskStruct,
    next_p: *mut TaskStruct,
) -> *mut TaskStruct {
    // SAFETY: prev is off its stack and next not yet `current`: by 1 nobody else writes either
    // context, and they are two different tasks.
    let (prev, next) = unsafe { (&mut *(*prev_p).thread(), &mut *(*next_p).thread()) };

    // 1. FPU: save it if prev used it; decide whether next gets it at once.
    let preload = if FPU_DUE {
        let preload = switch_fpu_prepare(next);
        __unlazy_fpu::<RARE_DUE>(prev);
        preload
    } else {
        false
    };

    // 2. The stack that an entry from ring 3 lands on.
    // SAFETY: we are on next's stack, interrupts off.
    unsafe {
        if RARE_DUE {
            load_sp0_and_sysenter_cs(next);
        } else {
            load_sp0(next);
        }
    }

    // 3. prev's %gs, before its descriptor goes: the register is all that holds it.
    lazy_save_gs(prev);

    // 4. next's TLS descriptors, into this CPU's GDT.
    // SAFETY: `set_thread_area` has checked them; interrupts are off.
    unsafe {
        if RARE_DUE {
            paravirt::load_tls(next);
        } else {
            load_tls_first(next);
        }
    }

    // 5. Debug registers, time-stamp counter, I/O bitmap.
    if RARE_DUE && (prev.work | next.work) & _TIF_WORK_CTXSW != 0 {
        // SAFETY: next comes onto this CPU, interrupts are off.
        unsafe { __switch_to_xtra(prev, next) };
    }

    // 6. What a paravirtual back end has only noted so far is done: the FPU and %gs need it.
    if FPU_DUE && preload {
        paravirt::clts::<RARE_DUE>();
    }
    if RARE_DUE {
        // SAFETY: next comes onto this CPU, interrupts are off.
        unsafe { arch_end_context_switch(next) };
    }

    // 7. FPU to next, if it is to have it at once.
    if FPU_DUE && preload {
        __math_state_restore(next);
        this_cpu_inc!(count.fpu_preloads);
    }

    // 8. next's %gs: or, not "differs": two tasks with the same selector have two bases, and
    //    the processor keeps the old one until the selector is written.
    if prev.gs | next.gs != 0 {
        // SAFETY: neither is other than 0 in a kernel that uses %gs itself.
        unsafe { lazy_load_gs(next) };
    }

    // 9. From here on `current` is next.
    // SAFETY: we are on its stack.
    unsafe { this_cpu_write!(current_task, next_p as u32) };
    prev_p
}

//! `__switch_to`: the half of the switch that does not concern the stack.
//!
//! Entered by `jmp` from `switch_to`, on next's stack, interrupts off, with prev in ecx (and
//! eax) and next in edx; returns prev in eax, to `next->thread.ip`. Nothing here logs: a log
//! line could wake a task and come back here.
//!
//! Between the `esp` load and the last step `current` is still prev, while
//! `current_thread_info()->task` is next.
//!
//! One sequence, in Linux's order. The numbers are the same in every file of the switch, in `docs/book.md`
//! and in gdb:
//!
//! | step | what | where | the book's step |
//! |---|---|---|---|
//! | 1 | prev's FPU registers to memory | `math_state.rs` | 1 |
//! | 2 | next's stack for entries from ring 3 | `load_sp0.rs` | 3 |
//! | 3 | prev's `%gs` to memory | `lazy_gs.rs` | 5 |
//! | 4 | next's TLS descriptors | `load_tls.rs` | 4 |
//! | 5 | debug registers, time-stamp counter, ports | `switch_to_xtra.rs` | 7 and 8 |
//! | 6 | noted updates are applied | `paravirt.rs` | |
//! | 7 | next's FPU registers, if it gets them at once | `math_state.rs` | |
//! | 8 | next's `%gs` | `lazy_gs.rs` | 6 |
//! | 9 | `current` becomes next; prev is returned | here | 9 |
//!
//! (The book's step 2 finds the number of the CPU. Here `%fs` leads to its area.)
//!
//! Most switches take steps 2, 3, 4, 8 and 9 only: see [`forms`](crate::arch::x86::switch::forms).
//!
//! Book: ch. 3, "The __switch_to() function". Linux: 2.6.38 `arch/x86/kernel/process_32.c`
//! (the book's kernel loads TLS before it saves gs).

use crate::arch::x86::switch::forms::{All, Common, FPU, Form, RARE, WithFpu};
use crate::arch::x86::switch::lazy_gs::{lazy_load_gs, lazy_save_gs};
use crate::arch::x86::switch::load_sp0::load_sp0;
use crate::arch::x86::switch::load_tls::load_tls;
use crate::arch::x86::switch::math_state::{
    __math_state_restore, __unlazy_fpu, switch_fpu_prepare,
};
use crate::arch::x86::switch::paravirt::Batch;
use crate::arch::x86::switch::switch_to_xtra::__switch_to_xtra;
use crate::arch::x86::switch::updates::{Now, Updates};
use crate::task::task_struct::TaskStruct;
use crate::task::thread_struct::{_TIF_WORK_CTXSW, TIF_PARAVIRT, Work};
use crate::{this_cpu_inc, this_cpu_write};

/// Switches all of the hardware context except `esp` and `eip` from `prev_p` to `next_p`.
///
/// # Safety
/// 1. Entered only by the `jmp` of `switch_to`, whose conditions hold.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".sched.text")]
pub unsafe extern "fastcall" fn __switch_to(
    prev_p: *mut TaskStruct,
    next_p: *mut TaskStruct,
) -> *mut TaskStruct {
    // SAFETY: both are live by 1; a switch without a bit of FPU or RARE needs no more.
    unsafe {
        match work(prev_p, next_p).intersects(FPU.union(RARE)) {
            false => steps::<Common>(prev_p, next_p),
            true => __switch_to_work(prev_p, next_p),
        }
    }
}

/// Takes the steps in 2.6.38's order.
///
/// # Safety
/// 1. The conditions of [`__switch_to`] hold. 2. `F` covers everything that either task has.
#[inline(always)]
unsafe fn steps<F: Form>(prev_p: *mut TaskStruct, next_p: *mut TaskStruct) -> *mut TaskStruct {
    // SAFETY: prev has left its stack and next is not yet `current`: by 1 nothing else writes
    // either context, and the two tasks differ.
    let (prev, next) = unsafe { (&mut *(*prev_p).thread(), &mut *(*next_p).thread()) };

    // 1. FPU: save prev's registers if it used them; decide whether next gets its own at once.
    let preload = F::FPU && switch_fpu_prepare(next);
    if F::FPU {
        // SAFETY: prev ran here until now, and interrupts are off.
        unsafe { __unlazy_fpu::<F::To>(prev) };
    }

    // 2. The stack that an entry from ring 3 lands on.
    // SAFETY: we are on next's stack, interrupts off.
    unsafe { load_sp0::<F>(next) };

    // 3. prev's %gs, before its descriptor goes: only the register holds it.
    lazy_save_gs(prev);

    // 4. next's TLS descriptors, into this CPU's GDT.
    // SAFETY: `set_thread_area` has checked them; interrupts are off.
    unsafe { load_tls::<F>(next) };

    // 5. Debug registers, time-stamp counter, I/O bitmap.
    if F::RARE && (prev.work | next.work).intersects(_TIF_WORK_CTXSW) {
        // SAFETY: this CPU switches to next, interrupts are off.
        unsafe { __switch_to_xtra(prev, next) };
    }

    // 6. Apply the updates that were only noted: the FPU and %gs need them.
    if preload {
        // SAFETY: interrupts are off during a switch.
        unsafe { F::To::clts() };
    }
    // SAFETY: this CPU switches to next, interrupts are off.
    unsafe { F::To::end(next) };

    // 7. next's FPU registers, if it gets them at once.
    if preload {
        // SAFETY: next is about to run, CR0.TS is clear, and step 1 has saved prev's registers.
        unsafe { __math_state_restore(next) };
        this_cpu_inc!(count.fpu_preloads);
    }

    // 8. next's %gs. The test is "either is not 0", not "they differ": two tasks with the same
    //    selector have different bases, and the processor keeps the old base until the selector is
    //    written.
    if prev.gs | next.gs != 0 {
        // SAFETY: both are 0 in a kernel that uses %gs itself.
        unsafe { lazy_load_gs(next) };
    }

    // 9. From here on `current` is next.
    // SAFETY: we are on its stack.
    unsafe { this_cpu_write!(current_task, next_p as u32) };
    prev_p
}

/// Returns the bits of `work` that at least one of the two tasks has.
///
/// # Safety
/// 1. Both tasks are live, and each has left its stack or is not yet on it.
#[inline(always)]
unsafe fn work(prev_p: *mut TaskStruct, next_p: *mut TaskStruct) -> Work {
    // SAFETY: by 1; only the tasks themselves write the words.
    unsafe { (*(*prev_p).thread()).work | (*(*next_p).thread()).work }
}

/// Takes the steps of a switch that needs more than the common ones, out of the common path.
///
/// # Safety
/// The conditions of [`__switch_to`] hold.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".sched.text")]
unsafe extern "fastcall" fn __switch_to_work(
    prev_p: *mut TaskStruct,
    next_p: *mut TaskStruct,
) -> *mut TaskStruct {
    // SAFETY: the caller vouches for it; the bits say which form it needs. Where updates are batched
    // every task has TIF_PARAVIRT, and `context_switch` has begun a batch.
    unsafe {
        let work = work(prev_p, next_p);
        if !work.intersects(RARE) {
            steps::<WithFpu>(prev_p, next_p)
        } else if !work.contains(TIF_PARAVIRT) {
            steps::<All<Now>>(prev_p, next_p)
        } else {
            steps::<All<Batch>>(prev_p, next_p)
        }
    }
}

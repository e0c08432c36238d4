//! Lazy `%gs`: the kernel leaves the user's selector in the register; only the switch moves it.
//!
//! `lazy_save_gs` and `lazy_load_gs` are called by `__switch_to`; `exec` clears the register and
//! `fork` copies it. A selector whose descriptor is gone cannot be loaded: the load faults, and the
//! exception table makes it load 0 instead.
//!
//! With the feature `stack_protector` `%gs` belongs to the kernel while it runs. The user's
//! selector lies in `pt_regs` and travels with the stack, so the switch has nothing to do.
//!
//! Steps 3 and 8 of `__switch_to`.
//!
//! Book: ch. 3, "The __switch_to() function", the book's steps 5 and 6 (with `%fs`).
//! Linux: 2.6.38 `lazy_save_gs`, `lazy_load_gs`.

use core::arch::asm;
use core::mem::offset_of;

use crate::arch::x86::switch::canary::STACK_PROTECTOR;
use crate::base::insn;
use crate::base::pt_regs::PtRegs;
use crate::task::thread_struct::ThreadStruct;
use crate::this_cpu_inc;

const GS: usize = offset_of!(ThreadStruct, gs);

/// Stores `%gs` in prev's context. The upper half of `thread.gs` stays 0.
#[inline(always)]
pub fn lazy_save_gs(prev: &mut ThreadStruct) {
    if STACK_PROTECTOR {
        return;
    }
    // SAFETY: a store of 16 bits into `prev.gs`.
    unsafe {
        asm!("movw %gs, {GS}({prev})", prev = in(reg) &raw mut *prev, GS = const GS,
             options(att_syntax, nostack, preserves_flags));
    }
}

/// Loads `%gs` with next's selector, which makes the processor read its descriptor.
///
/// # Safety
/// 1. `%gs` is the user's: the kernel is not built with the feature `stack_protector`.
#[inline(always)]
pub unsafe fn lazy_load_gs(next: &ThreadStruct) {
    // SAFETY: by 1 the kernel does not use %gs. A fault is turned into a load of 0 by the table
    // entry.
    unsafe {
        asm!(
            "2: movw {GS}({next}), %gs",
            "3:",
            ".pushsection .text.fixup, \"ax\", @progbits",
            "4: pushl $0",
            "popl %gs",
            "jmp 3b",
            ".popsection",
            ".pushsection __ex_table, \"a\", @progbits",
            ".balign 4",
            ".long 2b, 4b",
            ".popsection",
            next = in(reg) core::ptr::from_ref(next),
            GS = const GS,
            options(att_syntax, preserves_flags)
        );
    }
    this_cpu_inc!(count.gs_loads);
}

/// Returns the `%gs` selector that the running task has in ring 3.
pub fn get_user_gs(regs: &PtRegs) -> u16 {
    match STACK_PROTECTOR {
        true => regs.gs as u16,
        false => insn::read_gs(),
    }
}

/// Gives the running task another `%gs` selector; one that cannot be loaded becomes 0.
pub fn set_user_gs(regs: &mut PtRegs, selector: u16) {
    match STACK_PROTECTOR {
        true => regs.gs = u32::from(selector),
        false => load_user_gs(selector),
    }
}

/// Loads the user's selector into `%gs`, where it stays; one that cannot be loaded becomes 0.
///
/// # Panics
/// Panics in a kernel that uses `%gs` itself.
pub fn load_user_gs(selector: u16) {
    if STACK_PROTECTOR {
        panic!("BUG: %gs is the kernel's");
    }
    // SAFETY: this kernel does not use %gs.
    unsafe { insn::load_gs(selector) };
}

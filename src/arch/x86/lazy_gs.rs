//! Lazy `%gs`: the kernel leaves the user's selector in the register; only the switch moves it.
//!
//! `lazy_save_gs` and `lazy_load_gs` are called by `__switch_to`; `exec` clears the register and
//! `fork` copies it. A selector whose descriptor is gone cannot be loaded: the load faults and
//! the exception table puts 0 there instead.
//!
//! Book: ch. 3, "The __switch_to() function", step 4. Linux: 2.6.38 `lazy_save_gs`, `lazy_load_gs`.

use core::arch::asm;
use core::mem::offset_of;

use crate::task::thread_struct::ThreadStruct;
use crate::this_cpu_inc;

const GS: usize = offset_of!(ThreadStruct, gs);

/// Stores `%gs` in prev's context. The upper half of `thread.gs` stays 0.
#[inline(always)]
pub fn lazy_save_gs(prev: &mut ThreadStruct) {
    // SAFETY: a store of 16 bits into `prev.gs`.
    unsafe {
        asm!("movw %gs, {GS}({prev})", prev = in(reg) &raw mut *prev, GS = const GS,
             options(att_syntax, nostack, preserves_flags));
    }
}

/// Loads `%gs` with next's selector, which makes the processor read its descriptor.
#[inline(always)]
pub fn lazy_load_gs(next: &ThreadStruct) {
    // SAFETY: the kernel uses no %gs. A fault is turned into a load of 0 by the table entry.
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

//! Lazy `%gs`: the kernel leaves the user's selector in the register; only the switch moves it.
//!
//! `lazy_save_gs` and `lazy_load_gs` are called by `__switch_to`; `exec` clears the register and
//! `fork` copies it. A selector whose descriptor is gone cannot be loaded: the load faults and
//! the exception table puts 0 there instead.
//!
//! Book: ch. 3, "The __switch_to() function", step 4. Linux: 2.6.38 `lazy_save_gs`, `lazy_load_gs`.

use core::arch::asm;

use super::insn;
use crate::task::thread_struct::ThreadStruct;
use crate::this_cpu_add;

/// Stores `%gs` in prev's context. The upper half of `thread.gs` stays 0.
#[inline(always)]
pub fn lazy_save_gs(prev: &mut ThreadStruct) {
    // SAFETY: a store of 16 bits into a word of ours.
    unsafe {
        asm!("movw %gs, ({})", in(reg) &raw mut prev.gs,
             options(att_syntax, nostack, preserves_flags));
    }
}

/// Loads `%gs` with next's selector, which makes the processor read its descriptor.
#[inline(always)]
pub fn lazy_load_gs(next: &ThreadStruct) {
    insn::load_gs(next.gs as u16);
    this_cpu_add!(count.gs_loads, 1);
}

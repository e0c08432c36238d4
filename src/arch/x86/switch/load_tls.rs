//! `load_TLS`: a task's three TLS descriptors into entries 6, 7 and 8 of this CPU's GDT.
//!
//! `__switch_to` calls this after it has saved prev's `%gs`, and `set_thread_area` calls it for the
//! running task. The processor keeps using the values from the old descriptor until the selector is
//! written again: see `lazy_gs`.
//!
//! Step 4 of `__switch_to`.
//!
//! Book: ch. 3, "The __switch_to() function", the book's step 4; ch. 2, "The Linux GDT".
//! Linux: 2.6.38 `native_load_tls`.

use crate::arch::x86::switch::forms::Form;
use crate::arch::x86::switch::updates::Updates;
use crate::task::thread_struct::ThreadStruct;

/// Loads the TLS descriptors (step 4): all three if a task has TIF_TLS_ALL; otherwise only the
/// first, the one that a C library uses, since the others are empty both in the GDT and in `next`.
///
/// # Safety
/// 1. The descriptors have passed the checks of `set_thread_area`: data segments of ring 3, or
///    empty.
/// 2. Interrupts or preemption are off.
#[doc(alias = "load_TLS")]
#[inline(always)]
pub unsafe fn load_tls<F: Form>(next: &ThreadStruct) {
    // SAFETY: by 1 and 2.
    unsafe { F::To::load_tls(&next.tls_array, F::RARE) };
}

//! `load_TLS`: a task's three TLS descriptors into entries 6, 7 and 8 of this CPU's GDT.
//!
//! Called by `__switch_to`, after prev's `%gs` was saved; and by `set_thread_area` for the
//! running task. The processor goes on using what it loaded from the old descriptor until the
//! selector is written again: see `lazy_gs`.
//!
//! Step 4 of `__switch_to`.
//!
//! Book: ch. 3, "The __switch_to() function", the book's step 4; ch. 2, "The Linux GDT".
//! Linux: 2.6.38 `native_load_tls`.

use crate::arch::x86::switch::kind::Kind;
use crate::arch::x86::switch::updates::Updates;
use crate::task::thread_struct::ThreadStruct;

/// Step 4: all three; or only the first, which is all that a C library uses, where the others are empty
/// both in the GDT and in `next`: unless a task has TIF_TLS_ALL.
///
/// # Safety
/// 1. The descriptors were checked as `set_thread_area` checks them: data segments of ring 3, or empty.
/// 2. Interrupts or preemption are off.
#[doc(alias = "load_TLS")]
#[inline(always)]
pub unsafe fn load_tls<K: Kind>(next: &ThreadStruct) {
    // SAFETY: by 1 and 2.
    unsafe { K::To::load_tls(&next.tls_array, K::RARE) };
}

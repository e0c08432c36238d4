//! `load_TLS`: a task's three TLS descriptors into entries 6, 7 and 8 of this CPU's GDT.
//!
//! Called by `__switch_to`, after prev's `%gs` was saved; and by `set_thread_area` for the
//! running task. The processor goes on using what it loaded from the old descriptor until the
//! selector is written again: see `lazy_gs`.
//!
//! Book: ch. 3, "The __switch_to() function", step 4; ch. 2, "The Linux GDT".
//! Linux: 2.6.38 `native_load_tls`.

use super::gdt::write_gdt_entry;
use crate::hw::desc::DescStruct;
use crate::task::thread_struct::ThreadStruct;

/// Loads all three.
///
/// # Safety
/// 1. The descriptors were checked as `set_thread_area` checks them: data segments of ring 3, or empty.
/// 2. Interrupts or preemption are off.
#[doc(alias = "load_TLS")]
#[inline(always)]
pub unsafe fn load_tls(next: &ThreadStruct) {
    // SAFETY: by 1 and 2.
    unsafe { write_tls(&next.tls_array) };
}

/// Writes GDT entries 6, 7 and 8.
///
/// # Safety
/// 1. As [`load_tls`].
#[inline(always)]
pub unsafe fn write_tls(tls: &[DescStruct; 3]) {
    // SAFETY: by 1.
    unsafe {
        write_gdt_entry::<6>(&tls[0]);
        write_gdt_entry::<7>(&tls[1]);
        write_gdt_entry::<8>(&tls[2]);
    }
}

/// Loads the first, which is all that a C library uses. The others are empty, both in the GDT
/// and in `next`, unless a task has TIF_TLS_ALL.
///
/// # Safety
/// 1. As [`load_tls`].
#[inline(always)]
pub unsafe fn load_tls_first(next: &ThreadStruct) {
    // SAFETY: by 1.
    unsafe { write_gdt_entry::<6>(&next.tls_array[0]) };
}

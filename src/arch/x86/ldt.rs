//! The LDT of an address space, in entry 17 of the GDT.
//!
//! Loaded by `switch_mm` when the two address spaces differ in it; most have none, and then the
//! register holds the null selector.
//!
//! Book: ch. 2, "The Linux LDTs". Linux: 2.6.38 `load_LDT_nolock`. SDM: vol. 3, 3.5.1.

use core::sync::atomic::Ordering;

use super::gdt::write_gdt_entry;
use super::insn;
use crate::hw::desc::{DescStruct, GDT_ENTRY_LDT, LDT_SELECTOR};
use crate::mm::mm_struct::MmStruct;

/// Makes `mm`'s LDT the one of this CPU. Interrupts or preemption are off.
pub fn load_ldt(mm: &MmStruct) {
    let entries = mm.ldt_entries.load(Ordering::Relaxed);
    if entries == 0 {
        // SAFETY: the null selector: any use of the LDT faults.
        unsafe { insn::lldt(0) };
        return;
    }
    write_gdt_entry::<GDT_ENTRY_LDT>(&DescStruct::ldt(mm.ldt.load(Ordering::Relaxed), entries));
    // SAFETY: entry 17 describes the table of the address space that is being loaded.
    unsafe { insn::lldt(LDT_SELECTOR.0) };
}

//! The LDT of an address space, in entry 17 of the GDT.
//!
//! Loaded by `switch_mm` when one of the two address spaces has one; most have none, and then the
//! register holds the null selector. When a process changes its own, every processor that has it loads
//! it anew.
//!
//! Book: ch. 2, "The Linux LDTs". Linux: 2.6.38 `load_LDT_nolock`, 4.3 `flush_ldt`.
//! SDM: vol. 3, 3.5.1 "Segment Descriptor Tables".

use core::sync::atomic::Ordering;

use super::gdt::write_gdt_entry;
use super::insn;
use super::percpu::smp_processor_id;
use super::smp::on_each_cpu;
use crate::hw::desc::{DescStruct, GDT_ENTRY_LDT, LDT_SELECTOR};
use crate::mm::mm_struct::MmStruct;

/// Makes `mm`'s LDT the one of this CPU. Interrupts or preemption are off.
pub fn load_ldt(mm: &MmStruct) {
    let Some(ldt) = mm.ldt() else {
        // SAFETY: the null selector: any use of the LDT faults.
        unsafe { insn::lldt(0) };
        return;
    };
    let entries = ldt.entries();
    write_gdt_entry::<GDT_ENTRY_LDT>(&DescStruct::ldt(
        entries.as_ptr() as u32,
        entries.len() as u32,
    ));
    // SAFETY: entry 17 describes the table of the address space that is being loaded.
    unsafe { insn::lldt(LDT_SELECTOR.0) };
}

/// The LDT of `mm` has changed: no processor that runs it has the old one when this returns. One that
/// has left it while it was lazy is not told; it loads the new one when it comes back.
///
/// All are interrupted, not only those of `cpu_vm_mask`: one that is just within the switch to it has
/// interrupts off, and takes ours with the bit set.
pub fn install_ldt(mm: &MmStruct) {
    on_each_cpu(flush_ldt, core::ptr::from_ref(mm) as usize);
}

fn flush_ldt(mm: usize) {
    // SAFETY: `install_ldt` waits for us with its caller's address space.
    let mm = unsafe { &*(mm as *const MmStruct) };
    if mm.cpu_vm_mask.load(Ordering::Acquire) & 1 << smp_processor_id() != 0 {
        load_ldt(mm);
    }
}

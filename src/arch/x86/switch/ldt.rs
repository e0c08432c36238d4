//! The LDT of an address space, in entry 17 of the GDT.
//!
//! Loaded by `switch_mm` when one of the two address spaces has one; most have none, and then the
//! register holds the null selector. When a process changes its own, every processor that has it loads
//! it anew.
//!
//! Book: ch. 2, "The Linux LDTs". Linux: 2.6.38 `load_LDT_nolock`, 4.3 `flush_ldt`.
//! SDM: vol. 3, 3.5.1 "Segment Descriptor Tables".

use core::sync::atomic::Ordering;

use crate::arch::x86::gdt::write_gdt_entry;
use crate::arch::x86::irq::smp::on_each_cpu;
use crate::base::insn;
use crate::base::percpu::smp_processor_id;
use crate::hw::desc::{DescStruct, GDT_ENTRY_LDT, LDT_SELECTOR};
use crate::mm::mm_struct::MmStruct;

/// Makes `mm`'s LDT the one of this CPU.
///
/// # Safety
/// 1. Interrupts are off. 2. `mm` is this CPU's address space, and lives as long as it is.
pub unsafe fn load_ldt(mm: &MmStruct) {
    // SAFETY: by 1; it is not used after the end of this function.
    let Some(ldt) = (unsafe { mm.ldt_to_load() }) else {
        // SAFETY: the null selector: any use of the LDT faults.
        unsafe { insn::lldt(0) };
        return;
    };
    let entries = ldt.entries();
    let desc = DescStruct::ldt(entries.as_ptr() as u32, entries.len() as u32);
    // SAFETY: the table stays as long as LDTR holds it: by 2 the address space lives, and who replaces
    // its table waits until this CPU has loaded the new one.
    unsafe {
        write_gdt_entry::<GDT_ENTRY_LDT>(&desc);
        insn::lldt(LDT_SELECTOR.0);
    }
}

/// The LDT of `mm` has changed: no processor that runs it has the old one when this returns. One that
/// has left it while it was lazy is not told; it loads the new one when it comes back.
///
/// All are interrupted, not only those of `cpu_vm_mask`: one that is just within the switch to it has
/// interrupts off, and takes ours with the bit set.
pub fn install_ldt(mm: &MmStruct) {
    on_each_cpu(&|| flush_ldt(mm));
}

/// On each CPU, interrupts off.
fn flush_ldt(mm: &MmStruct) {
    if mm.cpu_vm_mask.load(Ordering::Acquire) & 1 << smp_processor_id() != 0 {
        // SAFETY: interrupts are off, and the bit says that it is this CPU's; whoever takes it away
        // clears the bit first.
        unsafe { load_ldt(mm) };
    }
}

//! The LDT of an address space, in entry 17 of the GDT.
//!
//! `switch_mm` loads it when either address space has an LDT. Most have no LDT, and then LDTR holds
//! the null selector. When a process changes its LDT, every processor that uses it loads it anew.
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

/// Loads `mm`'s LDT on this CPU.
///
/// # Safety
/// 1. Interrupts are off. 2. `mm` is this CPU's address space, and lives as long as this CPU uses
///    it.
pub unsafe fn load_ldt(mm: &MmStruct) {
    // SAFETY: by 1; the LDT is not used after the end of this function.
    let Some(ldt) = (unsafe { mm.ldt_to_load() }) else {
        // SAFETY: the null selector: any use of the LDT faults.
        unsafe { insn::lldt(0) };
        return;
    };
    let entries = ldt.entries();
    let desc = DescStruct::ldt(entries.as_ptr() as u32, entries.len() as u32);
    // SAFETY: the table stays as long as LDTR holds it: by 2 the address space lives, and a task
    // that replaces its table waits until this CPU has loaded the new one.
    unsafe {
        write_gdt_entry::<GDT_ENTRY_LDT>(&desc);
        insn::lldt(LDT_SELECTOR.0);
    }
}

/// Makes every processor that runs `mm` load the changed LDT; none has the old one when this
/// returns. A processor that left `mm` while lazy is not told and loads the new LDT when it comes
/// back.
///
/// All processors are interrupted, not only those of `cpu_vm_mask`: a processor in the middle of a
/// switch to `mm` has interrupts off, and takes ours after it has set its bit.
pub fn install_ldt(mm: &MmStruct) {
    on_each_cpu(&|| flush_ldt(mm));
}

/// Reloads the LDT if this CPU runs `mm`. Called on each CPU, interrupts off.
fn flush_ldt(mm: &MmStruct) {
    if mm.cpu_vm_mask.load(Ordering::Acquire) & 1 << smp_processor_id() != 0 {
        // SAFETY: interrupts are off, and the bit says that this CPU uses `mm`; the bit is cleared
        // before `mm` is taken away.
        unsafe { load_ldt(mm) };
    }
}

//! Making this CPU forget translations that the page tables no longer have.
//!
//! Called by whoever changed an address space, after the change and before the frame is freed.
//!
//! Book: ch. 2, "Handling the Hardware Cache and the TLB". Linux: 2.6.38 `flush_tlb_page`,
//! `flush_tlb_mm`. SDM: vol. 3, 4.10.4.

use super::insn;
use super::percpu::TLBSTATE_OK;
use crate::mm::mm_struct::MmStruct;
use crate::sync::PreemptGuard;
use crate::this_cpu_read;

/// Forgets the translation of the page at `address` in `mm`.
pub fn flush_tlb_page(mm: &MmStruct, address: u32) {
    let _no_preempt = PreemptGuard::new();
    if loaded(mm) {
        insn::invlpg(address as usize);
    }
}

/// Forgets all user translations of `mm`.
pub fn flush_tlb_mm(mm: &MmStruct) {
    let _no_preempt = PreemptGuard::new();
    if loaded(mm) {
        if this_cpu_read!(tlb_state) == TLBSTATE_OK {
            // SAFETY: the same page directory again.
            unsafe { insn::write_cr3(insn::read_cr3()) };
        } else {
            super::mmu_context::leave_mm(mm);
        }
    }
}

fn loaded(mm: &MmStruct) -> bool {
    this_cpu_read!(tlb_active_mm) == core::ptr::from_ref(mm) as u32
}

//! `switch_mm`, `enter_lazy_tlb`, `leave_mm`: the address-space half of the switch.
//!
//! Called by `context_switch` on prev's stack, interrupts off, before the stack changes: kernel
//! mappings are the same in every page directory, so the code continues under next's.
//!
//! A CPU's `tlb_state` and its bit in the address space's `cpu_vm_mask` together say:
//!
//! ```text
//!                          enter_lazy_tlb (a kernel task comes)
//!    OK, bit set        ------------------------------------------>   LAZY, bit set
//!    a user task runs:  <------------------------------------------   CR3 is borrowed; a flush is
//!    each flush is         switch_mm to the same: no CR3 written      still sent here
//!    made here                                                               |
//!        ^                                                                   | a flush comes:
//!        |                                                                   v leave_mm
//!        |                 switch_mm to the same: CR3 is written      LAZY, bit clear
//!        +---------------------------------------------------------   CR3 is the kernel's; no flush
//!                                                                     is sent here any more
//! ```
//! `switch_mm` to another address space leads from each state to OK. It sets the CPU's bit in the
//! new address space and clears the bit in the old one.
//!
//! Book: ch. 7, "Actions performed by schedule() to make the process switch"; ch. 2, "Handling the
//! Hardware Cache and the TLB" (lazy TLB mode).
//! Linux: 2.6.38 `arch/x86/include/asm/mmu_context.h`.

use core::sync::atomic::Ordering;

use crate::arch::x86::switch::ldt::load_ldt;
use crate::arch::x86::switch::updates::{Now, Updates};
use crate::base::bitops::set_bit;
use crate::base::percpu::{TLBSTATE_LAZY, TLBSTATE_OK, smp_processor_id};
use crate::mm::mm_struct::{INIT_MM, MmStruct};
use crate::{this_cpu_inc, this_cpu_read, this_cpu_write};

/// Makes `next` the address space of this CPU; `prev` is the one that CR3 holds now.
///
/// Does not write CR3 when the two are the same, unless `leave_mm` has meanwhile taken the address
/// space away.
///
/// # Safety
/// 1. Interrupts are off. 2. `prev` is the address space that this CPU has loaded or borrows, and
///    stays live until CR3 has changed. 3. `next` stays live as long as this CPU has it.
#[inline(always)]
pub unsafe fn switch_mm_irqs_off(prev: &MmStruct, next: &MmStruct) {
    // SAFETY: the caller vouches for it.
    unsafe { switch_mm::<Now, true>(prev, next) };
}

/// Does the work of [`switch_mm_irqs_off`]. `To` says how CR3 is written; `LDT` is false only if
/// neither address space has an LDT. There is a compiled version for each, so the usual switch does
/// not ask.
///
/// # Safety
/// The conditions of [`switch_mm_irqs_off`] hold.
#[inline(always)]
pub unsafe fn switch_mm<To: Updates, const LDT: bool>(prev: &MmStruct, next: &MmStruct) {
    let cpu = smp_processor_id();
    if !core::ptr::eq(prev, next) {
        // SAFETY: `load_cr3` makes true what these words say of this CPU, and by 1 no interrupt
        // reads them earlier. A CPU's number is below 32. The rest holds by 2 and 3.
        unsafe {
            this_cpu_write!(tlb_state, const TLBSTATE_OK);
            this_cpu_write!(tlb_active_mm, core::ptr::from_ref(next) as u32);
            set_bit(cpu, &next.cpu_vm_mask);
            load_cr3::<To>(next);
            // Not earlier: a flush for prev must still reach us while CR3 is prev's (2.6.38).
            To::leave(cpu, prev);
            if LDT {
                load_ldt(next);
            }
        }
    } else if this_cpu_read!(tlb_state) != TLBSTATE_OK {
        // SAFETY: from here on flushes for `next`, which this CPU has by 2, reach it.
        unsafe { this_cpu_write!(tlb_state, const TLBSTATE_OK) };
        debug_assert!(
            this_cpu_read!(tlb_active_mm) == core::ptr::from_ref(next) as u32,
            "BUG: switch_mm: this CPU's address space is not the one it says"
        );
        let bit = 1 << cpu;
        if next.cpu_vm_mask.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            // leave_mm ran while we were lazy: CR3 is now the kernel's.
            // SAFETY: by 1 and 3.
            unsafe {
                load_cr3::<To>(next);
                if LDT {
                    load_ldt(next);
                }
            }
        }
    }
}

/// Makes this CPU run a kernel task under the same CR3; it need not see the address space's
/// changes.
///
/// # Safety
/// 1. Interrupts or preemption are off. 2. A reference keeps the page directory as long as it is
///    borrowed, and nothing on this CPU touches user memory until `switch_mm`.
#[inline(always)]
pub unsafe fn enter_lazy_tlb() {
    if this_cpu_read!(tlb_state) == TLBSTATE_OK {
        // SAFETY: by 1 and 2.
        unsafe { this_cpu_write!(tlb_state, TLBSTATE_LAZY) };
        this_cpu_inc!(count.lazy_entries);
    }
}

/// Leaves a borrowed address space for the kernel's own, after a flush reached this lazy CPU.
///
/// # Safety
/// 1. Interrupts are off, and `mm` is the address space that this CPU borrows.
///
/// # Panics
/// Panics if the address space is in use on this CPU.
pub unsafe fn leave_mm(mm: &MmStruct) {
    assert!(
        this_cpu_read!(tlb_state) != TLBSTATE_OK,
        "BUG: leave_mm of an address space in use"
    );
    mm.cpu_vm_mask
        .fetch_and(!(1u32 << smp_processor_id()), Ordering::Relaxed);
    // SAFETY: `INIT_MM` is never freed.
    unsafe { load_cr3::<Now>(&INIT_MM) };
    this_cpu_inc!(count.lazy_leaves);
}

/// # Safety
/// 1. `mm` stays live as long as this CPU has it.
#[inline(always)]
unsafe fn load_cr3<To: Updates>(mm: &MmStruct) {
    let pgd = mm.pgd.load(Ordering::Relaxed);
    // SAFETY: every page directory has the kernel's mappings, and by 1 this one stays.
    unsafe { To::write_cr3(pgd) };
    this_cpu_inc!(count.cr3_writes);
}

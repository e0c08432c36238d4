//! TLB flushes: every CPU forgets translations that the page tables no longer have.
//!
//! The code that changes an address space calls these after the change and before it frees the
//! frame, with interrupts on.
//!
//! ```text
//!   sender: lock the slot, publish mm and address, FLUSH_CPUMASK = who must,
//!           interrupt them, wait until the mask is empty, unlock
//!   receiver (interrupt): bit set? mm is this CPU's: OK: flush; LAZY: leave_mm.
//!           clear the bit
//! ```
//! The receiver must not use `current`: CR3 changes before `esp` does.
//!
//! Book: ch. 2, "Handling the Hardware Cache and the TLB". Linux: 2.6.38 `arch/x86/mm/tlb.c`
//! (`flush_tlb_page`, `flush_tlb_mm`, `smp_invalidate_interrupt`). SDM: vol. 3, 4.10.4
//! "Invalidation of TLBs and Paging-Structure Caches", 4.10.5 "Propagation of Paging-Structure Changes
//! to Multiple Processors".

use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering, fence};

use crate::arch::x86::irq::do_irq::{IrqTaken, set_intr_handler};
use crate::arch::x86::irq::smp::{on_each_cpu, send_ipi};
use crate::arch::x86::switch::mmu_context::leave_mm;
use crate::base::insn;
use crate::base::percpu::{TLBSTATE_OK, smp_processor_id};
use crate::hw::apic::INVALIDATE_TLB_VECTOR_START;
use crate::mm::mm_struct::MmStruct;
use crate::sync::irq::irqs_disabled;
use crate::sync::{LockClass, PreemptGuard, SpinLock};
use crate::{this_cpu_inc, this_cpu_read};

/// In the place of an address: flush all user translations.
const TLB_FLUSH_ALL: u32 = u32::MAX;

/// Allows one flush at a time. The published request belongs to the CPU that holds the lock.
static SLOT: SpinLock<()> = SpinLock::new(LockClass::TlbSlot, ());
static FLUSH_MM: AtomicPtr<MmStruct> = AtomicPtr::new(ptr::null_mut());
static FLUSH_VA: AtomicU32 = AtomicU32::new(0);
/// CPUs that have not flushed yet.
static FLUSH_CPUMASK: AtomicU32 = AtomicU32::new(0);

/// Installs the interrupt. Called once, on the boot CPU.
pub fn init() -> Result<(), IrqTaken> {
    set_intr_handler(INVALIDATE_TLB_VECTOR_START, invalidate_interrupt)
}

/// Makes every CPU forget the translation of the page at `address` in `mm`.
pub fn flush_tlb_page(mm: &MmStruct, address: u32) {
    flush(mm, address);
}

/// Makes every CPU forget all user translations of `mm`.
pub fn flush_tlb_mm(mm: &MmStruct) {
    flush(mm, TLB_FLUSH_ALL);
}

/// Forgets the translations of kernel pages that are mapped no more, on every CPU.
#[doc(alias = "flush_tlb_kernel_range")]
pub fn flush_tlb_kernel_pages(pages: &[u32]) {
    on_each_cpu(&|| pages.iter().for_each(|page| insn::invlpg(*page as usize)));
}

fn flush(mm: &MmStruct, va: u32) {
    let _no_preempt = PreemptGuard::new();
    // The change of the entry comes before we look which CPUs may have read it.
    fence(Ordering::SeqCst);
    flush_here(mm, va);
    let others = others_of(mm);
    if others != 0 {
        flush_tlb_others(others, mm, va);
    }
}

/// Returns the other CPUs on which `mm` may be loaded.
fn others_of(mm: &MmStruct) -> u32 {
    mm.cpu_vm_mask.load(Ordering::Acquire) & !(1 << smp_processor_id())
}

fn flush_tlb_others(mask: u32, mm: &MmStruct, va: u32) {
    debug_assert!(
        !irqs_disabled(),
        "BUG: TLB flush of other CPUs with interrupts off"
    );
    let _slot = SLOT.lock();
    FLUSH_MM.store(ptr::from_ref(mm).cast_mut(), Ordering::Relaxed);
    FLUSH_VA.store(va, Ordering::Relaxed);
    FLUSH_CPUMASK.store(mask, Ordering::Release);
    send_ipi(mask, INVALIDATE_TLB_VECTOR_START);
    this_cpu_inc!(count.flush_ipis);
    while FLUSH_CPUMASK.load(Ordering::Acquire) != 0 {
        core::hint::spin_loop();
    }
}

/// Handles the interrupt: another CPU has changed an address space that may be loaded here.
fn invalidate_interrupt() {
    let bit = 1 << smp_processor_id();
    // Not for us: the interrupt came late, after its sender saw our bit cleared.
    if FLUSH_CPUMASK.load(Ordering::Acquire) & bit == 0 {
        return;
    }
    // SAFETY: the sender holds the address space until our bit is cleared.
    let mm = unsafe { &*FLUSH_MM.load(Ordering::Relaxed) };
    flush_here(mm, FLUSH_VA.load(Ordering::Relaxed));
    this_cpu_inc!(count.flushes);
    FLUSH_CPUMASK.fetch_and(!bit, Ordering::AcqRel);
}

/// Flushes this CPU's translations, or leaves `mm` if the CPU is lazy.
fn flush_here(mm: &MmStruct, va: u32) {
    if this_cpu_read!(tlb_active_mm) != ptr::from_ref(mm) as u32 {
        return;
    }
    if this_cpu_read!(tlb_state) != TLBSTATE_OK {
        // SAFETY: this CPU has `mm` loaded and borrows it; interrupts or preemption are off.
        unsafe { leave_mm(mm) };
    } else if va == TLB_FLUSH_ALL {
        // SAFETY: the same page directory again.
        unsafe { insn::write_cr3(insn::read_cr3()) };
    } else {
        insn::invlpg(va as usize);
    }
}

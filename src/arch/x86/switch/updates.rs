//! `Updates`: how what a switch changes of the machine gets there: at once, or noted and then applied
//! in one go.
//!
//! [`Now`] is the ordinary way (`paravirt=native`); the other is `Batch`, of [`paravirt`](crate::arch::x86::switch::paravirt).
//! The steps of the switch are written once, for either: which it is, is chosen where they are called.
//!
//! Linux: 2.6.38 `asm/paravirt.h` (`load_sp0`, `load_tls`, `write_cr3`, `clts`, `end_context_switch` of
//! `pv_cpu_ops` and `pv_mmu_ops`).

use crate::arch::x86::gdt::write_gdt_entry;
use crate::base::bitops::clear_bit;
use crate::base::insn;
use crate::base::percpu::smp_processor_id;
use crate::hw::desc::DescStruct;
use crate::mm::mm_struct::MmStruct;
use crate::task::thread_struct::ThreadStruct;
use crate::this_cpu_write;

/// What a switch changes of the machine, but for `%gs` and the registers of the FPU, which need the rest
/// to be there.
///
/// Between `context_switch` and the last step all are called on one CPU, with interrupts off.
pub trait Updates {
    /// `sp0` becomes the stack of entries from ring 3.
    ///
    /// # Safety
    /// 1. Interrupts or preemption are off. 2. `sp0` is the top of the stack of the task that runs here
    ///    when the next entry from ring 3 comes.
    unsafe fn load_sp0(sp0: u32);

    /// `tls` become GDT entries 6, 7 and 8; without `all` only the first differs from what is there.
    ///
    /// # Safety
    /// 1. Interrupts or preemption are off. 2. Each is a data segment of ring 3, or empty.
    unsafe fn load_tls(tls: &[DescStruct; 3], all: bool);

    /// `pgd` becomes the page directory.
    ///
    /// # Safety
    /// 1. Interrupts are off. 2. `pgd` is a page directory, with the kernel's mappings, and stays one as
    ///    long as this CPU has it.
    unsafe fn write_cr3(pgd: u32);

    /// This CPU's bit goes from the mask of `prev`, whose page directory [`write_cr3`](Self::write_cr3) has
    /// replaced: not before, since until then a flush for `prev` must reach us.
    ///
    /// # Safety
    /// 1. As [`write_cr3`](Self::write_cr3), after it. 2. `prev` stays live to the end of the switch.
    unsafe fn leave(prev: &MmStruct);

    /// Sets CR0.TS: the next FPU instruction raises #NM.
    ///
    /// # Safety
    /// 1. Interrupts or preemption are off.
    unsafe fn stts();

    /// Clears CR0.TS.
    ///
    /// # Safety
    /// 1. Interrupts or preemption are off.
    unsafe fn clts();

    /// All of it is in force when this returns.
    ///
    /// # Safety
    /// 1. `next` is the context of the task that comes onto this CPU; interrupts are off since the first of
    ///    the others was called.
    unsafe fn end(next: &mut ThreadStruct);
}

/// Each update is made when the switch comes to it.
pub struct Now;

impl Updates for Now {
    #[inline(always)]
    unsafe fn load_sp0(sp0: u32) {
        // SAFETY: by 1 and 2.
        unsafe { this_cpu_write!(tss.x86_tss.sp0, sp0) };
    }

    #[inline(always)]
    unsafe fn load_tls(tls: &[DescStruct; 3], all: bool) {
        // SAFETY: by 1 and 2.
        unsafe {
            write_gdt_entry::<6>(&tls[0]);
            if all {
                write_gdt_entry::<7>(&tls[1]);
                write_gdt_entry::<8>(&tls[2]);
            }
        }
    }

    #[inline(always)]
    unsafe fn write_cr3(pgd: u32) {
        // SAFETY: by 2.
        unsafe { insn::write_cr3(pgd) };
    }

    #[inline(always)]
    unsafe fn leave(prev: &MmStruct) {
        // SAFETY: the number of a CPU is below 32.
        unsafe { clear_bit(smp_processor_id(), &prev.cpu_vm_mask) };
    }

    #[inline(always)]
    unsafe fn stts() {
        insn::stts();
    }

    #[inline(always)]
    unsafe fn clts() {
        insn::clts();
    }

    #[inline(always)]
    unsafe fn end(_next: &mut ThreadStruct) {}
}

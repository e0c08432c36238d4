//! `Updates`: the way in which a switch changes the machine: at once, or noted and applied in one
//! go.
//!
//! [`Now`] is the ordinary way (`paravirt=native`); the other is `Batch`, in
//! [`paravirt`](crate::arch::x86::switch::paravirt). The steps of the switch are written once for
//! both; their caller chooses.
//!
//! Linux: 2.6.38 `asm/paravirt.h` (`load_sp0`, `load_tls`, `write_cr3`, `clts`, `end_context_switch` of
//! `pv_cpu_ops` and `pv_mmu_ops`).

use crate::arch::x86::gdt::write_gdt_entry;
use crate::base::bitops::clear_bit;
use crate::base::insn;
use crate::hw::desc::DescStruct;
use crate::mm::mm_struct::MmStruct;
use crate::task::thread_struct::ThreadStruct;
use crate::this_cpu_write;

/// The hardware updates of a switch, except `%gs` and the FPU registers, which need the others in
/// force.
///
/// All are called on one CPU, with interrupts off, between `context_switch` and the last step.
pub trait Updates {
    /// Makes `sp0` the stack for entries from ring 3.
    ///
    /// # Safety
    /// 1. Interrupts or preemption are off. 2. `sp0` is the top of the stack of the task that runs
    ///    here at the next entry from ring 3.
    unsafe fn load_sp0(sp0: u32);

    /// Writes `tls` to GDT entries 6, 7 and 8; without `all` only the first can differ from the
    /// present ones.
    ///
    /// # Safety
    /// 1. Interrupts or preemption are off. 2. Each is a data segment of ring 3, or empty.
    unsafe fn load_tls(tls: &[DescStruct; 3], all: bool);

    /// Makes `pgd` the page directory.
    ///
    /// # Safety
    /// 1. Interrupts are off. 2. `pgd` is a page directory with the kernel's mappings, and stays
    ///    one as long as this CPU uses it.
    unsafe fn write_cr3(pgd: u32);

    /// Clears the bit of this CPU, whose number is `cpu`, in the mask of `prev`, after
    /// [`write_cr3`](Self::write_cr3) has replaced its page directory: until then a flush for `prev`
    /// must reach us.
    ///
    /// # Safety
    /// 1. Called after [`write_cr3`](Self::write_cr3), under its conditions. 2. `prev` stays live
    ///    to the end of the switch. 3. `cpu` is this CPU's number.
    unsafe fn leave(cpu: u32, prev: &MmStruct);

    /// Sets CR0.TS, so that the next FPU instruction raises #NM.
    ///
    /// # Safety
    /// 1. Interrupts or preemption are off.
    unsafe fn stts();

    /// Clears CR0.TS.
    ///
    /// # Safety
    /// 1. Interrupts or preemption are off.
    unsafe fn clts();

    /// Ends the updates: all are in force when this returns.
    ///
    /// # Safety
    /// 1. `next` is the context of the task that this CPU switches to; interrupts have been off
    ///    since the first call of the others.
    unsafe fn end(next: &mut ThreadStruct);
}

/// Each update is made in its own step.
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
    unsafe fn leave(cpu: u32, prev: &MmStruct) {
        // SAFETY: by 3; a CPU's number is below 32.
        unsafe { clear_bit(cpu, &prev.cpu_vm_mask) };
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

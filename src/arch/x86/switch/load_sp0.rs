//! `load_sp0`: the stack for entries from ring 3.
//!
//! The processor takes `ss0:sp0` from the TSS at an interrupt, an exception or `int 0x80`;
//! `sysenter` does not: its entry code reads `sp0` from the same place. Called by `__switch_to` on
//! next's stack, interrupts off. With a stale value an entry of next would overwrite prev's stack.
//!
//! Step 2 of `__switch_to`.
//!
//! Book: ch. 3, "The __switch_to() function", the book's step 3; "Task State Segment".
//! Linux: 2.6.38 `native_load_sp0`. SDM: vol. 3, 7.2.1 "Task-State Segment (TSS)", 5.8.7 "Performing
//! Fast Calls to System Procedures with the SYSENTER and SYSEXIT Instructions".

use crate::arch::x86::entry::paths::{sysenter_entry, sysenter_stack};
use crate::arch::x86::switch::forms::Form;
use crate::arch::x86::switch::updates::Updates;
use crate::base::insn;
use crate::base::insn::{MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_EIP, MSR_IA32_SYSENTER_ESP};
use crate::base::percpu::this_cpu;
use crate::task::thread_struct::ThreadStruct;
use crate::{this_cpu_inc, this_cpu_read};

/// Stores next's `sp0` in this CPU's TSS (step 2). Writes SYSENTER_CS only if it differs from the
/// value that the TSS's unused `ss1` remembers, which is rare.
///
/// # Safety
/// 1. `next` is the context of the task on whose stack this CPU runs, and its `sp0` the top of that
///    stack. Interrupts or preemption are off.
#[inline(always)]
pub unsafe fn load_sp0<F: Form>(next: &ThreadStruct) {
    // SAFETY: by 1.
    unsafe { F::To::load_sp0(next.sp0) };
    if F::RARE && this_cpu_read!(tss.x86_tss.ss1) & 0xffff != next.sysenter_cs {
        // SAFETY: by 1; a context holds the kernel's code selector or 0.
        unsafe { set_sysenter_cs(next.sysenter_cs) };
    }
}

/// Writes SYSENTER_CS and remembers it in `ss1`. 0 turns `sysenter` off.
///
/// # Safety
/// 1. `cs` is the kernel's code segment or 0. 2. Interrupts or preemption are off.
#[cold]
pub unsafe fn set_sysenter_cs(cs: u32) {
    // SAFETY: this is this CPU's own TSS, and by 2 it stays so.
    unsafe { (*this_cpu()).tss.x86_tss.ss1 = cs as u16 };
    // SAFETY: the register exists (SEP is required at boot) and accepts the values that 1 allows.
    unsafe { insn::wrmsr(MSR_IA32_SYSENTER_CS, u64::from(cs)) };
    this_cpu_inc!(count.sysenter_cs_writes);
}

/// Sets the entry point of `sysenter` on CPU `cpu`. SYSENTER_CS is written together with a task's
/// `sp0`.
///
/// # Safety
/// 1. Runs on CPU `cpu`, whose per-CPU area is in force.
pub unsafe fn enable_sep_cpu(cpu: u32) {
    let end_of_tss = u64::from(sysenter_stack(cpu));
    // SAFETY: the CPU has SEP; by 1 the TSS is its own; `sysenter_entry` fetches its real stack from the TSS below ESP.
    unsafe {
        insn::wrmsr(MSR_IA32_SYSENTER_ESP, end_of_tss);
        insn::wrmsr(MSR_IA32_SYSENTER_EIP, sysenter_entry as *const () as u64);
    }
}

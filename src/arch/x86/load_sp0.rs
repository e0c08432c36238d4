//! `load_sp0`: where an entry from ring 3 finds its stack.
//!
//! The processor takes `ss0:sp0` from the TSS at an interrupt, an exception or `int 0x80`;
//! `sysenter` does not: its entry code reads `sp0` from the same place. Called by `__switch_to`
//! on next's stack, interrupts off. A stale value lets next's entry overwrite prev's stack.
//!
//! Book: ch. 3, "Task State Segment". Linux: 2.6.38 `native_load_sp0`. SDM: vol. 3, 8.7.

use super::insn;
use super::percpu::this_cpu;
use crate::task::thread_struct::ThreadStruct;
use crate::{this_cpu_inc, this_cpu_read, this_cpu_write};

/// Model-specific register that holds the code segment of `sysenter`.
pub const MSR_IA32_SYSENTER_CS: u32 = 0x174;

/// Writes next's `sp0` into this CPU's TSS.
#[inline(always)]
pub fn load_sp0(next: &ThreadStruct) {
    this_cpu_write!(tss.x86_tss.sp0, next.sp0);
}

/// As [`load_sp0`]; also SYSENTER_CS when it is not what the TSS's unused `ss1` remembers.
#[inline(always)]
pub fn load_sp0_and_sysenter_cs(next: &ThreadStruct) {
    load_sp0(next);
    let cached = this_cpu_read!(tss.x86_tss.ss1) & 0xffff;
    if cached != next.sysenter_cs {
        set_sysenter_cs(next.sysenter_cs);
    }
}

/// Writes SYSENTER_CS and what `ss1` remembers of it. 0 turns `sysenter` off.
#[cold]
pub fn set_sysenter_cs(cs: u32) {
    // SAFETY: this CPU's own TSS; interrupts or preemption are off in every caller.
    unsafe { (*this_cpu()).tss.x86_tss.ss1 = cs as u16 };
    // SAFETY: the register exists (SEP is required at boot) and takes a code selector or 0.
    unsafe { insn::wrmsr(MSR_IA32_SYSENTER_CS, u64::from(cs)) };
    this_cpu_inc!(count.sysenter_cs_writes);
}

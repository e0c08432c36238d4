//! Looking at the machine: what a case reads of this CPU and of tasks.
//!
//! Called by actors on their own stacks. All are pinned to one CPU; actors that look at something
//! that the timer interrupt might change say so.

use crate::arch::x86::current::current;
use crate::arch::x86::switch::forms::All;
use crate::arch::x86::switch::load_tls::load_tls;
use crate::arch::x86::switch::updates::Now;
use crate::base::errno::Errno;
use crate::base::insn;
use crate::base::percpu::{SwitchCounts, this_cpu};
use crate::hw::cr::Cr0;
use crate::hw::desc::DescStruct;
use crate::hw::tss::{TssStruct, X86HwTss};
use crate::mm::mm_struct::MmStruct;
use crate::sched::rq::this_rq;
use crate::sync::PreemptGuard;
use crate::task::task_struct::TaskStruct;
use crate::task::thread_struct::{TIF_TLS_ALL, ThreadStruct};
use crate::task::user_desc::{UserDesc, UserDescFlags, do_set_thread_area};

/// Returns this CPU's counters of what its switches have done.
pub fn counts() -> SwitchCounts {
    // SAFETY: this CPU's area, which only this CPU writes; a copy of plain words.
    unsafe { (&raw const (*this_cpu()).count).read_volatile() }
}

/// Returns the number of switches on this CPU.
pub fn nr_switches() -> u32 {
    this_rq().nr_switches.low()
}

/// Returns the address space whose count this CPU still has to drop after the switch; null outside
/// of a switch.
pub fn prev_mm() -> *mut MmStruct {
    this_rq().prev_mm()
}

/// Returns entry `n` of this CPU's GDT.
pub fn gdt(n: usize) -> DescStruct {
    // SAFETY: a descriptor of this CPU's own table.
    unsafe { (&raw const (*this_cpu()).gdt_page[n]).read_volatile() }
}

/// Returns the address of this CPU's TSS.
pub fn tss_address() -> u32 {
    // SAFETY: no reference is made.
    unsafe { &raw const (*this_cpu()).tss as u32 }
}

/// Returns a copy of the hardware part of this CPU's TSS.
pub fn hw_tss() -> X86HwTss {
    // SAFETY: this CPU's own TSS, plain words.
    unsafe { (&raw const (*this_cpu()).tss.x86_tss).read_volatile() }
}

/// Calls `f` on this CPU's TSS as it is now.
pub fn with_tss<R>(f: impl FnOnce(&TssStruct) -> R) -> R {
    let _no_preempt = PreemptGuard::new();
    // SAFETY: this CPU's own TSS; with preemption off no switch comes, and nothing else writes it.
    f(unsafe { &(*this_cpu()).tss })
}

/// Returns the address of this CPU's area, where its GDT begins.
pub fn area_address() -> u32 {
    this_cpu() as u32
}

/// Returns the `last` that `finish_task_switch` got at the last switch of this CPU.
pub fn debug_last() -> *mut TaskStruct {
    crate::this_cpu_read!(debug_last) as *mut TaskStruct
}

/// Returns the physical address of the page directory in CR3.
pub fn cr3() -> u32 {
    insn::read_cr3() & !0xfff
}

/// Returns CR0.TS.
pub fn ts() -> bool {
    insn::read_cr0() & Cr0::TS.bits() != 0
}

/// Calls `f` on the running task's own context, with preemption off.
pub fn my_thread<R>(f: impl FnOnce(&mut ThreadStruct) -> R) -> R {
    let _no_preempt = PreemptGuard::new();
    // SAFETY: our own context; `f` gets the only reference, and no switch comes in between.
    f(unsafe { current().thread_mut() })
}

/// Calls `f` on the context of `task`, which sleeps or waits for its turn on this CPU.
pub fn thread_of<R>(task: &TaskStruct, f: impl FnOnce(&mut ThreadStruct) -> R) -> R {
    let _no_preempt = PreemptGuard::new();
    assert!(
        !core::ptr::eq(task, current().as_ptr()),
        "BUG: the context of a running task"
    );
    // SAFETY: with preemption off no switch writes it, and the task itself does not run.
    f(unsafe { &mut *task.thread() })
}

/// Returns word `n` of the kernel stack of `task`, counted from its saved `esp`.
pub fn saved_word(task: &TaskStruct, n: usize) -> u32 {
    let sp = thread_of(task, |thread| thread.sp) as usize;
    // SAFETY: `sp` and some words above it lie in the task's stack, which `task` keeps.
    unsafe { ((sp + 4 * n) as *const u32).read_volatile() }
}

/// Gives the running task TLS descriptors, as `set_thread_area` does, from pairs of entry and base.
pub fn set_tls(slots: &[(u32, u32)]) -> Result<(), Errno> {
    let flags = UserDescFlags::SEG_32BIT | UserDescFlags::LIMIT_IN_PAGES | UserDescFlags::USEABLE;
    my_thread(|thread| {
        for &(entry_number, base_addr) in slots {
            let request = UserDesc {
                entry_number,
                base_addr,
                limit: 0xf_ffff,
                flags,
            };
            do_set_thread_area(&mut thread.tls_array, &request, true)?;
        }
        let all = thread.tls_array[1..].iter().any(|desc| !desc.is_empty());
        thread.set_work(TIF_TLS_ALL, all);
        // SAFETY: descriptors that `do_set_thread_area` made, or empty ones; preemption is off.
        unsafe { load_tls::<All<Now>>(thread) };
        Ok(())
    })
}

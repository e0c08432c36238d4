//! The idle task of each CPU, which runs when no other task can.
//!
//! It is task 0, "swapper". It is on no run queue and never sleeps; its CPU booted on its stack.
//!
//! Book: ch. 3, "Process 0". Linux: 2.6.38 `init_idle`, `cpu_idle`.

extern crate alloc;
use alloc::boxed::Box;
use core::sync::atomic::Ordering;

use super::hooks::hooks_of_new_task;
use super::rq::cpu_rq;
use super::schedule::schedule;
use crate::arch::x86::switch::paravirt::is_batching;
use crate::base::insn;
use crate::base::percpu::CPU_ONLINE_MASK;
use crate::base::thread_info::{
    STACK_TOP_GAP, THREAD_SIZE, TIF_NEED_RESCHED, ThreadInfo, current_thread_info, test_flag,
};
use crate::mm::mm_struct::{INIT_MM, mmgrab};
use crate::sync::irq::{local_irq_disable, local_irq_enable, local_irq_enable_and_halt};
use crate::task::state::PF_KTHREAD;
use crate::task::task_struct::TaskStruct;
use crate::task::thread_struct::TIF_PARAVIRT;
use crate::this_cpu_write;

/// Turns the running code, on stack `stack`, into the idle task of this CPU, `cpu`.
///
/// # Safety
/// 1. Runs on CPU `cpu`, once, on `stack`, with interrupts off, before anything else runs there.
pub unsafe fn init_idle(cpu: u32, stack: usize) {
    // SAFETY: by 1; our own stack, in use only by us.
    let p = unsafe { fork_idle(cpu, stack) };
    // SAFETY: by 1, and just made.
    unsafe { become_idle(cpu, p) };
}

/// Creates the idle task of CPU `cpu` on `stack`, and enters it in the CPU's run queue.
///
/// # Safety
/// 1. Nothing else runs on CPU `cpu` yet; `stack` is a kernel stack that nothing else uses, and its
///    preemption count has its final value.
pub unsafe fn fork_idle(cpu: u32, stack: usize) -> *mut TaskStruct {
    let ti: *mut ThreadInfo = stack as *mut ThreadInfo;
    // SAFETY: by 1 the stack is this task's; its `ThreadInfo` is written below.
    let task = unsafe { TaskStruct::of_idle(ti) };
    let mut task = task.expect("memory for an idle task, at boot");
    task.flags.store(PF_KTHREAD, Ordering::Relaxed);
    task.on_cpu.store(1, Ordering::Relaxed);
    task.hooks.store(hooks_of_new_task(), Ordering::Relaxed);
    task.sched_info.get_mut().arrive(insn::rdtsc());
    task.active_mm
        .store((&raw const INIT_MM).cast_mut(), Ordering::Relaxed);
    task.thread.get_mut().set_work(TIF_PARAVIRT, is_batching());
    task.thread.get_mut().sp0 = stack.saturating_add(THREAD_SIZE - STACK_TOP_GAP) as u32;
    task.se.get_mut().cpus_allowed = 1 << cpu;
    task.comm.set(b"swapper");
    let p = Box::into_raw(task);
    // SAFETY: INIT_MM is never freed; the reference is for the idle task, which borrows it.
    unsafe { mmgrab((&raw const INIT_MM).cast_mut()) };
    // SAFETY: the stack is ours by 1; the preemption count in use is kept.
    unsafe {
        let count = (*ti).preempt_count();
        ti.write(ThreadInfo::new(p.cast(), cpu, count));
        cpu_rq(cpu).init_idle(p);
    }
    p
}

/// Records that this CPU, `cpu`, runs its idle task `p` on the kernel's page tables.
///
/// # Safety
/// 1. Runs on CPU `cpu`, once, on the stack of `p`, which [`fork_idle`] made; interrupts off.
pub unsafe fn become_idle(cpu: u32, p: *mut TaskStruct) {
    // SAFETY: by 1 `p` is the running task, and the page tables are the kernel's.
    unsafe {
        this_cpu_write!(current_task, p as u32);
        this_cpu_write!(tlb_active_mm, &raw const INIT_MM as u32);
        this_cpu_write!(tlb_state, crate::base::percpu::TLBSTATE_OK);
    }
    CPU_ONLINE_MASK.fetch_or(1 << cpu, Ordering::Release);
}

/// The idle loop: halts until an interrupt makes a task runnable.
pub fn cpu_idle() -> ! {
    loop {
        local_irq_disable();
        if test_flag(current_thread_info(), TIF_NEED_RESCHED) {
            local_irq_enable();
            schedule();
        } else {
            // Interrupts stay off until the halt itself, so no wake-up is lost in between.
            local_irq_enable_and_halt();
        }
    }
}

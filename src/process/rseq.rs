//! Restartable sequences on the way back to ring 3, and through fork and exec.
//!
//! Called by the task itself, with interrupts on and with the frame of its entry from ring 3: by
//! the entry code's work loop after a switch or a migration, and before a signal's handler gets its
//! frame. The handler then returns to the abort handler, not into the middle of the section.
//!
//! Linux: 5.4 `kernel/rseq.c` (`__rseq_handle_notify_resume`, `rseq_ip_fixup`).

use core::sync::atomic::Ordering;

use super::signal::force_sigsegv;
use crate::arch::x86::current::{Current, current};
use crate::arch::x86::entry::uaccess::{get_user, put_user};
use crate::arch::x86::entry::usercopy::{__put_user_8, __user_8_is_zero};
use crate::base::errno::Errno;
use crate::base::percpu::smp_processor_id;
use crate::base::pt_regs::PtRegs;
use crate::base::thread_info::{TIF_NOTIFY_RESUME, set_flag};
use crate::mm::vma::TASK_SIZE;
use crate::provides_upward;
use crate::task::clone_flags::CLONE_VM;
use crate::task::hooks::HOOK_RSEQ;
use crate::task::rseq::{
    RSEQ_CPU_ID_START, RSEQ_CPU_ID_UNINITIALIZED, RSEQ_CS_BYTES, RSEQ_EVENT_SIGNAL, RSEQ_FLAGS,
    RSEQ_RSEQ_CS, RseqCs,
};
use crate::task::task_struct::TaskStruct;

/// Upward call of the entry code when TIF_NOTIFY_RESUME was set.
///
/// # Safety
/// 1. `regs` is the frame at the top of the running task's stack, from ring 3.
#[unsafe(no_mangle)]
unsafe fn rseq_handle_notify_resume(regs: *mut PtRegs) {
    let me = current();
    if is_registered(&me) {
        // SAFETY: by 1; nobody else uses the frame while we are in the kernel.
        handle(me, 0, unsafe { &mut *regs });
    }
}

provides_upward!(rseq_handle_notify_resume);

/// Leaves a section before the handler of `signal` gets its frame.
pub fn rseq_signal_deliver(me: Current, signal: u32, regs: &mut PtRegs) {
    if is_registered(&me) {
        me.rseq_event_mask
            .fetch_or(RSEQ_EVENT_SIGNAL, Ordering::Relaxed);
        handle(me, signal, regs);
    }
}

/// Leaves the section if it must start over, and stores the thread's CPU number. Raises SIGSEGV if
/// user memory does not allow it; `signal` is the signal being delivered, or 0.
///
/// The thread must be registered. A thread outside a section, by far the most frequent case, takes
/// two loads and two stores.
#[inline(always)]
fn handle(me: Current, signal: u32, regs: &mut PtRegs) {
    let rseq = me.rseq.load(Ordering::Relaxed);
    // Events from here on are recorded anew and bring us here again.
    let events = me.rseq_event_mask.swap(0, Ordering::Relaxed);
    // SAFETY: all 32 registered bytes are user memory: `sys_rseq` has checked.
    let is_done = unsafe {
        __user_8_is_zero(rseq.wrapping_add(RSEQ_RSEQ_CS))
            && __put_user_8(
                rseq.wrapping_add(RSEQ_CPU_ID_START),
                [smp_processor_id(); 2],
            )
    };
    if !is_done {
        leave_section(me, signal, events, regs);
    }
}

/// Does the work of [`handle`] for a thread in a section, or whose memory cannot be accessed.
#[cold]
#[inline(never)]
fn leave_section(me: Current, signal: u32, events: u32, regs: &mut PtRegs) {
    let rseq = me.rseq.load(Ordering::Relaxed);
    if rseq_ip_fixup(me, rseq, events, regs)
        .and_then(|()| rseq_update_cpu_id(rseq))
        .is_err()
    {
        force_sigsegv(signal, me);
    }
}

fn is_registered(task: &TaskStruct) -> bool {
    task.hooks.contains(HOOK_RSEQ)
}

fn rseq_ip_fixup(me: Current, rseq: u32, events: u32, regs: &mut PtRegs) -> Result<(), Errno> {
    let Some(section) = rseq_get_rseq_cs(me, rseq)? else {
        return Ok(());
    };
    if section.contains(regs.ip) {
        let flags = get_user(rseq.wrapping_add(RSEQ_FLAGS))?;
        if !section.needs_restart(flags, events)? {
            return Ok(());
        }
        regs.ip = section.abort_ip;
    }
    // The section is over, or was left without clearing the pointer.
    put_user(rseq.wrapping_add(RSEQ_RSEQ_CS), 0u64)
}

/// Returns the section that the thread says it is in, if any.
///
/// # Errors
/// EFAULT, and EINVAL for a malformed section or an abort handler without the signature.
fn rseq_get_rseq_cs(me: Current, rseq: u32) -> Result<Option<RseqCs>, Errno> {
    let pointer: u64 = get_user(rseq.wrapping_add(RSEQ_RSEQ_CS))?;
    if pointer == 0 {
        return Ok(None);
    }
    let address = u32::try_from(pointer)
        .ok()
        .filter(|&address| address < TASK_SIZE)
        .ok_or(Errno::EINVAL)?;
    let section = RseqCs::from_bytes(&get_user::<[u8; RSEQ_CS_BYTES]>(address)?)?;
    let expected = me.rseq_sig.load(Ordering::Relaxed);
    let signature: u32 = get_user(section.signature_at())?;
    if signature != expected {
        log::warn!(
            "rseq: {}[{}]: signature {signature:#x} before {:#x}, not {expected:#x}",
            me.comm.get(),
            me.pid(),
            section.abort_ip
        );
        return Err(Errno::EINVAL);
    }
    Ok(Some(section))
}

/// Stores the number of this CPU. A task that migrates afterwards stores it again.
fn rseq_update_cpu_id(rseq: u32) -> Result<(), Errno> {
    put_cpu_ids(rseq, [smp_processor_id(); 2])
}

/// Stores the CPU numbers of an unregistered thread.
pub fn rseq_reset_rseq_cpu_id(rseq: u32) -> Result<(), Errno> {
    put_cpu_ids(rseq, [0, RSEQ_CPU_ID_UNINITIALIZED])
}

/// Stores `cpu_id_start` and `cpu_id`.
fn put_cpu_ids(rseq: u32, ids: [u32; 2]) -> Result<(), Errno> {
    put_user(rseq + RSEQ_CPU_ID_START, ids)
}

/// Registers `rseq`, which has been checked, for the running thread; 0 unregisters it.
pub fn set_rseq(me: Current, rseq: u32, signature: u32) {
    me.rseq.store(rseq, Ordering::Relaxed);
    me.rseq_sig.store(signature, Ordering::Relaxed);
    if rseq == 0 {
        me.hooks.remove(HOOK_RSEQ);
        me.rseq_event_mask.store(0, Ordering::Relaxed);
    } else {
        me.hooks.insert(HOOK_RSEQ);
        // Ensures that the CPU's number is stored before the first instruction in ring 3.
        set_flag(me.thread_info(), TIF_NOTIFY_RESUME);
    }
}

/// Unregisters the area of the old program.
pub fn rseq_execve(me: Current) {
    set_rseq(me, 0, 0);
}

/// Gives a forked process its parent's registration, in its own copy of the memory; a thread
/// registers its own area. (As in Linux since 5.5, where CLONE_VM decides; before, CLONE_THREAD
/// did.)
pub fn rseq_fork(me: Current, clone_flags: u32, child: &TaskStruct) {
    if clone_flags & CLONE_VM != 0 || !is_registered(&me) {
        return;
    }
    let copy = |from: &core::sync::atomic::AtomicU32, to: &core::sync::atomic::AtomicU32| {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    };
    copy(&me.rseq, &child.rseq);
    copy(&me.rseq_sig, &child.rseq_sig);
    copy(&me.rseq_event_mask, &child.rseq_event_mask);
    child.hooks.insert(HOOK_RSEQ);
}

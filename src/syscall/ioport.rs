//! `ioperm`, `iopl`: access to I/O ports from ring 3.
//!
//! Book: ch. 3, "Task State Segment" (I/O permission bitmap). Linux: 2.6.38
//! `arch/x86/kernel/ioport.c`. IOPL is the field in EFLAGS.

use super::SysResult;
use crate::arch::x86::current::{current, current_pt_regs};
use crate::arch::x86::switch::io_bitmap::ports_changed;
use crate::base::errno::Errno;
use crate::base::thread_info::{TIF_IRET, current_thread_info, set_flag};
use crate::hw::eflags::Eflags;
use crate::sync::PreemptGuard;
use crate::task::io_bitmap::ioperm;
use crate::task::thread_struct::TIF_IO_BITMAP;

/// Grants the calling task `num` ports from `from` on, or revokes them, at once.
///
/// # Errors
/// EINVAL for an impossible range, then EPERM without CAP_SYS_RAWIO when granting, ENOMEM.
pub fn sys_ioperm(from: u32, num: u32, turn_on: u32) -> SysResult {
    let me = current();
    let _no_preempt = PreemptGuard::new();
    // SAFETY: our own context, preemption off.
    let thread = unsafe { me.thread_mut() };
    let max = ioperm(
        &mut thread.io_bitmap,
        from,
        num,
        turn_on != 0,
        capable_rawio(),
    )?;
    if max != 0 {
        thread.set_work(TIF_IO_BITMAP, true);
        // SAFETY: our own context, preemption off.
        unsafe { ports_changed(thread, max) };
    }
    Ok(0)
}

/// Sets the I/O privilege level of the calling task.
///
/// # Errors
/// EINVAL above 3, EPERM when raising it without CAP_SYS_RAWIO.
pub fn sys_iopl(level: u32) -> SysResult {
    if level > 3 {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the frame of the system call that we are in.
    let regs = unsafe { &mut *current_pt_regs() };
    let flags = Eflags::from_bits_retain(regs.flags);
    if level > u32::from(flags.iopl()) && !capable_rawio() {
        return Err(Errno::EPERM);
    }
    regs.flags = flags.with_iopl(level as u8).bits();
    set_flag(current_thread_info(), TIF_IRET);
    Ok(0)
}

/// Returns whether the caller has CAP_SYS_RAWIO: here, is the superuser.
fn capable_rawio() -> bool {
    current().cred().capable()
}

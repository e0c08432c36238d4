//! Work due before a return to ring 3, other than a switch.
//!
//! The entry code's work loop calls this with interrupts on, on the task's own stack.
//!
//! Book: ch. 11, "Delivering a Signal"; ch. 4, "Returning from Interrupts and Exceptions".
//! Linux: 2.6.38 `do_notify_resume`; 5.5 `exit_to_usermode_loop`.

use core::sync::atomic::Ordering;

use crate::arch::x86::switch::io_bitmap::tss_update_io_bitmap;
use crate::base::pt_regs::PtRegs;
use crate::base::thread_info::{
    TIF_IRET, TIF_NOTIFY_RESUME, TIF_SIGPENDING, TIF_SINGLESTEP, ThreadFlags, ThreadInfo,
    clear_flag, current_thread_info,
};
use crate::base::upward::{do_notify_resume, rseq_handle_notify_resume};
use crate::hw::eflags::Eflags;

/// Called by `work_notify`, interrupts on, before a return to ring 3.
///
/// A `sysenter` with TF set could not be single-stepped: `do_debug` took TF out of the kernel's
/// flags and left TIF_SINGLESTEP. This function gives TF back to the user, which traps on its next
/// instruction.
///
/// # Safety
/// `regs` is the frame at the top of this stack.
#[unsafe(no_mangle)]
unsafe extern "C" fn notify_resume(regs: *mut PtRegs) {
    let thread_info = current_thread_info();
    // The flags of this moment: the loop looks again for work that arises meanwhile.
    let flags = thread_info.flags.load(Ordering::Relaxed);
    if flags.intersects(OTHER_WORK) {
        // SAFETY: the caller's duty.
        unsafe { other_work(regs, thread_info, flags) };
    }
    if flags.contains(TIF_NOTIFY_RESUME) {
        clear_flag(thread_info, TIF_NOTIFY_RESUME);
        tss_update_io_bitmap();
        // SAFETY: the caller's duty.
        unsafe { rseq_handle_notify_resume(regs) };
    }
}

/// The flags that a switch does not set; it sets TIF_NOTIFY_RESUME only.
const OTHER_WORK: ThreadFlags = TIF_IRET.union(TIF_SINGLESTEP).union(TIF_SIGPENDING);

/// Does the work that the flags of [`OTHER_WORK`] ask for.
///
/// # Safety
/// The conditions of [`notify_resume`] hold.
#[cold]
#[inline(never)]
unsafe fn other_work(regs: *mut PtRegs, thread_info: &ThreadInfo, flags: ThreadFlags) {
    clear_flag(thread_info, TIF_IRET);
    if flags.contains(TIF_SINGLESTEP) {
        clear_flag(thread_info, TIF_SINGLESTEP);
        // SAFETY: the caller's duty; nothing else uses the frame now.
        unsafe { (*regs).flags |= Eflags::TF.bits() };
    }
    // SAFETY: the caller's duty.
    unsafe { do_notify_resume(regs) };
}

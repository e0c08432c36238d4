//! What is due before a return to ring 3, besides a switch.
//!
//! Called by the entry code's work loop, interrupts on, on the task's own stack.
//!
//! Book: ch. 11, "Delivering a Signal"; ch. 4, "Returning from Interrupts and Exceptions".
//! Linux: 2.6.38 `do_notify_resume`; 5.5 `exit_to_usermode_loop`.

use super::io_bitmap::tss_update_io_bitmap;
use crate::hw::eflags::Eflags;
use crate::task::pt_regs::PtRegs;
use crate::task::thread_info::{
    TIF_IRET, TIF_NOTIFY_RESUME, TIF_SINGLESTEP, clear_flag, current_thread_info, test_flag,
};

unsafe extern "C" {
    /// Upward: `process::signal`, signals and restart of an interrupted call.
    fn do_notify_resume(regs: *mut PtRegs);
    /// Upward: `process::rseq`, restartable sequences.
    fn rseq_handle_notify_resume(regs: *mut PtRegs);
}

/// Called by `work_notify`, interrupts on, before a return to ring 3.
///
/// A `sysenter` with TF set could not be single-stepped: `do_debug` took TF out of the kernel's
/// flags and left TIF_SINGLESTEP. Here the user gets it back, and traps on the next instruction.
///
/// # Safety
/// `regs` is the frame at the top of this stack.
#[unsafe(no_mangle)]
unsafe extern "C" fn notify_resume(regs: *mut PtRegs) {
    let thread_info = current_thread_info();
    clear_flag(thread_info, TIF_IRET);
    if test_flag(thread_info, TIF_SINGLESTEP) {
        clear_flag(thread_info, TIF_SINGLESTEP);
        // SAFETY: the caller's duty; nobody else looks at the frame now.
        unsafe { (*regs).flags |= Eflags::TF.bits() };
    }
    let notify = test_flag(thread_info, TIF_NOTIFY_RESUME);
    if notify {
        clear_flag(thread_info, TIF_NOTIFY_RESUME);
        tss_update_io_bitmap();
    }
    // SAFETY: the caller's duty.
    unsafe { do_notify_resume(regs) };
    if notify {
        // SAFETY: the caller's duty.
        unsafe { rseq_handle_notify_resume(regs) };
    }
}

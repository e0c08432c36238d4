//! What is due before a return to ring 3, besides a switch.
//!
//! Called by the entry code's work loop, interrupts on, on the task's own stack.
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
/// flags and left TIF_SINGLESTEP. Here the user gets it back, and traps on the next instruction.
///
/// # Safety
/// `regs` is the frame at the top of this stack.
#[unsafe(no_mangle)]
unsafe extern "C" fn notify_resume(regs: *mut PtRegs) {
    let thread_info = current_thread_info();
    // As the flags are now: what comes up meanwhile is seen by the loop's next look.
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

/// What a switch does not leave behind: that is TIF_NOTIFY_RESUME alone.
const OTHER_WORK: ThreadFlags = TIF_IRET.union(TIF_SINGLESTEP).union(TIF_SIGPENDING);

/// The work that one of [`OTHER_WORK`] asks for.
///
/// # Safety
/// As [`notify_resume`].
#[cold]
#[inline(never)]
unsafe fn other_work(regs: *mut PtRegs, thread_info: &ThreadInfo, flags: ThreadFlags) {
    clear_flag(thread_info, TIF_IRET);
    if flags.contains(TIF_SINGLESTEP) {
        clear_flag(thread_info, TIF_SINGLESTEP);
        // SAFETY: the caller's duty; nobody else looks at the frame now.
        unsafe { (*regs).flags |= Eflags::TF.bits() };
    }
    // SAFETY: the caller's duty.
    unsafe { do_notify_resume(regs) };
}

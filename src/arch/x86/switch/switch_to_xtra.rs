//! `__switch_to_xtra`: state that few tasks have: debug registers, no time-stamp counter, ports.
//!
//! Called by `__switch_to` when prev or next has a TIF_* flag of `_TIF_WORK_CTXSW`.
//!
//! Step 5 of `__switch_to`.
//!
//! Book: ch. 3, "The __switch_to() function", the book's steps 7 and 8. Linux: 2.6.38 `__switch_to_xtra`
//! (debug registers as 2.6.32 has them, loaded for next and never cleared for prev).

use crate::arch::x86::switch::io_bitmap::switch_io_bitmap;
use crate::base::insn;
use crate::hw::cr::Cr4;
use crate::task::thread_struct::{TIF_DEBUG, TIF_IO_BITMAP, TIF_NOTSC, ThreadStruct};
use crate::this_cpu_inc;

/// Switches the state that the flags of prev and next name.
///
/// # Safety
/// 1. Interrupts are off, and this CPU switches to the task of `next`.
#[inline(never)]
#[unsafe(link_section = ".sched.text")]
pub unsafe fn __switch_to_xtra(prev: &ThreadStruct, next: &ThreadStruct) {
    // DR7 last: it arms the others. A stale DR7 may still trap in a task without breakpoints:
    // `do_debug` then clears it.
    if next.work.contains(TIF_DEBUG) {
        load_debug_registers(next);
    }

    if (prev.work ^ next.work).contains(TIF_NOTSC) {
        set_cr4_tsd(next.work.contains(TIF_NOTSC));
    }

    if (prev.work | next.work).intersects(TIF_IO_BITMAP) {
        // SAFETY: by 1.
        unsafe { switch_io_bitmap(prev, next) };
    }
}

/// Loads a task's DR0–DR3 and DR7 into the processor, and clears DR6: the task's own is not the
/// processor's, which only shows hits since the last #DB.
pub fn load_debug_registers(task: &ThreadStruct) {
    for (n, &address) in task.debugreg.iter().enumerate() {
        insn::set_debugreg(address, n);
    }
    insn::set_debugreg(0, 6);
    insn::set_debugreg(task.debugreg7, 7);
    this_cpu_inc!(count.debug_loads);
}

/// Sets or clears CR4.TSD; while it is set, RDTSC faults in ring 3.
pub fn set_cr4_tsd(on: bool) {
    let cr4 = insn::read_cr4();
    let tsd = Cr4::TSD.bits();
    let new = if on { cr4 | tsd } else { cr4 & !tsd };
    // SAFETY: only TSD changes, which does not affect ring 0.
    unsafe { insn::write_cr4(new) };
}

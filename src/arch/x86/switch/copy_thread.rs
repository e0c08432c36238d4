//! `copy_thread`, `exit_thread`, `flush_thread`: the hardware context at fork, exit and exec.
//!
//! A parent, a dying task and a task that executes a new program call these, in process context
//! with interrupts on.
//!
//! `copy_thread` prepares a fresh stack as the first switch to the task expects it:
//!
//! ```text
//!   stack + 8192   +-----------------------------+
//!                  |  8 bytes left free          |
//!   thread.sp0 --> +-----------------------------+   what the TSS will give for entries from ring 3
//!                  |  ss   sp   flags   cs   ip  |
//!                  |  orig_ax   gs  fs  es  ds   |   pt_regs: the parent's, but ax = 0
//!                  |  ax  bp  di  si  dx  cx  bx |
//!   thread.sp  --> +-----------------------------+   esp after the switch; no words of `switch_to`
//!                  :                             :   lie here, as they do for a task that has run
//!                  +-----------------------------+
//!                  |  thread_info, its end mark  |
//!   stack      --> +-----------------------------+
//!
//!   thread.ip = ret_from_fork
//! ```
//! `switch_to` loads `thread.sp` and pushes `thread.ip`, and the `ret` of `__switch_to` pops it
//! again, so `ret_from_fork` begins with `esp` at `pt_regs`.
//!
//! Book: ch. 3, "The copy_process() function", "Process Termination".
//! Linux: 2.6.38 `arch/x86/kernel/process_32.c`, `process.c`.

use crate::arch::x86::current::{Current, current};
use crate::arch::x86::switch::canary::STACK_PROTECTOR;
use crate::arch::x86::switch::forms::All;
use crate::arch::x86::switch::io_bitmap::ports_gone;
use crate::arch::x86::switch::lazy_gs::set_user_gs;
use crate::arch::x86::switch::math_state::{copy_fpu_state, current_fpu_state, fresh_fpu};
use crate::arch::x86::switch::paravirt::is_batching;
use crate::arch::x86::switch::ret_from_fork::ret_from_fork;
use crate::arch::x86::switch::switch_to_xtra::set_cr4_tsd;
use crate::arch::x86::switch::updates::Now;
use crate::base::errno::Errno;
use crate::base::insn;
use crate::base::pt_regs::PtRegs;
use crate::base::thread_info::{
    STACK_TOP_GAP, THREAD_SIZE, TIF_IRET, current_thread_info, set_flag,
};
use crate::hw::desc::{DescStruct, USER_CS, USER_DS};
use crate::hw::eflags::Eflags;
use crate::sync::PreemptGuard;
use crate::task::io_bitmap::IoBitmap;
use crate::task::thread_struct::{TIF_IO_BITMAP, TIF_NOTSC, TIF_PARAVIRT, ThreadStruct};

/// Builds the context of a child of `parent` on the stack at `stack`, which begins at
/// `ret_from_fork`, with `regs` as its `pt_regs`, eax 0, and `sp` as its user stack unless that is
/// 0.
///
/// # Errors
/// ENOMEM when the I/O bitmap or the FPU state cannot be copied.
pub fn copy_thread(
    parent: Current,
    stack: usize,
    regs: &PtRegs,
    sp: u32,
) -> Result<ThreadStruct, Errno> {
    let mut new = ThreadStruct::new();
    // Allocations come first: during one the parent may be switched away, and then its context
    // belongs to the switch.
    if let Some(fpu) = current_fpu_state(parent) {
        copy_fpu_state(&mut new, &fpu)?;
    }
    new.io_bitmap = copy_io_bitmap(parent)?;

    let sp0 = stack + THREAD_SIZE - STACK_TOP_GAP;
    let childregs = (sp0 - size_of::<PtRegs>()) as *mut PtRegs;
    let mut r = *regs;
    r.ax = 0;
    if sp != 0 {
        r.sp = sp;
    }
    // SAFETY: the top of a fresh stack that nothing else refers to, aligned to 4.
    unsafe { childregs.write(r) };

    let _no_preempt = PreemptGuard::new();
    // SAFETY: our own context, preemption off.
    let old = unsafe { parent.thread_mut() };
    new.sp0 = sp0 as u32;
    new.sp = childregs as u32;
    new.ip = ret_from_fork as *const () as u32;
    new.tls_array = old.tls_array;
    new.trap = old.trap;
    // Under lazy gs the selector is in the register, not in memory.
    if regs.user_mode() && !STACK_PROTECTOR {
        new.gs = u32::from(insn::read_gs());
    }
    new.work |= old.work & (crate::task::thread_struct::TIF_TLS_ALL | TIF_NOTSC);
    new.set_work(TIF_PARAVIRT, is_batching());
    new.set_work(TIF_IO_BITMAP, new.io_bitmap.is_some());
    Ok(new)
}

/// Returns the child's copy of the parent's ports. The memory is allocated before the parent's
/// ports are read.
fn copy_io_bitmap(parent: Current) -> Result<Option<IoBitmap>, Errno> {
    let mut copy = None;
    loop {
        {
            let _no_preempt = PreemptGuard::new();
            // SAFETY: our own context, preemption off.
            match (&unsafe { parent.thread_mut() }.io_bitmap, &mut copy) {
                (None, _) => return Ok(None),
                (Some(_), None) => {}
                (Some(bitmap), Some(copy)) => {
                    IoBitmap::copy_from(copy, bitmap);
                    break;
                }
            }
        }
        copy = Some(IoBitmap::new()?);
    }
    Ok(copy)
}

/// Takes the ports away from the running task when it exits.
///
/// The task's bitmap and the ports that this CPU's TSS grants change together, with preemption off:
/// a switch between the two would find a task without ports, change nothing in the TSS, and leave
/// the ports to the task that runs next. The memory is freed when preemption is on again.
pub fn exit_thread(me: Current) {
    let old = {
        let _no_preempt = PreemptGuard::new();
        // SAFETY: our own context, preemption off.
        let thread = unsafe { me.thread_mut() };
        let old = thread.io_bitmap.take();
        if let Some(bitmap) = &old {
            thread.set_work(TIF_IO_BITMAP, false);
            ports_gone(bitmap);
        }
        old
    };
    drop(old);
}

/// Clears breakpoints, TLS and FPU state for a new program, which keeps its ports.
pub fn flush_thread(me: Current) {
    fresh_fpu(me);
    let _no_preempt = PreemptGuard::new();
    // SAFETY: our own context, preemption off.
    let thread = unsafe { me.thread_mut() };
    thread.tls_array = [DescStruct::EMPTY; 3];
    thread.set_work(crate::task::thread_struct::TIF_TLS_ALL, false);
    thread.set_work(crate::task::thread_struct::TIF_DEBUG, false);
    thread.debugreg = [0; 4];
    thread.debugreg6 = 0;
    thread.debugreg7 = 0;
    insn::set_debugreg(0, 7);
    // SAFETY: empty descriptors; preemption is off.
    unsafe { crate::arch::x86::switch::load_tls::load_tls::<All<Now>>(thread) };
}

/// Sets the first state of a new program: all registers 0, flat user segments, EFLAGS 0x202, gs 0.
pub fn start_thread(regs: &mut PtRegs, ip: u32, sp: u32) {
    let ds = u32::from(USER_DS.0);
    *regs = PtRegs {
        ds,
        es: ds,
        ss: ds,
        cs: u32::from(USER_CS.0),
        ip,
        sp,
        flags: Eflags::NEW_TASK.bits(),
        orig_ax: u32::MAX,
        ..PtRegs::default()
    };
    set_user_gs(regs, 0);
    set_flag(current_thread_info(), TIF_IRET);
}

/// Lets the running task read the time-stamp counter, or makes RDTSC fault, from now on
/// (`prctl(PR_SET_TSC)`).
pub fn set_tsc_mode(allowed: bool) {
    let _no_preempt = PreemptGuard::new();
    // SAFETY: our own context, preemption off.
    let thread = unsafe { current().thread_mut() };
    thread.set_work(TIF_NOTSC, !allowed);
    set_cr4_tsd(!allowed);
}

/// Returns whether the running task may read the time-stamp counter.
pub fn tsc_allowed() -> bool {
    // SAFETY: our own context, only read.
    !unsafe { current().thread_mut() }.work.contains(TIF_NOTSC)
}

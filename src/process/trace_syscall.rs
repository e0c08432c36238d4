//! A traced task's system calls: its tracer sees each before it is made, and its result.
//!
//! Called by the entry code's slow path, which a task takes while a tracer is told of its calls or
//! steps over them: `ThreadInfo::trace_syscalls`.
//!
//! Linux: 2.6.38 `syscall_trace_enter`, `syscall_trace_leave`.

use super::signal::force_sig_info;
use super::sigset::SIGTRAP;
use super::trace_stop::ptrace_report_syscall;
use crate::arch::x86::current::current;
use crate::base::errno::Errno;
use crate::base::pt_regs::PtRegs;
use crate::base::thread_info::{TIF_SINGLESTEP, clear_flag};
use crate::hw::eflags::Eflags;
use crate::provides_upward;
use crate::task::siginfo::SigInfo;
use crate::task::traced::{PT_SINGLESTEP, PT_SYSCALL_EMU, PT_SYSCALL_TRACE};

/// `PTRACE_GETEVENTMSG` at the begin of a call.
pub const PTRACE_EVENTMSG_SYSCALL_ENTRY: u32 = 1;
/// `PTRACE_GETEVENTMSG` at the end of a call.
pub const PTRACE_EVENTMSG_SYSCALL_EXIT: u32 = 2;
/// `si_code` of SIGTRAP after a step over a system call.
const TRAP_BRKPT: i32 = 1;
/// A number that no call has: none is made.
const NO_CALL: u32 = u32::MAX;

/// Upward call of the entry code: tells the tracer that a call begins.
///
/// # Safety
/// 1. `regs` is the frame at the top of the running task's stack, from ring 3.
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall_trace_enter(regs: *mut PtRegs) -> u32 {
    let me = current();
    {
        // SAFETY: by 1. The tracer changes the frame while we sleep, so the borrow ends before.
        let regs = unsafe { &mut *regs };
        regs.ax = Errno::ENOSYS.to_ret() as u32;
        if me.ptrace.has(PT_SINGLESTEP) {
            // `sysenter` trapped in the kernel, and TF was taken out of the frame.
            clear_flag(me.thread_info(), TIF_SINGLESTEP);
            regs.flags |= Eflags::TF.bits();
        }
    }
    let emulated = me.ptrace.has(PT_SYSCALL_EMU);
    if emulated || me.ptrace.has(PT_SYSCALL_TRACE) {
        ptrace_report_syscall(me, PTRACE_EVENTMSG_SYSCALL_ENTRY);
    }
    match emulated {
        true => NO_CALL,
        // SAFETY: by 1; only read, after the tracer has let us go on.
        false => unsafe { (*regs).orig_ax },
    }
}

/// Upward call of the entry code: tells the tracer that a call ends.
///
/// # Safety
/// 1. `regs` is the frame at the top of the running task's stack, from ring 3.
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall_trace_leave(regs: *mut PtRegs) {
    let me = current();
    if me.ptrace.has(PT_SYSCALL_EMU) {
        return;
    }
    if me.ptrace.has(PT_SINGLESTEP) {
        // SAFETY: by 1; only read.
        let ip = unsafe { (*regs).ip };
        force_sig_info(SigInfo::fault(SIGTRAP, TRAP_BRKPT, ip), me);
    } else if me.ptrace.has(PT_SYSCALL_TRACE) {
        ptrace_report_syscall(me, PTRACE_EVENTMSG_SYSCALL_EXIT);
    }
}

provides_upward!(syscall_trace_enter);
provides_upward!(syscall_trace_leave);

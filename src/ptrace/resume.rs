#![forbid(unsafe_code)]
//! CONT, SYSCALL, SYSEMU, SINGLESTEP, KILL: how a stopped task goes on.
//!
//! A step is TF in the task's flags. A system call would run with TF taken out, so a task that is
//! stepped takes the slow path of system calls, which stops it behind the call.
//!
//! Linux: 2.6.38 `ptrace_resume`, `arch/x86/kernel/step.c`.

use super::SysResult;
use super::held::Held;
use crate::base::errno::Errno;
use crate::hw::eflags::Eflags;
use crate::mm::fault::read_from_mm;
use crate::process::sigset::NSIG;
use crate::task::traced::{
    PT_FORCED_TF, PT_RESUME, PT_SINGLESTEP, PT_SYSCALL_EMU, PT_SYSCALL_TRACE, PtraceFlags,
};

/// Longest instruction, in bytes.
const LONGEST: usize = 15;

/// Lets the task go on with `signal`, as `how` says: a mask of PT_SYSCALL_TRACE, PT_SYSCALL_EMU and
/// PT_SINGLESTEP.
///
/// # Errors
/// EIO if there is no such signal.
pub fn resume(mut held: Held, how: PtraceFlags, signal: u32) -> SysResult {
    if signal > NSIG {
        return Err(Errno::EIO);
    }
    match how.contains(PT_SINGLESTEP) {
        true => user_enable_single_step(&mut held),
        false => user_disable_single_step(&mut held),
    }
    let task = held.task();
    task.ptrace.flags.remove(PT_RESUME);
    task.ptrace.flags.insert(how);
    let tells = PT_SYSCALL_TRACE.union(PT_SYSCALL_EMU).union(PT_SINGLESTEP);
    task.thread_info().trace_syscalls(how.intersects(tells));
    held.resume(signal as i32);
    Ok(0)
}

/// Makes the task trap after one instruction. If the program has set TF itself, or sets it by the
/// next instruction, TF stays the program's.
fn user_enable_single_step(held: &mut Held) {
    let sets = is_setting_trap_flag(held);
    let regs = held.regs();
    let had = regs.flags & Eflags::TF.bits() != 0;
    regs.flags |= Eflags::TF.bits();
    let flags = &held.task().ptrace.flags;
    if sets {
        flags.remove(PT_FORCED_TF);
    } else if !had {
        flags.insert(PT_FORCED_TF);
    }
}

/// Takes TF away unless it is the program's own.
pub fn user_disable_single_step(held: &mut Held) {
    let task = held.task().clone();
    if task.ptrace.has(PT_FORCED_TF) {
        held.regs().flags &= !Eflags::TF.bits();
        task.ptrace.flags.remove(PT_FORCED_TF);
    }
}

/// Returns whether the next instruction is `popf` or `iret`, after prefixes.
fn is_setting_trap_flag(held: &mut Held) -> bool {
    const POPF: u8 = 0x9d;
    const IRET: u8 = 0xcf;
    let ip = held.regs().ip;
    let Ok(mm) = held.mm() else { return false };
    for at in 0..LONGEST as u32 {
        let mut byte = [0];
        if read_from_mm(mm, ip.wrapping_add(at), &mut byte).is_err() {
            return false;
        }
        match byte[0] {
            POPF | IRET => return true,
            // Sizes, segments, LOCK, REP.
            0x66 | 0x67 | 0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0xf0 | 0xf2 | 0xf3 => (),
            _ => return false,
        }
    }
    false
}

#![forbid(unsafe_code)]
//! GETREGS, SETREGS: the registers of a stopped task, 17 words in the order of `pt_regs`.
//!
//! `%gs` is in the hardware context, since the kernel leaves it alone. The tracer may give the task
//! any selector of ring 3: one that cannot be loaded becomes 0, or raises a signal, on the way out.
//!
//! Linux: 2.6.38 `getreg`, `putreg`, `set_segment_reg`, `set_flags`.

use super::held::Held;
use crate::arch::x86::switch::canary::STACK_PROTECTOR;
use crate::base::errno::Errno;
use crate::base::thread_info::{TIF_IRET, set_flag};
use crate::hw::eflags::Eflags;
use crate::task::traced::PT_FORCED_TF;

/// Number of registers: `struct user_regs_struct`.
pub const REGISTERS: usize = 17;
/// Bytes of `struct user_regs_struct`.
pub const REGS_BYTES: u32 = REGISTERS as u32 * 4;

/// Returns register `index`, below [`REGISTERS`].
pub fn getreg(held: &mut Held, index: usize) -> u32 {
    let forced = held.task().ptrace.has(PT_FORCED_TF);
    let gs = held.thread().gs;
    let regs = held.regs();
    match index {
        0 => regs.bx,
        1 => regs.cx,
        2 => regs.dx,
        3 => regs.si,
        4 => regs.di,
        5 => regs.bp,
        6 => regs.ax,
        7 => regs.ds & 0xffff,
        8 => regs.es & 0xffff,
        9 => regs.fs & 0xffff,
        10 if STACK_PROTECTOR => regs.gs & 0xffff,
        10 => gs & 0xffff,
        11 => regs.orig_ax,
        12 => regs.ip,
        13 => regs.cs & 0xffff,
        // The tracer's own TF is not the program's.
        14 if forced => regs.flags & !Eflags::TF.bits(),
        14 => regs.flags,
        15 => regs.sp,
        _ => regs.ss & 0xffff,
    }
}

/// Sets register `index`, below [`REGISTERS`].
///
/// # Errors
/// EIO for a selector of another ring than 3, and for 0 in `%cs` and `%ss`.
pub fn putreg(held: &mut Held, index: usize, value: u32) -> Result<(), Errno> {
    let selector = u32::from(value as u16);
    let is_segment = matches!(index, 7..=10 | 13 | 16);
    let may_be_null = !matches!(index, 13 | 16);
    if is_segment && selector & 3 != 3 && !(selector == 0 && may_be_null) {
        return Err(Errno::EIO);
    }
    // The whole frame must be loaded.
    set_flag(held.task().thread_info(), TIF_IRET);
    if index == 10 && !STACK_PROTECTOR {
        held.thread().gs = selector;
        return Ok(());
    }
    let flags = match index {
        14 => set_flags(held, value),
        _ => 0,
    };
    let regs = held.regs();
    match index {
        0 => regs.bx = value,
        1 => regs.cx = value,
        2 => regs.dx = value,
        3 => regs.si = value,
        4 => regs.di = value,
        5 => regs.bp = value,
        6 => regs.ax = value,
        7 => regs.ds = selector,
        8 => regs.es = selector,
        9 => regs.fs = selector,
        10 => regs.gs = selector,
        11 => regs.orig_ax = value,
        12 => regs.ip = value,
        13 => regs.cs = selector,
        14 => regs.flags = flags,
        15 => regs.sp = value,
        _ => regs.ss = selector,
    }
    Ok(())
}

/// Returns the flags that the task gets when its tracer writes `value`: only those that a program
/// may change. TF is the program's if the tracer writes it.
fn set_flags(held: &mut Held, value: u32) -> u32 {
    let user = Eflags::USER.bits();
    let task = held.task().clone();
    let mut value = value;
    if value & Eflags::TF.bits() != 0 {
        task.ptrace.flags.remove(PT_FORCED_TF);
    } else if task.ptrace.has(PT_FORCED_TF) {
        value |= Eflags::TF.bits();
    }
    held.regs().flags & !user | value & user
}

/// Returns all registers.
pub fn getregs(held: &mut Held) -> [u32; REGISTERS] {
    core::array::from_fn(|index| getreg(held, index))
}

/// Sets the first registers to `values`, up to one that is refused.
///
/// # Errors
/// Those of [`putreg`].
pub fn setregs(held: &mut Held, values: &[u32]) -> Result<(), Errno> {
    for (index, value) in values.iter().enumerate().take(REGISTERS) {
        putreg(held, index, *value)?;
    }
    Ok(())
}

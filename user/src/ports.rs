//! ioperm and iopl: which ports ring 3 may use.
//!
//! Book: ch. 3, the I/O permission bitmap. Linux: arch/x86/kernel/ioport.c.

use crate::{Errno, gates::syscall};

const SYS_IOPERM: u32 = 101;
const SYS_IOPL: u32 = 110;

/// The POST diagnostic port: a write has no effect.
pub const POST: u16 = 0x80;
/// The last port; an access of two bytes there would leave the bitmap.
pub const LAST: u16 = 0xffff;

pub fn ioperm(from: u32, count: u32, turn_on: bool) -> Result<(), Errno> {
    syscall(SYS_IOPERM, [from, count, u32::from(turn_on)]).map(drop)
}

pub fn iopl(level: u32) -> Result<(), Errno> {
    syscall(SYS_IOPL, [level]).map(drop)
}

/// IOPL 3 in its place in EFLAGS.
pub const IOPL_3: u32 = 3 << 12;

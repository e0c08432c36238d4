#![forbid(unsafe_code)]
//! PEEKUSR, POKEUSR: words of `struct user`, 284 bytes on i386.
//!
//! ```text
//!     0  the 17 registers             252  DR0 to DR7
//!    68  memory and FPU, of core files only: read as 0, and not written
//! ```
//! Linux: 2.6.38 `asm/user_32.h`, `arch_ptrace`.

use super::held::Held;
use super::regs::{REGS_BYTES, getreg, putreg};
use super::{SysResult, debugreg};
use crate::base::errno::Errno;

/// Bytes of `struct user`.
const USER_BYTES: u32 = 284;
/// Offset of the debug registers.
const DEBUGREG: u32 = 252;

/// Returns the word at `offset`.
///
/// # Errors
/// EIO for an offset that is odd or beyond the end.
pub fn peek(held: &mut Held, offset: u32) -> SysResult {
    if !offset.is_multiple_of(4) || offset >= USER_BYTES {
        return Err(Errno::EIO);
    }
    Ok(match offset {
        0..REGS_BYTES => getreg(held, offset as usize / 4),
        DEBUGREG.. => debugreg::get(held, offset.wrapping_sub(DEBUGREG) as usize / 4),
        _ => 0,
    })
}

/// Writes the word at `offset`.
///
/// # Errors
/// EIO for an offset that is odd, beyond the end, or that of no register; those of
/// [`putreg`] and [`debugreg::set`].
pub fn poke(held: &mut Held, offset: u32, value: u32) -> Result<(), Errno> {
    if !offset.is_multiple_of(4) || offset >= USER_BYTES {
        return Err(Errno::EIO);
    }
    match offset {
        0..REGS_BYTES => putreg(held, offset as usize / 4, value),
        DEBUGREG.. => debugreg::set(held, offset.wrapping_sub(DEBUGREG) as usize / 4, value),
        _ => Err(Errno::EIO),
    }
}

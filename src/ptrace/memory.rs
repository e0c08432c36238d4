#![forbid(unsafe_code)]
//! PEEKTEXT, PEEKDATA, POKETEXT, POKEDATA: a word of a stopped task's memory.
//!
//! A tracer may read what the task may not, and write into private memory that the task may only
//! read: the task gets a copy of its own, which stays read-only.
//!
//! Linux: 2.6.38 `generic_ptrace_peekdata`, `access_process_vm`.

use super::SysResult;
use super::held::Held;
use crate::base::errno::Errno;
use crate::mm::access::{Access, access_process_vm};

/// Returns the word at `address`.
///
/// # Errors
/// EIO if nothing is mapped there.
pub fn peek(held: &Held, address: u32) -> SysResult {
    let mut bytes = [0; 4];
    access_process_vm(held.mm()?, address, Access::Read(&mut bytes)).map_err(|_| Errno::EIO)?;
    Ok(u32::from_le_bytes(bytes))
}

/// Writes the word at `address`.
///
/// # Errors
/// EIO if nothing is mapped there, or if it is shared and read-only.
pub fn poke(held: &Held, address: u32, word: u32) -> SysResult {
    let bytes = word.to_le_bytes();
    access_process_vm(held.mm()?, address, Access::Write(&bytes)).map_err(|_| Errno::EIO)?;
    Ok(0)
}

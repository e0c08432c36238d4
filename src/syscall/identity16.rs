//! The identity of a process in 16 bits, for old programs.
//!
//! 65535 stands for -1, which leaves a number unchanged or is refused. A number that does not fit is
//! told as 65534.
//!
//! Linux: 2.6.38 `kernel/uid16.c`, `include/linux/highuid.h` (`low2highuid`, `high2lowuid`).

use super::SysResult;
use super::identity;
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::put_user;
use crate::base::errno::Errno;
use crate::task::cred::{Ids, KEEP};

/// The number that stands for one of more than 16 bits (Linux: `DEFAULT_OVERFLOWUID`).
const OVERFLOW_ID: u16 = 65534;

/// Returns the number that a 16-bit argument means; its upper half is ignored.
fn wide(id: u32) -> u32 {
    match id & 0xffff {
        0xffff => KEEP,
        id => id,
    }
}

/// Returns what a program that knows 16 bits is told of a number.
fn narrow(id: u32) -> u16 {
    u16::try_from(id).unwrap_or(OVERFLOW_ID)
}

/// Returns the real user ID.
pub fn sys_getuid16() -> SysResult {
    Ok(narrow(current().cred().uid.real).into())
}

/// Returns the real group ID.
pub fn sys_getgid16() -> SysResult {
    Ok(narrow(current().cred().gid.real).into())
}

/// Returns the effective user ID.
pub fn sys_geteuid16() -> SysResult {
    Ok(narrow(current().cred().uid.effective).into())
}

/// Returns the effective group ID.
pub fn sys_getegid16() -> SysResult {
    Ok(narrow(current().cred().gid.effective).into())
}

/// Sets the user IDs as setuid(2).
pub fn sys_setuid16(id: u32) -> SysResult {
    identity::sys_setuid(wide(id))
}

/// Sets the group IDs as setgid(2).
pub fn sys_setgid16(id: u32) -> SysResult {
    identity::sys_setgid(wide(id))
}

/// Sets the real and effective user IDs.
pub fn sys_setreuid16(real: u32, effective: u32) -> SysResult {
    identity::sys_setreuid(wide(real), wide(effective))
}

/// Sets the real and effective group IDs.
pub fn sys_setregid16(real: u32, effective: u32) -> SysResult {
    identity::sys_setregid(wide(real), wide(effective))
}

/// Sets the real, effective and saved user IDs.
pub fn sys_setresuid16(real: u32, effective: u32, saved: u32) -> SysResult {
    identity::sys_setresuid(wide(real), wide(effective), wide(saved))
}

/// Sets the real, effective and saved group IDs.
pub fn sys_setresgid16(real: u32, effective: u32, saved: u32) -> SysResult {
    identity::sys_setresgid(wide(real), wide(effective), wide(saved))
}

/// Sets the user ID for file access; returns the former one.
pub fn sys_setfsuid16(id: u32) -> SysResult {
    Ok(narrow(identity::sys_setfsuid(wide(id))?).into())
}

/// Sets the group ID for file access; returns the former one.
pub fn sys_setfsgid16(id: u32) -> SysResult {
    Ok(narrow(identity::sys_setfsgid(wide(id))?).into())
}

/// Stores the real, effective and saved user IDs.
pub fn sys_getresuid16(real: u32, effective: u32, saved: u32) -> SysResult {
    put_ids(current().cred().uid, [real, effective, saved])
}

/// Stores the real, effective and saved group IDs.
pub fn sys_getresgid16(real: u32, effective: u32, saved: u32) -> SysResult {
    put_ids(current().cred().gid, [real, effective, saved])
}

fn put_ids(ids: Ids, to: [u32; 3]) -> Result<u32, Errno> {
    for (id, to) in [ids.real, ids.effective, ids.saved].into_iter().zip(to) {
        put_user(to, narrow(id))?;
    }
    Ok(0)
}

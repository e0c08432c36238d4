#![forbid(unsafe_code)]
//! GET_THREAD_AREA, SET_THREAD_AREA: the TLS descriptors of a stopped task.
//!
//! Linux: 2.6.38 `ptrace_get_thread_area`, `regset_tls_set`.

use super::SysResult;
use super::held::Held;
use crate::arch::x86::entry::uaccess::{copy_from_user, copy_to_user};
use crate::base::errno::Errno;
use crate::task::thread_struct::TIF_TLS_ALL;
use crate::task::user_desc::{UserDesc, do_get_thread_area, do_set_thread_area};

/// Returns the descriptor in entry `entry`, 6 to 8.
///
/// # Errors
/// EINVAL for another entry.
pub fn get_tls(held: &mut Held, entry: u32) -> Result<UserDesc, Errno> {
    do_get_thread_area(&held.thread().tls_array, entry)
}

/// Sets the descriptor in entry `entry`, 6 to 8. The switch to the task loads it.
///
/// # Errors
/// EINVAL for another entry, and for a descriptor that is not allowed.
pub fn set_tls(held: &mut Held, entry: u32, desc: UserDesc) -> Result<(), Errno> {
    let desc = UserDesc {
        entry_number: entry,
        ..desc
    };
    let thread = held.thread();
    do_set_thread_area(&mut thread.tls_array, &desc, false)?;
    let all = thread.tls_array[1..].iter().any(|desc| !desc.is_empty());
    thread.set_work(TIF_TLS_ALL, all);
    Ok(())
}

/// Stores the descriptor of entry `entry` at user address `to`.
///
/// # Errors
/// EIO for a negative entry, EINVAL for another wrong one, EFAULT.
pub fn get_thread_area(held: &mut Held, entry: u32, to: u32) -> SysResult {
    if (entry as i32) < 0 {
        return Err(Errno::EIO);
    }
    copy_to_user(to, &get_tls(held, entry)?.to_bytes())?;
    Ok(0)
}

/// Sets the descriptor of entry `entry` from user address `from`.
///
/// # Errors
/// EIO for a negative entry, EFAULT, those of [`set_tls`].
pub fn set_thread_area(held: &mut Held, entry: u32, from: u32) -> SysResult {
    if (entry as i32) < 0 {
        return Err(Errno::EIO);
    }
    let mut bytes = [0; 16];
    copy_from_user(&mut bytes, from)?;
    set_tls(held, entry, UserDesc::from_bytes(&bytes))?;
    Ok(0)
}

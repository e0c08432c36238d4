//! modify_ldt: a process's own segments.
//!
//! Book: ch. 2, "The Linux LDTs". Linux: 5.4 `arch/x86/kernel/ldt.c`; modify_ldt(2).

use core::ptr;
use core::sync::atomic::Ordering;

use super::SysResult;
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{clear_user, copy_from_user, copy_to_user};
use crate::arch::x86::switch::ldt::install_ldt;
use crate::base::errno::Errno;
use crate::base::thread_info::{TIF_LDT, set_flag};
use crate::hw::desc::DescStruct;
use crate::mm::fallible::try_box;
use crate::mm::ldt_struct::{LDT_ENTRIES, LDT_ENTRY_SIZE, LdtStruct};
use crate::mm::mm_struct::MmStruct;
use crate::process::tasklist::for_each_task;
use crate::task::user_desc::{UserDesc, UserDescFlags};

/// Size of the table that a process sees before it makes one, in bytes.
const DEFAULT_LDT_BYTES: u32 = 5 * LDT_ENTRY_SIZE;

/// Reads the table (0), writes an entry (0x11; 1 as very old programs do), reads the default (2).
///
/// # Errors
/// ENOSYS for an unknown function, EINVAL for an invalid request, EFAULT, ENOMEM.
pub fn sys_modify_ldt(function: u32, pointer: u32, bytes: u32) -> SysResult {
    let me = current();
    let mm = me.mm_struct().ok_or(Errno::EINVAL)?;
    match function {
        0 => read_ldt(mm, pointer, bytes),
        1 => write_ldt(mm, pointer, bytes, true),
        2 => read_default_ldt(pointer, bytes),
        0x11 => write_ldt(mm, pointer, bytes, false),
        _ => Err(Errno::ENOSYS),
    }
}

/// Stores the descriptors as the processor sees them, and zeroes behind them; returns 0 if there is
/// no table.
fn read_ldt(mm: &MmStruct, pointer: u32, bytes: u32) -> SysResult {
    let bytes = bytes.min(LDT_ENTRIES * LDT_ENTRY_SIZE);
    // A copy, since a user page may be missing, and a lock holder must not wait for it.
    let table = {
        match mm.lock_ldt().get() {
            None => return Ok(0),
            Some(ldt) => ldt.try_clone()?,
        }
    };
    let mut at = 0_u32;
    for desc in table.entries() {
        let raw = desc.as_u64().to_le_bytes();
        let part = &raw[..raw.len().min(bytes.saturating_sub(at) as usize)];
        copy_to_user(pointer.wrapping_add(at), part)?;
        at = at.saturating_add(part.len() as u32);
    }
    clear_user(pointer.wrapping_add(at), bytes.saturating_sub(at))?;
    Ok(bytes)
}

fn read_default_ldt(pointer: u32, bytes: u32) -> SysResult {
    let bytes = bytes.min(DEFAULT_LDT_BYTES);
    clear_user(pointer, bytes)?;
    Ok(bytes)
}

fn write_ldt(mm: &MmStruct, pointer: u32, bytes: u32, old_mode: bool) -> SysResult {
    let mut request = [0; 16];
    if bytes != request.len() as u32 {
        return Err(Errno::EINVAL);
    }
    copy_from_user(&mut request, pointer)?;
    let request = UserDesc::from_bytes(&request);
    let desc = descriptor(&request, old_mode)?;
    let old = {
        let mut locked = mm.lock_ldt();
        let new = LdtStruct::with_entry(locked.get(), request.entry_number, desc)?;
        // SAFETY: the old table is dropped after `install_ldt`, when no processor uses it any more.
        let old = unsafe { locked.replace(try_box(new)?) };
        if old.is_none() {
            set_tif_ldt(mm);
        }
        install_ldt(mm);
        old
    };
    drop(old);
    Ok(0)
}

/// Tells the ways back to ring 3 that the address space of these tasks has an LDT. A task that is
/// just being made finds out by itself.
fn set_tif_ldt(mm: &MmStruct) {
    for_each_task(|task| {
        if ptr::eq(task.mm.load(Ordering::Relaxed), mm) {
            set_flag(task.thread_info(), TIF_LDT);
        }
    });
}

/// Returns the descriptor that goes into the table. EINVAL for an invalid request.
fn descriptor(request: &UserDesc, old_mode: bool) -> Result<DescStruct, Errno> {
    const CONFORMING_CODE: u32 = 3;
    let is_present = !request.flags.contains(UserDescFlags::SEG_NOT_PRESENT);
    if request.entry_number >= LDT_ENTRIES
        || request.contents() == CONFORMING_CODE && (old_mode || is_present)
    {
        return Err(Errno::EINVAL);
    }
    let clears = match old_mode {
        true => request.base_addr == 0 && request.limit == 0,
        false => request.ldt_empty(),
    };
    if clears {
        return Ok(DescStruct::default());
    }
    let mut request = *request;
    if old_mode {
        request.flags.remove(UserDescFlags::USEABLE);
    }
    Ok(request.fill_ldt())
}

//! `set_thread_area` and the word at %gs:0; `modify_ldt`, for segments of the whole process.
//!
//! Book: ch. 2, the Linux GDT; ch. 3, step TLS of `__switch_to`.
//! Linux: arch/x86/kernel/tls.c, asm/ldt.h.

use crate::{Errno, gates::syscall};

const SYS_MODIFY_LDT: u32 = 123;
const SYS_SET_THREAD_AREA: u32 = 243;
const SYS_GET_THREAD_AREA: u32 = 244;

/// Linux's `struct user_desc`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserDesc {
    pub entry_number: u32,
    pub base_addr: u32,
    pub limit: u32,
    /// seg_32bit, contents (2 bits), read_exec_only, limit_in_pages,
    /// seg_not_present, useable: from bit 0 on.
    pub flags: u32,
}

pub const SEG_32BIT: u32 = 1;
pub const READ_EXEC_ONLY: u32 = 1 << 3;
pub const LIMIT_IN_PAGES: u32 = 1 << 4;
pub const SEG_NOT_PRESENT: u32 = 1 << 5;
pub const USEABLE: u32 = 1 << 6;

/// Asks the kernel to choose a free slot.
pub const ANY_SLOT: u32 = u32::MAX;

impl UserDesc {
    /// Returns a flat 4 GiB data segment at `base`, as a thread library asks for it.
    pub const fn data(entry_number: u32, base: u32) -> Self {
        Self {
            entry_number,
            base_addr: base,
            limit: 0xf_ffff,
            flags: SEG_32BIT | LIMIT_IN_PAGES | USEABLE,
        }
    }

    /// Returns the pattern that clears a slot, and that a free slot reads back as.
    pub const fn empty(entry_number: u32) -> Self {
        Self {
            entry_number,
            base_addr: 0,
            limit: 0,
            flags: READ_EXEC_ONLY | SEG_NOT_PRESENT,
        }
    }
}

/// Fills a slot of the calling task; the kernel writes the number that it chose.
pub fn set_thread_area(desc: &mut UserDesc) -> Result<(), Errno> {
    syscall(SYS_SET_THREAD_AREA, [&raw mut *desc as u32]).map(drop)
}

pub fn set_thread_area_at(address: u32) -> Result<(), Errno> {
    syscall(SYS_SET_THREAD_AREA, [address]).map(drop)
}

/// Returns the descriptor in slot `entry_number`.
pub fn get_thread_area(entry_number: u32) -> Result<UserDesc, Errno> {
    let mut desc = UserDesc {
        entry_number,
        base_addr: 0,
        limit: 0,
        flags: 0,
    };
    syscall(SYS_GET_THREAD_AREA, [&raw mut desc as u32])?;
    Ok(desc)
}

/// Points slot `entry_number` at `word`.
pub fn point_slot_at(entry_number: u32, word: &u32) {
    let mut desc = UserDesc::data(entry_number, word as *const u32 as u32);
    set_thread_area(&mut desc).expect("set_thread_area");
}

/// Writes an entry by `modify_ldt`, in the form that programs use today.
pub fn write_ldt(desc: &UserDesc) -> Result<u32, Errno> {
    modify_ldt(0x11, core::ptr::from_ref(desc) as u32, 16)
}

pub fn modify_ldt(function: u32, address: u32, bytes: u32) -> Result<u32, Errno> {
    syscall(SYS_MODIFY_LDT, [function, address, bytes])
}

/// Returns the selector of LDT entry `entry`, ring 3.
pub const fn ldt_selector(entry: u32) -> u16 {
    (entry << 3 | 7) as u16
}

#![forbid(unsafe_code)]
//! `pt_regs`: the user's registers as the entry code stores them at the top of the stack.
//!
//! The last five words are pushed by the processor, the others by `SAVE_ALL`. Under lazy
//! `%gs` the `gs` slot holds 0: the user's selector stays in the register.
//!
//! Book: ch. 4, "Saving the registers for the interrupt handler".
//! Linux: 2.6.38 `struct pt_regs` (68 bytes).

use core::mem::{offset_of, size_of};

/// The frame at the top of a kernel stack. Words in push order from the lowest address.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PtRegs {
    pub bx: u32,
    pub cx: u32,
    pub dx: u32,
    pub si: u32,
    pub di: u32,
    pub bp: u32,
    pub ax: u32,
    pub ds: u32,
    pub es: u32,
    pub fs: u32,
    /// 0 while `%gs` is lazy: the selector is in the register.
    pub gs: u32,
    /// System-call number, error code, or -1 - vector.
    pub orig_ax: u32,
    pub ip: u32,
    pub cs: u32,
    pub flags: u32,
    /// Present only for an entry from user mode.
    pub sp: u32,
    /// Present only for an entry from user mode.
    pub ss: u32,
}

impl PtRegs {
    /// Whether the frame was pushed by an entry from ring 3.
    #[inline(always)]
    pub const fn user_mode(&self) -> bool {
        self.cs & 3 == 3
    }
}

const _: () = assert!(size_of::<PtRegs>() == 68);
const _: () = assert!(offset_of!(PtRegs, ax) == 24 && offset_of!(PtRegs, orig_ax) == 44);
const _: () = assert!(offset_of!(PtRegs, ip) == 48 && offset_of!(PtRegs, sp) == 60);

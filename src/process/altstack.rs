#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]
//! The alternate stack for signal handlers: where it is, and whether a thread runs on it.
//!
//! A thread has at most one. No flag says that a handler runs on it: the stack pointer tells, so
//! `longjmp` out of a handler needs no system call.
//!
//! Used by `signal_delivery` for frames and by sigaltstack(2).
//!
//! Linux: 2.6.38 `do_sigaltstack`, `on_sig_stack`, `sas_ss_flags`.

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::base::errno::Errno;

/// `ss_flags`: the thread runs on its alternate stack.
pub const SS_ONSTACK: u32 = 1;
/// `ss_flags`: there is no alternate stack.
pub const SS_DISABLE: u32 = 2;
/// Smallest alternate stack, in bytes.
const MINSIGSTKSZ: u32 = 2048;

/// `stack_t`: an alternate stack in the form that programs pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct StackT {
    /// Lowest address of the stack.
    pub sp: u32,
    /// One of the SS_* values.
    pub flags: u32,
    /// Length in bytes.
    pub size: u32,
}

const _: () = assert!(size_of::<StackT>() == 12);
const _: () = assert!(offset_of!(StackT, flags) == 4 && offset_of!(StackT, size) == 8);

/// A thread's alternate stack; its size is 0 if the thread has no alternate stack (Linux:
/// `sas_ss_sp`, `sas_ss_size`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AltStack {
    sp: u32,
    size: u32,
}

impl AltStack {
    /// No alternate stack.
    pub const NONE: Self = Self { sp: 0, size: 0 };

    /// Returns whether a thread with stack pointer `sp` runs on this stack. A stack grows down: an
    /// empty one has `sp` at its end, and a full one has `sp` at its start, which counts as
    /// outside.
    #[doc(alias = "on_sig_stack")]
    pub fn contains(self, sp: u32) -> bool {
        sp > self.sp && sp.wrapping_sub(self.sp) <= self.size
    }

    /// Returns the stack pointer for an empty alternate stack; `None` if there is no alternate
    /// stack.
    pub fn top(self) -> Option<u32> {
        (self.size != 0).then_some(self.sp.wrapping_add(self.size))
    }

    /// Returns what sigaltstack(2) reports to a thread with stack pointer `sp`.
    #[doc(alias = "sas_ss_flags")]
    pub fn seen_from(self, sp: u32) -> StackT {
        let flags = match self.size {
            0 => SS_DISABLE,
            _ if self.contains(sp) => SS_ONSTACK,
            _ => 0,
        };
        StackT {
            sp: self.sp,
            flags,
            size: self.size,
        }
    }

    /// Returns the stack of a thread with stack pointer `sp` after it asks for `new`.
    ///
    /// # Errors
    /// EPERM while the thread runs on this stack, EINVAL for unknown flags, ENOMEM for a stack that
    /// is too small.
    #[doc(alias = "do_sigaltstack")]
    pub fn changed_to(self, new: &StackT, sp: u32) -> Result<Self, Errno> {
        if self.contains(sp) {
            return Err(Errno::EPERM);
        }
        match new.flags {
            SS_DISABLE => Ok(Self::NONE),
            // Old programs pass SS_ONSTACK to mean "use it".
            0 | SS_ONSTACK if new.size < MINSIGSTKSZ => Err(Errno::ENOMEM),
            0 | SS_ONSTACK => Ok(Self {
                sp: new.sp,
                size: new.size,
            }),
            _ => Err(Errno::EINVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: StackT = StackT {
        sp: 0x1000,
        flags: 0,
        size: 4096,
    };

    #[test]
    fn its_end_is_on_it_and_its_start_is_not() {
        let stack = AltStack::NONE.changed_to(&WANTED, 0x8000).unwrap();
        let on = [0xfff, 0x1000, 0x1001, 0x2000, 0x2001].map(|sp| stack.contains(sp));
        assert_eq!(on, [false, false, true, true, false]);
        assert_eq!(stack.top(), Some(0x2000));
        assert_eq!(stack.seen_from(0x1800).flags, SS_ONSTACK);
        assert_eq!(stack.seen_from(0x2800), WANTED);
        assert_eq!(AltStack::NONE.seen_from(0).flags, SS_DISABLE);
        assert!(!AltStack::NONE.contains(0) && AltStack::NONE.top().is_none());
    }

    #[test]
    fn it_stays_while_it_is_used_and_must_be_possible() {
        let stack = AltStack::NONE.changed_to(&WANTED, 0).unwrap();
        let ask = |flags, size, sp| {
            let new = StackT {
                sp: 0x9000,
                flags,
                size,
            };
            stack.changed_to(&new, sp).map(|stack| stack.sp)
        };
        assert_eq!(ask(0, 4096, 0x1800), Err(Errno::EPERM));
        assert_eq!(ask(SS_DISABLE, 0, 0x1800), Err(Errno::EPERM));
        assert_eq!(ask(0, 2047, 0), Err(Errno::ENOMEM));
        assert_eq!(ask(4, 2048, 0), Err(Errno::EINVAL));
        assert_eq!(ask(SS_ONSTACK, 2048, 0), Ok(0x9000));
        assert_eq!(ask(SS_DISABLE, 0, 0), Ok(0));
    }
}

#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]
//! The frame that a signal handler finds on the user's stack and that `sigreturn` reads back.
//!
//! ```text
//!   Sigframe (732 bytes)                   RtSigframe, with SA_SIGINFO (268 bytes)
//!     0  return address: restorer            0  return address: restorer
//!     4  signal                              4  signal
//!     8  Sigcontext, 88 bytes                8  pointer to siginfo, at 16 (128 bytes)
//!    96  (where old kernels had the FPU)    12  pointer to ucontext, at 144
//!   720  upper half of the blocked set     144  Ucontext: flags, link, alternate stack,
//!   724  code that calls sigreturn              Sigcontext at 164, blocked set at 252
//!                                          260  code that calls rt_sigreturn
//! ```
//! The FPU state lies above the frame, see `fpstate`. The user's stack pointer may have any value:
//! addresses here wrap around, and the copy to user memory refuses bad ones.
//!
//! Used by `process::signal_delivery`, which copies the frame to and from user memory.
//!
//! Book: ch. 11, "Catching the Signal", "Setting up the frame".
//! Linux: 2.6.38 `asm/sigframe.h`, `asm/sigcontext.h` (i386), `get_sigframe`.

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::altstack::{AltStack, StackT};
use super::fpstate::FPSTATE_BYTES;
use super::sigset::SigSet;
use crate::base::pt_regs::PtRegs;
use crate::hw::desc::USER_DS;
use crate::hw::eflags::Eflags;
use crate::task::siginfo::SigInfo;
use crate::task::thread_struct::TrapInfo;

/// `struct sigcontext`: the interrupted registers, a word each. Selectors are in the lower halves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Sigcontext {
    pub gs: u32,
    pub fs: u32,
    pub es: u32,
    pub ds: u32,
    pub di: u32,
    pub si: u32,
    pub bp: u32,
    pub sp: u32,
    pub bx: u32,
    pub dx: u32,
    pub cx: u32,
    pub ax: u32,
    /// Vector of the thread's last exception in ring 3.
    pub trapno: u32,
    /// Error code of that exception.
    pub err: u32,
    pub ip: u32,
    pub cs: u32,
    pub flags: u32,
    /// `sp` again; not read back.
    pub sp_at_signal: u32,
    pub ss: u32,
    /// Address of the FPU state; 0 if there is none.
    pub fpstate: u32,
    /// Lower half of the blocked set.
    pub oldmask: u32,
    /// Address of the thread's last page fault that became a signal.
    pub cr2: u32,
}

/// The frame of a handler without `SA_SIGINFO` (`struct sigframe`).
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Sigframe {
    /// Address that the handler returns to.
    pub pretcode: u32,
    /// Number of the signal: the handler's argument.
    pub signal: u32,
    /// The interrupted registers.
    pub sc: Sigcontext,
    fpstate_unused: [u32; 156],
    /// Upper half of the blocked set.
    pub extramask: u32,
    /// Code that calls sigreturn.
    pub retcode: [u8; 8],
}

/// The frame of a handler with `SA_SIGINFO` (`struct rt_sigframe`).
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct RtSigframe {
    /// Address that the handler returns to.
    pub pretcode: u32,
    /// Number of the signal: the handler's first argument.
    pub signal: u32,
    /// Address of `info`: the handler's second argument.
    pub pinfo: u32,
    /// Address of `uc`: the handler's third argument.
    pub puc: u32,
    /// The facts about the signal.
    pub info: SigInfo,
    /// The context that the handler interrupted.
    pub uc: Ucontext,
    /// Code that calls rt_sigreturn.
    pub retcode: [u8; 8],
}

/// The interrupted context (`struct ucontext`).
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Ucontext {
    /// Always 0: no state beyond FXSAVE's.
    pub flags: u32,
    /// Always 0: no linked context.
    pub link: u32,
    /// Alternate stack as the interrupted code sees it.
    pub stack: StackT,
    /// The interrupted registers.
    pub mcontext: Sigcontext,
    /// Blocked set to restore afterwards, lower half first.
    pub sigmask: [u32; 2],
}

const _: () = {
    assert!(size_of::<Sigcontext>() == 88 && offset_of!(Sigcontext, ds) == 12);
    assert!(offset_of!(Sigcontext, sp) == 28 && offset_of!(Sigcontext, ax) == 44);
    assert!(offset_of!(Sigcontext, trapno) == 48 && offset_of!(Sigcontext, ip) == 56);
    assert!(offset_of!(Sigcontext, flags) == 64 && offset_of!(Sigcontext, ss) == 72);
    assert!(offset_of!(Sigcontext, fpstate) == 76 && offset_of!(Sigcontext, cr2) == 84);
    assert!(size_of::<Sigframe>() == 732 && offset_of!(Sigframe, sc) == 8);
    assert!(offset_of!(Sigframe, extramask) == 720 && offset_of!(Sigframe, retcode) == 724);
    assert!(size_of::<RtSigframe>() == 268 && offset_of!(RtSigframe, info) == 16);
    assert!(offset_of!(RtSigframe, uc) == 144 && offset_of!(RtSigframe, retcode) == 260);
    assert!(offset_of!(Ucontext, stack) == 8 && offset_of!(Ucontext, mcontext) == 20);
    assert!(offset_of!(Ucontext, sigmask) == 108 && size_of::<Ucontext>() == 116);
};

/// `popl %eax; movl $119, %eax; int $0x80`. Programs do not run it, but debuggers recognize frames
/// by it.
const RETCODE: [u8; 8] = [0x58, 0xb8, 119, 0, 0, 0, 0xcd, 0x80];
/// `movl $173, %eax; int $0x80`.
const RT_RETCODE: [u8; 8] = [0xb8, 173, 0, 0, 0, 0xcd, 0x80, 0];

/// The part of a thread's state that goes into a frame.
pub struct Interrupted<'a> {
    /// The thread's registers except `%gs`.
    pub regs: &'a PtRegs,
    /// Selector in `%gs`.
    pub gs: u16,
    /// Vector, error code and address of the thread's last exception.
    pub trap: TrapInfo,
    /// Blocked set to restore afterwards.
    pub blocked: SigSet,
    /// The thread's alternate stack.
    pub altstack: AltStack,
}

/// The addresses of a frame and its FPU state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Address of the frame.
    pub frame: u32,
    /// Address of the FPU state; 0 if there is none.
    pub fpstate: u32,
}

/// The part of a signal action that chooses the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StackChoice {
    /// SA_ONSTACK: the alternate stack, if there is one.
    pub onstack: bool,
    /// A restorer without SA_RESTORER: the end of a stack for handlers that interrupt code on a
    /// segment other than the flat one; 0 if absent. Older than sigaltstack.
    pub legacy: u32,
}

impl Interrupted<'_> {
    /// Returns the place of a frame of `size` bytes, and of the FPU state with `has_fpu`. `None`
    /// when the frame would not fit on the alternate stack that it belongs on: a handler overran
    /// it.
    #[doc(alias = "get_sigframe")]
    pub fn place(&self, choice: StackChoice, has_fpu: bool, size: u32) -> Option<Place> {
        let sp = self.regs.sp;
        let is_on_it = self.altstack.contains(sp);
        let is_flat = self.regs.ss & 0xffff == u32::from(USER_DS.0);
        let top = match choice {
            _ if is_on_it => sp,
            StackChoice { onstack: true, .. } => self.altstack.top().unwrap_or(sp),
            StackChoice { legacy, .. } if legacy != 0 && !is_flat => legacy,
            _ => sp,
        };
        let fpstate = match has_fpu {
            true => top.wrapping_sub(FPSTATE_BYTES) & !15,
            false => 0,
        };
        let below = if has_fpu { fpstate } else { top };
        // Makes (esp + 4) a multiple of 16 where the handler begins, as after a call.
        let frame = (below.wrapping_sub(size).wrapping_add(4) & !15).wrapping_sub(4);
        let belongs_on_it = is_on_it || choice.onstack && self.altstack.top().is_some();
        match belongs_on_it && !self.altstack.contains(frame) {
            true => None,
            false => Some(Place { frame, fpstate }),
        }
    }

    /// Returns the frame of a handler without `SA_SIGINFO`.
    pub fn sigframe(&self, place: Place, restorer: Option<u32>, signal: u32) -> Sigframe {
        let retcode = place
            .frame
            .wrapping_add(offset_of!(Sigframe, retcode) as u32);
        Sigframe {
            pretcode: restorer.unwrap_or(retcode),
            signal,
            sc: self.sigcontext(place.fpstate),
            fpstate_unused: [0; 156],
            extramask: upper(self.blocked),
            retcode: RETCODE,
        }
    }

    /// Returns the frame of a handler with `SA_SIGINFO`.
    pub fn rt_sigframe(&self, place: Place, restorer: Option<u32>, info: &SigInfo) -> RtSigframe {
        let address = |offset: usize| place.frame.wrapping_add(offset as u32);
        RtSigframe {
            pretcode: restorer.unwrap_or(address(offset_of!(RtSigframe, retcode))),
            signal: info.signal,
            pinfo: address(offset_of!(RtSigframe, info)),
            puc: address(offset_of!(RtSigframe, uc)),
            info: *info,
            uc: Ucontext {
                flags: 0,
                link: 0,
                stack: self.altstack.seen_from(self.regs.sp),
                mcontext: self.sigcontext(place.fpstate),
                sigmask: [self.blocked.0 as u32, upper(self.blocked)],
            },
            retcode: RT_RETCODE,
        }
    }

    fn sigcontext(&self, fpstate: u32) -> Sigcontext {
        let r = self.regs;
        Sigcontext {
            gs: u32::from(self.gs),
            fs: r.fs & 0xffff,
            es: r.es & 0xffff,
            ds: r.ds & 0xffff,
            di: r.di,
            si: r.si,
            bp: r.bp,
            sp: r.sp,
            bx: r.bx,
            dx: r.dx,
            cx: r.cx,
            ax: r.ax,
            trapno: self.trap.trap_no,
            err: self.trap.error_code,
            ip: r.ip,
            cs: r.cs & 0xffff,
            flags: r.flags,
            sp_at_signal: r.sp,
            ss: r.ss & 0xffff,
            fpstate,
            oldmask: self.blocked.0 as u32,
            cr2: self.trap.cr2,
        }
    }
}

fn upper(set: SigSet) -> u32 {
    (set.0 >> 32) as u32
}

/// Returns the set of signals with these two halves.
pub fn sigset(lower: u32, upper: u32) -> SigSet {
    SigSet(u64::from(lower) | u64::from(upper) << 32)
}

impl Sigcontext {
    /// Returns the registers to go on with: those of the frame, with safe values wherever a program
    /// must not choose; `now` holds the flags that stay. `%gs` is not included.
    #[doc(alias = "restore_sigcontext")]
    pub fn restore(&self, now: &PtRegs) -> PtRegs {
        let user = Eflags::USER.bits();
        PtRegs {
            fs: self.fs & 0xffff,
            es: self.es & 0xffff,
            ds: self.ds & 0xffff,
            di: self.di,
            si: self.si,
            bp: self.bp,
            sp: self.sp,
            bx: self.bx,
            dx: self.dx,
            cx: self.cx,
            ax: self.ax,
            ip: self.ip,
            // Ring 3, whatever the frame says.
            cs: self.cs & 0xffff | 3,
            flags: now.flags & !user | self.flags & user,
            ss: self.ss & 0xffff | 3,
            gs: 0,
            // Not a system call: nothing may be restarted.
            orig_ax: u32::MAX,
        }
    }
}

#[cfg(test)]
#[path = "sigframe_tests.rs"]
mod tests;

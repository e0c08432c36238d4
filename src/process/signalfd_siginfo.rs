#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]
//! `struct signalfd_siginfo`: the facts about a signal, as a signalfd gives them.
//!
//! Each fact has a field of its own, unlike in [`SigInfo`], where the source of the signal decides
//! which fact a word is. Fields that the source does not fill are 0.
//!
//! Made by `process::signal_wait`.
//!
//! Linux: 5.4 `signalfd_copyinfo`, `siginfo_layout`; signalfd(2).

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::sigset::{SIGBUS, SIGCHLD, SIGFPE, SIGILL, SIGIO, SIGSEGV, SIGTRAP};
use crate::task::siginfo::{SI_KERNEL, SI_TIMER, SI_USER, SigInfo};

/// `struct signalfd_siginfo`, 128 bytes on every architecture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SignalfdSiginfo {
    /// Number of the signal.
    pub signo: u32,
    /// Error number.
    pub errno: i32,
    /// Source of the signal (`si_code`).
    pub code: i32,
    /// The process that sent the signal, or the child.
    pub pid: u32,
    /// The user of that process.
    pub uid: u32,
    /// The descriptor of SIGIO.
    pub fd: i32,
    /// Number of the timer.
    pub tid: u32,
    /// The events of SIGIO.
    pub band: u32,
    /// Overruns of the timer.
    pub overrun: u32,
    /// Number of the trap; 0 on x86.
    pub trapno: u32,
    /// Exit code or signal of the child.
    pub status: i32,
    /// The program's value, as a number.
    pub int: i32,
    /// The program's value, as a pointer: with its sign.
    pub ptr: u64,
    /// User time of the child, in clock ticks.
    pub utime: u64,
    /// System time of the child, in clock ticks.
    pub stime: u64,
    /// Address of the fault.
    pub addr: u64,
    rest: [u32; 12],
}

const _: () = assert!(size_of::<SignalfdSiginfo>() == 128);
const _: () = assert!(offset_of!(SignalfdSiginfo, ptr) == 48);
const _: () = assert!(offset_of!(SignalfdSiginfo, addr) == 72);

/// `si_code` of SIGIO for a queued signal.
const SI_SIGIO: i32 = -5;
/// Codes of one signal above this one mean nothing in particular (`NSIGCHLD`, `NSIGPOLL`).
const LAST_CODE: i32 = 6;

impl From<SigInfo> for SignalfdSiginfo {
    fn from(info: SigInfo) -> Self {
        let [a, b, c, d, e, ..] = info.fields;
        let signed = |word: u32| i64::from(word as i32) as u64;
        let facts = Self {
            signo: info.signal,
            errno: info.errno,
            code: info.code,
            ..Self::default()
        };
        let value = |facts| Self {
            int: c as i32,
            ptr: signed(c),
            ..facts
        };
        let sender = Self {
            pid: a,
            uid: b,
            ..facts
        };
        let is_own = info.code > SI_USER && info.code < SI_KERNEL;
        match (info.signal, info.code) {
            (_, SI_TIMER) => value(Self {
                tid: a,
                overrun: b,
                ..facts
            }),
            (_, SI_SIGIO) => Self {
                band: a,
                fd: b as i32,
                ..facts
            },
            (_, ..SI_USER) => value(sender),
            (SIGILL | SIGTRAP | SIGBUS | SIGFPE | SIGSEGV, _) if is_own => Self {
                addr: signed(a),
                ..facts
            },
            (SIGCHLD, ..=LAST_CODE) if is_own => Self {
                status: c as i32,
                utime: signed(d),
                stime: signed(e),
                ..sender
            },
            (SIGIO, ..=LAST_CODE) if is_own => Self {
                band: a,
                fd: b as i32,
                ..facts
            },
            _ => sender,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(signo: u32, code: i32) -> SignalfdSiginfo {
        SignalfdSiginfo {
            signo,
            code,
            ..SignalfdSiginfo::default()
        }
    }

    #[test]
    fn each_source_fills_its_fields() {
        let (pid, uid) = (7, 8);
        let sender = |facts| SignalfdSiginfo { pid, uid, ..facts };
        assert_eq!(
            SignalfdSiginfo::from(SigInfo::sent(10, SI_USER, 7, 8)),
            sender(facts(10, 0))
        );
        assert_eq!(
            SignalfdSiginfo::from(SigInfo::child(SIGCHLD, 2, 7, 8, 9, [10, 11])),
            SignalfdSiginfo {
                status: 9,
                utime: 10,
                stime: 11,
                ..sender(facts(SIGCHLD, 2))
            }
        );
        assert_eq!(
            SignalfdSiginfo::from(SigInfo::fault(SIGSEGV, 1, 0x8000_1234)),
            SignalfdSiginfo {
                addr: 0xffff_ffff_8000_1234,
                ..facts(SIGSEGV, 1)
            }
        );
        assert_eq!(
            SignalfdSiginfo::from(SigInfo::timer(34, 3, 4, 5)),
            SignalfdSiginfo {
                tid: 3,
                overrun: 4,
                int: 5,
                ptr: 5,
                ..facts(34, SI_TIMER)
            }
        );
        let mut queued = SigInfo::sent(35, -1, 7, 8);
        queued.fields[2] = 0xffff_fffe;
        assert_eq!(
            SignalfdSiginfo::from(queued),
            SignalfdSiginfo {
                int: -2,
                ptr: -2_i64 as u64,
                ..sender(facts(35, -1))
            }
        );
    }
}

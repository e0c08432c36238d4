#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]
//! `siginfo_t`: the facts about a signal that a program gets.
//!
//! The first three words hold the signal, an error number and the source; the source determines the
//! meaning of the words after them:
//!
//! | source                | `si_code`        | words                                        |
//! |-----------------------|------------------|----------------------------------------------|
//! | kill, tkill           | SI_USER, SI_TKILL| pid, uid of the sender                       |
//! | sigqueue              | below 0          | all as the sender wrote them                 |
//! | a POSIX timer         | SI_TIMER         | timer, overruns, value                       |
//! | a fault               | above 0          | address                                      |
//! | a child               | CLD_*            | pid, uid, status, user and system time       |
//! | the kernel            | SI_KERNEL        | 0                                            |
//!
//! Made by the sender of a signal, kept by `sigpending`, copied to the program by `signal_delivery`
//! and by rt_sigtimedwait.
//!
//! Book: ch. 11, "Generating a Signal". Linux: 2.6.38 `asm-generic/siginfo.h`,
//! `copy_siginfo_to_user`.

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `si_code` of SIGCHLD: a child has exited.
pub const CLD_EXITED: i32 = 1;
/// `si_code` of SIGCHLD: a signal has ended a child.
pub const CLD_KILLED: i32 = 2;
/// `si_code` of SIGCHLD: a signal has ended a child, which would leave a core file.
pub const CLD_DUMPED: i32 = 3;
/// `si_code` of SIGCHLD: a traced task has stopped.
pub const CLD_TRAPPED: i32 = 4;
/// `si_code` of SIGCHLD: a child has stopped.
pub const CLD_STOPPED: i32 = 5;
/// `si_code` of SIGCHLD: a child has resumed.
pub const CLD_CONTINUED: i32 = 6;
/// `si_code`: sent by kill(2).
pub const SI_USER: i32 = 0;
/// `si_code`: sent by the kernel.
pub const SI_KERNEL: i32 = 0x80;
/// `si_code`: sent by tkill(2) or tgkill(2).
pub const SI_TKILL: i32 = -6;
/// `si_code`: sent by a POSIX timer that expired.
pub const SI_TIMER: i32 = -2;

/// `siginfo_t` of i386, 128 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SigInfo {
    /// Number of the signal (`si_signo`).
    pub signal: u32,
    /// Error number (`si_errno`): 0 unless a program sent the signal with sigqueue.
    pub errno: i32,
    /// Source of the signal (`si_code`).
    pub code: i32,
    /// The words whose meaning depends on the source.
    pub fields: [u32; 29],
}

const _: () = assert!(size_of::<SigInfo>() == 128);
const _: () = assert!(offset_of!(SigInfo, code) == 8 && offset_of!(SigInfo, fields) == 12);

impl SigInfo {
    /// Returns the facts of a signal from the kernel, without details (Linux: `SEND_SIG_PRIV`).
    pub const fn kernel(signal: u32) -> Self {
        Self::with(signal, SI_KERNEL, [0; 5])
    }

    /// Returns the facts of a signal from process `pid` of user `uid`; `code` is SI_USER or
    /// SI_TKILL.
    pub const fn sent(signal: u32, code: i32, pid: i32, uid: u32) -> Self {
        Self::with(signal, code, [pid as u32, uid, 0, 0, 0])
    }

    /// Returns the facts of a signal raised by a fault at `address`.
    pub const fn fault(signal: u32, code: i32, address: u32) -> Self {
        Self::with(signal, code, [address, 0, 0, 0, 0])
    }

    /// Returns the facts of a signal from child `pid` of user `uid`: `status` is its exit code or a
    /// signal, `times` are its user and system time in clock ticks of 10 ms.
    pub const fn child(
        signal: u32,
        code: i32,
        pid: i32,
        uid: u32,
        status: u32,
        times: [u32; 2],
    ) -> Self {
        Self::with(signal, code, [pid as u32, uid, status, times[0], times[1]])
    }

    /// Returns the facts of a signal from POSIX timer number `id`, with `overrun` expiries not
    /// reported before; `value` is the program's own.
    pub const fn timer(signal: u32, id: u32, overrun: u32, value: u32) -> Self {
        Self::with(signal, SI_TIMER, [id, overrun, value, 0, 0])
    }

    const fn with(signal: u32, code: i32, [a, b, c, d, e]: [u32; 5]) -> Self {
        let mut fields = [0; 29];
        (fields[0], fields[1], fields[2], fields[3], fields[4]) = (a, b, c, d, e);
        Self {
            signal,
            errno: 0,
            code,
            fields,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(info: SigInfo) -> Vec<u32> {
        let bytes = info.as_bytes().chunks_exact(4);
        bytes
            .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
            .collect()
    }

    #[test]
    fn each_source_has_its_words() {
        let begins = |info, wanted: &[u32]| {
            let words = words(info);
            assert_eq!(words[..wanted.len()], *wanted);
            assert!(words[wanted.len()..].iter().all(|word| *word == 0));
        };
        begins(SigInfo::kernel(14), &[14, 0, 0x80]);
        begins(
            SigInfo::sent(10, SI_TKILL, 7, 8),
            &[10, 0, 0xffff_fffa, 7, 8],
        );
        begins(SigInfo::fault(11, 2, 0x1234), &[11, 0, 2, 0x1234]);
        begins(
            SigInfo::child(17, 1, 7, 8, 9, [10, 11]),
            &[17, 0, 1, 7, 8, 9, 10, 11],
        );
        begins(SigInfo::timer(34, 3, 4, 5), &[34, 0, 0xffff_fffe, 3, 4, 5]);
    }
}

#![forbid(unsafe_code)]
//! Restartable sequences: the data that a thread shares with the kernel, and the rules for a
//! restart.
//!
//! ```text
//!   struct rseq (32 bytes, aligned 32)     struct rseq_cs (32 bytes, aligned 32)
//!     0  cpu_id_start                        0  version: 0
//!     4  cpu_id                              4  flags
//!     8  rseq_cs, a pointer of 64 bits       8  start_ip
//!    16  flags                              16  post_commit_offset: bytes
//!                                           24  abort_ip; the signature is the word before it
//! ```
//! If a thread is preempted, moved to another CPU or interrupted by a signal while its instruction
//! pointer is in the section, it continues at `abort_ip`.
//!
//! `process::rseq` uses this, and reads both structures from user memory.
//!
//! Linux: 5.4 `kernel/rseq.c`, `include/uapi/linux/rseq.h`.

use crate::base::errno::Errno;
use crate::mm::vma::TASK_SIZE;

/// Size of `struct rseq` in bytes, and its alignment.
pub const RSEQ_BYTES: u32 = 32;
/// Offset of `cpu_id_start` in `struct rseq`; `cpu_id` follows it.
pub const RSEQ_CPU_ID_START: u32 = 0;
/// Offset of `rseq_cs` in `struct rseq`.
pub const RSEQ_RSEQ_CS: u32 = 8;
/// Offset of `flags` in `struct rseq`.
pub const RSEQ_FLAGS: u32 = 16;
/// `cpu_id` of a thread that is not registered.
pub const RSEQ_CPU_ID_UNINITIALIZED: u32 = u32::MAX;

/// Size of `struct rseq_cs` in bytes.
pub const RSEQ_CS_BYTES: usize = 32;

/// Bit of `TaskStruct::rseq_event_mask`: the thread was preempted, which restarts a section. The
/// flags that prevent a restart are the same bits.
pub const RSEQ_EVENT_PREEMPT: u32 = 1 << 0;
/// Bit of `TaskStruct::rseq_event_mask`: a signal is about to run its handler.
pub const RSEQ_EVENT_SIGNAL: u32 = 1 << 1;
/// Bit of `TaskStruct::rseq_event_mask`: the thread has moved to another CPU.
pub const RSEQ_EVENT_MIGRATE: u32 = 1 << 2;

/// A valid critical section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RseqCs {
    flags: u32,
    start_ip: u32,
    post_commit_offset: u32,
    /// The address of the abort handler, where the thread continues after a restart.
    pub abort_ip: u32,
}

impl RseqCs {
    /// Parses a `struct rseq_cs`.
    ///
    /// # Errors
    /// EINVAL for a version other than 0, a section that wraps or is not entirely in user space, or
    /// an abort handler outside of user space or within the section.
    pub fn from_bytes(bytes: &[u8; RSEQ_CS_BYTES]) -> Result<Self, Errno> {
        let (words, _) = bytes.as_chunks::<4>();
        let word = |at: usize| {
            words
                .get(at / 4)
                .map_or(0, |word| u32::from_le_bytes(*word))
        };
        // An address in user space, so the upper 32 bits are 0.
        let address = |at: usize| match word(at.saturating_add(4)) {
            0 if word(at) < TASK_SIZE => Ok(word(at)),
            _ => Err(Errno::EINVAL),
        };
        let (start_ip, post_commit_offset, abort_ip) = (address(8)?, address(16)?, address(24)?);
        let has_no_end = start_ip
            .checked_add(post_commit_offset)
            .is_none_or(|end| end >= TASK_SIZE);
        let section = Self {
            flags: word(4),
            start_ip,
            post_commit_offset,
            abort_ip,
        };
        if word(0) != 0 || has_no_end || section.contains(abort_ip) {
            return Err(Errno::EINVAL);
        }
        Ok(section)
    }

    /// Returns whether `ip` is in the section: not before its first instruction, and not after the
    /// commit.
    pub fn contains(&self, ip: u32) -> bool {
        ip.wrapping_sub(self.start_ip) < self.post_commit_offset
    }

    /// Returns the address of the signature.
    pub fn signature_at(&self) -> u32 {
        self.abort_ip.wrapping_sub(4)
    }

    /// Returns whether `events` restart the section; `flags` are those of `struct rseq`.
    ///
    /// # Errors
    /// EINVAL if the flags ignore signals but neither preemption nor migration.
    pub fn needs_restart(&self, flags: u32, events: u32) -> Result<bool, Errno> {
        const OTHERS: u32 = RSEQ_EVENT_PREEMPT | RSEQ_EVENT_MIGRATE;
        let no_restart = flags | self.flags;
        if no_restart & RSEQ_EVENT_SIGNAL != 0 && no_restart & OTHERS != OTHERS {
            return Err(Errno::EINVAL);
        }
        Ok(events & !no_restart != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(version: u32, flags: u32, words: [u64; 3]) -> [u8; RSEQ_CS_BYTES] {
        let mut bytes = [0; RSEQ_CS_BYTES];
        bytes[..4].copy_from_slice(&version.to_le_bytes());
        bytes[4..8].copy_from_slice(&flags.to_le_bytes());
        for (at, word) in [8, 16, 24].into_iter().zip(words) {
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_section_is_from_its_start_to_its_commit() {
        let section = RseqCs::from_bytes(&bytes(0, 0, [0x1000, 0x20, 0x2000])).unwrap();
        let inside = [0xfff, 0x1000, 0x101f, 0x1020].map(|ip| section.contains(ip));
        assert_eq!(inside, [false, true, true, false]);
        assert_eq!(section.signature_at(), 0x1ffc);
    }

    #[test]
    fn a_section_that_makes_no_sense_is_refused() {
        let end = u64::from(TASK_SIZE);
        for (version, words) in [
            (1, [0x1000, 0x20, 0x2000]),
            (0, [end, 0x20, 0x2000]),
            (0, [0x1000, 0x20, end]),
            (0, [0x1000, end - 0x1000, 0x100]),
            (0, [0x8000_0000, 0xb000_0000, 0x1000]), // wraps round
            (0, [0x1_0000_1000, 0x20, 0x2000]),
            (0, [0x1000, 0x1_0000_0020, 0x2000]),
            (0, [0x1000, 0x20, 0x1_0000_2000]),
            (0, [0x1000, 0x20, 0x1000]), // its handler is in it
            (0, [0x1000, 0x20, 0x101f]),
        ] {
            let section = RseqCs::from_bytes(&bytes(version, 0, words));
            assert_eq!(section, Err(Errno::EINVAL), "{version} {words:x?}");
        }
        assert!(RseqCs::from_bytes(&bytes(0, 0, [0x1000, 0x20, 0x1020])).is_ok());
    }

    #[test]
    fn flags_forbid_events_one_by_one() {
        const ALL: u32 = RSEQ_EVENT_PREEMPT | RSEQ_EVENT_SIGNAL | RSEQ_EVENT_MIGRATE;
        for flags in 0..=ALL {
            // The flag may be in either structure.
            let in_section = RseqCs::from_bytes(&bytes(0, flags, [0x1000, 0x20, 0x2000])).unwrap();
            let plain = RseqCs::from_bytes(&bytes(0, 0, [0x1000, 0x20, 0x2000])).unwrap();
            for events in 0..=ALL {
                let expected = match flags {
                    2 | 3 | 6 => Err(Errno::EINVAL),
                    _ => Ok(events & !flags != 0),
                };
                assert_eq!(in_section.needs_restart(0, events), expected);
                assert_eq!(plain.needs_restart(flags, events), expected);
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_never_aborts_into_itself_or_the_kernel(
            bytes in prop::array::uniform32(any::<u8>()),
            small in any::<bool>(),
        ) {
            let mut bytes = bytes;
            if small {
                // A random address would hardly ever be in user space.
                for at in [0, 1, 2, 3, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31] {
                    bytes[at] = 0;
                }
            }
            if let Ok(section) = RseqCs::from_bytes(&bytes) {
                prop_assert!(!section.contains(section.abort_ip));
                prop_assert!(section.abort_ip < TASK_SIZE);
                prop_assert!(section.start_ip + section.post_commit_offset < TASK_SIZE);
            }
        }
    }
}

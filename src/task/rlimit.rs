#![forbid(unsafe_code)]
//! Limits of a process: how much of each resource it may use.
//!
//! A limit is a pair: the kernel obeys `cur`, and the process itself may raise `cur` up to `max`. Threads
//! share their process's limits, a fork copies them, exec keeps them.
//!
//! | limit | obeyed by |
//! |---|---|
//! | CPU | a timer by CPU time: SIGXCPU each second, SIGKILL at `max` |
//! | FSIZE | writes and truncation: SIGXFSZ, EFBIG |
//! | DATA, AS | brk; AS also mmap and the stack's growth |
//! | STACK | the stack's growth |
//! | NOFILE | new descriptors |
//! | NICE, RTPRIO | priorities without privilege |
//!
//! The others are kept and reported, and bind nobody.
//!
//! Book: ch. 3, "Process Resource Limits". Linux: 2.6.38 `struct rlimit`, `INIT_RLIMITS`,
//! `do_prlimit`.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::base::errno::Errno;

/// The value that stands for no limit.
pub const RLIM_INFINITY: u32 = u32::MAX;
/// Number of limits.
pub const RLIM_NLIMITS: usize = 16;

/// CPU time in seconds.
pub const RLIMIT_CPU: usize = 0;
/// Largest size of a file in bytes.
pub const RLIMIT_FSIZE: usize = 1;
/// Largest size of data and heap in bytes.
pub const RLIMIT_DATA: usize = 2;
/// Largest size of the stack in bytes.
pub const RLIMIT_STACK: usize = 3;
/// Largest size of a core file in bytes; none is ever written.
pub const RLIMIT_CORE: usize = 4;
/// The highest descriptor plus one.
pub const RLIMIT_NOFILE: usize = 7;
/// Bytes that may be locked without privilege; none can be locked.
pub const RLIMIT_MEMLOCK: usize = 8;
/// Largest size of the address space in bytes.
pub const RLIMIT_AS: usize = 9;
/// Signals that may wait.
pub const RLIMIT_SIGPENDING: usize = 11;
/// Bytes in message queues, of which there are none.
pub const RLIMIT_MSGQUEUE: usize = 12;
/// 20 less the lowest nice value that needs no privilege.
pub const RLIMIT_NICE: usize = 13;
/// The highest real-time priority that needs no privilege.
pub const RLIMIT_RTPRIO: usize = 14;

/// One limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rlimit {
    /// The value that the kernel obeys.
    pub cur: u32,
    /// The highest `cur` that needs no privilege.
    pub max: u32,
}

impl Rlimit {
    /// No limit.
    pub const INFINITE: Rlimit = Rlimit::fixed(RLIM_INFINITY);

    /// Returns a limit that only privilege can raise.
    pub const fn fixed(value: u32) -> Self {
        Self {
            cur: value,
            max: value,
        }
    }

    /// Checks whether a process with this limit may get `new`.
    ///
    /// # Errors
    /// EINVAL if `cur` is above `max`, EPERM if `max` rises without privilege.
    pub fn check_change(self, new: Rlimit, is_privileged: bool) -> Result<(), Errno> {
        match new {
            Rlimit { cur, max } if cur > max => Err(Errno::EINVAL),
            Rlimit { max, .. } if max > self.max && !is_privileged => Err(Errno::EPERM),
            _ => Ok(()),
        }
    }
}

/// The limits of a process: `cur` of each, and `max` of each. Others read one of them while it changes.
#[derive(Debug)]
pub struct Rlimits {
    cur: [AtomicU32; RLIM_NLIMITS],
    max: [AtomicU32; RLIM_NLIMITS],
}

impl Rlimits {
    /// Returns the limits with which init starts: at most `nofile` descriptors, `stack` bytes of
    /// stack unless raised, and `sigpending` signals that wait.
    pub fn new(nofile: u32, stack: u32, sigpending: u32) -> Self {
        let all = Self {
            cur: [const { AtomicU32::new(RLIM_INFINITY) }; RLIM_NLIMITS],
            max: [const { AtomicU32::new(RLIM_INFINITY) }; RLIM_NLIMITS],
        };
        let up_to = |cur| Rlimit {
            cur,
            max: RLIM_INFINITY,
        };
        all.set(RLIMIT_STACK, up_to(stack));
        all.set(RLIMIT_CORE, up_to(0));
        all.set(RLIMIT_NOFILE, Rlimit::fixed(nofile));
        all.set(RLIMIT_MEMLOCK, Rlimit::fixed(64 << 10));
        all.set(RLIMIT_SIGPENDING, Rlimit::fixed(sigpending));
        all.set(RLIMIT_MSGQUEUE, Rlimit::fixed(819_200));
        all.set(RLIMIT_NICE, Rlimit::fixed(0));
        all.set(RLIMIT_RTPRIO, Rlimit::fixed(0));
        all
    }

    /// Returns a copy, for a forked process.
    pub fn copy(&self) -> Self {
        let copied = |words: &[AtomicU32; RLIM_NLIMITS]| {
            words
                .each_ref()
                .map(|word| AtomicU32::new(word.load(Ordering::Relaxed)))
        };
        Self {
            cur: copied(&self.cur),
            max: copied(&self.max),
        }
    }

    /// Returns the limit of `resource`, which is below [`RLIM_NLIMITS`].
    pub fn get(&self, resource: usize) -> Rlimit {
        Rlimit {
            cur: self.cur(resource),
            max: self.max[resource].load(Ordering::Relaxed),
        }
    }

    /// Returns the value that the kernel obeys.
    pub fn cur(&self, resource: usize) -> u32 {
        self.cur[resource].load(Ordering::Relaxed)
    }

    /// Returns the same, where the value has 64 bits: no limit is above every number.
    pub fn cur_u64(&self, resource: usize) -> u64 {
        match self.cur(resource) {
            RLIM_INFINITY => u64::MAX,
            cur => cur.into(),
        }
    }

    /// Sets the limit of `resource`.
    pub fn set(&self, resource: usize, new: Rlimit) {
        self.cur[resource].store(new.cur, Ordering::Relaxed);
        self.max[resource].store(new.max, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_privilege_raises_max() {
        let was = Rlimit { cur: 5, max: 10 };
        let change = |cur, max| was.check_change(Rlimit { cur, max }, false);
        assert_eq!(change(10, 10), Ok(()));
        assert_eq!(change(0, 0), Ok(()));
        assert_eq!(change(0, 11), Err(Errno::EPERM));
        assert_eq!(change(4, 3), Err(Errno::EINVAL));
        assert_eq!(change(12, 11), Err(Errno::EINVAL));
        assert_eq!(was.check_change(Rlimit::INFINITE, true), Ok(()));
    }

    #[test]
    fn a_copy_goes_its_own_way() {
        let parent = Rlimits::new(1024, 8 << 20, 1000);
        parent.set(RLIMIT_CPU, Rlimit { cur: 1, max: 2 });
        let child = parent.copy();
        parent.set(RLIMIT_CPU, Rlimit::fixed(7));
        assert_eq!(child.get(RLIMIT_CPU), Rlimit { cur: 1, max: 2 });
        assert_eq!(child.get(RLIMIT_NOFILE), Rlimit::fixed(1024));
        assert_eq!(
            (child.cur(RLIMIT_STACK), child.cur_u64(RLIMIT_CORE)),
            (8 << 20, 0)
        );
        assert_eq!(
            (child.cur(RLIMIT_DATA), child.cur_u64(RLIMIT_AS)),
            (u32::MAX, u64::MAX)
        );
    }
}

#![forbid(unsafe_code)]
//! Pending signals: which there are, in what order, and the facts about each.
//!
//! A standard signal is pending once, however often it was sent, with the facts of the first. A
//! real-time signal is pending as often as it was sent, and is delivered in that order.
//!
//! Used by `process::signal`.
//!
//! Book: ch. 11, "The pending signal queues". Linux: 2.6.38 `struct sigpending`, `__send_signal`,
//! `collect_signal`.

use alloc::vec::Vec;

use super::sigset::{SIGRTMIN, SigSet};
use crate::base::errno::Errno;
use crate::mm::fallible::TryVec;
use crate::task::siginfo::{SI_USER, SigInfo};

/// Most pending signals whose facts are kept.
pub const MAX_QUEUED: usize = 1024;

/// The pending signals of a thread or of a process.
#[derive(Debug, Default)]
pub struct SigPending {
    set: SigSet,
    /// Facts about the signals, in the order in which they were sent.
    infos: Vec<SigInfo>,
}

impl SigPending {
    /// Returns an empty set.
    pub const fn new() -> Self {
        Self {
            set: SigSet::EMPTY,
            infos: Vec::new(),
        }
    }

    /// Returns the set of pending signals.
    pub fn set(&self) -> SigSet {
        self.set
    }

    /// Returns the number of pending signals whose facts are kept.
    pub fn queued(&self) -> usize {
        self.infos.len()
    }

    /// Adds a signal.
    ///
    /// # Errors
    /// EAGAIN for a real-time signal when too many are queued. A signal of kill(2) is still added,
    /// but only once, like a standard signal.
    pub fn add(&mut self, info: SigInfo) -> Result<(), Errno> {
        let real_time = info.signal >= SIGRTMIN;
        if !real_time && self.set.contains(info.signal) {
            return Ok(());
        }
        let queued = self.infos.len() < MAX_QUEUED && self.infos.try_push(info).is_ok();
        if !queued && real_time && info.code != SI_USER {
            return Err(Errno::EAGAIN);
        }
        self.set = self.set.union(SigSet::of(info.signal));
        Ok(())
    }

    /// Returns the first pending signal for which `is_it` holds.
    pub fn find(&mut self, is_it: impl Fn(&SigInfo) -> bool) -> Option<&mut SigInfo> {
        self.infos.iter_mut().find(|info| is_it(info))
    }

    /// Returns the facts that were kept as the `n`th, from 0.
    pub fn nth(&self, n: usize) -> Option<SigInfo> {
        self.infos.get(n).copied()
    }

    /// Takes the next signal that is not in `blocked`.
    pub fn dequeue(&mut self, blocked: SigSet) -> Option<SigInfo> {
        let signal = self.set.without(blocked).first()?;
        let first = self.infos.iter().position(|info| info.signal == signal);
        let info = match first {
            Some(at) => self.infos.remove(at),
            None => SigInfo::sent(signal, SI_USER, 0, 0),
        };
        if !self.infos.iter().any(|info| info.signal == signal) {
            self.set = self.set.without(SigSet::of(signal));
        }
        Some(info)
    }

    /// Discards all pending `signals`.
    pub fn forget(&mut self, signals: SigSet) {
        self.set = self.set.without(signals);
        self.infos.retain(|info| !signals.contains(info.signal));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(signal: u32, code: i32, value: u32) -> SigInfo {
        let mut info = SigInfo::sent(signal, code, 0, 0);
        info.fields[2] = value;
        info
    }

    fn drain(pending: &mut SigPending) -> Vec<(u32, u32)> {
        core::iter::from_fn(|| pending.dequeue(SigSet::EMPTY))
            .map(|info| (info.signal, info.fields[2]))
            .collect()
    }

    #[test]
    fn usual_signals_wait_once_and_real_time_ones_as_often_as_sent() {
        let mut pending = SigPending::new();
        for (signal, value) in [(34, 1), (10, 2), (33, 3), (34, 4), (10, 5), (34, 6)] {
            pending.add(info(signal, -1, value)).unwrap();
        }
        assert!(pending.dequeue(pending.set()).is_none(), "all blocked");
        let all = [(10, 2), (33, 3), (34, 1), (34, 4), (34, 6)];
        assert_eq!(drain(&mut pending), all);
        assert!(pending.set().is_empty());
    }

    #[test]
    fn when_too_many_wait_only_kills_arrive_and_untold() {
        let mut pending = SigPending::new();
        for value in 0..MAX_QUEUED as u32 {
            pending.add(info(40, -1, value)).unwrap();
        }
        assert_eq!(pending.add(info(40, -1, 0)), Err(Errno::EAGAIN));
        assert_eq!(pending.add(info(41, -1, 0)), Err(Errno::EAGAIN));
        assert!(!pending.set().contains(41));
        pending.add(info(41, SI_USER, 9)).unwrap();
        pending.add(info(10, -6, 9)).unwrap();
        let drained = drain(&mut pending);
        assert_eq!(drained.len(), MAX_QUEUED + 2);
        assert_eq!((drained[0], drained[MAX_QUEUED + 1]), ((10, 0), (41, 0)));
    }

    #[test]
    fn what_is_forgotten_waits_no_more() {
        let mut pending = SigPending::new();
        for signal in [40, 12, 40] {
            pending.add(info(signal, -1, 0)).unwrap();
        }
        pending.forget(SigSet::of(40));
        assert_eq!(drain(&mut pending), [(12, 0)]);
    }
}

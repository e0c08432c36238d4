//! signalfd: pending signals that are read from a file, as messages.
//!
//! The file holds only the set of signals. The signals are those of the task that reads or polls,
//! so `process::signal_wait` takes them.
//!
//! Called by system calls in process context, with no lock held.
//!
//! Linux: 2.6.38 `fs/signalfd.c`; signalfd(2).

use core::sync::atomic::{AtomicU64, Ordering};

use super::poll_events::PollEvents;
use crate::base::errno::Errno;
use crate::base::upward::{has_signal_of, read_signals_of};

/// A set of signals as a file.
pub struct SignalFd(AtomicU64);

impl SignalFd {
    /// Returns a file for the signals in `set`: bit 0 is signal 1.
    pub fn new(set: u64) -> Self {
        Self(AtomicU64::new(set))
    }

    /// Changes the set of signals.
    pub fn set(&self, set: u64) {
        self.0.store(set, Ordering::Relaxed);
    }

    /// Takes pending signals of the set from the running task, and stores as many as fit into
    /// `count` bytes at user address `to`, 128 bytes each. Waits for the first.
    ///
    /// # Errors
    /// EINVAL if none fits, EAGAIN (if `nonblocking`), ERESTARTSYS, EFAULT.
    pub fn read(&self, to: u32, count: u32, nonblocking: bool) -> Result<u32, Errno> {
        read_signals_of(&self.0, to, count, nonblocking)
    }

    /// Returns POLLIN if a signal of the set is pending for the running task.
    pub fn poll(&self) -> PollEvents {
        match has_signal_of(self.0.load(Ordering::Relaxed)) {
            true => PollEvents::POLLIN,
            false => PollEvents::empty(),
        }
    }
}

//! eventfd: a counter that is written to add to it, and read to take from it.
//!
//! A read waits until the counter is not 0, a write until it has room. Both sleep on the counter's
//! own lists, so each wakes the tasks that the other kind of call has put to sleep.
//!
//! Called by read, write and poll in process context, with no lock held.
//!
//! Linux: 2.6.38 `fs/eventfd.c`; eventfd(2).

use super::poll_events::PollEvents;
use crate::arch::x86::entry::uaccess::{get_user, put_user};
use crate::base::errno::Errno;
use crate::sched::wait_queue::WaitList;
use crate::sync::{LockClass, SpinLock};

/// Bytes of a value that is read or written.
const VALUE_BYTES: u32 = 8;
/// Largest value that the counter has: one more is the mark of an overflow (`ULLONG_MAX`).
const MAX_COUNT: u64 = u64::MAX - 1;

struct State {
    count: u64,
    /// Readers that wait for a value.
    not_zero: WaitList,
    /// Writers that wait for room.
    not_full: WaitList,
}

/// A counter as a file.
pub struct EventFd {
    state: SpinLock<State>,
    /// Whether a read takes 1 (EFD_SEMAPHORE), not all.
    is_semaphore: bool,
}

impl EventFd {
    /// Returns a counter that is `count`; a read takes 1 if `is_semaphore`, otherwise all.
    pub fn new(count: u32, is_semaphore: bool) -> Self {
        let state = State {
            count: count.into(),
            not_zero: WaitList::new(),
            not_full: WaitList::new(),
        };
        Self {
            state: SpinLock::new(LockClass::EventCount, state),
            is_semaphore,
        }
    }

    /// Takes 1 or all from the counter, stores it as 8 bytes at user address `to`, and returns 8.
    /// Waits until the counter is not 0. As in Linux, a value that cannot be stored is lost.
    ///
    /// # Errors
    /// EINVAL for less than 8 bytes, EAGAIN (if `nonblocking`), ERESTARTSYS, EFAULT.
    pub fn read(&self, to: u32, count: u32, nonblocking: bool) -> Result<u32, Errno> {
        if count < VALUE_BYTES {
            return Err(Errno::EINVAL);
        }
        let taken = loop {
            let mut state = self.state.lock();
            if state.count != 0 {
                let taken = if self.is_semaphore { 1 } else { state.count };
                state.count = state.count.saturating_sub(taken);
                state.not_full.wake_up();
                break taken;
            }
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            WaitList::sleep_on(&self.state, state, |state| &mut state.not_zero)
                .map_err(|_| Errno::ERESTARTSYS)?;
        };
        put_user(to, taken)?;
        Ok(VALUE_BYTES)
    }

    /// Adds the 8 bytes at user address `from` to the counter, and returns 8. Waits until the sum is
    /// less than `u64::MAX`.
    ///
    /// # Errors
    /// EINVAL for less than 8 bytes and for `u64::MAX`, EFAULT, EAGAIN (if `nonblocking`),
    /// ERESTARTSYS.
    pub fn write(&self, from: u32, count: u32, nonblocking: bool) -> Result<u32, Errno> {
        if count < VALUE_BYTES {
            return Err(Errno::EINVAL);
        }
        let value: u64 = get_user(from)?;
        if value > MAX_COUNT {
            return Err(Errno::EINVAL);
        }
        loop {
            let mut state = self.state.lock();
            let sum = state.count.checked_add(value);
            if let Some(sum) = sum.filter(|sum| *sum <= MAX_COUNT) {
                state.count = sum;
                state.not_zero.wake_up();
                return Ok(VALUE_BYTES);
            }
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            WaitList::sleep_on(&self.state, state, |state| &mut state.not_full)
                .map_err(|_| Errno::ERESTARTSYS)?;
        }
    }

    /// Returns POLLIN unless the counter is 0, and POLLOUT if 1 can be added.
    pub fn poll(&self) -> PollEvents {
        let count = self.state.lock().count;
        let mut events = PollEvents::empty();
        events.set(PollEvents::POLLIN, count > 0);
        events.set(PollEvents::POLLOUT, count < MAX_COUNT);
        events
    }
}

//! timerfd: a timer whose expiries are read from a file.
//!
//! The timer needs no interrupt: read, poll and gettime count its expiries when they look. A read
//! that waits sleeps until the next one.
//!
//! Called by system calls in process context, with no lock held.
//!
//! Linux: 2.6.38 `fs/timerfd.c`; timerfd_create(2).

use super::countdown::Countdown;
use super::poll_events::PollEvents;
use crate::arch::x86::entry::uaccess::put_user;
use crate::base::errno::Errno;
use crate::drivers::rtc::time_of_day_us;
use crate::drivers::tsc::since_boot_us;
use crate::sched::timer::TICK_US;
use crate::sched::wait_queue::WaitList;
use crate::sync::{LockClass, SpinLock};

/// Bytes of the number of expiries.
const VALUE_BYTES: u32 = 8;

struct State {
    countdown: Countdown,
    /// Whether the times are times of day; otherwise they are times since boot.
    by_day: bool,
    /// Readers that wait for an expiry.
    readers: WaitList,
}

impl State {
    fn now_us(&self) -> u64 {
        match self.by_day {
            true => time_of_day_us(),
            false => since_boot_us(),
        }
    }
}

/// A timer as a file.
pub struct TimerFd {
    state: SpinLock<State>,
    /// Whether its clock is the time of day.
    is_realtime: bool,
}

/// The state of a timer, in microseconds.
#[derive(Clone, Copy)]
pub struct TimerFdValue {
    /// Time from one expiry to the next; 0 means a single expiry.
    pub interval_us: u64,
    /// Time until the next expiry; 0 means that there is none.
    pub value_us: u64,
}

impl TimerFd {
    /// Returns a timer that is stopped; its clock is the time of day if `is_realtime`, otherwise
    /// the time since boot.
    pub fn new(is_realtime: bool) -> Self {
        let state = State {
            countdown: Countdown::default(),
            by_day: false,
            readers: WaitList::new(),
        };
        Self {
            state: SpinLock::new(LockClass::TimerFd, state),
            is_realtime,
        }
    }

    /// Sets the timer, and forgets its expiries; `new.value_us` is a time of its clock if
    /// `is_absolute`, otherwise a time from now. Returns its former state.
    pub fn set(&self, new: TimerFdValue, is_absolute: bool) -> TimerFdValue {
        let mut state = self.state.lock();
        let old = value(&mut state);
        // The clock of a relative time never jumps.
        state.by_day = self.is_realtime && is_absolute;
        let from_us = match is_absolute {
            true => 0,
            false => state.now_us(),
        };
        let end_us = (new.value_us != 0).then_some(from_us.saturating_add(new.value_us));
        state.countdown = Countdown::new(end_us, new.interval_us);
        state.readers.wake_up();
        old
    }

    /// Returns the timer's state.
    pub fn get(&self) -> TimerFdValue {
        value(&mut self.state.lock())
    }

    /// Takes the number of expiries since the last read or setting, stores it as 8 bytes at user
    /// address `to`, and returns 8. Waits until there is one. As in Linux, a number that cannot be
    /// stored is lost.
    ///
    /// # Errors
    /// EINVAL for less than 8 bytes, EAGAIN (if `nonblocking`), ERESTARTSYS, EFAULT.
    pub fn read(&self, to: u32, count: u32, nonblocking: bool) -> Result<u32, Errno> {
        if count < VALUE_BYTES {
            return Err(Errno::EINVAL);
        }
        let taken = loop {
            let mut state = self.state.lock();
            let now_us = state.now_us();
            match state.countdown.take(now_us) {
                0 if nonblocking => return Err(Errno::EAGAIN),
                0 => {}
                taken => break taken,
            }
            let left_us = state.countdown.left_us(now_us);
            let ticks = left_us.map(|left_us| left_us.div_ceil(TICK_US));
            WaitList::sleep_on_timeout(&self.state, state, |state| &mut state.readers, ticks)
                .map_err(|_| Errno::ERESTARTSYS)?;
        };
        put_user(to, taken)?;
        Ok(VALUE_BYTES)
    }

    /// Returns POLLIN if the timer has expired since the last read or setting.
    pub fn poll(&self) -> PollEvents {
        let mut state = self.state.lock();
        let now_us = state.now_us();
        match state.countdown.expired(now_us) {
            0 => PollEvents::empty(),
            _ => PollEvents::POLLIN,
        }
    }
}

fn value(state: &mut State) -> TimerFdValue {
    let now_us = state.now_us();
    TimerFdValue {
        interval_us: state.countdown.incr_us,
        value_us: state.countdown.left_us(now_us).unwrap_or(0),
    }
}

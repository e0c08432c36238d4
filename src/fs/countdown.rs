#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]
//! The arithmetic of a timer that is read as a file: how often it has expired.
//!
//! No interrupt is needed for it: each look at the timer counts the expiries up to that moment.
//!
//! Used by `fs::timerfd`, which adds the clock and the lock.
//!
//! Linux: 2.6.38 `timerfd_setup`, `timerfd_read`, `timerfd_get_remaining`.

use crate::base::hrtimer::hrtimer_forward;

/// A timer, in microseconds of its clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Countdown {
    /// The next expiry; `None` if there is none.
    end_us: Option<u64>,
    /// Microseconds from one expiry to the next; 0 means a single expiry.
    pub incr_us: u64,
    /// Expiries since the last read.
    ticks: u64,
}

impl Countdown {
    /// Returns a timer that expires at `end_us`, unless that is `None`, and then every `incr_us`
    /// unless that is 0.
    pub fn new(end_us: Option<u64>, incr_us: u64) -> Self {
        Self {
            end_us,
            incr_us,
            ticks: 0,
        }
    }

    /// Counts the expiries up to `now_us`.
    fn look(&mut self, now_us: u64) {
        let Some(end_us) = self.end_us.filter(|end_us| *end_us <= now_us) else {
            return;
        };
        let next = hrtimer_forward(end_us as i64, now_us as i64, self.incr_us);
        let ticks = next.map_or(1, |(_, intervals)| intervals);
        self.ticks = self.ticks.saturating_add(ticks);
        self.end_us = next.map(|(next_us, _)| next_us as u64);
    }

    /// Returns the number of expiries up to `now_us` that no read has taken.
    pub fn expired(&mut self, now_us: u64) -> u64 {
        self.look(now_us);
        self.ticks
    }

    /// Takes the number of expiries up to `now_us`.
    pub fn take(&mut self, now_us: u64) -> u64 {
        self.look(now_us);
        core::mem::take(&mut self.ticks)
    }

    /// Returns the microseconds from `now_us` to the next expiry; `None` if there is none.
    pub fn left_us(&mut self, now_us: u64) -> Option<u64> {
        self.look(now_us);
        self.end_us.map(|end_us| end_us.saturating_sub(now_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_single_expiry_is_counted_once() {
        let mut timer = Countdown::new(Some(100), 0);
        assert_eq!((timer.take(99), timer.left_us(99)), (0, Some(1)));
        assert_eq!((timer.expired(100), timer.left_us(100)), (1, None));
        assert_eq!((timer.take(1000), timer.take(u64::MAX >> 1)), (1, 0));
    }

    #[test]
    fn a_stopped_timer_keeps_its_interval() {
        let mut timer = Countdown::new(None, 7);
        assert_eq!((timer.take(u64::MAX >> 1), timer.left_us(0)), (0, None));
        assert_eq!(timer.incr_us, 7);
    }

    proptest! {
        #[test]
        fn looks_change_no_count(end in 0u64..100, incr in 1u64..20, mut looks in
            prop::collection::vec(0u64..400, 1..20))
        {
            looks.sort_unstable();
            let mut timer = Countdown::new(Some(end), incr);
            for &now in &looks {
                let wanted = (end..).step_by(incr as usize).take_while(|at| *at <= now).count();
                prop_assert_eq!(timer.expired(now), wanted as u64);
                let next = (end..).step_by(incr as usize).find(|at| *at > now).unwrap();
                prop_assert_eq!(timer.left_us(now), Some(next.saturating_sub(now)));
            }
        }
    }
}

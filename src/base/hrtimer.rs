#![forbid(unsafe_code)]
//! The next expiry of a timer with an interval, and the number of those that are over.
//!
//! Used by all timers with an interval: of a process, and those that are read as files.
//!
//! Linux: 2.6.38 `hrtimer_forward`.

/// Returns the first expiry after `now_us` of a timer that expired at `end_us` and again every
/// `incr_us`, and the number of intervals between the two; `None` without an interval.
pub fn hrtimer_forward(end_us: i64, now_us: i64, incr_us: u64) -> Option<(i64, u64)> {
    let late_us = now_us.saturating_sub(end_us).max(0) as u64;
    let intervals = late_us.checked_div(incr_us)?.saturating_add(1);
    let next_us = end_us.saturating_add_unsigned(intervals.saturating_mul(incr_us));
    Some((next_us, intervals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_expiry_lies_ahead() {
        assert_eq!(hrtimer_forward(100, 100, 10), Some((110, 1)));
        assert_eq!(hrtimer_forward(100, 109, 10), Some((110, 1)));
        assert_eq!(hrtimer_forward(100, 110, 10), Some((120, 2)));
        assert_eq!(hrtimer_forward(-5, 0, 2), Some((1, 3)));
        assert_eq!(hrtimer_forward(100, 0, 10), Some((110, 1)));
        assert_eq!(hrtimer_forward(100, 200, 0), None);
        assert_eq!(
            hrtimer_forward(i64::MIN, i64::MAX, u64::MAX).map(|it| it.1),
            Some(1)
        );
    }
}

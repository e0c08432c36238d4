#![forbid(unsafe_code)]
//! The clock chip of a PC (MC146818): its registers, and the time of day that they hold.
//!
//! The chip counts in binary or in decimal digits, in 24 hours or twice 12; its status registers
//! say which. It has two digits of the year, which are taken to be of this century. `drivers::rtc`
//! reads the registers.
//!
//! Book: ch. 6, "Real Time Clock (RTC)". Linux: 2.6.38 `mach_get_cmos_time`, `mktime`.

/// The registers that hold a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RtcTime {
    /// Seconds, register 0.
    pub seconds: u8,
    /// Minutes, register 2.
    pub minutes: u8,
    /// Hours, register 4.
    pub hours: u8,
    /// Day of the month, register 7.
    pub day: u8,
    /// Month, register 8.
    pub month: u8,
    /// Year in the century, register 9.
    pub year: u8,
}

/// Number of status register A.
pub const STATUS_A: u8 = 10;
/// Number of status register B.
pub const STATUS_B: u8 = 11;
/// Status A: the registers are changing.
pub const UPDATE_IN_PROGRESS: u8 = 1 << 7;
/// Status B: hours count to 24.
const HOURS_24: u8 = 1 << 1;
/// Status B: numbers are binary.
const BINARY: u8 = 1 << 2;
/// Bit of the 12-hour count: the time is after noon.
const AFTERNOON: u8 = 1 << 7;

impl RtcTime {
    /// Returns the seconds since 1970, or `None` if there is no such time or it does not fit in 32
    /// bits. `status` is status register B.
    pub fn to_unix(self, status: u8) -> Option<u32> {
        let number = |byte: u8| match status & BINARY {
            0 => (byte >> 4) * 10 + (byte & 15),
            _ => byte,
        };
        let hour = match status & HOURS_24 {
            0 => {
                number(self.hours & !AFTERNOON) % 12
                    + if self.hours & AFTERNOON == 0 { 0 } else { 12 }
            }
            _ => number(self.hours),
        };
        let [second, minute] = [self.seconds, self.minutes].map(number);
        let [day, month, year] = [self.day, self.month, self.year].map(number);
        let is_time = second < 60 && minute < 60 && hour < 24;
        let is_date = (1..=31).contains(&day) && (1..=12).contains(&month) && year < 100;
        if !is_time || !is_date {
            return None;
        }
        let days = days_since_1970(2000 + u32::from(year), u32::from(month), u32::from(day));
        let hours = days * 24 + u32::from(hour);
        (hours * 60 + u32::from(minute))
            .checked_mul(60)?
            .checked_add(u32::from(second))
    }
}

/// Returns the days from the first day of 1970 to a later day of the Gregorian calendar.
fn days_since_1970(year: u32, month: u32, day: u32) -> u32 {
    // A year that begins in March ends with the leap day.
    let (year, month) = match month {
        3.. => (year, month - 3),
        _ => (year - 1, month + 9),
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECIMAL_24: u8 = HOURS_24;

    fn at(year: u8, month: u8, day: u8, hours: u8, minutes: u8, seconds: u8) -> RtcTime {
        RtcTime {
            seconds,
            minutes,
            hours,
            day,
            month,
            year,
        }
    }

    #[test]
    fn digits_become_seconds_since_1970() {
        let known = [
            (at(0, 1, 1, 0, 0, 0), 946_684_800),
            (at(0, 2, 0x29, 0x23, 0x59, 0x59), 951_868_799),
            (at(0, 3, 1, 0, 0, 0), 951_868_800),
            (at(0x11, 3, 0x15, 1, 0x20, 0x32), 1_300_152_032),
            (at(0x26, 0x12, 0x31, 0x23, 0x59, 0x59), 1_798_761_599),
            (at(0x99, 1, 1, 0, 0, 0), 4_070_908_800),
        ];
        for (time, seconds) in known {
            assert_eq!(time.to_unix(DECIMAL_24), Some(seconds), "{time:x?}");
        }
    }

    #[test]
    fn binary_numbers_and_hours_to_12_are_understood() {
        let noon = at(11, 3, 15, 12, 0, 0).to_unix(BINARY | HOURS_24);
        assert_eq!(noon, Some(1_300_190_400));
        assert_eq!(at(0x11, 3, 0x15, 0x92, 0, 0).to_unix(0), noon);
        assert_eq!(at(11, 3, 15, 12 | AFTERNOON, 0, 0).to_unix(BINARY), noon);
        let midnight = noon.map(|noon| noon - 12 * 3600);
        assert_eq!(at(0x11, 3, 0x15, 0x12, 0, 0).to_unix(0), midnight);
    }

    #[test]
    fn what_is_no_time_is_none() {
        assert_eq!(RtcTime::default().to_unix(DECIMAL_24), None);
        assert_eq!(
            at(0xff, 0xff, 0xff, 0xff, 0xff, 0xff).to_unix(DECIMAL_24),
            None
        );
        assert_eq!(at(0xff, 0xff, 0xff, 0xff, 0xff, 0xff).to_unix(0xff), None);
        assert_eq!(at(0x11, 0x13, 1, 0, 0, 0).to_unix(DECIMAL_24), None);
        assert_eq!(at(0x11, 1, 1, 0x24, 0, 0).to_unix(DECIMAL_24), None);
    }
}

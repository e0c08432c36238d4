//! The time of day: the clock chip gives it once, at boot, and the time-stamp counter continues it.
//!
//! Book: ch. 6, "Real Time Clock (RTC)", "The Time of Day".
//! Linux: 2.6.38 `read_persistent_clock`, `getboottime`.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::base::port::{inb, outb};
use crate::drivers::tsc::since_boot_us;
use crate::hw::rtc::{RtcTime, STATUS_A, STATUS_B, UPDATE_IN_PROGRESS};

/// Port for the number of a register; the next port has its value.
const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;
/// Number of attempts to read a stable time; a chip that always changes is not usable.
const ATTEMPTS: u32 = 100_000;

/// The time of day, in microseconds since 1970, when [`since_boot_us`] was 0.
static BOOT_US: AtomicU64 = AtomicU64::new(0);

/// Sets the time of day from the chip, or to the beginning of 1970 if the chip has no time. Called
/// once, on the boot CPU, when the time-stamp counter is calibrated.
pub fn read_persistent_clock() {
    match read_time().and_then(|time| time.to_unix(register(STATUS_B))) {
        Some(seconds) => {
            let now_us = u64::from(seconds) * 1_000_000;
            BOOT_US.store(now_us.saturating_sub(since_boot_us()), Ordering::Relaxed);
        }
        None => log::warn!("rtc: the clock chip has no time: it is 1970"),
    }
}

/// Returns the time of booting, in microseconds since 1970.
pub fn boot_us() -> u64 {
    BOOT_US.load(Ordering::Relaxed)
}

/// Returns the time of day, in microseconds since 1970.
pub fn time_of_day_us() -> u64 {
    boot_us() + since_boot_us()
}

/// Reads the time of one moment: two equal readings mean that it did not change in between.
fn read_time() -> Option<RtcTime> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        if register(STATUS_A) & UPDATE_IN_PROGRESS != 0 {
            continue;
        }
        let [seconds, minutes, hours, day, month, year] = [0, 2, 4, 7, 8, 9].map(register);
        let time = RtcTime {
            seconds,
            minutes,
            hours,
            day,
            month,
            year,
        };
        if last.replace(time) == Some(time) {
            return Some(time);
        }
    }
    None
}

fn register(number: u8) -> u8 {
    // SAFETY: the chip's own ports; reading these registers changes nothing. Bit 7 of the index
    // stays clear, so NMIs stay on. Only the boot CPU runs this, once.
    unsafe {
        outb(INDEX, number);
        inb(DATA)
    }
}

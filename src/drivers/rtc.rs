//! The time of day: read from the clock chip once, at boot, and counted on by the time-stamp counter.
//!
//! Book: ch. 6, "Real Time Clock (RTC)", "The Time of Day".
//! Linux: 2.6.38 `read_persistent_clock`, `getboottime`.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::base::port::{inb, outb};
use crate::drivers::tsc::since_boot_us;
use crate::hw::rtc::{RtcTime, STATUS_A, STATUS_B, UPDATE_IN_PROGRESS};

/// The number of a register goes here, its value comes from the next port.
const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;
/// How often the chip is asked: one that changes all the time is none.
const ATTEMPTS: u32 = 100_000;

/// The time of day, in microseconds since 1970, when [`since_boot_us`] was 0.
static BOOT_US: AtomicU64 = AtomicU64::new(0);

/// Sets the time of day by the chip. Without a chip that has a time it begins with 1970. Once, on
/// the boot CPU, when time is counted.
pub fn read_persistent_clock() {
    match read_time().and_then(|time| time.to_unix(register(STATUS_B))) {
        Some(seconds) => {
            let now_us = u64::from(seconds) * 1_000_000;
            BOOT_US.store(now_us.saturating_sub(since_boot_us()), Ordering::Relaxed);
        }
        None => log::warn!("rtc: the clock chip has no time: it is 1970"),
    }
}

/// When the system was booted, in microseconds since 1970.
pub fn boot_us() -> u64 {
    BOOT_US.load(Ordering::Relaxed)
}

/// Microseconds since 1970.
pub fn time_of_day_us() -> u64 {
    boot_us() + since_boot_us()
}

/// The time, of one moment: what is the same twice did not change in between.
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
    // stays clear, so NMIs stay on. Only the boot CPU comes here, once.
    unsafe {
        outb(INDEX, number);
        inb(DATA)
    }
}

//! Time since boot, from the time-stamp counter.
//!
//! The kernel measures the counter's rate once, against the PIT's channel 2, whose rate is the same
//! on every PC. Reading the time takes no lock.
//!
//! Book: ch. 6, "Time Stamp Counter".
//! SDM: vol. 3, 17.17 "Time-Stamp Counter".

use core::sync::atomic::{AtomicU32, Ordering};

use crate::base::insn::rdtsc;
use crate::base::port::{inb, outb};
use crate::drivers::pit;
use crate::sync::IrqGuard;

/// Counts per millisecond; 0 before the measurement.
static RATE_KHZ: AtomicU32 = AtomicU32::new(0);
/// Value of the counter at [`calibrate`], low half; the high half follows. Written once, before a
/// second CPU runs.
static START_LOW: AtomicU32 = AtomicU32::new(0);
static START_HIGH: AtomicU32 = AtomicU32::new(0);

/// Time of one measurement, in milliseconds.
const CALIBRATION_MS: u32 = 10;
const CALIBRATION_TRIES: u32 = 5;
/// Port of the gate and output of channel 2.
const PORT_B: u16 = 0x61;

/// Measures the rate and sets the time to 0. Called once, on the boot CPU.
pub fn calibrate() {
    let start = rdtsc();
    let khz = measure_khz();
    START_LOW.store(start as u32, Ordering::Relaxed);
    START_HIGH.store((start >> 32) as u32, Ordering::Relaxed);
    RATE_KHZ.store(khz, Ordering::Release);
}

/// Returns the counts per millisecond; 0 before [`calibrate`].
pub fn khz() -> u32 {
    RATE_KHZ.load(Ordering::Acquire)
}

/// Returns the value of the counter at [`calibrate`].
pub fn start() -> u64 {
    u64::from(START_HIGH.load(Ordering::Relaxed)) << 32
        | u64::from(START_LOW.load(Ordering::Relaxed))
}

/// Returns the microseconds since [`calibrate`]; 0 before.
pub fn since_boot_us() -> u64 {
    let khz = u64::from(khz());
    if khz == 0 {
        return 0;
    }
    let counts = rdtsc().saturating_sub(start());
    // In two steps, whole milliseconds and the rest, which cannot overflow.
    counts / khz * 1000 + counts % khz * 1000 / khz
}

/// Returns the nanoseconds that `cycles` counts take; 0 before [`calibrate`].
pub fn cycles_to_ns(cycles: u64) -> u64 {
    match u64::from(khz()) {
        0 => 0,
        khz => cycles / khz * 1_000_000 + cycles % khz * 1_000_000 / khz,
    }
}

/// Measures until no reading can be late by more than a hundredth, since a host or the firmware may
/// delay the CPU. After some tries it takes the best result.
fn measure_khz() -> u32 {
    let tries = (0..CALIBRATION_TRIES).map(|_| measure_once());
    let mut best = (0, u64::MAX);
    for (counts, late) in tries {
        if late < best.1 {
            best = (counts, late);
        }
        if late <= counts / 100 {
            break;
        }
    }
    ((best.0 / u64::from(CALIBRATION_MS)) as u32).max(1)
}

/// Returns the counts while channel 2 counts down, and the possible delay of the readings at both
/// ends.
fn measure_once() -> (u64, u64) {
    let _irq = IrqGuard::new();
    let count = (pit::PIT_HZ * CALIBRATION_MS / 1000) as u16;
    // SAFETY: port B's low two bits are channel 2's gate and the speaker; the rest is kept.
    // Channel 2 drives nothing but the speaker, which stays off.
    unsafe {
        outb(PORT_B, inb(PORT_B) & !0b10 | 0b01);
        let before = rdtsc();
        pit::load_channel(2, pit::MODE_TERMINAL_COUNT, count);
        let begin = rdtsc();
        let mut last = begin;
        while inb(PORT_B) & 0x20 == 0 {
            last = rdtsc();
        }
        let end = rdtsc();
        (end - begin, (begin - before) + (end - last))
    }
}

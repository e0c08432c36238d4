//! The 8254 timer. Channel 0 is the tick, or serves the watchdog if the local APICs tick; channel 2
//! measures time.
//!
//! Book: ch. 6, "Programmable Interval Timer (PIT)".
//! Linux: 2.6.38 `i8253.c`, `HZ`.

use crate::base::port::outb;

/// Input clock of every channel, in Hz.
pub const PIT_HZ: u32 = 1_193_182;
/// Ticks per second.
pub const HZ: u32 = 250;
/// Interrupt line of channel 0.
pub const PIT_IRQ: u32 = 0;

/// Mode: counts down once; the output goes high at 0.
pub const MODE_TERMINAL_COUNT: u8 = 0;
/// Mode: counts down repeatedly, with a pulse at each end.
const MODE_RATE: u8 = 2;

/// Greatest count that the high byte alone gives: 54.7 ms.
const LONGEST_HIGH_BYTE: u8 = 0xff;

const CHANNEL_0: u16 = 0x40;
const COMMAND: u16 = 0x43;

/// Starts the tick: [`PIT_IRQ`], [`HZ`] times a second.
pub fn start_tick() {
    // SAFETY: channel 0 only raises its interrupt, which stays masked until it is requested.
    unsafe { load_channel(0, MODE_RATE, (PIT_HZ / HZ) as u16) };
}

/// Makes channel 0 a one-shot: its output goes high once, 54.7 ms after the last call of
/// [`postpone_one_shot`]. The first such call starts it.
pub fn start_one_shot() {
    // SAFETY: channel 0 only raises its interrupt. Access mode 2: the high byte of the count alone.
    unsafe { outb(COMMAND, 0b10 << 4 | MODE_TERMINAL_COUNT << 1) };
}

/// Restarts the one-shot by a single access, so an NMI may occur between any two accesses.
#[inline]
pub fn postpone_one_shot() {
    // SAFETY: the channel is in that mode, and only raises its interrupt.
    unsafe { outb(CHANNEL_0, LONGEST_HIGH_BYTE) };
}

/// Loads channel `channel` with `mode` and `count`.
///
/// # Safety
/// Nothing else uses that channel, and the device at its output may react.
pub unsafe fn load_channel(channel: u8, mode: u8, count: u16) {
    let [low, high] = count.to_le_bytes();
    let port = CHANNEL_0 + u16::from(channel);
    // SAFETY: the 8254's own ports; the caller vouches for the effect.
    unsafe {
        outb(COMMAND, channel << 6 | 0b11 << 4 | mode << 1);
        outb(port, low);
        outb(port, high);
    }
}

//! Devices of a PC, each behind a few functions.
//!
//! In reading order:
//! - [`qemu_exit`]: ends the run with a value
//! - [`serial`]: COM1, the serial line
//! - [`vt`]: a terminal's cells, cursor and escape sequences
//! - [`vga`]: the 80x25 text screen
//! - [`keyboard`]: keys become bytes
//! - [`i8042`]: the keyboard's controller
//! - [`console`]: serial line and screen, and which of them programs and messages have
//! - [`tsc`]: time since boot, from the time-stamp counter
//! - [`rtc`]: the time of day
//! - [`printk`]: the back end of `log`
//! - [`pic`]: the 8259 pair
//! - [`pit`]: the tick

#[cfg(target_os = "none")]
pub mod console;
#[cfg(target_os = "none")]
pub mod i8042;
pub mod keyboard;
#[cfg(target_os = "none")]
pub mod pic;
#[cfg(target_os = "none")]
pub mod pit;
#[cfg(target_os = "none")]
pub mod printk;
#[cfg(target_os = "none")]
pub mod qemu_exit;
#[cfg(target_os = "none")]
pub mod rtc;
#[cfg(target_os = "none")]
pub mod serial;
#[cfg(target_os = "none")]
pub mod tsc;
#[cfg(target_os = "none")]
pub mod vga;
pub mod vt;

#[cfg(target_os = "none")]
pub use qemu_exit::exit;

//! Devices of a PC, each behind a few functions.
//!
//! In reading order:
//! - [`qemu_exit`]: ends the run with a value
//! - [`serial`]: COM1, the console
//! - [`vga`]: the 80x25 text screen, a mirror of the log
//! - [`tsc`]: time since boot, from the time-stamp counter
//! - [`rtc`]: the time of day
//! - [`printk`]: the back end of `log`
//! - [`pic`]: the 8259 pair
//! - [`pit`]: the tick

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

#[cfg(target_os = "none")]
pub use qemu_exit::exit;

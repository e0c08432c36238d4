//! The kernel log: the back end of the `log` crate.
//!
//! `log::info!("pid: 32 slots")` becomes `[ 0.001234] pid: 32 slots` on the consoles. Any stack
//! may call it, but not the inside of the switch.
//!
//! Linux: `printk`, `console_loglevel`.

use core::{
    fmt::{self, Write},
    sync::atomic::{AtomicU8, Ordering},
};

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::vt::colours::{ALARM, NORMAL};
use super::{console, serial, tsc, vga};

/// Level shown without `loglevel=`: everything up to information.
pub const DEFAULT_CONSOLE_LOGLEVEL: u8 = 6;

/// Highest level that is shown: 0 emergency, 3 error, 4 warning, 6 information, 7 debug.
static CONSOLE_LOGLEVEL: AtomicU8 = AtomicU8::new(DEFAULT_CONSOLE_LOGLEVEL);

struct Printk;

static PRINTK: Printk = Printk;

/// Installs this back end of `log`. Called once, at boot.
pub fn init() {
    if log::set_logger(&PRINTK).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
}

/// Shows messages of this level and all more important ones (0 to 7).
pub fn set_console_loglevel(level: u8) {
    CONSOLE_LOGLEVEL.store(level.min(7), Ordering::Relaxed);
}

/// Returns Linux's number for `level`.
pub fn kern_level(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

impl Log for Printk {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        kern_level(metadata.level()) <= CONSOLE_LOGLEVEL.load(Ordering::Relaxed)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let attribute = if record.level() == Level::Error {
            ALARM
        } else {
            NORMAL
        };
        let time_us = tsc::since_boot_us();
        let (seconds, us) = (time_us / 1_000_000, time_us % 1_000_000);
        console::write_line(
            format_args!("[{seconds:5}.{us:06}] {}\n", record.args()),
            attribute,
        );
    }

    fn flush(&self) {}
}

/// COM1 and the screen for a CPU that is about to stop. It waits for no lock.
pub struct PanicConsole;

impl PanicConsole {
    /// Ends unfinished lines, so a report begins on new ones.
    pub fn finish_line() {
        serial::finish_line_in_panic();
        vga::finish_line_in_panic();
    }
}

impl Write for PanicConsole {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        serial::write_text_in_panic(text);
        vga::write_text_in_panic(text);
        Ok(())
    }
}

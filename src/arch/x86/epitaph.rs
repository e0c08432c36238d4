//! The kernel's last words, kept where a debugger finds them.
//!
//! The static [`EPITAPH`] holds the message of the first panic or fatal error,
//! ended by a NUL: `print (char*)&EPITAPH` in gdb, also when no console worked.

use core::{
    fmt::{self, Write},
    panic::PanicInfo,
    sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
};

use crate::{
    arch::x86::insn,
    drivers::{self, printk::PanicConsole},
    exit_value::ExitValue,
};

/// Bytes of [`EPITAPH`].
pub const EPITAPH_BYTES: usize = 1024;

/// The message, in UTF-8, NUL-terminated; empty while the kernel lives.
#[unsafe(no_mangle)]
pub static EPITAPH: [AtomicU8; EPITAPH_BYTES] = [const { AtomicU8::new(0) }; EPITAPH_BYTES];

/// How much of it is written.
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Appends `message`. What does not fit is cut off.
pub fn record(message: fmt::Arguments<'_>) {
    // Writing never fails: what does not fit is dropped.
    let _ = Stone.write_fmt(message);
}

/// The end of a panic: message to the console and the epitaph, then QEMU's exit.
pub fn panic(info: &PanicInfo<'_>) -> ! {
    insn::cli();
    let first = !PANICKING.swap(true, Ordering::AcqRel);
    if first {
        // Writing never fails.
        let _ = writeln!(PanicConsole, "BUG: {}", info);
        record(format_args!("BUG: {info}"));
    }
    drivers::exit(ExitValue::Panic)
}

/// Set by the first panic: a second one, while reporting the first, only ends.
static PANICKING: AtomicBool = AtomicBool::new(false);

struct Stone;

impl Write for Stone {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let at = LENGTH.fetch_add(1, Ordering::Relaxed);
            // The last byte stays 0.
            match EPITAPH[..EPITAPH_BYTES - 1].get(at) {
                Some(slot) => slot.store(byte, Ordering::Relaxed),
                None => break,
            }
        }
        Ok(())
    }
}

//! `print!` and `println!` on fd 1, each a single write, and the panic handler.
//!
//! One write a call, so that the lines of two tasks never mix.

use crate::{gates::syscall, process};
use core::fmt::{self, Write};

const SYS_WRITE: u32 = 4;

/// Writes all of `bytes` to the standard output, as far as the kernel takes them.
pub fn write_all(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match syscall(SYS_WRITE, [1, bytes.as_ptr() as u32, bytes.len() as u32]) {
            Ok(written) if written > 0 => bytes = &bytes[written as usize..],
            _ => return,
        }
    }
}

/// A line being assembled; whatever does not fit goes out in a second write.
struct Line {
    bytes: [u8; 512],
    used: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.used == self.bytes.len() {
                write_all(&self.bytes);
                self.used = 0;
            }
            self.bytes[self.used] = byte;
            self.used += 1;
        }
        Ok(())
    }
}

pub fn print(text: fmt::Arguments<'_>) {
    let mut line = Line {
        bytes: [0; 512],
        used: 0,
    };
    // A `Display` that fails has nothing more to print.
    let _ = line.write_fmt(text);
    write_all(&line.bytes[..line.used]);
}

#[macro_export]
macro_rules! print {
    ($($format:tt)*) => { $crate::io::print(format_args!($($format)*)) };
}

#[macro_export]
macro_rules! println {
    ($($format:tt)*) => {
        $crate::io::print(format_args!("{}\n", format_args!($($format)*)))
    };
}

/// A panic ends the program with status 101, as it does with `std`.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    match info.location() {
        Some(place) => println!("# panic at {place}: {}", info.message()),
        None => println!("# panic: {}", info.message()),
    }
    process::exit(101)
}

//! The consoles: the serial line, the text screen, or both.
//!
//! Messages of the kernel go to each console that `console=` names. Programs have one terminal, the
//! last that is named. Without the word both are one terminal: it shows its output on both, and
//! takes keys of either.
//!
//! Linux: 2.6.38 `kernel/printk.c` (`console=`), Documentation/serial-console.txt.

use core::fmt;
use core::sync::atomic::Ordering;

use super::{serial, vga};
use crate::base::consoles::{Chosen, Consoles};
use crate::base::flags::AtomicFlags;

/// The consoles that do not show messages.
static NO_MESSAGES: AtomicFlags<Consoles> = AtomicFlags::empty();
/// The consoles that are not the terminal.
static NO_TERMINAL: AtomicFlags<Consoles> = AtomicFlags::empty();

/// Chooses the consoles of messages and those of the terminal. Until then, both are both.
pub fn choose(chosen: Chosen) {
    NO_MESSAGES.store(!chosen.messages, Ordering::Relaxed);
    NO_TERMINAL.store(!chosen.terminal, Ordering::Relaxed);
}

/// Returns the consoles of the terminal.
pub fn terminal() -> Consoles {
    !NO_TERMINAL.load(Ordering::Relaxed)
}

fn messages() -> Consoles {
    !NO_MESSAGES.load(Ordering::Relaxed)
}

/// Appends a program's output to the terminal. The screen shows it after the next [`flush`].
pub fn write(bytes: &[u8]) {
    let terminal = terminal();
    if terminal.contains(Consoles::SERIAL) {
        serial::write(bytes);
    }
    if terminal.contains(Consoles::SCREEN) {
        vga::write(bytes);
    }
}

/// Returns whether the screen is a console.
pub fn has_screen() -> bool {
    (terminal() | messages()).contains(Consoles::SCREEN)
}

/// Shows on the screen what was written.
pub fn flush() {
    if has_screen() {
        vga::flush();
    }
}

/// Writes one message, which no other output can break, in one colour on the screen.
pub fn write_line(message: fmt::Arguments<'_>, attribute: u8) {
    let consoles = messages();
    let has = |console| consoles.contains(console);
    // Writing never fails: both take everything.
    {
        let serial = has(Consoles::SERIAL).then(serial::lock_for_line);
        let screen = has(Consoles::SCREEN).then(|| vga::lock_for_line(attribute));
        let mut line = Line { screen, serial };
        let _ = fmt::Write::write_fmt(&mut line, message);
    }
    flush();
}

/// The consoles of messages, locked for one line. The serial line is locked first, so it is the last
/// field: its release turns interrupts on again.
struct Line {
    screen: Option<vga::Line>,
    serial: Option<serial::Line>,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.serial
            .as_mut()
            .map_or(Ok(()), |line| line.write_str(text))?;
        self.screen
            .as_mut()
            .map_or(Ok(()), |line| line.write_str(text))
    }
}

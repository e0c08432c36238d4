#![forbid(unsafe_code)]
//! The values of `console=`: the serial line and the text screen.
//!
//! Linux: Documentation/admin-guide/serial-console.rst.

use bitflags::bitflags;

bitflags! {
    /// A set of consoles.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Consoles: u32 {
        /// `ttyS0`: COM1.
        const SERIAL = 1;
        /// `tty0`: the text screen and the keyboard.
        const SCREEN = 2;
    }
}

/// The consoles that the words `console=` of a command line choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chosen {
    /// Consoles that show the kernel's messages: each that a word names.
    pub messages: Consoles,
    /// Consoles that together are the terminal `/dev/console`: the last that a word names.
    pub terminal: Consoles,
}

impl Chosen {
    /// Returns the choice after a further word, with the value `value`; `before` is that of the words
    /// before it. `None` if the value names no console.
    pub fn with(before: Option<Chosen>, value: &str) -> Option<Chosen> {
        let terminal = named(value)?;
        let others = before.map_or(Consoles::empty(), |before| before.messages);
        let messages = others | terminal;
        Some(Chosen { messages, terminal })
    }
}

/// Returns the console that `value` names: `tty0`, `ttyS0`, or `ttyS0` with the one speed that the
/// port has, in Linux's form.
fn named(value: &str) -> Option<Consoles> {
    match value {
        "tty0" => Some(Consoles::SCREEN),
        "ttyS0" | "ttyS0,115200" | "ttyS0,115200n8" => Some(Consoles::SERIAL),
        _ => None,
    }
}

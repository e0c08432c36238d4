#![forbid(unsafe_code)]
//! The terminal that the text screen shows: cells, a cursor, and the escape sequences of programs.
//!
//! In reading order:
//! - [`cp437`]: the characters of the card's font
//! - [`colours`]: the attribute of a cell, and the sequence that changes it
//! - [`grid`]: rows of cells, which scroll
//! - [`terminal`]: characters and sequences, one after the other
//!
//! Pure: `drivers::vga` owns the one terminal, and copies its cells to the card.
//!
//! Linux: 2.6.38 `drivers/char/vt.c`; console_codes(4).

pub mod colours;
pub mod cp437;
pub mod grid;
pub mod terminal;

//! The 80x25 text screen: a mirror of the log for users without a serial line.
//!
//! `printk` calls it with its lock held, and so does a panic, on any stack.

use core::ptr::NonNull;

use volatile::VolatilePtr;

use crate::base::layout::PAGE_OFFSET;
use crate::sync::{IrqSpinLock, LockClass};

/// Physical address of the text buffer.
pub const VGA_TEXT_PHYS: usize = 0xb8000;
const COLUMNS: usize = 80;
const ROWS: usize = 25;
/// Light grey on black.
pub const NORMAL: u8 = 0x07;
/// White on red.
pub const ALARM: u8 = 0x4f;

struct Screen {
    column: usize,
    /// Copy of the screen: reading from the card is slow.
    shadow: [[u16; COLUMNS]; ROWS],
}

static SCREEN: IrqSpinLock<Screen> = IrqSpinLock::new(
    LockClass::Screen,
    Screen {
        column: 0,
        shadow: [[BLANK; COLUMNS]; ROWS],
    },
);

const BLANK: u16 = (NORMAL as u16) << 8 | b' ' as u16;

/// Clears the output of the firmware and the loader from the screen.
pub fn init() {
    let screen = SCREEN.lock();
    for (row, cells) in screen.shadow.iter().enumerate() {
        for (column, &cell) in cells.iter().enumerate() {
            show(row, column, cell);
        }
    }
}

/// Appends `text` at the bottom in colour `attribute`, scrolling as needed.
pub fn write_text(text: &str, attribute: u8) {
    SCREEN.lock().write(text, attribute);
}

/// Appends `text` in the colour of alarms, for a panic; gives up if another CPU holds the screen.
pub fn write_text_in_panic(text: &str) {
    if let Some(mut screen) = SCREEN.try_lock() {
        screen.write(text, ALARM);
    }
}

impl Screen {
    fn write(&mut self, text: &str, attribute: u8) {
        for byte in text.bytes() {
            match byte {
                b'\n' => self.new_line(),
                b'\r' => self.column = 0,
                _ => {
                    if self.column == COLUMNS {
                        self.new_line();
                    }
                    // The card's font is not Unicode: characters outside of ASCII appear as a
                    // block.
                    let glyph = if (0x20..0x7f).contains(&byte) {
                        byte
                    } else {
                        0xfe
                    };
                    self.put(
                        ROWS - 1,
                        self.column,
                        u16::from(attribute) << 8 | u16::from(glyph),
                    );
                    self.column += 1;
                }
            }
        }
    }

    fn new_line(&mut self) {
        self.column = 0;
        for row in 0..ROWS {
            for column in 0..COLUMNS {
                let cell = self
                    .shadow
                    .get(row + 1)
                    .map_or(BLANK, |below| below[column]);
                self.put(row, column, cell);
            }
        }
    }

    /// Shows `cell`, unless the screen shows it already.
    fn put(&mut self, row: usize, column: usize, cell: u16) {
        if core::mem::replace(&mut self.shadow[row][column], cell) != cell {
            show(row, column, cell);
        }
    }
}

fn show(row: usize, column: usize, cell: u16) {
    assert!(row < ROWS && column < COLUMNS);
    let address = PAGE_OFFSET as usize + VGA_TEXT_PHYS + 2 * (row * COLUMNS + column);
    let Some(pointer) = NonNull::new(address as *mut u16) else {
        return;
    };
    // SAFETY: the cell lies in the text buffer, which the direct map covers from the boot page
    // tables on; only this file accesses it, under the lock.
    unsafe { VolatilePtr::new(pointer) }.write(cell);
}

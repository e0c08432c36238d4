//! The text screen of a PC: 80x25 cells, a cursor, and the terminal that it shows.
//!
//! Output changes the terminal in memory; [`flush`] copies what has changed to the card, a row at a
//! time, so that interrupts are off for one row and not for all. Any stack may call these functions.
//!
//! IBM VGA, CRT controller: registers 0x0a, 0x0e, 0x0f.

use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use volatile::VolatilePtr;

use super::vt::colours::ALARM;
use super::vt::cp437::glyph;
use super::vt::grid::{COLUMNS, ROWS, Row, STATUS_ROW, cell};
use super::vt::terminal::Terminal;
use crate::base::layout::PAGE_OFFSET;
use crate::base::port::outb;
use crate::sync::{IrqSpinLock, LockClass, spinlock::IrqSpinLockGuard};

/// Physical address of the text buffer.
pub const VGA_TEXT_PHYS: usize = 0xb8000;

const CRT_INDEX: u16 = 0x3d4;
const CRT_DATA: u16 = 0x3d5;
const CURSOR_START: u8 = 0x0a;
const CURSOR_HIGH: u8 = 0x0e;
const CURSOR_LOW: u8 = 0x0f;
/// Cursor start: the cursor is not shown.
const CURSOR_OFF: u8 = 0x20;
/// First scan line of the cursor, an underscore.
const CURSOR_LINE: u8 = 13;

struct Screen {
    terminal: Terminal,
    /// The place of the cursor as the card has it.
    cursor: Option<(usize, usize)>,
}

static SCREEN: IrqSpinLock<Screen> = IrqSpinLock::new(
    LockClass::Screen,
    Screen {
        terminal: Terminal::new(),
        cursor: None,
    },
);

/// Clears the output of the firmware and the loader from the screen.
pub fn init() {
    flush();
}

/// Appends the output of a program. It is on the screen after the next [`flush`].
pub fn write(bytes: &[u8]) {
    SCREEN.lock().terminal.write(bytes);
}

/// Takes the answer to a question of a program, and gives it to `receive`.
pub fn take_answer(receive: impl FnOnce(&[u8])) {
    let answer = SCREEN.lock().terminal.take_answer();
    if !answer.is_empty() {
        receive(&answer);
    }
}

/// Reserves the last row for the status line.
pub fn reserve_last_row() {
    SCREEN.lock().terminal.reserve_last_row();
}

/// Replaces the status line, if its row is reserved. It is on the screen after the next [`flush`].
pub fn set_status(cells: &Row) {
    let mut screen = SCREEN.lock();
    let grid = screen.terminal.grid();
    if grid.height() <= STATUS_ROW {
        *grid.row_mut(STATUS_ROW) = *cells;
    }
}

/// Brings the card up to date.
pub fn flush() {
    for row in 0..ROWS {
        SCREEN.lock().show_row(row);
    }
    SCREEN.lock().show_cursor();
}

/// Locks the screen for one message of the kernel, which begins on a new line.
pub fn lock_for_line(attribute: u8) -> Line {
    let mut screen = SCREEN.lock();
    screen.terminal.finish_line();
    Line(screen, attribute)
}

/// The screen locked by [`lock_for_line`]. The message is on the screen after the next [`flush`].
pub struct Line(IrqSpinLockGuard<'static, Screen>, u8);

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.terminal.write_message(text, self.1);
        Ok(())
    }
}

/// Ends an unfinished line, so a report begins on a new one; gives up if another CPU holds the
/// screen.
pub fn finish_line_in_panic() {
    if let Some(mut screen) = SCREEN.try_lock() {
        screen.terminal.finish_line();
    }
}

/// Shows `text` in the colour of alarms. If the screen is locked, the text goes straight to the card,
/// from the top: whatever holds the lock may never go on.
pub fn write_text_in_panic(text: &str) {
    let Some(mut screen) = SCREEN.try_lock() else {
        return write_past_the_lock(text);
    };
    screen.terminal.write_message(text, ALARM);
    (0..ROWS).for_each(|row| screen.show_row(row));
    screen.show_cursor();
}

/// Writes to the card from its first row on, and begins there again after the last.
fn write_past_the_lock(text: &str) {
    static PLACE: AtomicUsize = AtomicUsize::new(0);
    for character in text.chars() {
        let at = PLACE.load(Ordering::Relaxed) % (ROWS * COLUMNS);
        let next = match character {
            '\n' => (at / COLUMNS + 1) * COLUMNS,
            _ => {
                show(at / COLUMNS, at % COLUMNS, cell(ALARM, glyph(character)));
                at + 1
            }
        };
        PLACE.store(next, Ordering::Relaxed);
    }
}

impl Screen {
    fn show_row(&mut self, row: usize) {
        let put = |column, cell| show(row, column, cell);
        self.terminal.grid().show_row(row, put);
    }

    fn show_cursor(&mut self) {
        let wanted = self.terminal.cursor();
        if core::mem::replace(&mut self.cursor, wanted) == wanted {
            return;
        }
        let Some((row, column)) = wanted else {
            return set_register(CURSOR_START, CURSOR_OFF);
        };
        let [low, high] = ((row * COLUMNS + column) as u16).to_le_bytes();
        set_register(CURSOR_HIGH, high);
        set_register(CURSOR_LOW, low);
        set_register(CURSOR_START, CURSOR_LINE);
    }
}

fn set_register(register: u8, value: u8) {
    // SAFETY: registers of the cursor, under the lock; on a machine without the card nothing answers.
    unsafe {
        outb(CRT_INDEX, register);
        outb(CRT_DATA, value);
    }
}

fn show(row: usize, column: usize, cell: u16) {
    assert!(row < ROWS && column < COLUMNS);
    let address = PAGE_OFFSET as usize + VGA_TEXT_PHYS + 2 * (row * COLUMNS + column);
    let Some(pointer) = NonNull::new(address as *mut u16) else {
        return;
    };
    // SAFETY: the cell lies in the text buffer, which the direct map covers from the boot page
    // tables on; only this file accesses it, and a cell is written at once.
    unsafe { VolatilePtr::new(pointer) }.write(cell);
}

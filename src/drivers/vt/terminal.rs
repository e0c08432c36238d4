#![forbid(unsafe_code)]
//! A terminal like the Linux console: text and escape sequences become cells.
//!
//! The crate `vte` takes the sequences apart; the methods of [`Perform`] give them their meaning,
//! as `TERM=linux` of terminfo has it. A sequence that is not known is read to its end and has no
//! effect.
//!
//! Linux: 2.6.38 `drivers/char/vt.c` (`do_con_trol`); console_codes(4).

use arrayvec::ArrayVec;
use vte::{Params, Parser, Perform};

use super::colours::Colours;
use super::cp437::glyph;
use super::grid::{COLUMNS, Grid, ROWS, cell};

/// Room for the string of an operating-system command, in bytes; none is known.
const OSC_BYTES: usize = 16;
/// Largest answer to a question, in bytes: `ESC [ 25 ; 80 R`.
const ANSWER_BYTES: usize = 16;
/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// A terminal: its cells, and the place where the next character goes.
pub struct Terminal {
    /// Made with the first output, since it has no constant value.
    parser: Option<Parser<OSC_BYTES>>,
    state: State,
}

#[derive(Clone, Copy)]
struct Place {
    row: usize,
    column: usize,
    colours: Colours,
}

const HOME: Place = Place {
    row: 0,
    column: 0,
    colours: Colours::NORMAL,
};

/// All but the parser.
struct State {
    grid: Grid,
    at: Place,
    saved: Place,
    /// The last column is filled: the next character begins a new row.
    wraps_next: bool,
    wraps: bool,
    inserts: bool,
    has_cursor: bool,
    /// First and last row that scroll.
    margins: (usize, usize),
    answer: ArrayVec<u8, ANSWER_BYTES>,
}

impl Terminal {
    /// Returns a blank terminal with the cursor in the upper left corner.
    pub const fn new() -> Terminal {
        Terminal {
            parser: None,
            state: State {
                grid: Grid::new(),
                at: HOME,
                saved: HOME,
                wraps_next: false,
                wraps: true,
                inserts: false,
                has_cursor: true,
                margins: (0, ROWS - 1),
                answer: ArrayVec::new_const(),
            },
        }
    }

    /// Takes the output of a program.
    pub fn write(&mut self, bytes: &[u8]) {
        let parser = self.parser.get_or_insert_with(Parser::new_with_size);
        parser.advance(&mut self.state, bytes);
    }

    /// Takes a message of the kernel, which begins on a new line, in one colour; it leaves a sequence
    /// that a program has begun as it is.
    pub fn write_message(&mut self, text: &str, attribute: u8) {
        for character in text.chars() {
            match character {
                '\n' => self.state.new_line(),
                '\r' => self.state.carriage_return(),
                _ => self.state.put(character, attribute),
            }
        }
    }

    /// Goes to the beginning of a row, to the next one unless the cursor is there.
    pub fn finish_line(&mut self) {
        if self.state.at.column != 0 {
            self.state.new_line();
        }
    }

    /// Takes the answer to a question that a program has asked.
    pub fn take_answer(&mut self) -> ArrayVec<u8, ANSWER_BYTES> {
        core::mem::take(&mut self.state.answer)
    }

    /// Returns the cells.
    pub fn grid(&mut self) -> &mut Grid {
        &mut self.state.grid
    }

    /// Returns row and column of the cursor; `None` while a program hides it.
    pub fn cursor(&self) -> Option<(usize, usize)> {
        let at = self.state.at;
        self.state.has_cursor.then_some((at.row, at.column))
    }

    /// Reserves the last row for the status line. The text moves up if it has reached that row.
    pub fn reserve_last_row(&mut self) {
        let state = &mut self.state;
        if state.at.row == ROWS - 1 {
            let blank = state.blank();
            state.grid.scroll(0, ROWS - 1, 1, false, blank);
            state.at.row -= 1;
        }
        state.grid.reserve_last_row();
        state.margins = (0, state.bottom());
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

/// The part of a row or of the screen that a sequence erases.
#[derive(Clone, Copy)]
enum Part {
    ToTheEnd,
    FromTheBeginning,
    All,
}

impl State {
    /// The last row that belongs to the terminal.
    fn bottom(&self) -> usize {
        self.grid.height() - 1
    }

    /// An erased cell: it keeps the background that the program has chosen.
    fn blank(&self) -> u16 {
        cell(self.at.colours.attribute(), b' ')
    }

    fn go(&mut self, row: usize, column: usize) {
        self.at.row = row.min(self.bottom());
        self.at.column = column.min(COLUMNS - 1);
        self.wraps_next = false;
    }

    fn carriage_return(&mut self) {
        self.go(self.at.row, 0);
    }

    fn line_feed(&mut self) {
        self.wraps_next = false;
        let (top, bottom) = self.margins;
        if self.at.row == bottom {
            self.grid.scroll(top, bottom, 1, false, self.blank());
        } else if self.at.row < self.bottom() {
            self.at.row += 1;
        }
    }

    fn reverse_line_feed(&mut self) {
        self.wraps_next = false;
        let (top, bottom) = self.margins;
        if self.at.row == top {
            self.grid.scroll(top, bottom, 1, true, self.blank());
        } else {
            self.at.row = self.at.row.saturating_sub(1);
        }
    }

    fn new_line(&mut self) {
        self.carriage_return();
        self.line_feed();
    }

    fn put(&mut self, character: char, attribute: u8) {
        if self.wraps_next && self.wraps {
            self.new_line();
        }
        let Place { row, column, .. } = self.at;
        let cells = self.grid.row_mut(row);
        if self.inserts {
            cells[column..].rotate_right(1);
        }
        cells[column] = cell(attribute, glyph(character));
        match column == COLUMNS - 1 {
            true => self.wraps_next = true,
            false => self.at.column += 1,
        }
    }

    fn erase_in_row(&mut self, part: Part) {
        let (blank, Place { row, column, .. }) = (self.blank(), self.at);
        let cells = self.grid.row_mut(row);
        match part {
            Part::ToTheEnd => &mut cells[column..],
            Part::FromTheBeginning => &mut cells[..=column],
            Part::All => &mut cells[..],
        }
        .fill(blank);
    }

    fn erase_in_display(&mut self, part: Part) {
        let rows = match part {
            Part::ToTheEnd => self.at.row + 1..self.grid.height(),
            Part::FromTheBeginning => 0..self.at.row,
            Part::All => 0..self.grid.height(),
        };
        for row in rows {
            *self.grid.row_mut(row) = [self.blank(); COLUMNS];
        }
        self.erase_in_row(part);
    }

    /// Moves the cells from the cursor on to the right, or to the left, by `count`.
    fn shift(&mut self, count: usize, right: bool) {
        let (blank, Place { row, column, .. }) = (self.blank(), self.at);
        let cells = &mut self.grid.row_mut(row)[column..];
        let count = count.min(cells.len());
        match right {
            true => {
                cells.rotate_right(count);
                cells[..count].fill(blank);
            }
            false => {
                cells.rotate_left(count);
                let kept = cells.len() - count;
                cells[kept..].fill(blank);
            }
        }
    }

    /// Moves the rows from the cursor's on down, or up, by `count`.
    fn shift_rows(&mut self, count: usize, down: bool) {
        let (top, bottom) = self.margins;
        if (top..=bottom).contains(&self.at.row) {
            let (row, blank) = (self.at.row, self.blank());
            self.grid.scroll(row, bottom, count, down, blank);
            self.carriage_return();
        }
    }

    fn set_margins(&mut self, top: usize, bottom: Option<usize>) {
        let bottom = bottom.unwrap_or(ROWS).min(self.grid.height());
        if top < bottom {
            self.margins = (top - 1, bottom - 1);
            self.go(0, 0);
        }
    }

    fn set_mode(&mut self, mode: u16, is_private: bool, on: bool) {
        match (mode, is_private) {
            (4, false) => self.inserts = on,
            (7, true) => self.wraps = on,
            (25, true) => self.has_cursor = on,
            _ => {}
        }
    }

    fn restore(&mut self) {
        self.at = self.saved;
        self.go(self.saved.row, self.saved.column);
    }

    fn answer(&mut self, text: core::fmt::Arguments<'_>) {
        use core::fmt::Write;
        self.answer.clear();
        let mut answer = arrayvec::ArrayString::<ANSWER_BYTES>::new();
        // Each answer fits.
        if answer.write_fmt(text).is_ok() {
            // Both have the same capacity.
            let _ = self.answer.try_extend_from_slice(answer.as_bytes());
        }
    }
}

impl Perform for State {
    fn print(&mut self, character: char) {
        self.put(character, self.at.colours.attribute());
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            8 => self.go(self.at.row, self.at.column.saturating_sub(1)),
            b'\t' => self.go(self.at.row, (self.at.column / TAB + 1) * TAB),
            b'\n' | 11 | 12 => self.line_feed(),
            b'\r' => self.carriage_return(),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        let is_private = match intermediates {
            [] => false,
            b"?" => true,
            _ => return,
        };
        if ignore {
            return;
        }
        let number = |index: usize| {
            let given = params.iter().nth(index).and_then(|param| param.first());
            given.copied().filter(|number| *number != 0)
        };
        // A number that is not given, or 0, is 1.
        let count = usize::from(number(0).unwrap_or(1));
        let second = usize::from(number(1).unwrap_or(1));
        let part = match number(0) {
            None => Some(Part::ToTheEnd),
            Some(1) => Some(Part::FromTheBeginning),
            Some(2 | 3) => Some(Part::All),
            Some(_) => None,
        };
        let Place { row, column, .. } = self.at;
        match action {
            'h' | 'l' => params
                .iter()
                .flatten()
                .for_each(|mode| self.set_mode(*mode, is_private, action == 'h')),
            _ if is_private => {}
            'A' => self.go(row.saturating_sub(count), column),
            'B' | 'e' => self.go(row + count, column),
            'C' | 'a' => self.go(row, column + count),
            'D' => self.go(row, column.saturating_sub(count)),
            'E' => self.go(row + count, 0),
            'F' => self.go(row.saturating_sub(count), 0),
            'G' | '`' => self.go(row, count - 1),
            'd' => self.go(count - 1, column),
            'H' | 'f' => self.go(count - 1, second - 1),
            'J' => part.into_iter().for_each(|it| self.erase_in_display(it)),
            'K' => part.into_iter().for_each(|it| self.erase_in_row(it)),
            'L' => self.shift_rows(count, true),
            'M' => self.shift_rows(count, false),
            '@' => self.shift(count, true),
            'P' => self.shift(count, false),
            'X' => {
                let (blank, end) = (self.blank(), (column + count).min(COLUMNS));
                self.grid.row_mut(row)[column..end].fill(blank);
            }
            'r' => self.set_margins(count, number(1).map(usize::from)),
            's' => self.saved = self.at,
            'u' => self.restore(),
            'm' => self.at.colours.change(params.iter().flatten().copied()),
            'n' if number(0) == Some(5) => self.answer(format_args!("\x1b[0n")),
            'n' if number(0) == Some(6) => {
                self.answer(format_args!("\x1b[{};{}R", row + 1, column + 1));
            }
            'c' if number(0).is_none() => self.answer(format_args!("\x1b[?6c")),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _ignore: bool, byte: u8) {
        match (intermediates, byte) {
            ([], b'7') => self.saved = self.at,
            ([], b'8') => self.restore(),
            ([], b'D') => self.line_feed(),
            ([], b'E') => self.new_line(),
            ([], b'M') => self.reverse_line_feed(),
            ([], b'c') => {
                (self.at, self.saved) = (HOME, HOME);
                (self.wraps_next, self.wraps) = (false, true);
                (self.inserts, self.has_cursor) = (false, true);
                self.margins = (0, self.bottom());
                self.erase_in_display(Part::All);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "terminal_tests.rs"]
mod tests;

#![forbid(unsafe_code)]
//! Rows of cells that scroll, and the copy of them that the card has.
//!
//! Text changes the rows in memory alone. [`Grid::show_row`] brings one row up to date on the card,
//! and writes only the cells that differ: the card is slow, and interrupts are off meanwhile. To
//! scroll moves no cells: the rows have an order, which turns.

use super::colours::{NORMAL, STATUS};

/// Cells in a row.
pub const COLUMNS: usize = 80;
/// Rows of the card.
pub const ROWS: usize = 25;
/// The row that can be reserved for the status line: the last.
pub const STATUS_ROW: usize = ROWS - 1;
/// An empty cell: the attribute, then the character.
pub const BLANK: u16 = cell(NORMAL, b' ');

/// Returns a cell with the character `glyph` of the font.
pub const fn cell(attribute: u8, glyph: u8) -> u16 {
    (attribute as u16) << 8 | glyph as u16
}

/// A row of cells.
pub type Row = [u16; COLUMNS];

/// The cells of a terminal.
pub struct Grid {
    rows: [Row; ROWS],
    /// For each row of the terminal its place in `rows`.
    order: [u8; ROWS],
    /// The cells as the card has them.
    shown: [Row; ROWS],
    /// The rows in which the card may differ, one bit each.
    stale: u32,
    /// Rows that belong to the terminal; those below are reserved.
    height: usize,
}

impl Grid {
    /// Returns a blank grid, all of which belongs to the terminal.
    pub const fn new() -> Grid {
        let mut order = [0; ROWS];
        let mut row = 0;
        while row < ROWS {
            order[row] = row as u8;
            row += 1;
        }
        Grid {
            rows: [[BLANK; COLUMNS]; ROWS],
            order,
            // No cell that text makes: the first time, all are written.
            shown: [[0xffff; COLUMNS]; ROWS],
            stale: !0,
            height: ROWS,
        }
    }

    /// Returns the number of rows that belong to the terminal.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Reserves the last row for the status line.
    pub fn reserve_last_row(&mut self) {
        self.height = STATUS_ROW;
        *self.row_mut(STATUS_ROW) = [cell(STATUS, b' '); COLUMNS];
    }

    /// Returns the cells of a row; those of the last one for a row that there is not.
    pub fn row(&self, row: usize) -> &Row {
        &self.rows[usize::from(self.order[row.min(ROWS - 1)])]
    }

    /// Returns the cells of a row, to be changed.
    pub fn row_mut(&mut self, row: usize) -> &mut Row {
        let row = row.min(ROWS - 1);
        self.stale |= 1 << row;
        &mut self.rows[usize::from(self.order[row])]
    }

    /// Moves the rows from `top` to `bottom` up by `count`, or down if `down`; those that come are
    /// filled with `blank`.
    pub fn scroll(&mut self, top: usize, bottom: usize, count: usize, down: bool, blank: u16) {
        let bottom = bottom.min(ROWS - 1);
        if top > bottom {
            return;
        }
        self.stale |= (2u32 << bottom) - (1 << top);
        let part = &mut self.order[top..=bottom];
        let count = count.min(part.len());
        let fresh = match down {
            true => {
                part.rotate_right(count);
                top..top + count
            }
            false => {
                part.rotate_left(count);
                bottom + 1 - count..bottom + 1
            }
        };
        for row in fresh {
            *self.row_mut(row) = [blank; COLUMNS];
        }
    }

    /// Calls `put` with the column and the new cell for each cell of `row` in which the card
    /// differs.
    pub fn show_row(&mut self, row: usize, mut put: impl FnMut(usize, u16)) {
        let row = row.min(ROWS - 1);
        if self.stale & 1 << row == 0 {
            return;
        }
        self.stale &= !(1 << row);
        let wanted = &self.rows[usize::from(self.order[row])];
        let shown = &mut self.shown[row];
        for (column, (&wanted, shown)) in wanted.iter().zip(shown).enumerate() {
            if *shown != wanted {
                *shown = wanted;
                put(column, wanted);
            }
        }
    }
}

impl Default for Grid {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered() -> Grid {
        let mut grid = Grid::new();
        for row in 0..ROWS {
            grid.row_mut(row)[0] = row as u16;
        }
        grid
    }

    fn firsts(grid: &Grid) -> Vec<u16> {
        (0..ROWS).map(|row| grid.row(row)[0]).collect()
    }

    #[test]
    fn a_part_scrolls_and_the_rest_stays() {
        let mut grid = numbered();
        grid.scroll(1, 3, 1, false, BLANK);
        assert_eq!(firsts(&grid)[..6], [0, 2, 3, BLANK, 4, 5]);
        let mut grid = numbered();
        grid.scroll(1, 3, 2, true, BLANK);
        assert_eq!(firsts(&grid)[..6], [0, BLANK, BLANK, 1, 4, 5]);
        let mut grid = numbered();
        grid.scroll(3, 900, 900, false, BLANK);
        assert_eq!(firsts(&grid)[2..5], [2, BLANK, BLANK]);
        grid.scroll(5, 4, 1, false, BLANK);
    }

    #[test]
    fn only_what_differs_is_written_to_the_card() {
        let mut grid = Grid::new();
        let shown = |grid: &mut Grid, row| {
            let mut cells = Vec::new();
            grid.show_row(row, |column, cell| cells.push((column, cell)));
            cells
        };
        assert_eq!(shown(&mut grid, 4).len(), COLUMNS);
        assert_eq!(shown(&mut grid, 4), []);
        grid.row_mut(4)[7] = 0x741;
        assert_eq!(shown(&mut grid, 4), [(7, 0x741)]);
        // The row moves; the card learns it where it was and where it is.
        shown(&mut grid, 3);
        grid.scroll(0, ROWS - 1, 1, false, BLANK);
        assert_eq!(shown(&mut grid, 3), [(7, 0x741)]);
        assert_eq!(shown(&mut grid, 4), [(7, BLANK)]);
    }
}

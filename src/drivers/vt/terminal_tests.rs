//! Tests of the terminal, on the host.

use proptest::prelude::*;

use super::super::colours::{ALARM, NORMAL};
use super::super::cp437::character;
use super::super::grid::BLANK;
use super::*;

fn after(text: &str) -> Terminal {
    let mut terminal = Terminal::new();
    terminal.write(text.as_bytes());
    terminal
}

fn row(terminal: &mut Terminal, row: usize) -> String {
    let cells = terminal.grid().row(row).iter();
    let text: String = cells.map(|cell| character(*cell as u8)).collect();
    text.trim_end().to_owned()
}

fn rows(text: &str) -> Vec<String> {
    let mut terminal = after(text);
    (0..ROWS).map(|it| row(&mut terminal, it)).collect()
}

#[test]
fn lines_fill_the_screen_and_then_scroll() {
    let text: String = (0..30).map(|line| format!("line {line}\r\n")).collect();
    let shown = rows(&text);
    assert_eq!(shown[0], "line 6");
    assert_eq!(shown[23], "line 29");
    assert_eq!(shown[24], "");
}

#[test]
fn a_long_line_goes_on_in_the_next_row() {
    let mut terminal = after(&"x".repeat(COLUMNS));
    // Only the next character needs the next row.
    assert_eq!(terminal.cursor(), Some((0, COLUMNS - 1)));
    terminal.write(b"yz");
    assert_eq!(terminal.cursor(), Some((1, 2)));
    assert_eq!(row(&mut terminal, 1), "yz");
    let cut = rows(&format!("\x1b[?7l{}yz", "x".repeat(COLUMNS)));
    assert!(cut[0].ends_with("xz") && cut[1].is_empty());
}

#[test]
fn the_cursor_goes_where_it_is_sent() {
    let at = |text: &str| after(text).cursor();
    assert_eq!(at("\x1b[5;7H"), Some((4, 6)));
    assert_eq!(at("\x1b[5;7H\x1b[2A\x1b[3C"), Some((2, 9)));
    assert_eq!(at("\x1b[99;999H"), Some((ROWS - 1, COLUMNS - 1)));
    assert_eq!(at("\x1b[65535B\x1b[65535C"), Some((ROWS - 1, COLUMNS - 1)));
    assert_eq!(at("\x1b[9A\x1b[9D"), Some((0, 0)));
    assert_eq!(at("ab\tc\x08"), Some((0, 8)));
    assert_eq!(at("\x1b[3;3H\x1b7\x1b[H\x1b8"), Some((2, 2)));
    assert_eq!(at("\x1b[?25l"), None);
    assert_eq!(at("\x1b[?25l\x1b[?25h"), Some((0, 0)));
}

#[test]
fn parts_are_erased_and_moved() {
    let shown = |change: &str| rows(&format!("abcdef\r\nghijkl\r\nmnopqr\x1b[2;3H{change}"));
    assert_eq!(shown("\x1b[K")[..3], ["abcdef", "gh", "mnopqr"]);
    assert_eq!(shown("\x1b[1K")[..3], ["abcdef", "   jkl", "mnopqr"]);
    assert_eq!(shown("\x1b[J")[..3], ["abcdef", "gh", ""]);
    assert_eq!(shown("\x1b[1J")[..3], ["", "   jkl", "mnopqr"]);
    assert_eq!(shown("\x1b[2J")[..3], ["", "", ""]);
    assert_eq!(shown("\x1b[2P")[1], "ghkl");
    assert_eq!(shown("\x1b[2@")[1], "gh  ijkl");
    assert_eq!(shown("\x1b[2X")[1], "gh  kl");
    assert_eq!(shown("\x1b[4hXY")[1], "ghXYijkl");
    assert_eq!(shown("\x1b[L")[..4], ["abcdef", "", "ghijkl", "mnopqr"]);
    assert_eq!(shown("\x1b[M")[..3], ["abcdef", "mnopqr", ""]);
    assert_eq!(shown("\x1bc")[..3], ["", "", ""]);
}

#[test]
fn only_the_rows_between_the_margins_scroll() {
    let text = "a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[3;1H\nX";
    assert_eq!(rows(text)[..4], ["a", "c", "X", "d"]);
    let text = "a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[2;1H\x1bMX";
    assert_eq!(rows(text)[..4], ["a", "X", "b", "d"]);
}

#[test]
fn a_character_has_the_colours_of_its_time() {
    let mut terminal = after("a\x1b[1;37;41mb\x1b[0mc");
    let attributes = terminal.grid().row(0)[..3].iter().map(|cell| cell >> 8);
    assert_eq!(
        attributes.collect::<Vec<_>>(),
        [NORMAL, ALARM, NORMAL].map(u16::from)
    );
    // An erased cell has the background.
    let mut terminal = after("\x1b[44m\x1b[2J");
    assert_eq!(terminal.grid().row(9)[9], 0x1720);
}

#[test]
fn questions_are_answered_once() {
    let mut terminal = after("\x1b[3;4H\x1b[6n");
    assert_eq!(&terminal.take_answer()[..], b"\x1b[3;4R");
    assert_eq!(&terminal.take_answer()[..], b"");
    assert_eq!(
        &after("\x1b[99;99H\x1b[6n").take_answer()[..],
        b"\x1b[25;80R"
    );
    assert_eq!(&after("\x1b[c").take_answer()[..], b"\x1b[?6c");
}

#[test]
fn a_message_stands_on_a_line_of_its_own_and_breaks_no_sequence() {
    let mut terminal = after("\x1b[31mprompt\x1b[3");
    terminal.finish_line();
    terminal.write_message("news\n", NORMAL);
    terminal.write(b"2mgreen");
    assert_eq!(row(&mut terminal, 0), "prompt");
    assert_eq!(row(&mut terminal, 1), "news");
    assert_eq!(row(&mut terminal, 2), "green");
    assert_eq!(terminal.grid().row(1)[0] >> 8, u16::from(NORMAL));
    assert_eq!(terminal.grid().row(2)[0] >> 8, 2);
}

#[test]
fn the_reserved_row_is_out_of_reach() {
    let mut terminal = after(&"x\r\n".repeat(40));
    terminal.reserve_last_row();
    let status = *terminal.grid().row(ROWS - 1);
    let all = "\x1b[99;1Hlast\x1b[r\x1b[25B\n\n\x1b[2J\x1b[99;99Hy\x1bc\x1b[1;25r\n\n\n\x1b[25;1Hz";
    for byte in all.bytes() {
        terminal.write(&[byte]);
        assert_eq!(terminal.grid().row(ROWS - 1), &status);
    }
    terminal.write(&b"x\r\n".repeat(40));
    assert_eq!(terminal.grid().row(ROWS - 1), &status);
    assert_eq!(terminal.cursor(), Some((ROWS - 2, 0)));
    assert_eq!(terminal.grid().row(ROWS - 2), &[BLANK; COLUMNS]);
}

proptest! {
    #[test]
    fn no_output_panics(parts in proptest::collection::vec(part(), 0..40), status: bool) {
        let mut terminal = Terminal::new();
        if status {
            terminal.reserve_last_row();
        }
        let last = *terminal.grid().row(ROWS - 1);
        for part in parts {
            terminal.write(&part);
            prop_assert!(terminal.state.at.row < terminal.state.grid.height());
            prop_assert!(terminal.state.at.column < COLUMNS);
            if status {
                prop_assert_eq!(terminal.grid().row(ROWS - 1), &last);
            }
        }
        terminal.write_message("a\nb", NORMAL);
        let mut places = terminal.state.grid_order();
        places.sort_unstable();
        prop_assert_eq!(places, (0..ROWS as u8).collect::<Vec<_>>());
    }
}

impl State {
    fn grid_order(&mut self) -> Vec<u8> {
        // Each row has a place of its own: mark them.
        for row in 0..ROWS {
            self.grid.row_mut(row)[0] = row as u16;
        }
        (0..ROWS).map(|row| self.grid.row(row)[0] as u8).collect()
    }
}

/// Random bytes, or a sequence with random numbers.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let sequence = (
        prop_oneof![Just("\x1b["), Just("\x1b[?"), Just("\x1b")],
        proptest::collection::vec(prop_oneof![0u16..30, any::<u16>()], 0..4),
        0x40u8..0x7f,
    )
        .prop_map(|(start, numbers, end)| {
            let numbers: Vec<String> = numbers.iter().map(u16::to_string).collect();
            format!("{start}{}{}", numbers.join(";"), end as char).into_bytes()
        });
    prop_oneof![
        sequence,
        proptest::collection::vec(any::<u8>(), 0..100),
        Just(b"word\r\n".to_vec())
    ]
}

//! The text screen of a machine, as cells, as text and as a picture; and the keys of its keyboard.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use anyhow::{Result, bail, ensure};
use switch_to::drivers::vt::colours::NORMAL;
use switch_to::drivers::vt::cp437::{character, glyph};
use switch_to::drivers::vt::grid::{COLUMNS, ROWS};

/// Where the cells are in the machine's memory, and how many bytes.
pub const MEMORY: (u32, usize) = (0xb8000, COLUMNS * ROWS * 2);

/// What the screen showed at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    cells: Vec<[u8; 2]>,
}

/// A cell's character, text colour and background.
type Look = (char, u8, u8);

impl Screen {
    /// The screen whose memory this is.
    pub fn of_memory(bytes: &[u8]) -> Result<Screen> {
        ensure!(bytes.len() == MEMORY.1, "{} bytes of screen", bytes.len());
        Ok(Screen {
            cells: bytes.as_chunks().0.to_vec(),
        })
    }

    /// A screen that shows these lines.
    pub fn of_text(lines: &[&str]) -> Screen {
        let mut cells = vec![[b' ', NORMAL]; COLUMNS * ROWS];
        for (row, line) in cells.chunks_mut(COLUMNS).zip(lines) {
            for (cell, letter) in row.iter_mut().zip(line.chars()) {
                cell[0] = glyph(letter);
            }
        }
        Screen { cells }
    }

    /// The text of each row, without blanks at its end.
    pub fn rows(&self) -> Vec<String> {
        let text = |row: &[[u8; 2]]| {
            row.iter()
                .map(|cell| character(cell[0]))
                .collect::<String>()
        };
        let rows = self.cells.chunks(COLUMNS).map(text);
        rows.map(|row| row.trim_end().to_owned()).collect()
    }

    /// The rows, one a line.
    pub fn text(&self) -> String {
        self.rows().join("\n")
    }

    /// The attribute of the first letter of `word`, where that is first seen.
    pub fn attribute(&self, word: &str) -> Option<u8> {
        let rows = self.rows();
        let (row, text) = rows
            .iter()
            .enumerate()
            .find(|(_, row)| row.contains(word))?;
        let column = text.split(word).next()?.chars().count();
        Some(self.cells[row * COLUMNS + column][1])
    }

    /// A picture of the screen, which `title` tells to a reader who cannot see it.
    pub fn svg(&self, title: &str) -> String {
        let (width, height) = (COLUMNS * LETTER.0 + 2 * EDGE, ROWS * LETTER.1 + 2 * EDGE);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-labelledby=\"title\">\n<title id=\"title\">{}</title>\n<style>text{{font:14px \
             monospace;white-space:pre}}</style>\n<rect width=\"{width}\" height=\"{height}\" \
             fill=\"{}\"/>\n",
            escaped(title),
            COLOURS[0]
        );
        for (row, cells) in self.cells.chunks(COLUMNS).enumerate() {
            let looks: Vec<Look> = cells.iter().map(look).collect();
            let mut column = 0;
            for run in looks.chunk_by(|a, b| (a.1, a.2) == (b.1, b.2)) {
                draw(&mut out, row, column, run);
                column += run.len();
            }
        }
        out.push_str("</svg>\n");
        out
    }
}

/// Pixels of a letter, and of the edge around all.
const LETTER: (usize, usize) = (9, 17);
const EDGE: usize = 8;

/// The sixteen colours of the card.
const COLOURS: [&str; 16] = [
    "#000", "#00a", "#0a0", "#0aa", "#a00", "#a0a", "#a50", "#aaa", "#555", "#55f", "#5f5", "#5ff",
    "#f55", "#f5f", "#ff5", "#fff",
];

fn look(cell: &[u8; 2]) -> Look {
    (character(cell[0]), cell[1] & 15, cell[1] >> 4 & 7)
}

/// Draws cells of one look: their background, unless it is the screen's, and their text.
fn draw(out: &mut String, row: usize, column: usize, run: &[Look]) {
    let (x, y) = (EDGE + column * LETTER.0, EDGE + row * LETTER.1);
    let (_, colour, background) = run[0];
    let width = run.len() * LETTER.0;
    if background != 0 {
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{}\" fill=\"{}\"/>",
            LETTER.1,
            COLOURS[usize::from(background)]
        );
    }
    let text: String = run.iter().map(|look| look.0).collect();
    let shown = text.trim_end();
    if !shown.trim().is_empty() {
        let _ = writeln!(
            out,
            "<text x=\"{x}\" y=\"{}\" textLength=\"{}\" fill=\"{}\">{}</text>",
            y + 13,
            shown.chars().count() * LETTER.0,
            COLOURS[usize::from(colour)],
            escaped(shown)
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// QEMU's names of the keys that type `text` on a US keyboard.
pub fn keys(text: &str) -> Result<Vec<String>> {
    text.chars().map(key).collect()
}

fn key(letter: char) -> Result<String> {
    const PLAIN: &str = "`1234567890-=[]\\;',./ \n\t\u{8}\u{1b}";
    const NAMES: [&str; 26] = [
        "grave_accent",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
        "9",
        "0",
        "minus",
        "equal",
        "bracket_left",
        "bracket_right",
        "backslash",
        "semicolon",
        "apostrophe",
        "comma",
        "dot",
        "slash",
        "spc",
        "ret",
        "tab",
        "backspace",
        "esc",
    ];
    const SHIFTED: &str = "~!@#$%^&*()_+{}|:\"<>?";
    let place = |keys: &str| keys.chars().position(|key| key == letter);
    Ok(match letter {
        'a'..='z' => letter.to_string(),
        'A'..='Z' => format!("shift-{}", letter.to_ascii_lowercase()),
        _ => match (place(PLAIN), place(SHIFTED)) {
            (Some(place), _) => NAMES[place].to_owned(),
            (None, Some(place)) => format!("shift-{}", NAMES[place]),
            (None, None) => bail!("no key types {letter:?}"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(text: &[u8], attribute: u8) -> Screen {
        let mut memory = [b' ', 7].repeat(COLUMNS * ROWS);
        for (cell, letter) in memory.chunks_mut(2).zip(text) {
            cell.copy_from_slice(&[*letter, attribute]);
        }
        Screen::of_memory(&memory).unwrap()
    }

    #[test]
    fn cells_are_read_as_text_and_colours() {
        let screen = screen(b"caf\x82 1", 0x4f);
        assert_eq!(screen.rows()[0], "café 1");
        assert_eq!(screen.attribute("1"), Some(0x4f));
        assert_eq!(screen.attribute("2"), None);
        assert!(Screen::of_memory(&[0; 7]).is_err());
    }

    #[test]
    fn the_picture_has_the_text_and_the_colours() {
        let svg = screen(b"a<b", 0x4f).svg("A & B");
        assert!(svg.contains(">a&lt;b</text>") && svg.contains("<title id=\"title\">A &amp; B<"));
        assert!(svg.contains("fill=\"#fff\"") && svg.contains("fill=\"#a00\""));
        assert_eq!(svg.matches("<text").count(), 1);
    }

    #[test]
    fn each_letter_has_a_key() {
        let typed = "aZ 1!\n~?|";
        let names = "a shift-z spc 1 shift-1 ret shift-grave_accent shift-slash shift-backslash";
        assert_eq!(keys(typed).unwrap().join(" "), names);
        for letter in ' '..='~' {
            key(letter).unwrap();
        }
        assert!(keys("ä").is_err());
    }
}

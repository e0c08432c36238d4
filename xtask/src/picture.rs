//! The pictures of the book: an SVG drawn from a few lines of text.
//!
//! ```text
//! title What the picture shows, for a reader who cannot see it
//! # Heading of a panel; panels stand below each other
//! ## Heading of a column of boxes; columns stand side by side
//! a box
//! * a box that has changed: its border is thick
//! a box <- what points at it
//! ...
//! > a line of text below the columns
//! ```
//!
//! Nothing is told by colour. The colours are a light or a dark page's, as the reader's system asks for.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};

/// Pixels of a letter, of a box and between things.
const LETTER: usize = 8;
const BOX: usize = 26;
const GAP: usize = 14;

const STYLE: &str = "text{font:13px monospace;fill:#1a1a1a;white-space:pre}\
.head{font-weight:bold}.note{font-style:italic}\
rect{fill:none;stroke:#555}.new{stroke-width:3}.page{fill:#fff;stroke:none}\
path{stroke:#555;fill:none}\
@media(prefers-color-scheme:dark){text{fill:#eee}rect,path{stroke:#bbb}.page{fill:#1c1c1c}}";

#[derive(Default)]
struct Panel {
    heading: String,
    columns: Vec<Column>,
    notes: Vec<String>,
}

#[derive(Default)]
struct Column {
    heading: String,
    rows: Vec<Row>,
}

struct Row {
    text: String,
    changed: bool,
    pointer: Option<String>,
}

impl Column {
    fn box_width(&self) -> usize {
        let widest = self.rows.iter().map(|row| letters(&row.text)).max();
        (widest.unwrap_or(0) * LETTER + GAP).max(120)
    }

    fn width(&self) -> usize {
        let pointers = self.rows.iter().filter_map(|row| row.pointer.as_deref());
        let pointer = pointers.map(letters).max().map_or(0, |it| it * LETTER + 34);
        (self.box_width() + pointer).max(letters(&self.heading) * LETTER) + 2 * GAP
    }

    fn height(&self) -> usize {
        BOX * (self.rows.len() + 1)
    }
}

/// Draws what `text` describes.
pub fn svg(text: &str) -> Result<String> {
    let (title, panels) = parse(text)?;
    let mut body = String::new();
    let (mut y, mut width) = (GAP, 0);
    for panel in &panels {
        width = width.max(draw(panel, &mut y, &mut body));
    }
    let height = y + GAP;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-labelledby=\"title\">\n<title id=\"title\">{}</title>\n\
         <style>{STYLE}</style>\n<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n",
        escaped(title)
    );
    out.push_str(&body);
    out.push_str("</svg>\n");
    Ok(out)
}

fn parse(text: &str) -> Result<(&str, Vec<Panel>)> {
    let mut title = None;
    let mut panels: Vec<Panel> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.is_empty() {
            continue;
        }
        if let Some(rest) = line.strip_prefix("title ") {
            title = Some(rest);
        } else if let Some(heading) = line.strip_prefix("# ") {
            panels.push(Panel {
                heading: heading.to_owned(),
                ..Panel::default()
            });
        } else {
            let panel = panels.last_mut();
            let panel = panel.with_context(|| format!("line {number} is in no panel"))?;
            if let Some(heading) = line.strip_prefix("## ") {
                panel.columns.push(Column {
                    heading: heading.to_owned(),
                    rows: Vec::new(),
                });
            } else if let Some(note) = line.strip_prefix("> ") {
                panel.notes.push(note.to_owned());
            } else {
                let column = panel.columns.last_mut();
                let column = column.with_context(|| format!("line {number} is in no column"))?;
                column.rows.push(row(line));
            }
        }
    }
    ensure!(!panels.is_empty(), "no panel");
    Ok((title.context("no title")?, panels))
}

fn row(line: &str) -> Row {
    let (line, pointer) = match line.split_once(" <- ") {
        Some((line, pointer)) => (line.trim_end(), Some(pointer.to_owned())),
        None => (line, None),
    };
    let (text, changed) = match line.strip_prefix("* ") {
        Some(text) => (text, true),
        None => (line, false),
    };
    Row {
        text: text.to_owned(),
        changed,
        pointer,
    }
}

/// Draws one panel from `y` on, which becomes its end; gives its right edge.
fn draw(panel: &Panel, y: &mut usize, out: &mut String) -> usize {
    write_text(out, "head", GAP, *y + 13, &panel.heading);
    let top = *y + BOX;
    let mut x = GAP;
    for column in &panel.columns {
        write_text(out, "", x, top + 13, &column.heading);
        for (row, number) in column.rows.iter().zip(1..) {
            draw_row(row, x, top + BOX * number, column.box_width(), out);
        }
        x += column.width();
    }
    let tallest = panel.columns.iter().map(Column::height).max();
    *y = top + tallest.unwrap_or(0) + GAP;
    let mut right = x.max(letters(&panel.heading) * LETTER + 2 * GAP);
    for note in &panel.notes {
        write_text(out, "note", GAP, *y + 8, note);
        right = right.max(letters(note) * LETTER + 2 * GAP);
        *y += 20;
    }
    *y += GAP;
    right
}

fn draw_row(row: &Row, x: usize, y: usize, width: usize, out: &mut String) {
    if row.text != "..." {
        let class = if row.changed { " class=\"new\"" } else { "" };
        let _ = writeln!(
            out,
            "<rect{class} x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX}\"/>"
        );
    }
    write_text(out, "", x + 7, y + 18, &row.text);
    if let Some(pointer) = &row.pointer {
        let (tip, middle) = (x + width + 4, y + BOX / 2);
        let _ = writeln!(
            out,
            "<path d=\"M{} {middle}H{tip}m6 -4l-6 4l6 4\"/>",
            tip + 22
        );
        write_text(out, "", tip + 26, y + 18, pointer);
    }
}

fn write_text(out: &mut String, class: &str, x: usize, y: usize, text: &str) {
    let class = match class {
        "" => String::new(),
        class => format!(" class=\"{class}\""),
    };
    let _ = writeln!(
        out,
        "<text{class} x=\"{x}\" y=\"{y}\">{}</text>",
        escaped(text)
    );
}

fn letters(text: &str) -> usize {
    text.chars().count()
}

/// Returns a text as it stands in XML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "title Two stacks\n# before\n## prev\n* a & b <- esp\n...\n## next\nc\n> so\n";

    #[test]
    fn each_word_of_the_text_is_in_the_picture() {
        let svg = svg(TEXT).unwrap();
        for part in [
            "<title id=\"title\">Two stacks</title>",
            "a &amp; b",
            ">esp<",
            "class=\"new\"",
            ">so<",
        ] {
            assert!(svg.contains(part), "{part} is not in {svg}");
        }
        assert_eq!(svg.matches("<rect").count(), 3, "the page and two boxes");
    }

    #[test]
    fn a_box_outside_of_a_column_is_an_error() {
        assert!(svg("title t\n# p\na box\n").is_err());
        assert!(svg("# p\n## c\na box\n").is_err());
    }
}

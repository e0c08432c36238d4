//! The README's pictures of screens: each is shown, and each is of a recorded run.

use std::fs;
use std::path::{Path, PathBuf};

use xtask::paths;
use xtask::screen::Screen;

use crate::book::is_blessed;
use crate::rules::Tree;

/// The folder of the pictures.
const FOLDER: &str = "docs/img";

/// A picture: its name, the record of a run, the first line that it shows and their number, and its
/// title.
const PICTURES: &[(&str, &str, &str, usize, &str)] = &[
    (
        "tour.svg",
        "tests/expected/tour.txt",
        " 2. What a sleeping task",
        17,
        "The screen during the tour: the stacks of two tasks, and thread.sp",
    ),
    (
        "switch-step.svg",
        "tests/expected/gdb/last.txt",
        "--- load_sp",
        15,
        "gdb's command switch-step: the stack pointer moves from prev's stack to next's",
    ),
];

/// Each picture is drawn from the record of its run, and stands in the README.
pub fn screenshots(tree: &Tree) -> Vec<String> {
    let text = |path: &Path| {
        let found = tree.texts.iter().find(|(it, _)| it == path);
        found.map_or("", |(_, text)| text.as_str())
    };
    let mut wrong = Vec::new();
    for (name, record, first, count, title) in PICTURES {
        let path = PathBuf::from(FOLDER).join(name);
        let lines = text(Path::new(record)).lines();
        let shown: Vec<&str> = lines
            .skip_while(|line| !line.starts_with(first))
            .take(*count)
            .collect();
        if shown.len() != *count {
            wrong.push(format!("{record}: no {count} lines from {first:?} on"));
            continue;
        }
        let svg = Screen::of_text(&shown).svg(title);
        if is_blessed() {
            if let Err(error) = fs::write(paths::root().join(&path), svg) {
                wrong.push(format!("{}: {error}", path.display()));
            }
        } else if text(&path) != svg {
            wrong.push(format!(
                "{}: not what {record} says: `just bless` draws it",
                path.display()
            ));
        }
        let link = format!("]({})", path.display());
        if !text(Path::new("README.md")).contains(&link) {
            wrong.push(format!("{}: the README does not show it", path.display()));
        }
    }
    wrong
}

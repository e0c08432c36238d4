//! Prose that a machine can tell to be bad English: a bare "who" or "what" for a person or a thing, a doc
//! comment that is one pronoun, two spellings of one thing.

use std::path::Path;

use crate::rules::Tree;

/// Phrases that no comment and no page has, in small letters. Words in backquotes and quotes do not count.
const REFUSED: &[&str] = &[
    "whom",
    "by who",
    "for who",
    "of who",
    "to who",
    "with who",
    "from who",
    "or who",
    "than who",
    "wakes who",
    "tells who",
    "lets who",
    "who comes",
    "who waits",
    "who sleeps",
    "what of",
    "nobody's",
    "somebody's",
    "everybody's",
    "none if",
    "that is none",
    "that are none",
    "so manyth",
    "is to be",
    "are to be",
    "as linux does it",
    "as linux has it",
    "volume 1",
    "volume 2",
    "volume 3",
];

/// Doc comments that say nothing without their neighbour.
const ALONE: &[&str] = &[
    "it", "its", "which", "that", "this", "they", "them", "those", "one", "who", "what", "why",
    "how", "so", "same", "the same", "none", "it is",
];

/// Comments of the sources and the pages, but not the book, which quotes questions.
pub fn plain(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in &tree.texts {
        let Some(read) = reader(path) else { continue };
        let is_page = path.extension().is_some_and(|it| it == "md");
        let mut begins = true;
        for (line, number) in text.lines().zip(1..) {
            let Some(prose) = read(line) else {
                begins = !is_page;
                continue;
            };
            if let Some(fault) = fault(prose, begins && !is_page) {
                violations.push(format!("{}:{number}: \"{fault}\"", path.display()));
            }
            begins = false;
        }
    }
    violations
}

/// The rule sees what it is about, and nothing else.
pub fn bad_english_is_seen(_: &Tree) -> Vec<String> {
    const BAD: &[&str] = &[
        "Wakes who waits for it.",
        " It.",
        "Whom the tick found.",
        "0: none if there is no",
    ];
    const GOOD: &[&str] = &[
        "Wakes the task that waits.",
        "It is the task's.",
        "Asks \"who waits\" of `to who`.",
        "`None` if there is no task.",
    ];
    let missed = BAD.iter().filter(|text| fault(text, true).is_none());
    let missed = missed.map(|text| format!("not refused: {text}"));
    let wrong = GOOD.iter().filter(|text| fault(text, true).is_some());
    missed
        .chain(wrong.map(|text| format!("refused: {text}")))
        .collect()
}

/// How the prose of a line is found in the file `path`; `None` if the file has no prose of ours.
fn reader(path: &Path) -> Option<fn(&str) -> Option<&str>> {
    let is_in = |folder: &str| path.components().any(|part| part.as_os_str() == folder);
    if is_in("expected")
        || (is_in("docs") && is_in("book"))
        || path.ends_with("tests/tree/english.rs")
    {
        return None;
    }
    match path.extension()?.to_str()? {
        "rs" | "S" | "ld" => Some(|line| {
            let line = line.trim_start();
            let rest = line.strip_prefix("//")?;
            Some(rest.trim_start_matches(['/', '!']))
        }),
        "md" => Some(|line| Some(line)),
        _ => None,
    }
}

/// The first phrase of `prose` that is refused; `begins` is whether it is the first line of a comment.
fn fault(prose: &str, begins: bool) -> Option<String> {
    let mut words = String::from(" ");
    let mut is_quoted = false;
    for letter in prose.chars() {
        if matches!(letter, '`' | '"') {
            is_quoted = !is_quoted;
        }
        match letter.is_alphanumeric() || letter == '\'' {
            _ if is_quoted => {}
            true => words.extend(letter.to_lowercase()),
            false if words.ends_with(' ') => {}
            false => words.push(' '),
        }
    }
    let words = format!("{} ", words.trim_end());
    if begins && prose.trim_end().ends_with('.') && ALONE.contains(&words.trim()) {
        return Some(words.trim().to_owned());
    }
    let refused = REFUSED
        .iter()
        .find(|phrase| words.contains(&format!(" {phrase} ")))?;
    Some((*refused).to_owned())
}

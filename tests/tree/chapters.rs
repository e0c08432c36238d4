//! The rules of a chapter of the book, and of the index of its steps.
//!
//! A chapter about the switch has all its parts, each recorded switch is in a chapter, and each row of the
//! index leads to files that speak of the same section.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use xtask::scene::SCENES;

use crate::book::{chapters, has_ending};
use crate::quotes::blocks;
use crate::rules::Tree;
use crate::words::tests_of;

/// The parts of a chapter, in order.
const PARTS: &[&str] = &[
    "The book and the versions",
    "Before and after",
    "The code",
    "In gdb",
    "On the timeline",
    "Break it",
    "Exercises",
];
/// Lines of a chapter, without what it quotes.
const LINES: std::ops::RangeInclusive<usize> = 60..=200;
/// Number of the last chapter that has one.
const LAST: usize = 17;

/// Kernels that each chapter compares.
const VERSIONS: &[&str] = &["2.6.11", "2.6.38", "5.4"];

/// The index of all steps.
const INDEX: &str = "docs/book.md";
/// The folder of which the index names every file.
const SWITCH: &str = "src/arch/x86/switch";

/// Returns the chapters about the switch: those with a number, and the one about its hooks.
fn about_the_switch(tree: &Tree) -> impl Iterator<Item = (&Path, &str)> {
    chapters(tree).filter(|(path, _)| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        number(path).is_some() || name == "hooks.md"
    })
}

/// Returns the number of a chapter, from the name of its file.
fn number(path: &Path) -> Option<usize> {
    path.file_name()?.to_str()?.split_once('-')?.0.parse().ok()
}

/// Each chapter of the switch has all its parts, and is neither a note nor a treatise.
pub fn parts(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut numbers = Vec::new();
    let mut broken: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (path, text) in about_the_switch(tree) {
        numbers.extend(number(path));
        let missing = missing(text);
        wrong.extend(missing.map(|what| format!("{}: {what}", path.display())));
        let (breaks, exercises) = (part(text, "Break it"), part(text, "Exercises"));
        let changes = [sources(breaks, "mutant "), sources(exercises, "mutant ")];
        for mutant in changes.concat() {
            if let Some(other) = broken.insert(mutant.to_owned(), path.to_owned()) {
                let (path, other) = (path.display(), other.display());
                wrong.push(format!("{path}: {other} has {mutant} too"));
            }
        }
    }
    if numbers != (1..=LAST).collect::<Vec<_>>() {
        wrong.push(format!("the chapters are {numbers:?}"));
    }
    wrong
}

/// The rule sees what is missing: whatever part of a chapter goes, it complains.
pub fn missing_parts_are_seen(tree: &Tree) -> Vec<String> {
    let chapter = chapters(tree).find(|(path, _)| number(path) == Some(5));
    let text = chapter.map_or("", |(_, text)| text);
    let mut wrong: Vec<String> = missing(text).collect();
    let cuts = [
        ("\n> ", "\n"),
        ("Chapter 3, \"", "Chapter three, \""),
        ("2.6.11", "2.4"),
        ("| 2.6.38", "| 2.6"),
        ("| 5.4", "| 6"),
        ("](img/", "](picture/"),
        ("<!-- from src/", "<!-- of src/"),
        ("\nswitch-step old\n", "\nswitch-step new\n"),
        ("from tests/expected/gdb/", "by gdb "),
        ("from tests/expected/trace.txt", "by hand"),
        ("<!-- mutant eflags_not_saved", "<!-- change"),
        ("just mutants eflags_not_saved", "just mutants"),
        ("red/eflags_not_saved", "red/bp_not_saved"),
        ("\n2. Between", "\nBetween"),
        ("<!-- mutant bp_not_saved", "<!-- change"),
        ("`just mutants bp_not_saved`", "that"),
        ("red/bp_not_saved", "red/eflags_not_saved"),
        ("<details>", "<p>"),
        ("## In gdb", "## In a debugger"),
    ];
    for (find, replace) in cuts {
        let cut = text.replace(find, replace);
        if cut == text {
            wrong.push(format!("chapter 5 has no {find:?}"));
        } else if missing(&cut).next().is_none() {
            wrong.push(format!("nobody misses {find:?}"));
        }
    }
    wrong
}

/// Returns what a chapter lacks.
fn missing(text: &str) -> impl Iterator<Item = String> {
    let mut wrong = Vec::new();
    let mut demand = |is_there: bool, what: &str| {
        if !is_there {
            wrong.push(what.to_owned());
        }
    };
    let headings: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    demand(
        headings == PARTS,
        &format!("its parts are {headings:?}, not {PARTS:?}"),
    );
    let quoted: usize = blocks(text).iter().map(|it| it.text.lines().count()).sum();
    let lines = text.lines().count();
    demand(
        LINES.contains(&(lines - quoted)) && lines <= *LINES.end(),
        &format!("{lines} lines, {quoted} of them quoted"),
    );
    let question = text.split("\n## ").next().unwrap_or_default();
    demand(
        question.contains("\n> ") && question.contains('?'),
        "no question",
    );

    let versions = part(text, "The book and the versions");
    let names_a_section = ["Chapter ", "chapter ", "Appendix A"].iter().any(|word| {
        versions.split(word).skip(1).any(|rest| {
            let rest = rest.trim_start_matches(|it: char| it.is_ascii_digit());
            rest.starts_with(", ") && rest.contains('"')
        })
    });
    demand(names_a_section, "no section of the book");
    for version in VERSIONS {
        demand(
            versions.contains(version),
            &format!("nothing about {version}"),
        );
    }
    demand(
        part(text, "Before and after").contains("](img/"),
        "no picture",
    );
    demand(
        !sources(part(text, "The code"), "from src/").is_empty(),
        "none of our lines",
    );

    let gdb = part(text, "In gdb");
    let sessions = sources(gdb, "from tests/expected/gdb/");
    demand(!sessions.is_empty(), "no output of gdb");
    for session in sessions {
        let kind = session.split(".txt").next().unwrap_or_default();
        let typed = blocks(gdb).iter().any(|block| {
            let mut lines = block.text.lines();
            block.language == "gdb" && lines.any(|line| line == format!("switch-step {kind}"))
        });
        demand(
            typed,
            &format!("nobody types what gives {kind:?} its output"),
        );
    }
    let timeline = sources(
        part(text, "On the timeline"),
        "from tests/expected/trace.txt",
    );
    demand(!timeline.is_empty(), "no lines of a trace");

    let change = part(text, "Break it");
    let mutants = sources(change, "mutant ");
    demand(mutants.len() == 1, "not one change that breaks it");
    for mutant in mutants {
        let typed = blocks(change).iter().any(|block| {
            block.language == "sh" && block.text == format!("just mutants {mutant}\n")
        });
        demand(typed, "nobody types what breaks it");
        let red = sources(change, "from tests/expected/red/");
        demand(
            red == [format!("{mutant}.txt: all")],
            &format!("{red:?} is not what {mutant} says"),
        );
    }

    let exercises = part(text, "Exercises");
    let count = (1..)
        .take_while(|number| exercises.contains(&format!("\n{number}. ")))
        .count();
    let answers = exercises.matches("<details>").count();
    demand(
        count >= 2 && answers == count,
        &format!("{count} exercises with {answers} answers"),
    );
    let changes = sources(exercises, "mutant ");
    demand(!changes.is_empty(), "no exercise is a change of code");
    for mutant in changes {
        demand(
            exercises.contains(&format!("just mutants {mutant}`")),
            &format!("no test judges {mutant}"),
        );
        // The compiler refuses these before there is a test.
        let is_refused = mutant.starts_with("misuse_");
        demand(
            is_refused || exercises.contains(&format!("from tests/expected/red/{mutant}.txt: all")),
            &format!("no word of what {mutant} says"),
        );
    }
    wrong.into_iter()
}

/// Returns the part of a chapter below a heading.
fn part<'a>(text: &'a str, heading: &str) -> &'a str {
    let start = format!("\n## {heading}\n");
    let rest = text.split_once(&start).map_or("", |(_, rest)| rest);
    rest.split("\n## ").next().unwrap_or_default()
}

/// Returns the sources of the blocks of a text that begin so, without this beginning.
fn sources<'a>(text: &'a str, begin: &str) -> Vec<&'a str> {
    let blocks = blocks(text);
    blocks
        .iter()
        .filter_map(|block| block.source?.strip_prefix(begin))
        .collect()
}

/// Each recorded switch can be stepped through in one chapter, and each stepper has its recording.
pub fn scenes(tree: &Tree) -> Vec<String> {
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, text) in chapters(tree) {
        for rest in text.split("<switch-stepper scene=\"").skip(1) {
            *shown
                .entry(rest.split('"').next().unwrap_or_default())
                .or_default() += 1;
        }
    }
    let folder = Path::new("docs/book/scenes");
    let mut recorded: Vec<String> = SCENES.iter().map(|it| (*it).to_owned()).collect();
    for (path, _) in tree
        .texts
        .iter()
        .filter(|(path, _)| path.starts_with(folder))
    {
        recorded.push(
            path.file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        );
    }
    recorded.sort();
    let mut wrong = Vec::new();
    for pair in recorded.chunk_by(|one, other| one == other) {
        let (scene, times) = (&pair[0], shown.remove(pair[0].as_str()).unwrap_or(0));
        if pair.len() != 2 {
            wrong.push(format!(
                "{scene} is not both in SCENES and in {}",
                folder.display()
            ));
        }
        if times != 1 {
            wrong.push(format!("{scene}: shown {times} times by the chapters"));
        }
    }
    wrong.extend(shown.keys().map(|scene| format!("{scene}: never recorded")));
    wrong
}

/// Each question of the list stands in bold letters in the chapter that its row links to, and has a command
/// that shows the answer.
pub fn questions(tree: &Tree) -> Vec<String> {
    let folder = Path::new("docs/book");
    let text = |path: &Path| {
        let found = tree.texts.iter().find(|(it, _)| it == path);
        found.map_or("", |(_, text)| text.as_str())
    };
    let mut wrong = Vec::new();
    let rows = text(&folder.join("questions.md")).lines();
    let rows: Vec<&str> = rows.filter(|line| line.contains("](")).collect();
    if rows.len() < 14 {
        wrong.push(format!("the list has {} questions", rows.len()));
    }
    for row in rows {
        let mut cells = row.trim_matches('|').split(" | ");
        let (asked, link) = (cells.next().unwrap_or(""), cells.next().unwrap_or(""));
        let file = link.split("](").nth(1).unwrap_or("");
        let file = file.split('#').next().unwrap_or("");
        // A bold text may hold several questions, and may go on in the next line.
        let chapter = text(&folder.join(file)).replace('\n', " ");
        let bold: Vec<&str> = chapter.split("**").skip(1).step_by(2).collect();
        for question in asked.split_inclusive("? ").map(str::trim) {
            if !bold.iter().any(|it| it.contains(question)) {
                wrong.push(format!("{file} does not answer {question:?}"));
            }
        }
        let is_command = |it: &str| it.starts_with("just ") || it.starts_with("switch-step ");
        if !quoted(cells.next().unwrap_or("")).any(is_command) {
            wrong.push(format!("nothing to try for {asked:?}"));
        }
    }
    wrong
}

/// A row of the index: its line, its cells, and the files and folders that it names.
struct Row<'a> {
    line: usize,
    cells: Vec<&'a str>,
    places: Vec<&'a str>,
}

/// Returns the rows of the index. "The same" are the files of the row above.
fn rows(text: &str) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let Some(inner) = line.strip_prefix("| ") else {
            continue;
        };
        let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
        if cells[0] == "the book" || cells.len() != 5 {
            continue;
        }
        let mut places: Vec<&str> = quoted(cells[1]).collect();
        if cells[1].starts_with("the same") {
            places.extend(rows.last().into_iter().flat_map(|above| &above.places));
        }
        rows.push(Row {
            line: number,
            cells,
            places,
        });
    }
    rows
}

fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Each row of the index leads to what it says: its files are of that chapter, by their own word, and have
/// what the row names; its tests exist; and no file of the switch is left out.
pub fn index(tree: &Tree) -> Vec<String> {
    let found = tree.texts.iter().find(|(path, _)| path == Path::new(INDEX));
    let index = found.map_or("", |(_, text)| text.as_str());
    let rows = rows(index);
    let tests = tests_of(tree);
    let mut wrong = Vec::new();
    if rows.len() < 40 {
        wrong.push(format!("{INDEX}: {} rows", rows.len()));
    }
    for row in &rows {
        let mut complain = |what: String| wrong.push(format!("{INDEX}:{}: {what}", row.line));
        let texts: Vec<&str> = tree
            .texts
            .iter()
            .filter(|(path, _)| row.places.iter().any(|place| path.starts_with(place)))
            .map(|(_, text)| text.as_str())
            .collect();
        for place in &row.places {
            if !tree.texts.iter().any(|(path, _)| path.starts_with(place)) {
                complain(format!("{place} does not exist"));
            }
        }
        let has = |name: &str| texts.iter().any(|text| words(text).any(|it| it == name));
        for chapter in chapters_of(row.cells[0]) {
            if !texts.iter().any(|text| is_of(text, &chapter)) {
                complain(format!("no file there says that it is of {chapter}"));
            }
        }
        // A name is a path in a program's eyes, or words of which each stands in the files.
        for name in quoted(row.cells[0]).filter(|name| !name.starts_with('/')) {
            for word in words(name).filter(|word| !has(word)) {
                complain(format!("{word} is not in {:?}", row.places));
            }
        }
        for stop in quoted(row.cells[3]).filter(|stop| !has(stop)) {
            complain(format!("gdb finds no {stop} in {:?}", row.places));
        }
        for test in quoted(row.cells[2]).filter(|test| !test.contains('/')) {
            if !tests.contains(test) {
                complain(format!("no test {test}"));
            }
        }
    }
    let named: HashSet<&str> = rows.iter().flat_map(|row| row.places.clone()).collect();
    for (path, _) in &tree.texts {
        let shown = path.to_string_lossy();
        let is_left_out = path.starts_with(SWITCH) && !path.ends_with("mod.rs");
        if is_left_out && has_ending(path, "rs") && !named.contains(&*shown) {
            wrong.push(format!("{INDEX}: no row has {shown}"));
        }
    }
    wrong
}

/// Returns the chapters that a row begins with or names, as files do.
fn chapters_of(cell: &str) -> Vec<String> {
    let mut found: Vec<String> = cell
        .split("ch. ")
        .skip(1)
        .map(|rest| {
            let end = rest.find(|it: char| !it.is_ascii_digit());
            format!("ch. {}", &rest[..end.unwrap_or(rest.len())])
        })
        .collect();
    if cell.contains("app. A") {
        found.push("appendix A".to_owned());
    }
    found
}

/// Returns whether a file says at its head that it is of a chapter.
fn is_of(text: &str, chapter: &str) -> bool {
    let head = text.lines().take_while(|line| !line.starts_with("use "));
    let mut of_book = head
        .skip_while(|line| !line.contains("Book: "))
        .take_while(|line| !line.contains("fn "));
    of_book.any(|line| {
        line.split(chapter)
            .skip(1)
            .any(|rest| !rest.starts_with(|it: char| it.is_ascii_digit()))
    })
}

/// Returns the names in a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_')
        .filter(|word| !word.is_empty())
}

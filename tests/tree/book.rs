//! The rules of the book, `docs/book`: what its chapters quote is so, and what they name is there. `BLESS=1` writes the quoted lines and the pictures anew.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::Context;
use xtask::paths;
use xtask::picture;
use xtask::trace::stream::Trace;
use xtask::trace::{enlarged_switch, timeline};

use crate::quotes::{Block, blocks, quoted};
use crate::rules::Tree;

/// A picture of a run, and the records that it is drawn from.
const TIMELINE: &str = "docs/book/img/timeline.svg";
const RUN: &str = "tests/expected/timeline.txt";
/// Languages of blocks that a reader types: their words are checked instead.
const TYPED: &[&str] = &["sh", "gdb"];

pub fn is_blessed() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// The chapters: path and text.
pub fn chapters(tree: &Tree) -> impl Iterator<Item = (&Path, &str)> {
    let documents = tree.texts.iter();
    documents
        .filter(|(path, _)| path.starts_with("docs/book") && has_ending(path, "md"))
        .map(|(path, text)| (path.as_path(), text.as_str()))
}

pub fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|it| it == ending)
}

/// Each quoted block is what its source says now.
pub fn quotes(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in chapters(tree) {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut changed = false;
        // From the end, so that a block that grows moves none that is still to come.
        for block in blocks(text).iter().rev() {
            match held(tree, block) {
                Ok(now) if now == block.text => {}
                Ok(now) if is_blessed() => {
                    let end = block.line + block.text.lines().count();
                    lines.splice(block.line..end, now.lines().map(str::to_owned));
                    changed = true;
                }
                Ok(_) => wrong.push(format!(
                    "{}:{}: differs from {:?}: `just book bless` takes it over",
                    path.display(),
                    block.line,
                    block.source.unwrap_or_default()
                )),
                Err(error) => wrong.push(format!("{}:{}: {error}", path.display(), block.line)),
            }
        }
        if changed && let Err(error) = fs::write(paths::root().join(path), lines.join("\n") + "\n")
        {
            wrong.push(format!("{}: {error}", path.display()));
        }
    }
    wrong
}

/// What a block must hold.
fn held(tree: &Tree, block: &Block) -> Result<String, String> {
    match block.source {
        Some(source) => quoted(tree, source).map_err(|error| format!("{error:#}")),
        None if TYPED.contains(&block.language) => Ok(block.text.clone()),
        None => Err("no comment says where this block is from".to_owned()),
    }
}

/// What a reader is to type exists: verbs of the justfile, commands of ours in gdb.
pub fn typed(tree: &Tree) -> Vec<String> {
    let text = |wanted: &str| {
        let found = tree
            .texts
            .iter()
            .find(|(path, _)| path == Path::new(wanted));
        found.map_or("", |(_, text)| text.as_str())
    };
    let (justfile, commands) = (
        text("justfile"),
        text("gdb/switch.py").to_owned() + text("gdb/lx.py"),
    );
    let mut wrong = Vec::new();
    for (path, text) in chapters(tree) {
        for block in blocks(text)
            .iter()
            .filter(|it| TYPED.contains(&it.language))
        {
            for line in block.text.lines() {
                let mut words = line.split_whitespace().skip_while(|it| it.contains('='));
                let exists = match (words.next().unwrap_or_default(), words.next()) {
                    ("just", Some(verb)) => justfile
                        .lines()
                        .any(|line| line.split([' ', ':']).next() == Some(verb)),
                    (word, _) if word.starts_with("switch-") || word.starts_with("lx-") => {
                        commands.contains(&format!("\"{word}\""))
                    }
                    (word, _) => block.language == "gdb" && !word.is_empty(),
                };
                if !exists {
                    wrong.push(format!(
                        "{}:{}: nobody can type {line:?}",
                        path.display(),
                        block.line
                    ));
                }
            }
        }
    }
    wrong
}

/// Names in backquotes with an underscore are names in the sources, but for Linux's that a comment
/// `<!-- only in Linux: a, b -->` lists.
pub fn names(tree: &Tree) -> Vec<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let is_source = |path: &Path| {
        ["rs", "S", "py", "ld"]
            .iter()
            .any(|it| has_ending(path, it))
            && !path.starts_with("tests/tree")
    };
    let sources = tree.texts.iter().filter(|(path, _)| is_source(path));
    let mut known: HashSet<&str> = sources
        .clone()
        .flat_map(|(_, text)| text.split(|it| !is_part(it)))
        .collect();
    known.extend(sources.filter_map(|(path, _)| path.file_stem()?.to_str()));
    let mut wrong = Vec::new();
    for (path, text) in chapters(tree) {
        let listed: HashSet<&str> = text
            .lines()
            .filter_map(|line| {
                line.strip_prefix("<!-- only in Linux: ")?
                    .strip_suffix(" -->")
            })
            .flat_map(|names| names.split(", "))
            .collect();
        let mut in_block = false;
        for (line, number) in text.lines().zip(1..) {
            in_block ^= line.starts_with("```");
            if in_block || line.starts_with("<!--") {
                continue;
            }
            for name in line
                .split('`')
                .skip(1)
                .step_by(2)
                .flat_map(|it| it.split(|it| !is_part(it)))
            {
                if name.contains('_') && !known.contains(name) && !listed.contains(name) {
                    wrong.push(format!(
                        "{}:{number}: nothing is called {name}",
                        path.display()
                    ));
                }
            }
        }
        for name in listed.iter().filter(|name| known.contains(*name)) {
            wrong.push(format!("{}: {name} is not only in Linux", path.display()));
        }
    }
    wrong
}

/// The book's picture of a run is what `just timeline` draws of the records that are kept, which a test
/// compares with those of the kernel.
pub fn timeline(tree: &Tree) -> Vec<String> {
    let kept = tree.texts.iter().find(|(path, _)| path == Path::new(RUN));
    let drawing = kept
        .with_context(|| RUN.to_owned())
        .and_then(|(_, text)| Trace::of_text(text))
        .and_then(|trace| timeline::svg(&trace, &enlarged_switch()?));
    let drawing = match drawing {
        Ok(drawing) => drawing,
        Err(error) => return vec![format!("{RUN}: {error:#}")],
    };
    let mut wrong = Vec::new();
    if is_blessed() {
        if let Err(error) = fs::write(paths::root().join(TIMELINE), drawing) {
            wrong.push(format!("{TIMELINE}: {error}"));
        }
    } else if !tree
        .texts
        .iter()
        .any(|(path, text)| path == Path::new(TIMELINE) && *text == drawing)
    {
        wrong.push(format!(
            "{TIMELINE}: not what {RUN} tells: `just book bless` draws it"
        ));
    }
    if !chapters(tree).any(|(_, text)| text.contains("](img/timeline.svg)")) {
        wrong.push(format!("{TIMELINE}: no chapter shows it"));
    }
    wrong
}

/// Each picture is drawn from the text beside it, and a chapter shows it.
pub fn pictures(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    let folder = Path::new("docs/book/img");
    for (path, text) in tree
        .texts
        .iter()
        .filter(|(path, _)| path.starts_with(folder))
    {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if has_ending(path, "svg") {
            if path == Path::new(TIMELINE) {
                continue;
            }
            if !tree
                .texts
                .iter()
                .any(|(it, _)| *it == path.with_extension("txt"))
            {
                wrong.push(format!("{}: no text beside it", path.display()));
            }
            continue;
        }
        let drawing = path.with_extension("svg");
        let svg = match picture::svg(text) {
            Ok(svg) => svg,
            Err(error) => {
                wrong.push(format!("{}: {error:#}", path.display()));
                continue;
            }
        };
        let kept = tree.texts.iter().find(|(it, _)| *it == drawing);
        if is_blessed() {
            if let Err(error) = fs::write(paths::root().join(&drawing), svg) {
                wrong.push(format!("{}: {error}", drawing.display()));
            }
        } else if kept.is_none_or(|(_, kept)| *kept != svg) {
            wrong.push(format!(
                "{}: not what its text says: `just book bless` draws it",
                drawing.display()
            ));
        }
        if !chapters(tree).any(|(_, text)| text.contains(&format!("](img/{name}.svg)"))) {
            wrong.push(format!("{}: no chapter shows it", path.display()));
        }
    }
    wrong
}

/// Every document is in the table of contents, once, and every kept report in a chapter.
pub fn contents(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    let found = tree
        .texts
        .iter()
        .find(|(path, _)| path == Path::new("docs/SUMMARY.md"));
    let summary = found.map_or("", |(_, text)| text.as_str());
    for (path, _) in &tree.texts {
        let Ok(below) = path.strip_prefix("docs") else {
            continue;
        };
        let listed = summary.matches(&format!("]({})", below.display())).count();
        if has_ending(path, "md") && !below.ends_with("SUMMARY.md") && listed != 1 {
            wrong.push(format!(
                "{}: docs/SUMMARY.md has it {listed} times",
                path.display()
            ));
        }
    }
    for (path, _) in tree
        .texts
        .iter()
        .filter(|(path, _)| path.starts_with("tests/expected/red"))
    {
        if !chapters(tree).any(|(_, text)| text.contains(&format!("from {}: ", path.display()))) {
            wrong.push(format!("{}: no chapter quotes it", path.display()));
        }
    }
    wrong
}

/// A link leads to a file of the tree, and its `#part` to a heading there.
pub fn links(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in tree.texts.iter().filter(|(path, _)| has_ending(path, "md")) {
        let folder = path.parent().unwrap_or(Path::new(""));
        for (line, number) in text.lines().zip(1..) {
            let targets = line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split(')').next());
            for target in targets.filter(|it| !it.contains("://")) {
                let (name, part) = target.split_once('#').unwrap_or((target, ""));
                let file = match name {
                    "" => paths::root().join(path),
                    name => paths::root().join(folder).join(name),
                };
                let leads = match (file.exists(), part) {
                    (exists, "") => exists,
                    (false, _) => false,
                    (true, part) => fs::read_to_string(&file).is_ok_and(|text| {
                        text.lines()
                            .any(|line| line.starts_with('#') && slug(line) == part)
                    }),
                };
                if !leads {
                    wrong.push(format!(
                        "{}:{number}: {target} leads nowhere",
                        path.display()
                    ));
                }
            }
        }
    }
    wrong
}

/// The name of a heading in a link, as Git hosts and mdBook make it.
fn slug(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words
        .chars()
        .filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
    kept.map(|it| if it == ' ' { '-' } else { it }).collect()
}

//! Words that the tree may not have, and names that must lead somewhere.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use xtask::golden::without_numbers;
use xtask::paths;

use crate::rules::Tree;

/// Words that say that work is unfinished.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
];

/// Names of places and things outside the project.
const FORBIDDEN: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/tmp/br", "ief"),
    concat!("static.cra", "tes.io"),
    concat!("index.cra", "tes.io"),
    concat!("registry.np", "mjs.org"),
    concat!("files.python", "hosted.org"),
    concat!("py", "pi.org"),
    concat!("Anth", "ropic"),
    concat!("Cla", "ude"),
    concat!("Chat", "GPT"),
    concat!("Co", "pilot"),
    concat!("language mo", "del"),
    concat!("STY", "LE.md"),
    concat!("DES", "IGN.md"),
    concat!("REFER", "ENCE.md"),
];

/// Endings by which a word in backquotes counts as a file of ours.
const ENDINGS: &[&str] = &[
    "rs", "S", "ld", "json", "py", "gdb", "toml", "cfg", "md", "txt", "sh",
];

/// No file says that work is unfinished.
pub fn unfinished(tree: &Tree) -> Vec<String> {
    // KTAP has a directive of that name.
    find(tree, UNFINISHED, |path| {
        !path.ends_with("xtask/src/ktap_tests.rs")
    })
}

/// The project speaks only of itself.
pub fn forbidden(tree: &Tree) -> Vec<String> {
    find(tree, FORBIDDEN, |_| true)
}

fn find(tree: &Tree, words: &[&str], wanted: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in tree.texts.iter().filter(|(path, _)| wanted(path)) {
        for (line, number) in text.lines().zip(1..) {
            for word in words.iter().filter(|word| line.contains(**word)) {
                found.push(format!("{}:{number}: {word}", path.display()));
            }
        }
    }
    found
}

/// A lint is switched off only with a reason.
pub fn allows(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for source in tree.kernel.iter().chain(&tree.others) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (line, index) in lines.iter().zip(0..) {
            let line = line.trim_start();
            let allows = ["#[allow(", "#![allow(", "#[expect(", "#![expect("];
            if !allows.iter().any(|allow| line.starts_with(allow)) {
                continue;
            }
            let attribute = lines[index..]
                .iter()
                .take_while(|line| !line.trim().is_empty())
                .take(6);
            let text = attribute.copied().collect::<Vec<_>>().join(" ");
            let text = text.split(")]").next().unwrap_or_default();
            if text.contains("dead_code") {
                found.push(format!(
                    "{}:{}: dead code",
                    source.path.display(),
                    index + 1
                ));
            } else if !text.contains("reason = ") {
                found.push(format!(
                    "{}:{}: no reason",
                    source.path.display(),
                    index + 1
                ));
            }
        }
    }
    found
}

/// Returns the words in backquotes, and the targets of links, in the documents.
fn names(tree: &Tree) -> impl Iterator<Item = (&Path, usize, &str)> {
    let documents = tree
        .texts
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "md"));
    documents.flat_map(|(path, text)| {
        text.lines().zip(1..).flat_map(move |(line, number)| {
            let quoted = line.split('`').skip(1).step_by(2);
            let linked = line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split([')', '#']).next())
                .filter(|target| !target.is_empty() && !target.contains("://"));
            quoted
                .chain(linked)
                .map(move |name| (path.as_path(), number, name))
        })
    })
}

/// Every file that a document names exists.
pub fn files_exist(tree: &Tree) -> Vec<String> {
    let mut missing = Vec::new();
    for (document, number, name) in names(tree) {
        // `src/a.rs:12` and `src/a.rs::f` name a place in a file.
        let name = name.split(':').next().unwrap_or_default();
        let ending = Path::new(name)
            .extension()
            .unwrap_or_default()
            .to_string_lossy();
        let ours = name.contains('/')
            && ENDINGS.contains(&&*ending)
            && !name.contains([' ', '*', '<', '{', '$', '~'])
            && !name.starts_with("target/")
            // Absolute paths belong to the guest or the host, and Linux's files are not ours.
            && !name.starts_with('/')
            && !["arch/x86/include/", "arch/x86/kernel/", "kernel/", "include/", "scripts/"].iter().any(|linux| name.starts_with(linux));
        if !ours {
            continue;
        }
        let beside: PathBuf = document.parent().unwrap_or(Path::new("")).join(name);
        let root = paths::root();
        if ![
            &root.join(name),
            &root.join("src").join(name),
            &root.join(&beside),
        ]
        .iter()
        .any(|file| file.exists())
        {
            missing.push(format!(
                "{}:{number}: {name} does not exist",
                document.display()
            ));
        }
    }
    missing
}

/// Every verb that a document names is in the justfile.
pub fn verbs_exist(tree: &Tree) -> Vec<String> {
    let Some((_, justfile)) = tree
        .texts
        .iter()
        .find(|(path, _)| path == Path::new("justfile"))
    else {
        return vec!["there is no justfile".to_owned()];
    };
    let verbs: Vec<&str> = justfile
        .lines()
        .filter(|line| {
            line.starts_with(|letter: char| letter.is_ascii_lowercase()) && !line.contains(":=")
        })
        .filter_map(|line| line.split([' ', ':']).next())
        .collect();
    let mut missing = Vec::new();
    for (document, number, name) in names(tree) {
        let mut words = name.split_whitespace();
        let (Some("just" | "./bootstrap"), Some(verb)) = (words.next(), words.next()) else {
            continue;
        };
        if verb.starts_with(|letter: char| letter.is_ascii_lowercase()) && !verbs.contains(&verb) {
            missing.push(format!(
                "{}:{number}: there is no verb {verb}",
                document.display()
            ));
        }
    }
    missing
}

/// Every test and mutant named in the tables of `docs/scenarios.md` exists.
pub fn tests_exist(tree: &Tree) -> Vec<String> {
    let document = Path::new("docs/scenarios.md");
    let found = tree.texts.iter().find(|(path, _)| path == document);
    // The first column says what holds, the others name the tests that show it.
    let cells: Vec<(usize, &str)> = found
        .map_or("", |(_, text)| text.as_str())
        .lines()
        .zip(1..)
        .filter_map(|(line, number)| Some((number, line.strip_prefix("| ")?.split_once('|')?.1)))
        .collect();
    if cells.is_empty() {
        return vec![format!("{} has no table", document.display())];
    }
    let known = tests_of(tree);
    let exists = |name: &str| known.contains(name);
    cells
        .into_iter()
        .flat_map(|(number, cell)| {
            let quoted = cell.split('`').skip(1).step_by(2);
            quoted.map(move |name| (number, name))
        })
        .filter(|(_, name)| is_test(name) && !exists(name))
        .map(|(number, name)| format!("{}:{number}: no test {name}", document.display()))
        .collect()
}

/// Returns all names that a test may have: of a function, of a program, or a text in a source.
pub fn tests_of(tree: &Tree) -> HashSet<&str> {
    let sources = tree.texts.iter();
    let sources = sources.filter(|(path, _)| path.extension().is_some_and(|it| it == "rs"));
    let programs = sources
        .clone()
        .filter(|(path, _)| path.starts_with("user/src/bin"))
        .filter_map(|(path, _)| path.file_stem()?.to_str());
    let names = sources.clone();
    names
        .flat_map(|(_, text)| literals_and_functions(text))
        .chain(programs)
        .collect()
}

/// Returns the text between each two quotes in a source, and the names of its functions.
fn literals_and_functions(text: &str) -> impl Iterator<Item = &str> {
    let functions = text.split("fn ").skip(1);
    let names = functions.filter_map(|rest| Some(rest.split_once('(')?.0));
    text.split('"').chain(names)
}

/// Returns whether a word in backquotes can name a test: not a path, and several words in one.
fn is_test(name: &str) -> bool {
    name.contains('_') && !name.contains(['/', '.', ' ', '('])
}

/// The README shows only lines that the tour's golden file has. `BLESS=1` takes their numbers anew.
pub fn tour_is_shown(tree: &Tree) -> Vec<String> {
    let text = |name: &str| {
        let found = tree.texts.iter().find(|(path, _)| path == Path::new(name));
        found.map_or("", |(_, text)| text.as_str())
    };
    let printed = text("tests/expected/tour.txt");
    let readme = text("README.md");
    let excerpt = readme
        .split("## What the tour shows")
        .nth(1)
        .and_then(|rest| rest.split("```").nth(1));
    let Some(excerpt) = excerpt else {
        return vec!["README.md shows nothing of the tour".to_owned()];
    };
    let (mut now, mut wrong) = (String::new(), Vec::new());
    for line in excerpt.lines().skip(1) {
        let same = |other: &&str| without_numbers(other) == without_numbers(line);
        let is_shown = line == "..." || printed.lines().any(|other| other == line);
        let other = printed.lines().find(same);
        if !is_shown {
            wrong.push(format!(
                "README.md: the tour does not print {line:?}: BLESS=1"
            ));
        }
        let kept = if is_shown {
            line
        } else {
            other.unwrap_or(line)
        };
        now += &format!("\n{kept}");
    }
    if !wrong.is_empty() && std::env::var_os("BLESS").is_some() {
        let new = readme.replace(excerpt, &format!("text{now}\n"));
        return match std::fs::write(paths::root().join("README.md"), new) {
            Ok(()) => Vec::new(),
            Err(error) => vec![format!("README.md: {error}")],
        };
    }
    wrong
}

//! `just lab`: exercises on the kernel, in a working copy, that check themselves.
//!
//! A lab in which a step is missing begins with a mutant of `tests/mutants`; the working copy is under
//! `target/labs`, and our own tree is never touched. `docs/teaching.md` makes a course of them.

mod build; // something is to add
pub mod check; // what is green
pub mod lab; // what a lab is
mod mend; // something is missing

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::copy::agree;
use crate::toolchain::{cargo, find};
use crate::{paths, words};
use lab::{Lab, Level};

/// What can be done with a lab.
const VERBS: &[&str] = &["start", "check", "hint", "solution", "test"];
/// Columns of a line of text.
const WIDTH: usize = 100;

/// Returns every lab, from easy to hard.
pub fn labs() -> Vec<&'static Lab> {
    let mut labs: Vec<&Lab> = mend::MEND.iter().chain(build::BUILD).collect();
    labs.sort_by_key(|lab| lab.level);
    labs
}

/// Returns the lab with this name.
///
/// # Errors
/// No lab has it; the message names the one that is most like it.
pub fn named(name: &str) -> Result<&'static Lab> {
    let labs = labs();
    let names: Vec<&str> = labs.iter().map(|lab| lab.name).collect();
    words::one_of("lab", name, &names)?;
    labs.into_iter()
        .find(|lab| lab.name == name)
        .context("a name of the list")
}

/// Does what `just lab [VERB NAME]` says.
pub fn act(arguments: &[String]) -> Result<ExitCode> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((verb, rest)) = words.split_first() else {
        print!("{}", list());
        return Ok(ExitCode::SUCCESS);
    };
    words::one_of("verb of just lab", verb, VERBS)?;
    match (*verb, rest) {
        ("test", names) => return test(names),
        ("start", [name]) => start(named(name)?, &working_copy(name))?,
        ("start", [name, "again"]) => {
            let (lab, tree) = (named(name)?, working_copy(name));
            if tree.exists() {
                fs::remove_dir_all(&tree)?;
            }
            start(lab, &tree)?;
        }
        ("check", [name]) => return check_and_say(named(name)?),
        ("hint", [name]) => println!("{}", hint(named(name)?)?),
        ("solution", [name]) => print!("{}", named(name)?.solution()?),
        (_, []) => bail!("just lab {verb} NAME: which lab? `just lab` lists them"),
        _ => bail!(
            "just lab [start NAME [again] | check NAME | hint NAME | solution NAME | test [NAME]]"
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the working copy of a lab lies.
fn working_copy(name: &str) -> PathBuf {
    paths::target().join("labs").join(name)
}

/// Where the number of hints that were given is kept: beside the working copy.
fn hints_file(name: &str) -> PathBuf {
    paths::target().join("labs").join(format!("{name}.hints"))
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Easy => "easy",
        Level::Medium => "medium",
        Level::Hard => "hard",
    }
}

/// The list of the labs, and how to begin.
fn list() -> String {
    let mut text = String::new();
    for lab in labs() {
        let begun = match working_copy(lab.name).exists() {
            true => "begun",
            false => "",
        };
        text += &format!(
            "{:14} {:7} {:38} {:22} {begun}",
            lab.name,
            level_name(lab.level),
            lab.title,
            lab.chapter,
        );
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text + "\nThe fourth column is the chapter, in docs/book. `just lab start NAME` begins one.\n"
}

/// Makes the working copy at `tree`, and says what to do there.
fn start(lab: &Lab, tree: &Path) -> Result<()> {
    ensure!(
        !tree.exists(),
        "{} is there already: `just lab start {} again` throws it away and begins anew",
        tree.display(),
        lab.name
    );
    make(lab, tree)?;
    let _ = fs::remove_file(hints_file(lab.name));
    println!(
        "{}: {} ({}; docs/book/{}.md)\n\n{}\n\nYour working copy is {}\n\
         `just lab check {name}` checks it, `just lab hint {name}` helps, `just lab solution {name}` shows ours.",
        lab.name,
        lab.title,
        level_name(lab.level),
        lab.chapter,
        wrapped(lab.text),
        tree.display(),
        name = lab.name
    );
    Ok(())
}

/// Makes the working copy of a lab: our tree, changed. It is a git repository where git is installed,
/// so that `git diff` shows what was done since.
pub fn make(lab: &Lab, tree: &Path) -> Result<()> {
    fs::create_dir_all(tree)?;
    for entry in fs::read_dir(paths::root())? {
        let name = entry?.file_name();
        if name != "target" && name != ".git" {
            agree(&paths::root().join(&name), &tree.join(&name))?;
        }
    }
    lab.prepare(tree)?;
    if find("git").is_ok() {
        for arguments in [
            &["init", "--quiet"][..],
            &["add", "--all"],
            &[
                "-c",
                "user.name=lab",
                "-c",
                "user.email=lab@localhost",
                "commit",
                "--quiet",
                "--message",
                "The beginning of the lab",
            ],
        ] {
            let status = Command::new("git")
                .args(arguments)
                .current_dir(tree)
                .stdin(Stdio::null())
                .status()
                .context("cannot start git")?;
            ensure!(status.success(), "git {} failed", arguments[0]);
        }
    }
    Ok(())
}

fn check_and_say(lab: &Lab) -> Result<ExitCode> {
    let tree = working_copy(lab.name);
    ensure!(
        tree.exists(),
        "{} has not been begun: `just lab start {}`",
        lab.name,
        lab.name
    );
    let verdict = check::check(lab, &tree)?;
    print!("{}", verdict.said);
    let word = match verdict.is_green {
        true => "pass",
        false => "still red",
    };
    println!("lab {}: {word}", lab.name);
    Ok(match verdict.is_green {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The next hint; after the last one, all of them again.
fn hint(lab: &Lab) -> Result<String> {
    let file = hints_file(lab.name);
    let given: usize = fs::read_to_string(&file)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0);
    let now = (given + 1).min(lab.hints.len());
    fs::create_dir_all(paths::target().join("labs"))?;
    fs::write(&file, now.to_string())?;
    let mut text: Vec<String> = (1..=now)
        .map(|number| wrapped(&format!("{number}. {}", lab.hints[number - 1])))
        .collect();
    if now == lab.hints.len() {
        text.push(format!(
            "That was the last hint: `just lab solution {}`",
            lab.name
        ));
    }
    Ok(text.join("\n"))
}

/// Checks the labs themselves, all or those that are named: red at the beginning, green when solved.
fn test(names: &[&str]) -> Result<ExitCode> {
    let status = cargo()
        .args(["test", "--test", "labs", "--"])
        .args(names)
        .env("LABS_ALL", "1")
        .status()
        .context("cannot start cargo")?;
    Ok(match status.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Text in lines that fit on a terminal.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is one from the start");
        match last.is_empty() {
            true => last.push_str(word),
            false if last.chars().count() + 1 + word.chars().count() <= WIDTH => {
                last.push(' ');
                last.push_str(word);
            }
            false => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_list_of_labs_from_easy_to_hard() {
        let labs = labs();
        assert!(labs.len() >= 15);
        let names: HashSet<&str> = labs.iter().map(|lab| lab.name).collect();
        assert_eq!(names.len(), labs.len());
        assert!(labs.is_sorted_by_key(|lab| lab.level));
        for lab in labs {
            let chapter = paths::root().join(format!("docs/book/{}.md", lab.chapter));
            assert!(chapter.exists(), "{}: {}", lab.name, chapter.display());
            assert!(
                lab.hints.len() >= 3 && !lab.checks.is_empty(),
                "{}",
                lab.name
            );
            assert!(list().contains(lab.name) && wrapped(lab.text).lines().count() > 1);
        }
    }

    #[test]
    fn an_unknown_name_has_a_suggestion() {
        let refused = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            act(&words).unwrap_err().to_string()
        };
        assert!(refused(&["start", "flgas"]).contains("did you mean \"flags\"?"));
        assert!(refused(&["strat", "flags"]).contains("did you mean \"start\"?"));
        assert!(refused(&["check"]).contains("which lab?"));
        assert!(refused(&["hint", "flags", "sp0"]).contains("just lab ["));
    }

    #[test]
    fn solutions_lead_from_the_beginning_to_the_end() {
        for lab in labs() {
            let folder = tempfile::tempdir().unwrap();
            let patch = lab.solution().unwrap();
            assert!(patch.contains("\n@@ "), "{}", lab.name);
            // The files that the patch changes, as they are at the beginning.
            for path in patch.lines().filter_map(|line| line.strip_prefix("+++ b/")) {
                let to = folder.path().join(path);
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                if paths::root().join(path).exists() {
                    fs::copy(paths::root().join(path), to).unwrap();
                }
            }
            lab.prepare(folder.path()).unwrap();
            if find("git").is_ok() {
                lab::apply(&patch, folder.path())
                    .unwrap_or_else(|error| panic!("{}: {error:#}", lab.name));
            }
            if let lab::Start::Mutants(_) = lab.start {
                for (path, _) in lab.start_texts().unwrap() {
                    let [is, ours] = [folder.path(), paths::root()]
                        .map(|tree| fs::read(tree.join(path)).unwrap());
                    assert_eq!(is, ours, "{}: {path}", lab.name);
                }
            }
        }
    }

    #[test]
    fn a_mutant_of_a_lab_turns_its_test_red() {
        for lab in labs() {
            let lab::Start::Mutants(names) = lab.start else {
                continue;
            };
            let runs = |test: &str| {
                lab.checks
                    .iter()
                    .any(|check| matches!(check, lab::Check::Run(run) if run.test == test))
            };
            for name in names {
                let red = crate::mutants::named(name).unwrap().red.test;
                assert!(runs(red), "{}: {red} is not among its checks", lab.name);
            }
        }
    }
}

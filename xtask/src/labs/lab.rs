//! `Lab`: an exercise on the kernel, its beginning, its solution, and what checks it.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::mutants::{self, Edit, Run};
use crate::patch::unified;
use crate::paths;

/// An exercise.
pub struct Lab {
    /// Its name, which is also that of its test and of its working copy.
    pub name: &'static str,
    /// A line for the list.
    pub title: &'static str,
    /// The chapter it belongs to: a file of `docs/book`, without its ending.
    pub chapter: &'static str,
    /// How hard it is.
    pub level: Level,
    /// What the working copy is at the beginning.
    pub start: Start,
    /// What is wrong or wanted, how to see it, and what to do.
    pub text: &'static str,
    /// Hints, each nearer to the solution.
    pub hints: &'static [&'static str],
    /// What must be green.
    pub checks: &'static [Check],
    /// What the check says at the beginning.
    pub reason: &'static str,
}

/// How hard a lab is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// One line, in a file that the text or the chapter names.
    Easy,
    /// A few lines, or a place that must be found.
    Medium,
    /// What happens on the way must be understood.
    Hard,
}

/// What a working copy is at the beginning, beside our tree.
pub enum Start {
    /// These steps are taken out; our tree is the solution.
    Mutants(&'static [&'static str]),
    /// Nothing is missing, and something has to be added.
    Whole {
        /// Changes that prepare the place.
        edits: &'static [Edit],
        /// New files.
        files: &'static [File],
        /// Changes of the prepared tree that solve the lab.
        solution: &'static [Edit],
    },
}

/// A file that only the working copy has.
pub struct File {
    /// Path in the tree.
    pub path: &'static str,
    /// Its contents.
    pub text: &'static str,
}

/// What must be green for a lab to be solved.
pub enum Check {
    /// A run of our own tests.
    Run(Run),
    /// Every self-test on one processor, as the mended step must not break another.
    AllSelftests,
    /// A self-test that the check adds.
    Hidden {
        /// What adds it to our self-tests.
        edits: &'static [Edit],
        /// The run that has it.
        run: Run,
    },
    /// A shell script that prints a line twice; the sum of its numbers grows by `by`.
    Grows {
        /// For busybox's shell.
        script: &'static str,
        /// What the line begins with.
        line: &'static str,
        /// The growth that is due.
        by: u64,
    },
    /// A C file of the working copy, compiled together with a `main` of ours, and run as init.
    Program {
        /// Path in the working copy.
        file: &'static str,
        /// Our half.
        main: &'static str,
        /// A line that it prints.
        says: &'static str,
    },
    /// The instructions of a function of the linked kernel, as objdump shows them.
    Code {
        /// Its symbol.
        function: &'static str,
        /// Texts that must occur, each in a line after the one before.
        in_order: &'static [&'static str],
        /// Texts that must not occur.
        lacks: &'static [&'static str],
    },
}

/// The changed files of a tree: path, and text.
pub type Texts = BTreeMap<&'static str, String>;

impl Lab {
    /// Returns the files that differ from our tree at the beginning.
    pub fn start_texts(&self) -> Result<Texts> {
        let mut texts = Texts::new();
        match self.start {
            Start::Mutants(names) => {
                for name in names {
                    change(&mut texts, mutants::named(name)?.edits)?;
                }
            }
            Start::Whole { edits, files, .. } => {
                change(&mut texts, edits)?;
                texts.extend(files.iter().map(|file| (file.path, file.text.to_owned())));
            }
        }
        Ok(texts)
    }

    /// Returns our solution: a patch of the working copy as it is at the beginning.
    pub fn solution(&self) -> Result<String> {
        let start = self.start_texts()?;
        let mut solved = start.clone();
        match self.start {
            Start::Mutants(_) => {
                for (path, text) in &mut solved {
                    *text = ours(path)?;
                }
            }
            Start::Whole { solution, .. } => change(&mut solved, solution)?,
        }
        let patches = solved.iter().map(|(path, new)| {
            let old = match start.get(path) {
                Some(text) => text.clone(),
                None => ours(path)?,
            };
            Ok(unified(path, &old, new))
        });
        patches.collect()
    }

    /// Puts the beginning of the lab into a copy of our tree.
    pub fn prepare(&self, tree: &Path) -> Result<()> {
        for (path, text) in self.start_texts()? {
            let file = tree.join(path);
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&file, text).with_context(|| file.display().to_string())?;
        }
        Ok(())
    }
}

/// Applies `edits` to the texts, or to our files where they have none.
fn change(texts: &mut Texts, edits: &[Edit]) -> Result<()> {
    for edit in edits {
        let text = match texts.get(edit.file) {
            Some(text) => text.clone(),
            None => ours(edit.file)?,
        };
        texts.insert(edit.file, edit.apply_to(&text)?);
    }
    Ok(())
}

fn ours(path: &str) -> Result<String> {
    fs::read_to_string(paths::root().join(path)).with_context(|| path.to_owned())
}

/// Applies a patch in a folder.
///
/// # Errors
/// git does not take it, and has said why.
pub fn apply(patch: &str, folder: &Path) -> Result<()> {
    use std::io::Write;
    use std::process::Stdio;
    let mut git = crate::toolchain::tool("git")?
        .args(["apply", "-"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start git")?;
    let mut stdin = git.stdin.take().context("git has no standard input")?;
    stdin.write_all(patch.as_bytes())?;
    drop(stdin);
    ensure!(git.wait()?.success(), "git does not take the patch");
    Ok(())
}

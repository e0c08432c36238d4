//! Takes one step of the switch out at a time, and demands that a test notices.
//!
//! A *mutant* is the tree with one small change; see `tests/mutants/list.rs`. It is
//! built in a copy of the tree and booted with the tests that should notice; each
//! of these must be red: `not ok`, or never reached because the kernel panicked or
//! hung. That they are green without the change, `boots` shows.
//!
//! All of them take some minutes, so without arguments a few are run, others after
//! each commit. `just mutants` runs all, `just mutants NAME` those that match.

#[path = "mutants/list.rs"]
mod list;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use list::{MUTANTS, Mutant, Run};
use support::paths;
use support::trial::{Arguments, Trial, run, trial};
use wait_timeout::ChildExt;

/// How many are run when nobody says which.
const SLICE: usize = 2;
/// Build and boot of one.
const LIMIT: Duration = Duration::from_secs(240);
/// What of the tree is copied.
const PARTS: &[&str] = &[
    "Cargo.lock",
    "i686-kernel.json",
    "linker.ld",
    "build.rs",
    "boot",
    "src",
    "tests",
];

/// There is one copy, so one mutant at a time.
static COPY: Mutex<()> = Mutex::new(());

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let all =
        arguments.filter.is_some() || arguments.list || std::env::var_os("MUTANTS_ALL").is_some();
    let chosen: Vec<&'static Mutant> = if all {
        MUTANTS.iter().collect()
    } else {
        slice()
    };
    // The first build is of everything, and no mutant's fault.
    if !arguments.list
        && let Err(error) = warm_up()
    {
        eprintln!("the tree without a change does not build: {error:#}");
        return ExitCode::FAILURE;
    }
    let trials: Vec<Trial> = chosen
        .into_iter()
        .map(|mutant| trial(mutant.name, LIMIT, move || notice(mutant)))
        .collect();
    run(&arguments, trials).exit_code()
}

/// A few, others for each commit.
fn slice() -> Vec<&'static Mutant> {
    let head = Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(paths::root())
        .output();
    let hash = head
        .map(|out| String::from_utf8_lossy(&out.stdout).into_owned())
        .unwrap_or_default();
    let start = usize::from_str_radix(hash.get(..6).unwrap_or("0"), 16).unwrap_or(0);
    (0..SLICE)
        .map(|i| &MUTANTS[(start + i * MUTANTS.len() / SLICE) % MUTANTS.len()])
        .collect()
}

/// Builds the mutant and runs its tests; each of them must be red.
fn notice(mutant: &Mutant) -> Result<()> {
    let _one_at_a_time = COPY.lock().unwrap_or_else(|broken| broken.into_inner());
    let tree = copy_tree()?;
    for edit in mutant.edits {
        let path = tree.join(edit.file);
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        ensure!(
            text.matches(edit.find).count() == 1,
            "stale: {} does not have exactly once: {}",
            edit.file,
            edit.find
        );
        fs::write(&path, text.replace(edit.find, edit.replace))?;
    }
    build(&tree)?;
    for run in mutant.runs {
        let (log, ended) = boot(&tree, run)?;
        for test in run.tests {
            let green = log.lines().map(str::trim_end).any(|line| {
                line.strip_prefix("ok ")
                    .and_then(|rest| rest.split_once(' '))
                    .is_some_and(|(_, name)| name == *test)
            });
            if green {
                bail!("survived: {test} is still green ({})", mutant.takes_out);
            }
            let how = if log
                .lines()
                .any(|l| l.starts_with("not ok ") && l.trim_end().ends_with(test))
            {
                "not ok"
            } else if log.contains("BUG:") {
                "panic"
            } else if ended {
                "never reached"
            } else {
                "hang"
            };
            println!("# {}: {test}: {how}", mutant.name);
        }
    }
    Ok(())
}

/// Builds the copy as it is. The real programs have been fetched already, for the tree itself.
fn warm_up() -> Result<()> {
    let tree = copy_tree()?;
    let fetched = paths::out().join("foreign");
    let place = tree.join("target/switch_to");
    if fetched.is_dir() && !place.join("foreign").exists() {
        fs::create_dir_all(&place)?;
        Command::new("cp")
            .arg("-a")
            .args([&fetched, &place])
            .status()?;
    }
    build(&tree)
}

/// The tree as it is, in the folder of the mutants; files that have not changed keep their time,
/// so that cargo builds only what the mutant changed.
fn copy_tree() -> Result<PathBuf> {
    let tree = paths::root().join("target/mutants/tree");
    fs::create_dir_all(&tree)?;
    for part in PARTS {
        copy(&paths::root().join(part), &tree.join(part))?;
    }
    // A step that is left out leaves its imports behind.
    let manifest = tree.join("Cargo.toml");
    let text = fs::read_to_string(paths::root().join("Cargo.toml"))?;
    write_if_changed(
        &manifest,
        text.replace("warnings = \"deny\"", "warnings = \"allow\"")
            .as_bytes(),
    )?;
    Ok(tree)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    write_if_changed(to, &fs::read(from)?)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    Ok(())
}

fn write_if_changed(to: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(to).ok().as_deref() != Some(bytes) {
        fs::write(to, bytes).with_context(|| format!("{}", to.display()))?;
    }
    Ok(())
}

/// The copy's own host tool, which builds the copy's kernel.
fn support(tree: &Path) -> Command {
    let mut command = Command::new(tree.join("tests/support/cargo"));
    command
        .args(["run", "--quiet", "--package", "support", "--"])
        .current_dir(tree)
        .env_remove("CARGO_MANIFEST_DIR")
        .env("CARGO_TARGET_DIR", tree.join("target"))
        .stdin(Stdio::null());
    command
}

fn build(tree: &Path) -> Result<()> {
    let out = support(tree).arg("iso").output()?;
    ensure!(
        out.status.success(),
        "the mutant does not compile:\n{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(())
}

/// Boots with a run's command line; its log, and whether it ended by itself.
fn boot(tree: &Path, run: &Run) -> Result<(String, bool)> {
    let log = tree.join("boot.log");
    let file = fs::File::create(&log)?;
    let mut child = support(tree)
        .arg("run")
        .args(run.cmdline.split_whitespace())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()?;
    let ended = child
        .wait_timeout(Duration::from_secs(run.seconds))?
        .is_some();
    if !ended {
        // The machine is a child of the tool: both end by the same name.
        let pattern = format!("{}.*iso", tree.join("target").display());
        Command::new("pkill").args(["-f", &pattern]).status()?;
        child.kill()?;
        child.wait()?;
    }
    let mut text = String::new();
    fs::File::open(&log)?.read_to_string(&mut text)?;
    Ok((text, ended))
}

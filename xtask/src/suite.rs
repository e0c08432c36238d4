//! `just test`: every suite in order, and the closing line.
//!
//! Each suite is a run of cargo of its own. Its lines go through as they come;
//! the results in them are added up. A suite that fails without naming a failed
//! test (it does not compile, or its process died) counts as one failure.

use std::io::{BufRead, BufReader};
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::paths;
use crate::toolchain::cargo;

/// Tests that passed and tests that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    passed: u32,
    failed: u32,
}

impl Tally {
    /// Adds what a line of a test's output says, if it is a result line.
    fn read(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        for part in rest.split([';', '.']) {
            let mut words = part.split_whitespace();
            match (
                words.next().and_then(|n| n.parse::<u32>().ok()),
                words.next(),
            ) {
                (Some(n), Some("passed")) => self.passed += n,
                (Some(n), Some("failed")) => self.failed += n,
                _ => {}
            }
        }
    }

    fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// The suites of the kernel's package that are files in `tests/`, in order.
const FILES: &[&str] = &["tree", "image", "boots", "gdb", "mutants"];

/// Those that are run only by name.
const BY_NAME: &[&str] = &["kselftest"];

/// Clippy's arguments for the kernel, as `just check` has them.
const CLIPPY: &[&str] = &[
    "clippy",
    "--target",
    "i686-kernel.json",
    "-Zjson-target-spec",
    "-Zbuild-std=core,alloc",
    "--package",
    "switch-to",
    "--lib",
];

/// The suite that is clippy's.
const LINTS: &str = "lints";

fn suites() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut suites = vec![
        (LINTS, CLIPPY.to_vec()),
        ("logic", vec!["--package", "switch-to", "--lib"]),
        ("doc", vec!["--package", "switch-to", "--doc"]),
        ("xtask", vec!["--package", "xtask", "--lib"]),
        ("models", vec!["--package", "models", "--lib"]),
    ];
    for name in FILES.iter().chain(BY_NAME) {
        if paths::root().join(format!("tests/{name}.rs")).exists() {
            suites.push((name, vec!["--package", "switch-to", "--test", name]));
        }
    }
    suites
}

/// Runs the suites; the last line printed is `N passed, N failed`.
///
/// With names, only those suites.
pub fn run(only: &[String]) -> Result<ExitCode> {
    let suites = suites();
    if let Some(unknown) = only
        .iter()
        .find(|name| suites.iter().all(|suite| suite.0 != **name))
    {
        let names: Vec<_> = suites.iter().map(|suite| suite.0).collect();
        bail!(
            "no suite is called {unknown:?}; there are {}",
            names.join(", ")
        );
    }
    let mut total = Tally::default();
    let mut bad = Vec::new();
    for (name, args) in suites {
        let is_named = only.iter().any(|wanted| wanted == name);
        if !is_named && (!only.is_empty() || BY_NAME.contains(&name)) {
            continue;
        }
        println!("\n== {name}");
        let tally = match name {
            LINTS => run_lints(&args)?,
            _ => run_one(&args)?,
        };
        if tally.failed > 0 {
            bad.push(name);
        }
        total.add(tally);
    }
    println!();
    if !bad.is_empty() {
        println!("failures in: {}", bad.join(", "));
    }
    if total == Tally::default() {
        println!("no test ran");
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(ExitCode::from(u8::from(
        total.failed > 0 || total.passed == 0,
    )))
}

/// Clippy is one test: it passes if it finds nothing.
fn run_lints(args: &[&str]) -> Result<Tally> {
    let status = cargo().args(args).stdin(Stdio::null()).status();
    let good = status.context("cannot start cargo")?.success();
    if !good {
        println!("clippy found something, or is not there: see above (./bootstrap installs it)");
    }
    Ok(Tally {
        passed: good.into(),
        failed: (!good).into(),
    })
}

fn run_one(args: &[&str]) -> Result<Tally> {
    // The same cases each time, as a test is to be repeatable; other seeds are for a search.
    let seed = std::env::var("PROPTEST_RNG_SEED").unwrap_or_else(|_| "1".into());
    let mut child = cargo()
        .arg("test")
        .args(args)
        .env("PROPTEST_RNG_SEED", seed)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let stdout = child.stdout.take().context("cargo has no stdout")?;
    let mut tally = Tally::default();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally.read(&line);
    }
    let status = child.wait()?;
    if !status.success() && tally.failed == 0 {
        println!("the suite failed without a failed test: {status}");
        tally.failed = 1;
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_added_up() {
        let mut tally = Tally::default();
        tally.read("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s");
        tally
            .read("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        tally.read("a program says: 7 failed");
        assert_eq!(
            tally,
            Tally {
                passed: 15,
                failed: 2
            }
        );
    }
}

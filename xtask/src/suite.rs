//! `just test`: every suite in order, and the closing line.
//!
//! Each suite is a run of cargo of its own. What its failed tests say is shown, and a line with its
//! result; with `--verbose` every line as it comes. A suite that fails without naming a failed
//! test (it does not compile, or its process died) counts as one failure.

use std::io::{BufRead, BufReader};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::harness::{Output, Tally};
use crate::progress::Progress;
use crate::toolchain::cargo;
use crate::web::browser;
use crate::{bochs, book, paths, site, words};

/// The suites of the kernel's package that are files in `tests/`, in order.
const FILES: &[(&str, &str)] = &[
    ("tree", "the rules of the sources"),
    ("image", "the linked kernel, disassembled"),
    ("boots", "the kernel in QEMU"),
    ("gdb", "the switch under gdb"),
    (BROWSER, "the book's pages in Chromium"),
    ("mutants", "a few steps of the kernel, taken out"),
    (SITE, "the kernel in v86, under node and on the page"),
    (BOCHS, "the kernel in Bochs"),
];

/// The suites that need something optional.
const BROWSER: &str = "browser";
const SITE: &str = "site";
const BOCHS: &str = "bochs";

/// Those that are run only by name.
const BY_NAME: &[(&str, &str)] = &[
    ("labs", "one exercise, begun and solved"),
    ("kselftest", "Linux's own tests of the switch"),
];

/// With it every line of every suite is shown.
const VERBOSE: &str = "--verbose";

/// Lines that are shown of a suite that ended without a result.
const LAST_WORDS: usize = 50;

/// Clippy's arguments, as `just check` has them: for what runs on the host, and for the kernel.
const CLIPPY: [&[&str]; 2] = [
    &[
        "clippy",
        "--package",
        "switch-to",
        "--package",
        "xtask",
        "--package",
        "models",
        "--all-targets",
    ],
    &[
        "clippy",
        "--target",
        "i686-kernel.json",
        "-Zjson-target-spec",
        "-Zbuild-std=core,alloc",
        "--package",
        "switch-to",
        "--package",
        "user",
        "--lib",
        "--bins",
    ],
];

/// The suite that is clippy's.
const LINTS: &str = "lints";

/// One run of cargo.
struct Suite {
    name: &'static str,
    /// What its tests look at, for whoever waits.
    about: &'static str,
    args: Vec<&'static str>,
}

fn suites() -> Vec<Suite> {
    let suite = |name, about, args: &[&'static str]| Suite {
        name,
        about,
        args: args.to_vec(),
    };
    let mut suites = vec![
        suite(LINTS, "clippy reads the sources", &[]),
        suite(
            "logic",
            "the kernel's pure parts, on the host",
            &["--package", "switch-to", "--lib"],
        ),
        suite(
            "doc",
            "the examples in the documentation",
            &["--package", "switch-to", "--doc"],
        ),
        suite("xtask", "the host's tool", &["--package", "xtask", "--lib"]),
        suite(
            "models",
            "two processors, in every order",
            &["--package", "models", "--lib"],
        ),
    ];
    for (name, about) in FILES.iter().chain(BY_NAME) {
        if paths::root().join(format!("tests/{name}.rs")).exists() {
            suites.push(suite(
                name,
                about,
                &["--package", "switch-to", "--test", name],
            ));
        }
    }
    suites
}

/// Runs the suites; the last line printed is `N passed, N failed`.
///
/// With names, only those suites; with `--verbose` among them, every line of theirs.
///
/// # Errors
/// A name that no suite has, before anything is run.
pub fn run(words: &[String]) -> Result<ExitCode> {
    let (flags, only): (Vec<&String>, Vec<&String>) =
        words.iter().partition(|word| word.starts_with('-'));
    if let Some(other) = flags.iter().find(|flag| **flag != VERBOSE) {
        bail!("just test takes names of suites, and {VERBOSE}: what is {other:?} for?");
    }
    let suites = suites();
    let names: Vec<_> = suites.iter().map(|suite| suite.name).collect();
    for name in &only {
        words::one_of("suite", name, &names)?;
    }
    let mut total = Tally::default();
    let mut bad = Vec::new();
    for suite in suites {
        let is_named = only.iter().any(|wanted| *wanted == suite.name);
        let by_name = BY_NAME.iter().any(|(name, _)| *name == suite.name);
        if !is_named && (!only.is_empty() || by_name) {
            continue;
        }
        if let (false, Some(why)) = (is_named, lacks(suite.name)) {
            println!("{}", skipped_line(&suite, &why));
            continue;
        }
        let begun = Instant::now();
        let tally = match suite.name {
            LINTS => run_lints(&suite)?,
            _ => run_one(&suite, !flags.is_empty())?,
        };
        println!("{}", result_line(&suite, tally, begun.elapsed().as_secs()));
        if tally.failed > 0 {
            bad.push(suite.name);
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

/// A suite's line: its name, what came out, how long it took, what it looked at.
fn result_line(suite: &Suite, tally: Tally, seconds: u64) -> String {
    let Tally { passed, failed } = tally;
    let word = if failed > 0 { "FAILED" } else { "ok" };
    format!(
        "{word:<6} {:<10} {passed:>5} passed {failed:>4} failed {seconds:>5} s   {}",
        suite.name, suite.about
    )
}

/// Returns what a suite needs and this machine cannot have, and how to get it. Fetches what can be
/// fetched.
fn lacks(suite: &str) -> Option<String> {
    let why = match suite {
        BROWSER => browser::lacking(),
        SITE => site::lacking(),
        BOCHS => bochs::lacking(),
        _ => None,
    };
    // Both have the book's pages.
    match suite {
        BROWSER | SITE => why.or_else(book::lacking),
        _ => why,
    }
}

/// The line of a suite that this machine cannot run.
fn skipped_line(suite: &Suite, why: &str) -> String {
    format!("{:<6} {:<10} {why}   {}", "SKIP", suite.name, suite.about)
}

/// Clippy is one test: it passes if it finds nothing.
fn run_lints(suite: &Suite) -> Result<Tally> {
    eprintln!("testing {}: {}", suite.name, suite.about);
    let mut good = true;
    for args in CLIPPY {
        // Cargo tells its progress, and clippy what it found, on stderr.
        let status = cargo().args(args).stdin(Stdio::null()).status();
        good &= status.context("cannot start cargo")?.success();
    }
    if !good {
        println!("clippy found something, or is not there: see above (./bootstrap installs it)");
    }
    Ok(Tally {
        passed: good.into(),
        failed: (!good).into(),
    })
}

fn run_one(suite: &Suite, verbose: bool) -> Result<Tally> {
    let doing = format!("testing {}: {}", suite.name, suite.about);
    let mut progress = Progress::begin(&doing);
    // The same cases each time, so that a test can be repeated; other seeds are for a search.
    let seed = std::env::var("PROPTEST_RNG_SEED").unwrap_or_else(|_| "1".into());
    let mut child = cargo()
        .arg("test")
        .args(&suite.args)
        .env("PROPTEST_RNG_SEED", seed)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let stdout = child.stdout.take().context("cargo has no stdout")?;
    let mut output = Output::default();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        output.read(&line);
        if verbose {
            progress.clear();
            println!("{line}");
        } else {
            progress.tell(&format!("testing {}{}", suite.name, output.progress()));
        }
    }
    let status = child.wait()?;
    progress.clear();
    let mut tally = output.tally;
    if !status.success() && tally.failed == 0 {
        tally.failed = 1;
        if !verbose {
            let from = output.others.len().saturating_sub(LAST_WORDS);
            println!("{}", output.others[from..].join("\n"));
        }
        println!("the suite failed without a failed test: {status}");
    }
    if !verbose && !output.failures.is_empty() {
        println!(
            "\n== {}\n{}",
            suite.name,
            output.failures.join("\n").trim_end()
        );
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_has_one_line() {
        let suite = &suites()[1];
        let seen = |passed, failed| result_line(suite, Tally { passed, failed }, 7);
        assert_eq!(
            seen(12, 0),
            "ok     logic         12 passed    0 failed     7 s   the kernel's pure parts, on the host"
        );
        assert!(seen(1, 2).starts_with("FAILED logic"));
        assert!(
            skipped_line(suite, "there is no npm").starts_with("SKIP   logic      there is no npm")
        );
    }

    #[test]
    fn an_unknown_suite_is_named_before_anything_runs() {
        let refuse = |word: &str| run(&[word.to_owned()]).unwrap_err().to_string();
        let said = refuse("boot");
        assert!(said.contains("did you mean \"boots\"?"), "{said}");
        assert!(refuse("-v").contains("--verbose"));
    }
}

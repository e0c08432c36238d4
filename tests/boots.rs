//! Boots of the kernel under QEMU.
//!
//! A *suite* is one boot whose KTAP cases become tests of their own, named `suite::case`; a
//! *scenario* is one boot that is one test. The cases of a suite are known only after it has run,
//! so suites run first, even for `--list`, but only those that a filter can mean. Suites come from
//! `tests/scenarios/suites.rs`, scenarios from the other files there, one story a file.

#[path = "scenarios/mod.rs"]
mod scenarios;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use xtask::compile::{Profile, kernel, mutant};
use xtask::ktap::{self, Case, Outcome};
use xtask::progress::Progress;
use xtask::qemu::Vm;
use xtask::run::{Exit, Run};
use xtask::symbols::Symbols;
use xtask::trial::{Arguments, Failed, Trial, run, trial};

/// Number of machines that run at the same time.
const MACHINES: usize = 2;

/// One boot with a report of cases.
pub struct Suite {
    /// The first part of its tests' names.
    name: String,
    /// Makes the machine.
    vm: fn(&str) -> Result<Vm>,
    /// The argument of `vm`, such as the program's name.
    what: String,
    /// Finds the cases in the log.
    report: fn(&str) -> ktap::Report,
}

/// Boots a machine and returns the run.
type Boot = Box<dyn Fn() -> Result<Run> + Send>;
/// Checks a run.
type Check = Box<dyn Fn(&Run) -> Result<()> + Send>;

/// One boot that is one test.
pub struct Scenario {
    /// The name of the test.
    name: String,
    /// Boots the machine.
    run: Boot,
    /// Checks the run.
    check: Check,
    /// Time limit for both.
    limit: Duration,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(MACHINES);
    let symbols = match mutant()
        .map_or_else(|| kernel(Profile::Dev), Ok)
        .and_then(|elf| Symbols::read(&elf))
    {
        Ok(symbols) => Arc::new(symbols),
        Err(error) => {
            eprintln!("there is no kernel to boot: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let suites = match scenarios::suites() {
        Ok(suites) => suites,
        Err(error) => {
            eprintln!("no suites: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let wanted: Vec<Suite> = suites
        .into_iter()
        .filter(|suite| may_mean(&arguments, &suite.name))
        .collect();
    let mut trials = run_all(
        &wanted,
        &symbols,
        arguments.test_threads.unwrap_or(MACHINES),
    );
    for scenario in scenarios::scenarios() {
        let symbols = Arc::clone(&symbols);
        let Scenario {
            name,
            run,
            check,
            limit,
        } = scenario;
        trials.push(trial(name, limit, move || {
            let run = run()?;
            check(&run).map_err(|error| anyhow!("{error:#}\n{}", run.explain(Some(&symbols))))
        }));
    }
    run(&arguments, trials).exit_code()
}

/// Returns whether a filter on the command line can mean a suite. A filter without `::` can be a
/// part of any case's name.
fn may_mean(arguments: &Arguments, suite: &str) -> bool {
    arguments.filter.as_deref().is_none_or(|filter| {
        suite.contains(filter) || filter.contains(suite) || !filter.contains("::")
    })
}

/// Runs the suites, `machines` at a time, and returns their tests.
fn run_all(suites: &[Suite], symbols: &Symbols, machines: usize) -> Vec<Trial> {
    let next = Mutex::new(suites.iter().zip(1..));
    let progress = Mutex::new(Progress::begin(&format!("{} boots", suites.len())));
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..machines.clamp(1, MACHINES) {
            scope.spawn(|| {
                loop {
                    let Some((suite, number)) =
                        next.lock().unwrap_or_else(PoisonError::into_inner).next()
                    else {
                        break;
                    };
                    progress
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .tell(&format!(
                            "boot {number} of {}: {}",
                            suites.len(),
                            suite.name
                        ));
                    let result = (suite.vm)(&suite.what).and_then(|vm| vm.run());
                    let trials = match result {
                        Ok(run) => tests_of(suite, &run, symbols),
                        Err(error) => vec![verdict(
                            format!("{}::ran_to_its_end", suite.name),
                            Err(format!("{error:#}")),
                        )],
                    };
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .extend(trials);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a test whose result is already known.
fn verdict(name: String, result: Result<(), String>) -> Trial {
    Trial::test(name, move || result.map_err(Failed::from))
}

/// Returns a suite's tests: one for each case, one for the form of the report, one for the
/// machine's end.
fn tests_of(suite: &Suite, run: &Run, symbols: &Symbols) -> Vec<Trial> {
    let report = (suite.report)(&run.log);
    let lines: Vec<&str> = run.log.lines().collect();
    let mut trials = Vec::new();
    for case in &report.cases {
        let name = format!("{}::{}", suite.name, identifier(&case.name));
        trials.push(match &case.outcome {
            Outcome::Ok => verdict(name, Ok(())),
            Outcome::NotOk => verdict(name, Err(story(case, run, &lines))),
            Outcome::Skip(reason) => {
                let reason = format!("skipped: {reason}");
                verdict(name, Err(reason)).with_ignored_flag(true)
            }
        });
    }
    let ended = ended_well(run, &report)
        .map_err(|error| format!("{error:#}\n{}", run.explain(Some(symbols))));
    trials.push(verdict(format!("{}::ran_to_its_end", suite.name), ended));
    trials
}

/// Returns the part of the log that belongs to a case, and how long the case took.
fn story(case: &Case, run: &Run, lines: &[&str]) -> String {
    let at = |line: usize| run.stamps.get(line).copied().unwrap_or_default();
    let took =
        at(case.lines.end.saturating_sub(1)).saturating_sub(at(case.lines.start.saturating_sub(1)));
    format!(
        "{}\n({} ms)",
        lines.get(case.lines.clone()).unwrap_or_default().join("\n"),
        took.as_millis()
    )
}

fn ended_well(run: &Run, report: &ktap::Report) -> Result<()> {
    run.nowhere("BUG:")?;
    if !report.errors.is_empty() {
        let errors: Vec<String> = report.errors.iter().map(ktap::Error::to_string).collect();
        bail!("the report is not complete: {}", errors.join("; "));
    }
    let failed = report
        .cases
        .iter()
        .any(|case| case.outcome == Outcome::NotOk);
    // A case that failed is a test of its own; the exit code must agree.
    run.ends(if failed { Exit::Failure } else { Exit::Success })
}

/// Returns a case's name as one word, which is easy to type on a command line.
fn identifier(name: &str) -> String {
    let parts = name.split("::").map(|part| {
        let words = part.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        words
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join("_")
    });
    parts.collect::<Vec<_>>().join("::")
}

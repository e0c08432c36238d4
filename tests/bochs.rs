//! The kernel in Bochs: the tour, and the self-tests on one processor; by name (`4_cpus`) on four.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use xtask::bochs::boot;
use xtask::ktap::{self, Outcome};
use xtask::trial::{Arguments, run, trial};
use xtask::verdict::all_checks_hold;

/// Time limit for one run: Bochs interprets each instruction.
const LIMIT: Duration = Duration::from_secs(900);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let mut trials = vec![
        trial("bochs::tour", LIMIT, tour),
        trial("bochs::selftests_1_cpu", LIMIT, || selftests(1)),
    ];
    // Four processors take four times as long: only by name.
    if arguments.filter.is_some() || arguments.list {
        trials.push(trial("bochs::selftests_4_cpus", LIMIT, || selftests(4)));
    }
    run(&arguments, trials).exit_code()
}

fn tour() -> Result<()> {
    let begun = Instant::now();
    let log = boot("tour", 1, LIMIT, |log| log.contains("tour: verdict: "))?;
    println!("# the tour in Bochs: {:?}", begun.elapsed());
    all_checks_hold(&log)
}

fn selftests(cpus: u32) -> Result<()> {
    let begun = Instant::now();
    let is_done = |log: &str| {
        let report = ktap::parse(log);
        !report.cases.is_empty() && report.errors.is_empty()
    };
    let log = boot("selftest", cpus, LIMIT, is_done)?;
    println!("# self-tests on {cpus} CPUs: {:?}", begun.elapsed());
    let cases = ktap::parse(&log).cases;
    let bad: Vec<&str> = cases
        .iter()
        .filter(|case| case.outcome == Outcome::NotOk)
        .map(|case| case.name.as_str())
        .collect();
    ensure!(bad.is_empty(), "not ok: {}", bad.join(", "));
    let passed = cases.iter().filter(|case| case.outcome == Outcome::Ok);
    let passed = passed.count();
    ensure!(passed > 80, "only {passed} of {} cases ran", cases.len());
    Ok(())
}

//! Takes one step of the switch out at a time, and demands that a test notices.
//!
//! A *mutant* is the kernel with one small change; see `tests/mutants/list.rs`. It is
//! compiled in a copy of the tree and booted with the tests that should notice; each
//! of these must be red: `not ok`, or never reached because the kernel panicked or
//! hung. That they are green without the change, `boots` shows.
//!
//! All of them take some minutes, so without arguments a few are run, others after
//! each commit. `just mutants` runs all, `just mutants NAME` those that match.

#[path = "mutants/list.rs"]
mod list;
#[path = "mutants/tree.rs"]
mod tree;

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use list::{MUTANTS, Mutant, Run};
use support::image::{IsoSpec, try_iso};
use support::paths;
use support::qemu::{End, Exit, Medium, Vm};
use support::trial::{Arguments, Trial, run, trial};
use tree::Copy;

/// How many are run when nobody says which.
const SLICE: usize = 2;
/// Compiling and booting one. What a case may take is in the list; this is for a compiler or a tool
/// that never ends, and a first compilation of everything on a slow machine is within it.
const LIMIT: Duration = Duration::from_secs(1200);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // There is one copy of the tree.
    arguments.test_threads = Some(1);
    let all =
        arguments.filter.is_some() || arguments.list || std::env::var_os("MUTANTS_ALL").is_some();
    let chosen: Vec<&'static Mutant> = if all {
        MUTANTS.iter().collect()
    } else {
        slice()
    };
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

/// Compiles the mutant and runs its tests; each of them must be red.
fn notice(mutant: &Mutant) -> Result<()> {
    let copy = Copy::of_the_tree()?;
    for edit in mutant.edits {
        copy.edit(edit)?;
    }
    let kernel = copy.kernel()?;
    for run in mutant.runs {
        let boot = IsoSpec {
            kernel: Some(kernel.clone()),
            ..IsoSpec::boot(run.cmdline)
        };
        let mut vm = Vm::new(Medium::Iso(try_iso(&boot)?));
        vm.cpus = run.cpus;
        vm.timeout = Duration::from_secs(run.seconds);
        vm.silence = vm.timeout;
        let seen = vm.run()?;
        for test in run.tests {
            match how_red(test, &seen.log, &seen.end) {
                Ok(how) => println!("# {}: {test}: {how}", mutant.name),
                Err(error) => bail!(
                    "{error:#} ({} taken out)\n{}",
                    mutant.takes_out,
                    seen.explain(None)
                ),
            }
        }
    }
    Ok(())
}

/// In which way a test is red; an error if it is not, or if the kernel never came so far that it
/// could have been: then something else is wrong.
fn how_red(test: &str, log: &str, end: &End) -> Result<&'static str> {
    let result = |prefix: &str| {
        log.lines().any(|line| {
            line.trim()
                .strip_prefix(prefix)
                .and_then(|rest| rest.split_once(' '))
                .is_some_and(|(number, name)| number.parse::<u32>().is_ok() && name == test)
        })
    };
    ensure!(!result("ok "), "survived: {test} is still green");
    if result("not ok ") {
        return Ok("not ok");
    }
    ensure!(
        log.contains(Run::STARTED),
        "{test} was not started: the kernel did not come up"
    );
    match end {
        End::Exit(Exit::Panic) => Ok("panic"),
        End::Exit(Exit::Failure) if log.contains("Bail out!") => Ok("init was killed"),
        End::Reset { .. } => Ok("triple fault"),
        End::Hang { .. } => Ok("hang"),
        end => bail!("{test} has no result, and the run ended with {end:?}"),
    }
}

//! The run that must notice that a step is missing: boots a kernel with it, and reads how it went.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::image::{IsoSpec, try_iso};
use crate::mutants;
use crate::qemu::{Medium, Vm};
use crate::run::{End, Exit, Run};
use crate::trace::check::hangs_together;
use crate::trace::stream::Trace;

/// Time after which a kernel that still runs counts as hung.
pub const BOOT_LIMIT: Duration = Duration::from_secs(120);

/// Boots `kernel` with the run of a mutant, and returns how it ended; a kernel that still runs after
/// `limit` has hung.
pub fn boot(kernel: PathBuf, run: &mutants::Run, limit: Duration) -> Result<Run> {
    let boot = IsoSpec {
        kernel: Some(kernel),
        ..IsoSpec::boot(&run.cmdline())
    };
    let mut vm = Vm::new(Medium::Iso(try_iso(&boot)?));
    vm.cpus = run.cpus;
    vm.trace = run.is_traced();
    if run.cpus == 1 {
        // As `boots` runs it: what is measured does not depend on how busy the host is.
        vm.icount = Some("shift=4,sleep=off".to_owned());
    }
    vm.timeout = limit;
    vm.silence = limit;
    vm.run()
}

/// Returns in which way the run that `red` names has noticed the missing step.
///
/// # Errors
/// The test is green, the trace can be true, or the kernel never reached the test.
pub fn noticed(red: &mutants::Run, seen: &Run) -> Result<&'static str> {
    match red.is_traced() {
        true => how_wrong(red.test, seen),
        false => how_red(red.test, &seen.log, &seen.end),
    }
}

/// Returns why the run's trace cannot be true; an error if it can, or cannot for another reason.
fn how_wrong(why: &str, seen: &Run) -> Result<&'static str> {
    ensure!(
        matches!(seen.end, End::Exit(Exit::Success)),
        "the run ended with {:?}",
        seen.end
    );
    match Trace::read(&seen.trace).and_then(|trace| hangs_together(&trace)) {
        Ok(()) => bail!("survived: the trace hangs together"),
        Err(error) => ensure!(format!("{error:#}").contains(why), "{error:#}, not {why}"),
    }
    Ok("the trace cannot be")
}

/// Returns in which way a test is red. An error if it is green, or if the kernel never reached it:
/// then something else is wrong.
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
        log.contains(mutants::Run::STARTED),
        "{test} was not started: the kernel did not come up"
    );
    match end {
        End::Exit(Exit::Panic) => Ok("panic"),
        End::Exit(Exit::Failure) if log.contains(": killed by SIG") => Ok("its program was killed"),
        End::Exit(Exit::Failure) if log.contains("init: exited with status") => {
            Ok("the system ended")
        }
        End::Reset { .. } => Ok("triple fault"),
        End::Hang { .. } => Ok("hang"),
        end => bail!("{test} has no result, and the run ended with {end:?}"),
    }
}

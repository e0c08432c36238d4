//! Takes out one step of the switch at a time, and demands that a test notices.
//!
//! A *mutant* is the kernel with one small change; see `tests/mutants/`. It is compiled in a copy
//! of the tree and booted with the test that should notice. That test must be red: `not ok`, or
//! never ended because the kernel panicked or hung; a scenario must be red for the reason named.
//! `boots` shows that the same test is green without the change.
//!
//! Some mutants misuse the switch: the compiler must refuse them, with the error that they name.
//!
//! All of them take long, so without arguments a few are run, others after each commit. `just
//! mutants` runs all, `just mutants NAME` those with NAME in their names or, if NAME has `*` or `?`,
//! those that match it.

#[path = "mutants/mod.rs"]
mod list;
#[path = "mutants/red.rs"]
mod red;
#[path = "mutants/tree.rs"]
mod tree;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use list::{Mutant, Run, mutants};
use tree::Copy;
use xtask::compile::MUTANT;
use xtask::image::{IsoSpec, try_iso};
use xtask::paths;
use xtask::qemu::{Medium, Vm};
use xtask::run::{End, Exit};
use xtask::toolchain::cargo;
use xtask::trace::check::hangs_together;
use xtask::trace::stream::Trace;
use xtask::trial::{Arguments, Trial, run_named, trial};

/// Number of mutants that run when none is named.
const SLICE: usize = 5;
/// Time after which a mutant that still runs counts as hung.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// Time limit for compiling and booting one mutant, in case a tool never ends. It leaves time for a
/// first compilation of everything on a slow machine.
const LIMIT: Duration = Duration::from_secs(1200);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // There is one copy of the tree.
    arguments.test_threads = Some(1);
    let all =
        arguments.filter.is_some() || arguments.list || std::env::var_os("MUTANTS_ALL").is_some();
    let chosen: Vec<&'static Mutant> = if all { mutants() } else { slice() };
    let mut trials: Vec<Trial> = chosen
        .into_iter()
        .map(|mutant| trial(mutant.name, LIMIT, move || notice(mutant)))
        .collect();
    trials.push(trial("none_is_stale", LIMIT, none_is_stale));
    trials.push(trial("all_compile", LIMIT, all_compile));
    run_named(&arguments, trials)
}

/// Returns a few mutants, others for each commit.
fn slice() -> Vec<&'static Mutant> {
    let head = Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(paths::root())
        .output();
    let hash = head
        .map(|out| String::from_utf8_lossy(&out.stdout).into_owned())
        .unwrap_or_default();
    let start = usize::from_str_radix(hash.get(..6).unwrap_or("0"), 16).unwrap_or(0);
    let all = mutants();
    (0..SLICE)
        .map(|i| all[(start + i * all.len() / SLICE) % all.len()])
        .collect()
}

/// The text that each mutant replaces is still in the tree: a change of the code must not leave a
/// mutant behind until its turn comes.
fn none_is_stale() -> Result<()> {
    let stale: Vec<String> = mutants()
        .iter()
        .flat_map(|mutant| mutant.edits.iter().map(|edit| (mutant.name, edit)))
        .filter_map(|(name, edit)| {
            let error = edit.apply(paths::root()).err()?;
            Some(format!("{name}: {error:#}"))
        })
        .collect();
    ensure!(stale.is_empty(), "{}", stale.join("\n"));
    Ok(())
}

/// Each mutant compiles, unless the compiler must refuse it: a change of the code must not leave a
/// mutant that proves nothing. Those that can be are checked together.
fn all_compile() -> Result<()> {
    let mut left: Vec<&Mutant> = mutants();
    left.retain(|mutant| !mutant.red.is_refused());
    let mut wrong = Vec::new();
    while let Some(first) = left.first() {
        let variant = first.red.variant;
        let copy = Copy::of_the_tree()?;
        let (mut together, mut later) = (Vec::new(), Vec::new());
        for mutant in left {
            let fits = mutant.red.variant.map(|it| it.feature) == variant.map(|it| it.feature)
                && copy.edit_all(mutant.edits)?;
            if fits { &mut together } else { &mut later }.push(mutant);
        }
        wrong.extend(refused_of(&together, copy.errors(variant)?)?);
        left = later;
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Returns those of `mutants` that do not compile, with the compiler's messages. `said` is what the
/// compiler says of all of them together; two may be in each other's way.
fn refused_of(mutants: &[&Mutant], said: String) -> Result<Vec<String>> {
    if !said.lines().any(|line| line.starts_with("error")) {
        return Ok(Vec::new());
    }
    if let [mutant] = mutants {
        return Ok(vec![format!("{}: does not compile:\n{said}", mutant.name)]);
    }
    let mut wrong = Vec::new();
    let (one, other) = mutants.split_at(mutants.len() / 2);
    for half in [one, other] {
        let copy = Copy::of_the_tree()?;
        for mutant in half {
            ensure!(copy.edit_all(mutant.edits)?, "{} is stale", mutant.name);
        }
        wrong.extend(refused_of(half, copy.errors(half[0].red.variant)?)?);
    }
    Ok(wrong)
}

/// Compiles the mutant and runs its test, which must be red.
fn notice(mutant: &Mutant) -> Result<()> {
    let copy = Copy::of_the_tree()?;
    for edit in mutant.edits {
        copy.edit(edit)?;
    }
    if mutant.red.is_refused() {
        return is_refused(mutant, &copy);
    }
    eprintln!("compiling the kernel without {}", mutant.takes_out);
    let kernel = copy.kernel(mutant.red.variant)?;
    eprintln!("booting it");
    if let Some(name) = mutant.red.scenario() {
        return fails(mutant, name, &kernel);
    }
    let boot = IsoSpec {
        kernel: Some(kernel),
        ..IsoSpec::boot(&mutant.red.cmdline())
    };
    let mut vm = Vm::new(Medium::Iso(try_iso(&boot)?));
    vm.cpus = mutant.red.cpus;
    vm.trace = mutant.red.is_traced();
    if mutant.red.cpus == 1 {
        // As `boots` runs it: what is measured does not depend on how busy the host is.
        vm.icount = Some("shift=4,sleep=off".to_owned());
    }
    vm.timeout = BOOT_LIMIT;
    vm.silence = BOOT_LIMIT;
    let seen = vm.run()?;
    let result = match mutant.red.is_traced() {
        true => how_wrong(mutant.red.test, &seen),
        false => how_red(mutant.red.test, &seen.log, &seen.end),
    };
    match result {
        Ok(how) => {
            println!("# {}: {}: {how}", mutant.name, mutant.red.test);
            red::compare(mutant.name, mutant.red.test, how, &seen.log)
        }
        Err(error) => bail!(
            "{error:#} ({} taken out)\n{}",
            mutant.takes_out,
            seen.explain(None)
        ),
    }
}

/// Checks that the compiler refuses the mutant, with only the error that it names.
fn is_refused(mutant: &Mutant, copy: &Copy) -> Result<()> {
    let said = copy.errors(None)?;
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("error["))
        .collect();
    let (out, error) = (mutant.takes_out, mutant.red.test);
    ensure!(
        !errors.is_empty(),
        "survived: it compiles ({out} taken out)\n{said}"
    );
    let expected = format!("error[{error}]");
    ensure!(
        errors.iter().all(|line| line.starts_with(&expected)),
        "refused, but not with {error} alone:\n{said}"
    );
    println!("# {}: {}", mutant.name, errors[0]);
    Ok(())
}

/// Runs a scenario with the mutant, which must be red for the reason that the mutant names.
fn fails(mutant: &Mutant, scenario: &str, kernel: &Path) -> Result<()> {
    let mut boots = cargo();
    boots
        .args([
            "test", "--quiet", "--test", "boots", "--", "--exact", scenario,
        ])
        .env(MUTANT, kernel);
    let output = boots.output().context("cannot start cargo")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let (out, why) = (mutant.takes_out, mutant.red.test);
    ensure!(
        !output.status.success(),
        "survived: {scenario} is still green ({out} taken out)\n{said}"
    );
    let Some(line) = said.lines().find(|line| line.contains(why)) else {
        bail!(
            "{scenario} does not say {why:?} ({out} taken out)\n{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    println!("# {}: {scenario}: {line}", mutant.name);
    Ok(())
}

/// Returns why the run's trace cannot be true; an error if it can, or cannot for another reason.
fn how_wrong(why: &str, seen: &xtask::run::Run) -> Result<&'static str> {
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
        log.contains(Run::STARTED),
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

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

#[path = "mutants/red.rs"]
mod red;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use xtask::compile::MUTANT;
use xtask::copy::Copy;
use xtask::mutants::{Mutant, mutants};
use xtask::notice::{BOOT_LIMIT, boot, noticed};
use xtask::paths;
use xtask::toolchain::cargo;
use xtask::trial::{Arguments, Trial, few_of_commit, run_named, trial};

/// Number of mutants that run when none is named.
const SLICE: usize = 5;
/// Time limit for compiling and booting one mutant, in case a tool never ends. It leaves time for a
/// first compilation of everything on a slow machine.
const LIMIT: Duration = Duration::from_secs(1200);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // There is one copy of the tree.
    arguments.test_threads = Some(1);
    let all =
        arguments.filter.is_some() || arguments.list || std::env::var_os("MUTANTS_ALL").is_some();
    let chosen: Vec<&'static Mutant> = match all {
        true => mutants(),
        false => few_of_commit(&mutants(), SLICE),
    };
    let mut trials: Vec<Trial> = chosen
        .into_iter()
        .map(|mutant| trial(mutant.name, LIMIT, move || notice(mutant)))
        .collect();
    trials.push(trial("none_is_stale", LIMIT, none_is_stale));
    trials.push(trial("nothing_taken_out", LIMIT, nothing_taken_out));
    trials.push(trial("all_compile", LIMIT, all_compile));
    run_named(&arguments, trials)
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
    let script = Command::new(paths::root().join("xtask/mutants"))
        .arg("--names")
        .output()?;
    let said = String::from_utf8_lossy(&script.stdout).into_owned();
    let mut known: Vec<&str> = said.lines().collect();
    let mut names: Vec<&str> = mutants().iter().map(|mutant| mutant.name).collect();
    known.sort_unstable();
    names.sort_unstable();
    ensure!(known == names, "`just mutants` knows {known:?}");
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
        let said = copy.errors(variant)?;
        drop(copy);
        wrong.extend(refused_of(&together, said)?);
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
        let said = copy.errors(half[0].red.variant)?;
        drop(copy);
        wrong.extend(refused_of(half, said)?);
    }
    Ok(wrong)
}

/// The kernel that is compiled as the mutants are, but whole, passes its tests: what makes a mutant
/// red is its change.
fn nothing_taken_out() -> Result<()> {
    let copy = Copy::of_the_tree()?;
    let kernel = copy.kernel(None)?;
    let mut boots = cargo();
    boots
        .args(["test", "--quiet", "--test", "boots", "--", "cpus2::"])
        .env(MUTANT, kernel);
    let output = boots.output().context("cannot start cargo")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{said}");
    Ok(())
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
    let seen = boot(kernel, &mutant.red, BOOT_LIMIT)?;
    match noticed(&mutant.red, &seen) {
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

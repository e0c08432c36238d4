//! Checks the labs of `just lab`: red at the beginning for the reason that the lab gives, green with
//! our solution.
//!
//! Each takes two builds and a few boots, so without arguments one is tried, another after each
//! commit. `just lab test` tries all, `just lab test NAME` those with NAME in their names.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use xtask::labs::check::check;
use xtask::labs::lab::{Lab, apply};
use xtask::labs::{labs, make};
use xtask::paths;
use xtask::trial::{Arguments, Trial, few_of_commit, run_named, trial};

/// Number of labs that are tried when none is named.
const SLICE: usize = 1;
/// Time limit for both checks of one lab, in case a tool never ends.
const LIMIT: Duration = Duration::from_secs(1800);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // There is one copy of the tree in which they are compiled.
    arguments.test_threads = Some(1);
    let all =
        arguments.filter.is_some() || arguments.list || std::env::var_os("LABS_ALL").is_some();
    let chosen: Vec<&'static Lab> = match all {
        true => labs(),
        false => few_of_commit(&labs(), SLICE),
    };
    let trials: Vec<Trial> = chosen
        .into_iter()
        .map(|lab| trial(lab.name, LIMIT, move || can_be_done(lab)))
        .collect();
    run_named(&arguments, trials)
}

/// Does a lab as a student would, with our solution.
fn can_be_done(lab: &Lab) -> Result<()> {
    let tree = paths::target().join("labs-tested").join(lab.name);
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    make(lab, &tree)?;
    let begun = check(lab, &tree)?;
    ensure!(!begun.is_green, "green at the beginning:\n{}", begun.said);
    ensure!(
        begun.said.contains(lab.reason),
        "red, but not for the reason {:?}:\n{}",
        lab.reason,
        begun.said
    );
    apply(&lab.solution()?, &tree)?;
    let solved = check(lab, &tree)?;
    ensure!(solved.is_green, "red with our solution:\n{}", solved.said);
    fs::remove_dir_all(&tree)?;
    Ok(())
}

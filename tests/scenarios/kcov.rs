//! Coverage: the functions that a program is told it covered are those that ran.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use xtask::compile::{KCOV, variant};
use xtask::image::IsoSpec;
use xtask::quiet::is_quiet;
use xtask::run::{Exit, Run};
use xtask::symbols::Symbols;

use super::machine;
use crate::Scenario;

/// Every scenario of this file.
pub fn scenarios() -> Vec<Scenario> {
    vec![Scenario {
        name: "kcov::addresses_are_of_what_ran".to_owned(),
        run: Box::new(|| {
            let spec = IsoSpec {
                kernel: Some(variant(KCOV)?),
                ..IsoSpec::boot("init=/tests/kcov")
            };
            machine(&spec)?.run()
        }),
        check: Box::new(names),
        limit: Duration::from_secs(600),
    }]
}

/// A fork, its page faults and the wait; nothing of the switch, the entries, or functions that were
/// not called.
fn names(run: &Run) -> Result<()> {
    run.ends(Exit::Success)?;
    let symbols = Symbols::read(&variant(KCOV)?)?;
    let mut functions = BTreeSet::new();
    for line in run.log.lines() {
        let Some(hex) = line.trim().strip_prefix("# pc ") else {
            continue;
        };
        let address = u32::from_str_radix(hex.trim(), 16)?;
        // A return address: the call lies before it.
        let function = symbols.function_at(address - 1);
        ensure!(function.is_some(), "{address:08x} lies in no function");
        functions.extend(function.map(|it| it.name.clone()));
    }
    let has = |part: &str| functions.iter().any(|name| name.contains(part));
    for ran in [
        "fork::do_fork",
        "fork::copy_process",
        "fault::handle_mm_fault",
    ] {
        ensure!(has(ran), "no {ran} in {functions:#?}");
    }
    for did_not in ["exec::do_execve", "exit::do_exit", "pipe::", "__switch_to"] {
        ensure!(!has(did_not), "{did_not} in {functions:#?}");
    }
    let quiet: Vec<&String> = functions.iter().filter(|name| is_quiet(name)).collect();
    ensure!(quiet.is_empty(), "covered, but never recorded: {quiet:?}");
    Ok(())
}

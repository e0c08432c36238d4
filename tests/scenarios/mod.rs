//! The boots, one story a file.

mod boot_failures;
mod cpu_start;
mod deaths;
mod exec;
mod harness;
mod init_failures;
mod kcov;
mod real_programs;
mod screen;
mod smp;
mod suites;
mod tour;
mod trace;

use std::time::Duration;

use anyhow::Result;
use xtask::compile::mutant;
use xtask::image::{IsoSpec, try_iso};
use xtask::qemu::{Medium, Vm};
use xtask::run::Run;

use crate::Scenario;
pub use suites::suites;

/// Every scenario.
pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios = harness::scenarios();
    scenarios.extend(boot_failures::scenarios());
    scenarios.extend(init_failures::scenarios());
    scenarios.extend(real_programs::scenarios());
    scenarios.extend(deaths::scenarios());
    scenarios.extend(screen::scenarios());
    scenarios.extend(exec::scenarios());
    scenarios.extend(kcov::scenarios());
    scenarios.extend(smp::scenarios());
    scenarios.extend(cpu_start::scenarios());
    scenarios.extend(tour::scenarios());
    scenarios.extend(trace::scenarios());
    scenarios
}

/// A machine that boots this ISO.
fn machine(spec: &IsoSpec) -> Result<Vm> {
    Ok(Vm::new(Medium::Iso(try_iso(spec)?)))
}

/// A scenario: a name, an ISO and perhaps a changed machine, and what must be true of the run.
fn scenario(
    name: &str,
    spec: IsoSpec,
    change: impl Fn(&mut Vm) + Send + 'static,
    check: impl Fn(&Run) -> Result<()> + Send + 'static,
) -> Scenario {
    Scenario {
        name: name.to_owned(),
        run: Box::new(move || {
            let mut spec = spec.clone();
            spec.kernel = spec.kernel.or_else(mutant);
            let mut vm = machine(&spec)?;
            change(&mut vm);
            vm.run()
        }),
        check: Box::new(check),
        limit: Duration::from_secs(120),
    }
}

/// Makes a machine execute the same instructions in each run: they measure time, so nothing depends
/// on how busy the host is.
fn repeatable(vm: &mut Vm) {
    vm.icount = Some("shift=4,sleep=off".to_owned());
}

/// Leaves the machine unchanged.
fn as_usual(_: &mut Vm) {}

//! Boots that report in KTAP: the kernel's own tests, and each ring-3 program.

use std::time::Duration;

use anyhow::Result;
use support::compile::program_names;
use support::image::IsoSpec;
use support::ktap;
use support::qemu::Vm;

use super::{machine, tour};
use crate::Suite;

/// Every suite.
pub fn suites() -> Result<Vec<Suite>> {
    let mut suites = vec![Suite {
        name: "selftest".to_owned(),
        vm: selftest,
        what: "selftest".to_owned(),
        report: ktap::parse,
    }];
    suites.push(tour::suite());
    for program in program_names()? {
        // It runs the others.
        if program != "init" {
            suites.push(Suite {
                name: format!("ring3::{program}"),
                vm: ring3,
                what: program,
                report: ktap::parse,
            });
        }
    }
    Ok(suites)
}

fn selftest(word: &str) -> Result<Vm> {
    Ok(Vm {
        timeout: Duration::from_secs(180),
        ..machine(&IsoSpec::boot(word))?
    })
}

/// A machine of its own for each program: one that crashes hides no other.
fn ring3(program: &str) -> Result<Vm> {
    machine(&IsoSpec::boot(&format!("init=/tests/{program}")))
}

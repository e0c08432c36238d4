//! The harness itself: a machine that hangs, one that resets, one that never starts.

use std::time::Duration;

use anyhow::{Result, ensure};
use xtask::image::IsoSpec;
use xtask::run::{End, Exit, Run};

use super::{as_usual, scenario};
use crate::Scenario;

/// Every scenario of this file.
pub fn scenarios() -> Vec<Scenario> {
    let script = |script: &str| IsoSpec {
        script: Some(script.to_owned()),
        ..IsoSpec::default()
    };
    vec![
        scenario(
            "harness::a_hang_shows_every_cpu",
            // Its CPUs wait for a debugger that never comes.
            IsoSpec::default(),
            |vm| {
                vm.cpus = 2;
                vm.gdb = true;
                vm.silence = Duration::from_secs(3);
            },
            hang,
        ),
        scenario(
            "harness::a_reset_is_no_success",
            script("reboot\n"),
            as_usual,
            |run| {
                ensure!(
                    matches!(run.end, End::Reset { .. }),
                    "the run ended with {:?}",
                    run.end
                );
                ensure!(
                    run.explain(None).contains("EIP="),
                    "no registers in {}",
                    run.explain(None)
                );
                Ok(())
            },
        ),
        scenario(
            "harness::a_kernel_that_grub_cannot_load",
            script("if multiboot2 /boot/nothing; then boot; fi\noutl 0xf4 0x30\n"),
            as_usual,
            |run| run.ends(Exit::GrubFailed),
        ),
    ]
}

fn hang(run: &Run) -> Result<()> {
    let End::Hang { registers, .. } = &run.end else {
        anyhow::bail!("it did not hang")
    };
    for text in ["CPU#0", "CPU#1", "EIP=", "CR3="] {
        ensure!(registers.contains(text), "the registers have no {text}");
    }
    let text = run.explain(None);
    ensure!(
        text.contains("silent for 3 s") && text.contains("lines of the log"),
        "the report is {text}"
    );
    Ok(())
}

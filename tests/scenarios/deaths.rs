//! The kernel dies: the report is readable, names the task, and comes from a stack of its own.

use anyhow::{Result, ensure};
use support::image::IsoSpec;
use support::qemu::{Exit, Run};

use super::{as_usual, scenario};
use crate::Scenario;

/// Every scenario of this file.
pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "death::panic",
            IsoSpec::boot("selftest=panic!"),
            as_usual,
            |run| {
                run.line("panicked")?;
                epitaph(run)
            },
        ),
        scenario(
            "death::kernel_stack_overflow",
            IsoSpec::boot("selftest=overflow_kernel_stack!"),
            as_usual,
            |run| {
                run.line("double fault")?;
                run.line("stack overflow")?;
                epitaph(run)
            },
        ),
        scenario(
            "death::kernel_page_fault",
            IsoSpec::boot("selftest=null_dereference!"),
            as_usual,
            |run| {
                run.line("page fault")?;
                epitaph(run)
            },
        ),
    ]
}

/// Registers, the current task, and where each return address points to.
fn epitaph(run: &Run) -> Result<()> {
    for register in ["eax", "ebx", "esp", "ebp", "eip", "eflags", "cr2", "cr3"] {
        let line = run
            .log
            .lines()
            .any(|line| line.to_lowercase().contains(register));
        ensure!(line, "the report does not name {register}");
    }
    run.line("task")?;
    let frames = run.log.lines().filter(|line| line.contains("+0x")).count();
    ensure!(
        frames >= 2,
        "{frames} lines of the backtrace name a function"
    );
    run.ends(Exit::Panic)
}

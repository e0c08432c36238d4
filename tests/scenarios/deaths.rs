//! The kernel dies: its report is readable, names the task, and comes from a stack of its own.
//!
//! The self-tests that end the kernel run only by their exact names.

use std::time::Duration;

use anyhow::{Result, ensure};
use xtask::compile::{STACK_PROTECTOR, variant};
use xtask::image::IsoSpec;
use xtask::run::{End, Exit, Run};

use super::{as_usual, machine, scenario};
use crate::Scenario;

/// A death: the self-test, the first line of the report, and a function in the backtrace.
struct Death {
    selftest: &'static str,
    says: &'static str,
    function: &'static str,
}

const DEATHS: &[Death] = &[
    Death {
        selftest: "panic!",
        says: "a self-test asked for it",
        function: "deaths::panic",
    },
    Death {
        selftest: "null_dereference!",
        says: "page fault at 00000000 (NULL pointer)",
        function: "deaths::null_dereference",
    },
    // It runs on the double fault's own TSS, since the stack has ended.
    Death {
        selftest: "overflow_kernel_stack!",
        says: "double fault: kernel stack overflow",
        function: "deaths::recurse",
    },
    // The invariants that are checked at each switch of a debug build.
    Death {
        selftest: "bug_switch_with_irqs_on!",
        says: "switch with interrupts on",
        function: "context_switch::check_switch",
    },
    Death {
        selftest: "bug_switch_without_lock!",
        says: "switch without the run-queue lock",
        function: "context_switch::check_switch",
    },
    Death {
        selftest: "bug_prepare_without_finish!",
        says: "prepare_task_switch twice without finish_task_switch",
        function: "deaths::bug_prepare_without_finish",
    },
    Death {
        selftest: "bug_scheduling_while_atomic!",
        says: "scheduling while atomic, preempt_count 0x2",
        function: " schedule+0x",
    },
    Death {
        selftest: "bug_stack_end_overwritten!",
        says: "overran its end",
        function: "context_switch::check_switch",
    },
    Death {
        selftest: "bug_exit_while_atomic!",
        says: "exits with preempt_count 0x1",
        function: "exit::do_exit",
    },
    Death {
        selftest: "bug_mm_dropped_under_cr3!",
        says: "page directory dropped while CR3 holds it",
        function: "mm_struct::__mmdrop",
    },
];

/// A death in a kernel with canaries: the report names the function and the task.
const FRAME_OVERWRITTEN: Death = Death {
    selftest: "canary_frame_overwritten!",
    says: "selftest::canary::with_frame",
    function: "__stack_chk_fail+",
};

/// Every scenario of this file.
pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = DEATHS
        .iter()
        .map(|death| {
            scenario(
                &format!("death::{}", death.selftest.trim_end_matches('!')),
                IsoSpec::boot(&format!("selftest={}", death.selftest)),
                as_usual,
                |run| epitaph(run, death),
            )
        })
        .collect();
    scenarios.push(Scenario {
        name: "death::canary_frame_overwritten".to_owned(),
        run: Box::new(|| {
            let spec = IsoSpec {
                kernel: Some(variant(STACK_PROTECTOR)?),
                ..IsoSpec::boot("selftest=canary_frame_overwritten!")
            };
            machine(&spec)?.run()
        }),
        check: Box::new(|run| epitaph(run, &FRAME_OVERWRITTEN)),
        limit: Duration::from_secs(600),
    });
    scenarios.push(scenario(
        "death::hang",
        IsoSpec::boot("selftest=hang!"),
        |vm| vm.silence = Duration::from_secs(5),
        |run| {
            let End::Hang { registers, .. } = &run.end else {
                anyhow::bail!("it did not hang")
            };
            ensure!(registers.contains("CR3="), "no registers");
            Ok(())
        },
    ));
    scenarios.push(scenario(
        "death::panic_halt_stands_still",
        IsoSpec::boot("panic=halt selftest=panic!"),
        as_usual,
        |run| {
            run.line("BUG: ")?;
            ensure!(
                matches!(run.end, End::Hang { .. }),
                "the run ended with {:?}",
                run.end
            );
            Ok(())
        },
    ));
    scenarios
}

/// Checks the report: the reason, the current task, its registers, and where each return address
/// points to.
fn epitaph(run: &Run, death: &Death) -> Result<()> {
    run.ends(Exit::Panic)?;
    let lines: Vec<&str> = run
        .log
        .lines()
        .skip_while(|line| !line.starts_with("BUG: "))
        .collect();
    let reports = lines
        .iter()
        .filter(|line| line.starts_with("BUG: "))
        .count();
    ensure!(reports == 1, "{reports} lines begin with `BUG: `");
    ensure!(
        lines[0].contains(death.says),
        "{:?} does not say {:?}",
        lines[0],
        death.says
    );
    // The kernel keeps 15 bytes of a name.
    let name = &death.selftest[..death.selftest.len().min(15)];
    let task = lines.get(1).copied().unwrap_or_default();
    ensure!(
        task.contains(&format!("task {name}[")),
        "{task:?} does not name {name}"
    );
    let registers = [
        "eip 0060:",
        "eflags ",
        "eax ",
        "ebx ",
        "ecx ",
        "edx ",
        "esi ",
        "edi ",
        "ebp ",
        "esp ",
        "ds ",
        "es ",
        "fs 00d8",
        "gs ",
        "cr0 ",
        "cr2 ",
        "cr3 ",
        "cr4 ",
    ];
    let text = lines.join("\n");
    for register in registers {
        ensure!(text.contains(register), "the report has no {register:?}");
    }
    let frames: Vec<&&str> = lines
        .iter()
        .skip_while(|line| !line.starts_with("backtrace:"))
        .skip(1)
        .collect();
    ensure!(frames.len() >= 3, "the backtrace is {frames:?}");
    ensure!(
        frames
            .iter()
            .all(|frame| frame.is_empty() || frame.contains("+0x")),
        "a frame without a function in {frames:?}"
    );
    ensure!(
        text.contains(death.function),
        "the report does not name {}",
        death.function
    );
    ensure!(
        text.contains("kernel_thread_helper+"),
        "the backtrace does not reach the thread's start"
    );
    Ok(())
}

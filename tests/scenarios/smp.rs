//! Processors: all that the firmware lists are started; one that does not answer is named; without
//! a list there is one; and `maxcpus=` limits them.

use anyhow::{Result, bail, ensure};
use xtask::image::IsoSpec;
use xtask::run::{Exit, Run};

use super::{as_usual, scenario};
use crate::Scenario;

/// Every scenario of this file.
pub fn scenarios() -> Vec<Scenario> {
    let idle = || IsoSpec::boot("selftest=smp_each_cpu_has_its_own_tables");
    vec![
        scenario(
            "smp::every_listed_cpu_is_started",
            idle(),
            |vm| vm.cpus = 8,
            |run| {
                run.line("smp: 8 of 8 CPUs run")?;
                run.ends(Exit::Success)
            },
        ),
        scenario(
            "smp::a_cpu_that_does_not_answer_is_named",
            IsoSpec::boot("selftest=cpu_that_never_answers!"),
            |vm| vm.cpus = 2,
            |run| {
                run.line("smp: CPU 2 (APIC id 238) did not answer within 5 s")?;
                run.ends(Exit::Success)
            },
        ),
        scenario(
            "smp::a_cpu_that_comes_too_late_does_not_come",
            IsoSpec::boot("maxcpus=1 selftest=cpu_that_comes_too_late!"),
            |vm| vm.cpus = 2,
            |run| {
                run.line("smp: CPU 1 (APIC id 1) did not answer within 5 s")?;
                run.line("smp: CPU 1 (APIC id 238) did not answer within 5 s")?;
                run.ends(Exit::Success)
            },
        ),
        scenario(
            "smp::maxcpus_leaves_the_others_off",
            IsoSpec::boot("maxcpus=2 selftest=smp_each_cpu_has_its_own_tables"),
            |vm| vm.cpus = 3,
            |run| {
                run.line("smp: CPU with APIC id 2 stays off: 2 run already")?;
                run.line("smp: 2 of 3 CPUs run")?;
                run.ends(Exit::Success)
            },
        ),
        scenario(
            "smp::no_madt_is_one_cpu",
            idle(),
            |vm| vm.acpi = false,
            |run| {
                run.line("smp: the firmware has no MADT: one CPU")?;
                run.ends(Exit::Success)
            },
        ),
        scenario(
            "smp::the_8259s_and_the_pit_do_without_apics",
            IsoSpec::boot("init=/init -- run sched"),
            |vm| vm.acpi = false,
            |run| run.ends(Exit::Success),
        ),
        scenario(
            "smp::a_soft_lockup_shows_every_cpu",
            IsoSpec::boot("watchdog=5 selftest=soft_lockup!"),
            |vm| vm.cpus = 3,
            |run| {
                // Any CPU, since the case may start on any.
                let line = run.line("BUG: soft lockup: CPU ")?;
                ensure!(line.ends_with(" has not switched for 5 s"), "{line:?}");
                let cpu = line.split_whitespace().nth(4).unwrap_or_default();
                let stuck = format!("cpu {cpu}, task soft_lockup![");
                lockup(run, 3, &stuck, "deaths::spin_with")
            },
        ),
        scenario(
            "smp::a_nice_spinner_is_no_lockup",
            IsoSpec::boot("watchdog=1 selftest=nice_spinner_is_no_lockup"),
            as_usual,
            |run| {
                run.says("ok 1 nice_spinner_is_no_lockup")?;
                run.ends(Exit::Success)
            },
        ),
        scenario(
            "smp::a_hard_lockup_is_seen_by_its_neighbour",
            IsoSpec::boot("watchdog=5 selftest=hard_lockup!"),
            |vm| vm.cpus = 3,
            |run| {
                run.line("BUG: hard lockup: CPU 1 has not switched for 5 s")?;
                lockup(run, 3, "cpu 1, task locked", "deaths::spin_with")
            },
        ),
        all_locked_up("smp::1_cpus_locked_up_are_seen_by_nmi", 1),
        all_locked_up("smp::2_cpus_locked_up_are_seen_by_nmi", 2),
        all_locked_up("smp::4_cpus_locked_up_are_seen_by_nmi", 4),
        misuse(
            "bug_lock_taken_twice!",
            "lock taken twice by one CPU",
            Some("take_first"),
        ),
        misuse(
            "bug_locks_taken_out_of_order!",
            "locks taken out of order",
            Some("take_second"),
        ),
        misuse(
            "bug_lock_of_interrupts!",
            "lock of task context taken with interrupts off",
            None,
        ),
        misuse(
            "bug_lock_with_interrupts_off!",
            "lock of task context taken with interrupts off",
            None,
        ),
        misuse(
            "bug_run_queues_out_of_order!",
            "two locks of a class not in order",
            Some("deaths::take_run_queue"),
        ),
        misuse(
            "bug_lock_released_twice!",
            "lock released that nobody holds",
            Some("deaths::take_run_queue"),
        ),
        misuse(
            "bug_lock_released_by_another_cpu!",
            "lock released by another CPU than its owner",
            Some("deaths::bug_lock_released_by_another_cpu"),
        ),
        scenario(
            "paravirt::nested_lazy_modes_are_a_bug",
            IsoSpec::boot("paravirt=batch selftest=bug_lazy_modes_nested!"),
            as_usual,
            |run| {
                run.line("BUG: ")?;
                run.line("paravirt: lazy mode 1 entered within lazy mode 1")?;
                run.ends(Exit::Panic)
            },
        ),
        scenario("smp::one_cpu_is_said_to_be_one", idle(), as_usual, one),
    ]
}

/// The lock checker's report: the lock, its holder, and whoever took the other lock, if there are
/// two.
fn misuse(selftest: &str, says: &'static str, before: Option<&'static str>) -> Scenario {
    scenario(
        &format!("lockdep::{}", selftest.trim_end_matches('!')),
        IsoSpec::boot(&format!("selftest={selftest}")),
        |vm| vm.cpus = 2,
        move |run| {
            run.line(&format!("BUG: {says}"))?;
            run.ends(Exit::Panic)?;
            run.line("a lock of class ")?;
            let (now, there) = match (run.log.split_once("the other backtrace:"), before) {
                (Some(two), Some(_)) => two,
                (None, None) => (run.log.as_str(), ""),
                (Some(_), None) => bail!("there is another backtrace"),
                (None, Some(_)) => bail!("there is no other backtrace"),
            };
            ensure!(
                ["kernel_thread_helper+", "do_IRQ+"]
                    .iter()
                    .any(|end| now.contains(end)),
                "the first is cut off"
            );
            match before {
                Some(before) if !there.contains(before) => {
                    bail!("the other does not name {before}")
                }
                _ => Ok(()),
            }
        },
    )
}

/// No CPU takes its ticks any more: only an NMI shows where all of them are.
fn all_locked_up(name: &str, cpus: u32) -> Scenario {
    scenario(
        name,
        IsoSpec::boot("watchdog=5 selftest=all_cpus_locked_up!"),
        move |vm| vm.cpus = cpus,
        move |run| {
            run.line("BUG: hard lockup: CPU 0 has not switched for 5 s")?;
            for cpu in 0..cpus {
                run.line(&format!("cpu {cpu}, task locked"))?;
            }
            let spinning = run.log.matches("deaths::spin_with").count();
            ensure!(
                spinning >= cpus as usize,
                "{spinning} CPUs are where they spin"
            );
            lockup(run, cpus, "cpu 0, task locked", "deaths::spin_with")
        },
    )
}

/// Registers and task of each of `cpus` CPUs, where the culprit is, and all tasks.
fn lockup(run: &Run, cpus: u32, culprit: &str, function: &str) -> Result<()> {
    for text in [culprit, function, "runs on cpu"] {
        run.line(text)?;
    }
    for cpu in 0..cpus {
        run.line(&format!("cpu {cpu}, task "))?;
    }
    let registers = run
        .log
        .lines()
        .filter(|line| line.starts_with("eip "))
        .count();
    ensure!(
        registers == cpus as usize,
        "the registers of {registers} CPUs"
    );
    run.line(&format!("  migration/{}[", cpus - 1))?;
    run.ends(Exit::Panic)
}

fn one(run: &Run) -> Result<()> {
    run.line("smp: 1 of 1 CPUs run")?;
    ensure!(!run.log.contains("stays off"), "one was left off");
    run.ends(Exit::Success)
}

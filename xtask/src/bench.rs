//! `just bench`: what switches and calls cost, in guest instructions.
//!
//! QEMU counts: with `-icount shift=0` one instruction is one tick of the time-stamp counter, so
//! the figures are exact and the same on every host. The program that measures runs as init of a
//! release kernel: ours, `user/src/bin/bench.rs`, or any static one.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::compile::Profile;
use crate::image::{Initramfs, IsoSpec, try_iso};
use crate::initramfs::{Entry, newc};
use crate::program::check_elf;
use crate::qemu::{Medium, Vm};
use crate::run::Run;

/// The goal, in instructions; a measure without a goal is there to be compared.
const GOALS: [(&str, u32); 15] = [
    ("switch.processes", 200),
    ("switch.32_processes", 200),
    ("switch.threads", 180),
    ("switch.x87", 260),
    ("switch.glibc", 270),
    ("getppid.int80", 40),
    ("getppid.sysenter", 45),
    ("pipe_round_trip", 1200),
    ("futex_round_trip", 1200),
    ("fork_exit_wait", 25_000),
    ("fork_exit_wait.1000", 30_000),
    ("fork_exit_wait.10000", 30_000),
    ("kill", 300),
    ("kill.1000", 300),
    ("kill.10000", 300),
];

/// How long a run may take; GRUB alone takes ten seconds at this speed.
const PATIENCE: Duration = Duration::from_secs(300);

/// Enough for ten thousand processes.
const MEMORY_MIB: u32 = 768;

/// Runs our measures, or those of the static program at `path`, and prints what they say.
pub fn bench(path: Option<&str>) -> Result<ExitCode> {
    let spec = match path {
        None => IsoSpec::boot("init=/tests/bench loglevel=4 norandmaps"),
        Some(path) => IsoSpec {
            initramfs: only(path)?,
            ..IsoSpec::boot("loglevel=4 norandmaps")
        },
    };
    let spec = IsoSpec {
        profile: Profile::Release,
        ..spec
    };
    let run = Vm {
        icount: Some("shift=0,sleep=off".to_owned()),
        timeout: PATIENCE,
        silence: PATIENCE,
        memory_mib: MEMORY_MIB,
        ..Vm::new(Medium::Iso(try_iso(&spec)?))
    }
    .run()?;
    println!("guest instructions, counted by {}", run.command);
    println!("release build: opt-level 3, fat LTO, no debug assertions; one CPU\n");
    match path {
        None => print!("{}", table(&run)?),
        Some(_) => print!("{}", run.log),
    }
    Ok(ExitCode::SUCCESS)
}

/// An initramfs with nothing in it but this program, as init.
fn only(path: &str) -> Result<Initramfs> {
    let bytes = fs::read(path).with_context(|| path.to_owned())?;
    check_elf(&bytes).with_context(|| path.to_owned())?;
    let entries = [Entry::folder("dev"), Entry::program("init", bytes)];
    Ok(Initramfs::Bytes(newc(&entries)))
}

/// Measure, figure and goal side by side.
fn table(run: &Run) -> Result<String> {
    let measures: Vec<(&str, &str)> = run.log.lines().filter_map(measure).collect();
    ensure!(
        !measures.is_empty() && run.log.lines().any(|line| line == "bench done"),
        "the program did not come to its end:\n{}",
        run.explain(None)
    );
    let mut table = format!("{:22} {:>10} {:>8}\n", "", "figure", "goal");
    for (name, figure) in measures {
        table += &format!("{name:22} {figure:>10} {:>8}\n", goal(name, figure));
    }
    Ok(table)
}

/// The name and the figure of a line `bench NAME FIGURE`.
fn measure(line: &str) -> Option<(&str, &str)> {
    let (name, figure) = line.strip_prefix("bench ")?.split_once(' ')?;
    figure.parse::<f64>().is_ok().then_some((name, figure))
}

/// The goal of a measure, with a mark if the figure is above it; empty without one.
fn goal(name: &str, figure: &str) -> String {
    let Some((_, goal)) = GOALS.iter().find(|(of, _)| *of == name) else {
        return String::new();
    };
    let is_above = figure
        .parse::<f64>()
        .is_ok_and(|it| it.trunc() > f64::from(*goal));
    format!("{}{goal}", if is_above { "! " } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_measures_are_told_from_others() {
        assert_eq!(measure("bench a.b 12.34"), Some(("a.b", "12.34")));
        assert_eq!(measure("bench done"), None);
        assert_eq!(measure("bench a ten"), None);
        assert_eq!(measure("[    0.1] bench a 1"), None);
    }

    #[test]
    fn a_figure_above_its_goal_is_marked() {
        assert_eq!(goal("switch.threads", "180.06"), "180");
        assert_eq!(goal("switch.threads", "181.00"), "! 180");
        assert_eq!(goal("switch.tls", "1"), "");
    }
}

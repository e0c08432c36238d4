//! The trace: its records are consistent, and tell what the programs did.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use switch_to::trace::record::{Event, Record};
use xtask::golden::without_values;
use xtask::image::IsoSpec;
use xtask::paths;
use xtask::run::{Exit, Run};
use xtask::toolchain::tool;
use xtask::trace::check::hangs_together;
use xtask::trace::stream::{Trace, name};
use xtask::trace::{dat, ftrace};

use super::{repeatable, scenario};
use crate::Scenario;

/// Yields of each of two processes; the program has the same number.
const YIELDS: usize = 50;

/// Lines of the tour's trace that the book shows, in their order.
const SHOWN: &str = "tests/expected/trace.txt";

/// Records of the tour that the book's timeline is drawn from.
const DRAWN: &str = "tests/expected/timeline.txt";

/// Every scenario of this file.
pub fn scenarios() -> Vec<Scenario> {
    let marks = || IsoSpec::boot("trace=on init=/tests/trace_marker");
    vec![
        scenario(
            "trace::turns_of_two_processes_are_so_many_switches",
            marks(),
            |vm| vm.trace = true,
            |run| turns(&whole(run)?, run),
        ),
        scenario(
            "trace::texts_of_programs_are_in_it",
            marks(),
            |vm| (vm.trace, vm.cpus) = (true, 2),
            |run| texts(&whole(run)?),
        ),
        scenario(
            "trace::trace_cmd_reads_it",
            marks(),
            |vm| (vm.trace, vm.cpus) = (true, 2),
            |run| trace_cmd(&whole(run)?),
        ),
        scenario(
            "trace::hangs_together_on_several_cpus",
            IsoSpec::boot(
                "trace=on init=/init -- run sched threads processes clone stop exec_thread",
            ),
            |vm| (vm.trace, vm.cpus) = (true, 4),
            |run| hangs_together(&whole(run)?),
        ),
        scenario(
            "trace::a_long_run_is_taken_while_it_lasts",
            IsoSpec::boot("trace=on quiet stress=4"),
            |vm| {
                (vm.trace, vm.cpus) = (true, 2);
                (vm.timeout, vm.silence) = (Duration::from_secs(110), Duration::from_secs(110));
            },
            |run| {
                let trace = whole(run)?;
                // More than the rings hold at a time.
                ensure!(trace.records.len() > 5000, "{}", trace.summary());
                hangs_together(&trace)
            },
        ),
        scenario(
            "trace::the_tour_is_as_the_book_shows_it",
            IsoSpec::boot("trace=on tour"),
            |vm| {
                vm.trace = true;
                repeatable(vm);
            },
            |run| {
                let trace = whole(run)?;
                shown(&ftrace::text(&trace))?;
                drawn(&trace)
            },
        ),
        scenario(
            "trace::without_a_console_it_says_so",
            marks(),
            |_| (),
            |run| {
                run.line("trace: nobody listens at the debug console")?;
                run.ends(Exit::Success)
            },
        ),
        scenario(
            "trace::off_writes_nothing",
            IsoSpec::boot("init=/tests/trace_marker"),
            |vm| vm.trace = true,
            |run| {
                ensure!(run.trace.is_empty(), "{} bytes", run.trace.len());
                run.ends(Exit::Success)
            },
        ),
        scenario(
            "trace::a_panic_does_not_lose_it",
            IsoSpec::boot("trace=on selftest=bug_exit_while_atomic!"),
            |vm| vm.trace = true,
            |run| {
                run.ends(Exit::Panic)?;
                hangs_together(&Trace::read(&run.trace)?)
            },
        ),
    ]
}

/// Returns the trace of a run that ended well.
fn whole(run: &Run) -> Result<Trace> {
    run.ends(Exit::Success)?;
    Trace::read(&run.trace)
}

/// The trace has each line that the book shows, apart from the numbers, in the same order. `BLESS=1`
/// gives the lines the numbers of this run.
fn shown(text: &str) -> Result<()> {
    let file = paths::root().join(SHOWN);
    let kept = fs::read_to_string(&file).context(SHOWN)?;
    let mut lines = text.lines();
    let mut now = String::new();
    for line in kept.lines() {
        // A heading, by which the book refers to the lines.
        if line.starts_with('#') {
            now += &format!("{line}\n");
            continue;
        }
        let wanted = without_values(line);
        match lines.find(|line| without_values(line) == wanted) {
            Some(found) => now += &format!("{found}\n"),
            None => bail!("{SHOWN}: no such line after those before it: {line:?}"),
        }
    }
    ensure!(
        kept.lines().any(|line| !line.starts_with('#')),
        "{SHOWN} shows nothing"
    );
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, now)?;
    }
    Ok(())
}

/// The part of the tour that the book draws as a timeline, from the four kinds of switch to the end of a
/// task, is the same as in the records that are kept, but for its times and numbers. `BLESS=1` keeps those
/// of this run.
fn drawn(trace: &Trace) -> Result<()> {
    let switch_to = |task: &str, from: usize| {
        let is_one = |record: &Record| match record.event {
            Event::SchedSwitch { next_comm, .. } => name(&next_comm) == task,
            _ => false,
        };
        let found = (from..trace.records.len()).find(|&at| is_one(&trace.records[at]));
        found.with_context(|| format!("no switch to {task} after record {from}"))
    };
    let first = switch_to("u1", 0)?;
    let last = switch_to("next", first)?;
    let text = trace.text(first..=last);
    let file = paths::root().join(DRAWN);
    if std::env::var_os("BLESS").is_some() {
        return fs::write(&file, text).context(DRAWN);
    }
    let told = |text: &str| -> Result<Vec<(u8, String)>> {
        let part = Trace::of_text(text)?;
        let flags: Vec<u8> = part.records.iter().map(|record| record.flags).collect();
        let lines = ftrace::text(&part);
        let lines = lines.lines().filter(|line| !line.starts_with('#'));
        Ok(flags.into_iter().zip(lines.map(without_values)).collect())
    };
    let (kept, now) = (
        told(&fs::read_to_string(&file).context(DRAWN)?)?,
        told(&text)?,
    );
    ensure!(
        kept == now,
        "{DRAWN}: the tour does something else now\n{kept:?}\n{now:?}"
    );
    Ok(())
}

/// Between two marks the CPU goes from one process to the other and back, and to no other task.
fn turns(trace: &Trace, run: &Run) -> Result<()> {
    let line = run.line(" take turns")?;
    let pids: Vec<i32> = line
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [one, other] = pids[..] else {
        anyhow::bail!("{line:?} names no two processes")
    };
    let mark = |text: &str| {
        (0..trace.records.len())
            .find(|&at| trace.print_at(at).is_some_and(|it| it == text.as_bytes()))
            .with_context(|| format!("no mark {text:?}"))
    };
    let between = &trace.records[mark("turns begin")?..mark("turns end")?];
    let switches: Vec<(i32, i32, u32)> = between
        .iter()
        .filter_map(|record| match record.event {
            Event::SchedSwitch {
                next_pid,
                prev_state,
                ..
            } => Some((record.pid, next_pid, prev_state)),
            _ => None,
        })
        .collect();
    let expected: Vec<(i32, i32, u32)> = (0..YIELDS)
        .flat_map(|_| [(one, other, 0), (other, one, 0)])
        .collect();
    ensure!(switches == expected, "{switches:?}");
    hangs_together(trace)
}

fn texts(trace: &Trace) -> Result<()> {
    let texts: Vec<String> = (0..trace.records.len())
        .filter_map(|at| trace.print_at(at))
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .collect();
    let dots = ".".repeat(1024);
    let expected = [
        "short",
        "a text that is longer than one record, so that it takes three of them",
        &dots,
        "turns begin",
        "turns end",
    ];
    ensure!(texts == expected, "{texts:?}");
    Ok(())
}

/// trace-cmd reads the file without complaint, and finds the records that the text has.
fn trace_cmd(trace: &Trace) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("trace.dat");
    fs::write(&file, dat::bytes(trace))?;
    let output = tool("trace-cmd")?
        .args(["report", "-R", "-t", "-i"])
        .arg(&file)
        .output()?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && complaints.is_empty(),
        "{}: {complaints}",
        output.status
    );
    let report = String::from_utf8_lossy(&output.stdout);
    let text = ftrace::text(trace);
    let (mut report, mut text) = (
        report.lines().filter(|line| !line.starts_with("cpus=")),
        text.lines().filter(|line| !line.starts_with('#')),
    );
    loop {
        let (theirs, ours) = (report.next(), text.next());
        let (Some(theirs), Some(ours)) = (theirs, ours) else {
            ensure!(theirs == ours, "one is longer: {theirs:?}, {ours:?}");
            return Ok(());
        };
        // Task, CPU and event.
        ensure!(same_event(theirs, ours), "{theirs:?} is not {ours:?}");
    }
}

/// Returns whether two lines have the same task, by number, CPU and event.
fn same_event(theirs: &str, ours: &str) -> bool {
    let key = |line: &str| {
        let (task, rest) = line.split_once('[')?;
        // A name may have changed meanwhile.
        let (_, pid) = task.rsplit_once('-')?;
        let (cpu, rest) = rest.split_once(']')?;
        let event = rest
            .split_whitespace()
            .find(|word| word.ends_with(':') && !word.starts_with(|c: char| c.is_ascii_digit()))?;
        Some((pid.trim().to_owned(), cpu.to_owned(), event.to_owned()))
    };
    key(theirs).is_some() && key(theirs) == key(ours)
}

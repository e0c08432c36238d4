//! The tour, the project's main run. Each step is a test; its text is a golden file, with the numbers
//! of the run that wrote it (`BLESS=1` writes it anew); and the ISO's menu starts it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use xtask::golden::without_numbers;
use xtask::image::IsoSpec;
use xtask::ktap::{Case, Error, Outcome, Report};
use xtask::paths;
use xtask::qemu::Vm;
use xtask::run::Exit;

use super::{as_usual, machine, repeatable, scenario};
use crate::{Scenario, Suite};

/// The golden file: the tour's text, in which only the numbers may differ from run to run.
const EXPECTED: &str = "tests/expected/tour.txt";
/// The beginning of the last line.
const VERDICT: &str = "tour: verdict: ";

/// The tour with a test for each of its steps.
pub fn suite() -> Suite {
    Suite {
        name: "tour".to_owned(),
        vm: boot,
        what: "tour".to_owned(),
        report: read,
    }
}

/// Every scenario of this file.
pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "tour::reads_as_expected",
            IsoSpec::boot("tour"),
            repeatable,
            |run| {
                run.ends(Exit::Success)?;
                golden(&run.log)
            },
        ),
        other_ways("fpu=eager io_bitmap=lazy paravirt=batch"),
        other_ways("io_bitmap=invalidate"),
        scenario(
            "tour::is_what_the_menu_starts",
            IsoSpec::default(),
            // The menu waits ten seconds for a key.
            |vm| vm.silence = Duration::from_secs(40),
            |run| {
                run.line("switch_to: a tour")?;
                run.line(VERDICT)?;
                run.ends(Exit::Success)
            },
        ),
    ]
}

/// The tour tells and checks what the switch does in other ways.
fn other_ways(words: &str) -> Scenario {
    scenario(
        &format!("tour::holds_with_{}", words.replace(' ', "_")),
        IsoSpec::boot(&format!("tour {words}")),
        as_usual,
        |run| {
            run.line(VERDICT)?;
            run.ends(Exit::Success)
        },
    )
}

fn boot(cmdline: &str) -> Result<Vm> {
    machine(&IsoSpec::boot(cmdline))
}

/// The steps as cases: a numbered heading, and below it lines that begin with `ok` or `WRONG`.
fn read(log: &str) -> Report {
    let mut report = Report::default();
    let (mut held, mut checks) = (0, 0);
    let mut end = 0;
    for (number, line) in log.lines().enumerate() {
        end = number + 1;
        if let Some(title) = heading(line) {
            report.cases.push(Case {
                name: title.to_owned(),
                outcome: Outcome::Ok,
                lines: number..number + 1,
            });
            continue;
        }
        let Some(step) = report.cases.last_mut() else {
            continue;
        };
        step.lines.end = number + 1;
        if line.starts_with("      ok    ") {
            (held, checks) = (held + 1, checks + 1);
        } else if line.starts_with("      WRONG ") {
            checks += 1;
            step.outcome = Outcome::NotOk;
        }
    }
    let mut error = |what: String| report.errors.push(Error { line: end, what });
    let verdict = format!("{VERDICT}{held} of {checks} checks hold");
    if log.lines().rfind(|line| !line.is_empty()) != Some(&verdict) {
        error(format!("the last line is not {verdict:?}"));
    }
    let lines: Vec<&str> = log.lines().collect();
    for case in &report.cases {
        let checks = lines[case.lines.clone()].iter();
        if !checks.into_iter().any(|line| line.starts_with("      ok ")) {
            error(format!("the step {:?} checks nothing", case.name));
        }
    }
    report
}

/// ` 4. Three parameters: who ran last?  [ch. 3, …]` → `4. Three parameters: who ran last?`
fn heading(line: &str) -> Option<&str> {
    let title = line.strip_suffix(']')?.split("  [").next()?.trim_start();
    let (number, rest) = title.split_once(". ")?;
    (number.parse::<u32>().is_ok() && !rest.is_empty()).then_some(title)
}

/// Compares the log with the golden file, or writes the file.
fn golden(log: &str) -> Result<()> {
    let now: String = log
        .lines()
        .skip_while(|line| !line.starts_with("switch_to: a tour"))
        .filter(|line| !line.starts_with('['))
        .map(|line| line.to_owned() + "\n")
        .collect();
    let file = paths::root().join(EXPECTED);
    if std::env::var_os("BLESS").is_some() {
        return Ok(fs::write(file, now)?);
    }
    let expected = fs::read_to_string(&file).context(EXPECTED)?;
    for (number, (new, old)) in now.lines().zip(expected.lines()).enumerate() {
        ensure!(
            without_numbers(new) == without_numbers(old),
            "line {} is {new:?}, not {old:?}: BLESS=1 accepts it",
            number + 1
        );
    }
    let (new, old) = (now.lines().count(), expected.lines().count());
    ensure!(new == old, "{new} lines, not {old}: BLESS=1 accepts it");
    Ok(())
}

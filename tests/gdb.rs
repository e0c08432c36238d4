//! The switch under gdb, one instruction at a time: after each step, esp and whose stack it is on,
//! both `thread_struct`s, where `ret` will go, and at the end `last`.
//!
//! One boot is recorded, with the commands that a person also uses (`gdb/switch.py`): a switch to a
//! new task, one to a task that ran before, one to a task with TLS, and one back from a task other
//! than the one it left for. Each step of each is a test.

#[path = "gdb/scenes.rs"]
mod scenes;
#[path = "gdb/shown.rs"]
mod shown;
#[path = "gdb/steps.rs"]
mod steps;
#[path = "gdb/terminal.rs"]
mod terminal;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use xtask::compile::{Profile, kernel};
use xtask::gdb::{Session, batch};
use xtask::image::{IsoSpec, try_iso};
use xtask::paths;
use xtask::qemu::{Medium, Vm};
use xtask::scene::SCENES;
use xtask::symbols::Symbols;
use xtask::trial::{Arguments, Trial, run, trial};

use crate::steps::{Recording, STEPS};

/// The kinds of switch that are recorded, by the names of `switch-record`.
const KINDS: &[&str] = &["new", "old", "last", "tls"];
/// Programs that fork, wait and talk through pipes; then two tasks with one selector in %gs and two
/// TLS descriptors.
const CMDLINE: &str = "norandmaps init=/bin/busybox -- sh -c \"for i in 1 2 3 4; do \
    /bin/busybox echo $i | /bin/busybox cat; done; exec /tests/gs_bases\"";

/// One value of each kind that prints as what it means.
const VALUES: &str = "\
    print $lx_current().comm\n\
    print $lx_task_by_pid(0).flags\n\
    print $lx_current().on_cpu\n\
    print $lx_per_cpu(b\"gdt_page\")\n";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = vec![trial(
        "gdb::at_a_terminal::ctrl_c_stops_the_kernel",
        Duration::from_secs(400),
        terminal::ctrl_c_stops_the_kernel,
    )];
    let alone = arguments.filter.as_deref().unwrap_or_default();
    if alone.contains("at_a_terminal") {
        return run(&arguments, trials).exit_code();
    }
    if alone.is_empty() || alone.contains("scenes") {
        trials.extend(tests_of_scenes());
    }
    if alone.contains("scenes") {
        return run(&arguments, trials).exit_code();
    }
    // The rest looks at one recorded boot.
    match record() {
        Err(error) => {
            let error = format!("{error:#}");
            trials.push(trial("gdb::records_a_boot", limit(), move || {
                Err(anyhow!(error))
            }));
        }
        Ok((session, symbols)) => {
            let session = Arc::new(session);
            let recorded = Arc::clone(&session);
            trials.push(trial("gdb::records_a_boot", limit(), move || {
                ensure!(recorded.ok, "a command failed\n{}", recorded.explain());
                Ok(())
            }));
            for kind in KINDS {
                trials.extend(tests_of(kind, &session, &symbols));
                let recorded = Arc::clone(&session);
                trials.push(trial(
                    format!("gdb::{kind}::is_shown_as_kept"),
                    limit(),
                    move || {
                        shown::compare(kind, &recorded.output).context("see gdb::records_a_boot")
                    },
                ));
            }
            for (name, check) in COMMANDS {
                let session = Arc::clone(&session);
                trials.push(trial(*name, limit(), move || {
                    check(&session.output).context("see gdb::records_a_boot")
                }));
            }
        }
    }
    run(&arguments, trials).exit_code()
}

fn limit() -> Duration {
    Duration::from_secs(20)
}

/// Returns a test for each scene of the book, all of one boot.
fn tests_of_scenes() -> Vec<Trial> {
    let session = Arc::new(scenes::record().map_err(|error| format!("{error:#}")));
    let test = |name: &'static str| {
        let session = Arc::clone(&session);
        trial(
            format!("gdb::scenes::{name}"),
            limit(),
            move || match &*session {
                Ok(session) => scenes::compare(name, session),
                Err(error) => Err(anyhow!(error.clone())),
            },
        )
    };
    SCENES.iter().map(|name| test(name)).collect()
}

/// Runs everything that the tests check.
fn record() -> Result<(Session, Symbols)> {
    let elf = kernel(Profile::Dev)?;
    let iso = try_iso(&IsoSpec::boot(CMDLINE))?;
    let vm = Vm {
        timeout: Duration::from_secs(240),
        icount: Some("shift=4,sleep=off".to_owned()),
        ..Vm::new(Medium::Iso(iso))
    };
    let mut script = String::new();
    for kind in KINDS {
        script += &format!("echo begin {kind}\\n\nswitch-record {kind}\necho end {kind}\\n\n");
        script += &shown::script(kind);
        if *kind == "new" {
            // The stop is in assembly, where the idle task that left still has `on_cpu` set.
            script += "lx-ps\nlx-bt 0\nprint $lx_per_cpu(b\"cpu_number\")\n";
        }
    }
    script += "print $lx_current().pid\nprint $lx_thread_info().cpu\nswitch-step any\n";
    script += VALUES;
    let init = paths::root().join("gdb/init.gdb");
    let session = batch(&vm, &elf, &[&init], &script, false)?;
    Ok((session, Symbols::read(&elf)?))
}

/// Returns the tests of one recorded switch, one for each step.
fn tests_of(kind: &'static str, session: &Arc<Session>, symbols: &Symbols) -> Vec<Trial> {
    let recording = Recording::parse(kind, &session.output, symbols)
        .map_err(|error| format!("{error:#}: see gdb::records_a_boot"));
    let recording = Arc::new(recording);
    STEPS
        .iter()
        .filter(|step| step.is_in(kind))
        .map(|step| {
            let recording = Arc::clone(&recording);
            trial(
                format!("gdb::{kind}::{}", step.name),
                limit(),
                move || match &*recording {
                    Ok(recording) => (step.check)(recording)
                        .with_context(|| format!("the switch as recorded:\n{recording}")),
                    Err(error) => Err(anyhow!(error.clone())),
                },
            )
        })
        .collect()
}

/// A gdb command, and a check of its output.
type Command = (&'static str, fn(&str) -> Result<()>);

const COMMANDS: &[Command] = &[
    ("gdb::commands::lx_ps_lists_idle_and_init", |output| {
        ensure!(output.contains("TASK        PID"), "no heading");
        for (pid, name) in [("0", "swapper"), ("1", "")] {
            let listed = output.lines().any(|line| {
                let words: Vec<&str> = line
                    .trim_start_matches([' ', '*'])
                    .split_whitespace()
                    .collect();
                words.len() == 8 && words[1] == pid && words[7].contains(name)
            });
            ensure!(listed, "no task {pid}");
        }
        Ok(())
    }),
    ("gdb::commands::lx_bt_goes_through_schedule", |output| {
        let frames: Vec<&str> = output
            .lines()
            .filter(|line| line.starts_with('#'))
            .collect();
        ensure!(
            frames.iter().any(|frame| frame.contains("schedule")),
            "frames {frames:?}"
        );
        ensure!(
            frames.iter().any(|frame| frame.contains("start_kernel")),
            "frames {frames:?}"
        );
        Ok(())
    }),
    ("gdb::commands::values_print_as_what_they_mean", |output| {
        // A name, the flags of an idle task, what an atomic holds, a descriptor.
        for text in ["= \"", "= PF_KTHREAD", "base 00000000 limit ffffffff"] {
            ensure!(output.contains(text), "no value is {text:?}");
        }
        let plain = output.lines().any(|line| {
            let value = line.strip_prefix('$').and_then(|it| it.split_once(" = "));
            value.is_some_and(|(_, value)| value == "1")
        });
        ensure!(plain, "no atomic is its number");
        Ok(())
    }),
    ("gdb::commands::switch_step_draws_every_step", |output| {
        for text in [
            "--- save_sp: ",
            "--- load_sp: ",
            "--- push_ip: ",
            "on the stack of next",
            "thread.ip",
        ] {
            ensure!(output.contains(text), "the drawing has no {text:?}");
        }
        Ok(())
    }),
];

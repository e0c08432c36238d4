//! A person at the machine: the text screen, the keyboard, and the end without QEMU's exit device.

use std::time::Duration;

use anyhow::{Result, ensure};
use xtask::compile::mutant;
use xtask::image::IsoSpec;
use xtask::qemu::{Running, Vm};
use xtask::run::{End, Exit, Run};
use xtask::screen::Screen;

use super::{as_usual, machine, scenario};
use crate::Scenario;

/// A shell on the terminal that the words before choose.
const SHELL: &str = "loglevel=4 init=/bin/busybox -- sh";
/// The prompt of the shell.
const PROMPT: &str = "/ #";
/// The row of the status line.
const STATUS: usize = 24;

/// Every scenario of this file.
pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios = vec![
        watched(
            "screen::keys_run_commands",
            "console=tty0",
            as_usual,
            keys_run_commands,
        ),
        watched(
            "screen::and_serial_line_are_one_terminal",
            "",
            as_usual,
            one_terminal,
        ),
        watched("screen::scrolls", "", as_usual, scrolls),
        watched("screen::has_colours", "", as_usual, has_colours),
        watched(
            "screen::status_line_counts",
            "",
            |vm| vm.cpus = 2,
            status_line_counts,
        ),
        played(
            "screen::is_left_alone_by_the_serial_console",
            "console=ttyS0 init=/bin/busybox -- sh",
            as_usual,
            left_alone,
        ),
        played(
            "screen::has_messages_if_it_is_not_the_last_console",
            "console=tty0 console=ttyS0 init=/bin/busybox -- sh",
            as_usual,
            messages_only,
        ),
        played(
            "screen::tour_waits_for_keys",
            "tour=pause",
            as_usual,
            tour_waits,
        ),
        played(
            "screen::tour_asks_who_is_there",
            "tour=ask",
            as_usual,
            tour_asks,
        ),
        scenario(
            "screen::tour_does_not_wait_where_nobody_types",
            IsoSpec::boot("tour=ask"),
            as_usual,
            |run| {
                run.line("A key within 5 s")?;
                run.nowhere("a key goes on")?;
                run.ends(Exit::Success)
            },
        ),
    ];
    scenarios.extend(ends());
    scenarios
}

/// What happens when init ends on a machine that the kernel cannot end by the exit device.
fn ends() -> Vec<Scenario> {
    let good = "init=/bin/busybox -- true";
    vec![
        scenario(
            "power_off::after_a_good_end",
            IsoSpec::boot(good),
            |vm| vm.exit_port = false,
            |run| ensure_end(run, &End::PowerOff),
        ),
        scenario(
            "power_off::of_several_cpus",
            IsoSpec::boot(good),
            |vm| (vm.exit_port, vm.cpus) = (false, 4),
            |run| ensure_end(run, &End::PowerOff),
        ),
        played(
            "screen::halts_without_acpi",
            "watchdog=2 init=/bin/busybox -- true",
            |vm| {
                (vm.exit_port, vm.acpi) = (false, false);
            },
            halts,
        ),
        played(
            "screen::halts_after_a_bad_end",
            "watchdog=2 init=/bin/busybox -- false",
            |vm| {
                (vm.exit_port, vm.cpus) = (false, 4);
            },
            halts,
        ),
    ]
}

fn ensure_end(run: &Run, end: &End) -> Result<()> {
    ensure!(run.end == *end, "the run should end with {end:?}");
    run.nowhere("can be switched off")
}

/// A scenario in which somebody sits at the machine.
fn played(
    name: &str,
    cmdline: &str,
    change: impl Fn(&mut Vm) + Send + 'static,
    play: fn(Running) -> Result<Run>,
) -> Scenario {
    let cmdline = cmdline.to_owned();
    Scenario {
        name: name.to_owned(),
        run: Box::new(move || {
            let mut vm = machine(&IsoSpec {
                kernel: mutant(),
                ..IsoSpec::boot(&cmdline)
            })?;
            change(&mut vm);
            play(vm.start()?)
        }),
        check: Box::new(|_| Ok(())),
        limit: Duration::from_secs(600),
    }
}

/// The same with a shell.
fn watched(
    name: &str,
    words: &str,
    change: impl Fn(&mut Vm) + Send + 'static,
    play: fn(Running) -> Result<Run>,
) -> Scenario {
    played(name, &format!("{words} {SHELL}"), change, play)
}

/// The number of rows that are exactly `row`.
fn rows(screen: &Screen, row: &str) -> usize {
    screen.rows().iter().filter(|it| *it == row).count()
}

fn keys_run_commands(mut vm: Running) -> Result<Run> {
    vm.screen_has(PROMPT)?;
    // Shift, and a mistake that is mended.
    vm.type_text("echo a$((6*7))!x\u{8}B\n")?;
    vm.screen_where("a42!B", |screen| rows(screen, "a42!B") == 1)?;
    // The arrow brings the line back, and the key that ends a program ends one.
    vm.press("up")?;
    vm.press("ret")?;
    vm.screen_where("a42!B twice", |screen| rows(screen, "a42!B") == 2)?;
    vm.type_text("sleep 1000\n")?;
    vm.press("ctrl-c")?;
    vm.press("caps_lock")?;
    vm.type_text("\nQ=1; ")?;
    vm.press("caps_lock")?;
    vm.type_text("echo still here\n")?;
    vm.screen_where("the shell after ctrl-c", |screen| {
        rows(screen, "still here") == 1
    })?;
    // The size of the window, and a question of a program to the terminal.
    vm.type_text("stty size\n")?;
    vm.screen_where("24 rows", |screen| rows(screen, "24 80") == 1)?;
    // The shell has the terminal echo what arrives: also an answer of the terminal's own.
    vm.type_text("printf '\\033[6n'\n")?;
    vm.screen_where("the answer", |screen| {
        screen
            .rows()
            .iter()
            .any(|row| row.contains("^[[") && row.contains('R'))
    })?;
    let picture = vm.screendump()?;
    ensure!(
        picture.starts_with(b"P6\n720 400\n255\n"),
        "the picture is not 720x400"
    );
    ensure!(
        picture.iter().any(|byte| *byte == 0xa8 || *byte == 0xaa),
        "the picture has no text"
    );
    vm.type_text("exit\n")?;
    let run = vm.wait()?;
    run.nowhere("a42")?;
    run.ends(Exit::Success)?;
    Ok(run)
}

fn one_terminal(mut vm: Running) -> Result<Run> {
    vm.screen_has(PROMPT)?;
    vm.type_text("echo b$((1+1))\n")?;
    vm.screen_where("b2", |screen| rows(screen, "b2") == 1)?;
    vm.type_text("exit\n")?;
    let run = vm.wait()?;
    run.says("b2")?;
    run.ends(Exit::Success)?;
    Ok(run)
}

fn scrolls(mut vm: Running) -> Result<Run> {
    vm.screen_has(PROMPT)?;
    vm.type_text("seq 100; echo end\n")?;
    let screen = vm.screen_where("end, and the prompt", |screen| {
        rows(screen, "end") == 1 && screen.rows()[STATUS - 1] == PROMPT
    })?;
    let shown = screen.rows();
    // Numbers in order from the top, then `end` and the prompt, and the status line below.
    let numbers: Vec<String> = (79..=100).map(|number| number.to_string()).collect();
    ensure!(
        shown[..22] == numbers[..],
        "not the last numbers:\n{}",
        screen.text()
    );
    ensure!(shown[22] == "end" && shown[23] == PROMPT);
    ensure!(
        shown[STATUS].contains("switches"),
        "no status line:\n{}",
        screen.text()
    );
    vm.kill()
}

fn has_colours(mut vm: Running) -> Result<Run> {
    vm.screen_has(PROMPT)?;
    vm.type_text("clear; printf '\\033[1;33;44m%s\\033[0m\\n' gold\n")?;
    let screen = vm.screen_where("gold", |screen| rows(screen, "gold") == 1)?;
    ensure!(
        screen.rows()[0] == "gold",
        "not cleared:\n{}",
        screen.text()
    );
    let attributes = ["gold", PROMPT, "switches"].map(|word| screen.attribute(word));
    ensure!(
        attributes == [Some(0x1e), Some(0x07), Some(0x30)],
        "{attributes:x?}"
    );
    vm.kill()
}

fn status_line_counts(mut vm: Running) -> Result<Run> {
    // `N switches: u>u A u>k B k>u C k>k D`, right of the CPUs' tasks.
    let numbers = |screen: &Screen| -> Option<Vec<u64>> {
        let row = screen.rows()[STATUS].clone();
        let (before, after) = row.split_once(" switches: ")?;
        let all = before.rsplit(' ').next()?.parse().ok()?;
        let kinds = after
            .split(' ')
            .skip(1)
            .step_by(2)
            .map(|it| it.parse().ok());
        kinds
            .collect::<Option<Vec<u64>>>()
            .map(|kinds| [vec![all], kinds].concat())
    };
    vm.screen_has(PROMPT)?;
    vm.screen_where("idle CPUs", |screen| {
        screen.rows()[STATUS].starts_with("0:idle 1:idle")
    })?;
    let first = vm.screen_where("counts", |screen| numbers(screen).is_some())?;
    // More tasks than CPUs, so that one user task follows another.
    vm.type_text("for i in 1 2 3; do while :; do :; done & done\n")?;
    vm.screen_where("a task", |screen| {
        screen.rows()[STATUS].contains(":busybox")
    })?;
    vm.type_text("for i in 1 2 3; do /bin/busybox true; done; echo done$i\n")?;
    vm.screen_has("done3")?;
    let later = vm.screen_where("switches of each kind", |screen| {
        let all = numbers(screen).unwrap_or_default();
        numbers(screen) > numbers(&first) && all.iter().all(|number| *number > 0)
    })?;
    let all = numbers(&later).unwrap_or_default();
    ensure!(
        all.len() == 5 && all[0] == all[1..].iter().sum::<u64>(),
        "{all:?}"
    );
    vm.kill()
}

/// The first message after those that the kernel writes before it knows its consoles.
const MESSAGE: &str = "init: /bin/busybox";

fn left_alone(vm: Running) -> Result<Run> {
    without_shell(vm, false)
}

fn messages_only(vm: Running) -> Result<Run> {
    without_shell(vm, true)
}

/// Types where no shell is, and looks whether the screen has the kernel's messages.
fn without_shell(mut vm: Running, has_messages: bool) -> Result<Run> {
    ensure!(
        vm.log_has(MESSAGE, Duration::from_secs(150)),
        "it does not start"
    );
    // The prompt is no whole line, so the log cannot tell that the shell is there.
    std::thread::sleep(Duration::from_secs(5));
    vm.type_text("echo b$((1+1))\n")?;
    std::thread::sleep(Duration::from_secs(2));
    let screen = vm.screen()?;
    ensure!(
        !screen.text().contains('#'),
        "the screen has the shell:\n{}",
        screen.text()
    );
    ensure!(
        screen.text().contains(MESSAGE) == has_messages,
        "{}",
        screen.text()
    );
    let run = vm.kill()?;
    run.nowhere("b2")?;
    Ok(run)
}

fn tour_waits(mut vm: Running) -> Result<Run> {
    vm.screen_has("-- a key goes on, q ends --")?;
    std::thread::sleep(Duration::from_secs(1));
    let screen = vm.screen()?;
    ensure!(
        screen.text().contains(" 1. Two tasks") && !screen.text().contains(" 2. What"),
        "it did not wait:\n{}",
        screen.text()
    );
    vm.type_text(" ")?;
    vm.screen_has(" 2. What a sleeping task")?;
    vm.screen_where("the second pause", |screen| {
        let rows = screen.rows();
        let last = rows.iter().rfind(|row| !row.is_empty());
        last.is_some_and(|row| row.starts_with("-- a key"))
            && screen.text().contains("esp is in B's stack")
    })?;
    vm.type_text("q")?;
    let run = vm.wait()?;
    run.line("tour: verdict: ")?;
    run.nowhere(" 3. A new task")?;
    run.ends(Exit::Success)?;
    Ok(run)
}

fn tour_asks(mut vm: Running) -> Result<Run> {
    vm.screen_has("A key within 5 s")?;
    vm.type_text("\n")?;
    vm.screen_has("-- a key goes on, q ends --")?;
    vm.type_text("q")?;
    let run = vm.wait()?;
    run.ends(Exit::Success)?;
    Ok(run)
}

fn halts(mut vm: Running) -> Result<Run> {
    vm.screen_has("the machine can be switched off")?;
    // More than four times what the watchdog allows.
    std::thread::sleep(Duration::from_secs(9));
    let registers = vm.registers();
    let screen = vm.screen()?;
    let run = vm.kill()?;
    run.line("the machine can be switched off")?;
    // A CPU that goes on reports a lockup; most of the time it is idle, and stands still too.
    run.nowhere("lockup")?;
    ensure!(!screen.text().contains("lockup"), "{}", screen.text());
    let running = registers.matches("HLT=0").count();
    ensure!(
        running == 0 && registers.contains("HLT=1"),
        "not every CPU has stopped:\n{registers}"
    );
    Ok(run)
}

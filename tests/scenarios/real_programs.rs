//! Real programs, built by Debian and with two C libraries: their output, and how they end.

use std::time::Duration;

use anyhow::{Result, ensure};
use xtask::compile::{mutant, program_names};
use xtask::exec;
use xtask::foreign::go_program;
use xtask::image::IsoSpec;
use xtask::ktap;
use xtask::run::{Exit, Run};
use xtask::toolchain::tool;

use super::{as_usual, machine, scenario};
use crate::Scenario;

/// Every scenario of this file.
pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios = vec![
        program(
            "busybox_echo",
            "init=/bin/busybox -- echo hello",
            Exit::Success,
            |run| run.says("hello"),
        ),
        program(
            "busybox_uname",
            "init=/bin/busybox -- uname -a",
            Exit::Success,
            |run| {
                let line = run.line("GNU/Linux").or_else(|_| run.line("Linux "))?;
                ensure!(
                    line.split_whitespace().count() >= 5,
                    "{line:?} is too short"
                );
                ensure!(
                    ["i386", "i486", "i586", "i686"]
                        .iter()
                        .any(|it| line.contains(it)),
                    "{line:?} names no i386"
                );
                Ok(())
            },
        ),
        program(
            "busybox_sh",
            "init=/bin/busybox -- sh -c \"echo hi\"",
            Exit::Success,
            |run| run.says("hi"),
        ),
        program(
            "busybox_sh_status",
            "init=/bin/busybox -- sh -c \"exit 3\"",
            Exit::Failure,
            |_| Ok(()),
        ),
        // A child for the left side of the pipe and one for the right.
        program(
            "busybox_sh_pipe",
            "init=/bin/busybox -- sh -c \"echo one two three | /bin/busybox wc -w\"",
            Exit::Success,
            |run| run.says("3"),
        ),
        program(
            "busybox_sh_children",
            "init=/bin/busybox -- sh -c \"for i in 1 2 3; do /bin/busybox true & done; wait; echo waited\"",
            Exit::Success,
            |run| run.says("waited"),
        ),
        // Reads /proc as a program does that knows nothing of this kernel.
        program(
            "busybox_ps",
            "init=/bin/busybox -- sh -c \"/bin/busybox ps -o pid,ppid,stat,comm; true\"",
            Exit::Success,
            |run| {
                // Its state is not checked: its child's exec may just have woken it.
                let shell = run.line("    1     0 ")?;
                ensure!(shell.ends_with("busybox"), "{shell:?}");
                run.line("[migration/0]")
                    .or_else(|_| run.line("migration/0"))?;
                Ok(())
            },
        ),
        program(
            "busybox_top",
            "init=/bin/busybox -- top -b -n1",
            Exit::Success,
            |run| {
                let memory = run.line("Mem: ")?;
                ensure!(memory.contains("K used, "), "{memory:?}");
                run.line("Load average: 0.0")?;
                let me = run.line("/bin/busybox top -b -n1")?;
                ensure!(me.trim_start().starts_with("1 "), "{me:?}");
                Ok(())
            },
        ),
    ];
    scenarios.push(program(
        "an_unknown_call_is_named_once",
        "init=/bin/busybox -- sh -c \"/bin/busybox ls /; /bin/busybox ls /\"",
        Exit::Success,
        |run| {
            // Each asks for the call; glibc goes on without it.
            let asked = run
                .log
                .lines()
                .filter(|line| line.contains("(statx) is not implemented"))
                .count();
            ensure!(asked == 1, "named {asked} times");
            Ok(())
        },
    ));
    scenarios.push(program(
        "a_fault_ends_its_program_only",
        "init=/bin/busybox -- sh -c \"/bin/busybox sh -c 'kill -SEGV $$'; echo status $?\"",
        Exit::Success,
        |run| run.says("status 139"),
    ));
    scenarios.push(program(
        "init_runs_every_program",
        "",
        Exit::Success,
        |run| {
            let report = ktap::parse(&run.log);
            let errors: Vec<String> = report.errors.iter().map(ktap::Error::to_string).collect();
            ensure!(errors.is_empty(), "{}", errors.join("; "));
            let programs = program_names()?.len() - 3;
            let mut seen: Vec<&str> = report
                .cases
                .iter()
                .filter_map(|case| case.name.split("::").next())
                .collect();
            seen.dedup();
            ensure!(
                seen.len() == programs,
                "{} of {programs} programs reported: {seen:?}",
                seen.len()
            );
            Ok(())
        },
    ));
    for library in ["musl", "glibc"] {
        scenarios.push(program(
            &format!("hello_{library}"),
            &format!("init=/bin/hello-{library} -- one two"),
            Exit::Success,
            move |run| hello(run, library),
        ));
    }
    scenarios.extend(go());
    scenarios
}

/// A Go program, on one processor and on two; skipped where there is no Go.
fn go() -> Vec<Scenario> {
    if tool("go").is_err() {
        eprintln!("real::go_on_1, real::go_on_2: skipped: there is no go");
        return Vec::new();
    }
    let says = |run: &Run| {
        run.nowhere("BUG:")?;
        run.line("main: Go on linux 386")?;
        run.says("goroutines: sum 4092")?;
        run.says("timers: ok true")?;
        run.says("collector: ran true true")?;
        run.says("go: all done")?;
        run.ends(Exit::Success)
    };
    let boots = |cpus: u32| {
        let program = go_program()?.display().to_string();
        let mut spec = exec::boot(&[program])?;
        spec.kernel = mutant();
        let mut vm = machine(&spec)?;
        vm.cpus = cpus;
        vm.run()
    };
    [1, 2]
        .map(|cpus| Scenario {
            name: format!("real::go_on_{cpus}"),
            run: Box::new(move || boots(cpus)),
            check: Box::new(says),
            limit: Duration::from_secs(300),
        })
        .into()
}

fn program(
    name: &str,
    cmdline: &str,
    exit: Exit,
    check: impl Fn(&Run) -> Result<()> + Send + 'static,
) -> Scenario {
    scenario(
        &format!("real::{name}"),
        IsoSpec::boot(cmdline),
        as_usual,
        move |run| {
            run.nowhere("BUG:")?;
            check(run)?;
            run.ends(exit)
        },
    )
}

/// Checks the output of `user/c/hello.c` line by line.
fn hello(run: &Run, library: &str) -> Result<()> {
    run.says(&format!("hello from {library}"))?;
    run.says(&format!("argc 3: /bin/hello-{library} one two"))?;
    run.line("auxv: page size 4096, phnum ")?;
    // The first of the three TLS selectors: gs survived every switch and system call.
    run.says("gs 0x33")?;
    run.says("tls 42")?;
    run.says("sqrt(2) = 1.414214, 22/7 = 3.143")?;
    run.line("errno 2: No such file or directory")?;
    run.nowhere("FAIL")?;
    run.says("bye")
}

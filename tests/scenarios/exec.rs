//! Programs as `just exec` boots them: what they are given, and how they end.

use std::time::Duration;

use anyhow::{Result, ensure};
use xtask::exec::boot;
use xtask::foreign::{debian, first_of};
use xtask::paths;
use xtask::qemu::Vm;
use xtask::run::{Exit, Run};

use super::machine;
use crate::Scenario;

/// Arguments, and how `user/c/arguments.c` prints them.
const ARGUMENTS: &[(&str, &str)] = &[
    ("plain", "plain"),
    ("two  words", "two<20><20>words"),
    ("\"'$HOME`", "<22><27><24>HOME<60>"),
    ("--", "<2d><2d>"),
];

/// Those too that GRUB and a kernel command line do not carry.
const OTHERS: &[(&str, &str)] = &[
    ("", ""),
    (r"\x41\\", "<5c>x41<5c><5c>"),
    ("ä\n", "<c3><a4><0a>"),
];

/// Every scenario of this file.
pub fn scenarios() -> Vec<Scenario> {
    let both: Vec<_> = [ARGUMENTS, OTHERS].concat();
    vec![
        arguments(
            "exec::arguments_arrive_by_the_command_line",
            ARGUMENTS.to_vec(),
        ),
        arguments("exec::arguments_arrive_as_they_are", both),
        debians_bash(),
    ]
}

/// What Debian's bash is told to do: to loop, to count, to match, and to wait for its children.
const SCRIPT: &str = r#"for i in {1..100}; do ((sum += i)); done; echo "sum $sum"
declare -A of=([one]=1 [two]=2); [[ ${of[two]} == 2 && "$BASH" =~ bash$ ]] && echo matched
(exit 3) & wait $!; echo "child $?"; exit 42"#;

/// A dynamic program as Debian has built it: position-independent, with a dynamic linker.
fn debians_bash() -> Scenario {
    Scenario {
        name: "exec::debians_bash_finds_its_libraries".to_owned(),
        run: Box::new(|| {
            let root = debian("bash", &["bash"])?;
            let bash = first_of(&root, &["bin/bash", "usr/bin/bash"])?;
            let words = [&bash.display().to_string(), "-c", SCRIPT];
            machine(&boot(&words.map(str::to_owned))?)?.run()
        }),
        check: Box::new(|run| {
            for line in ["sum 5050", "matched", "child 3"] {
                run.says(line)?;
            }
            run.line("init: exited with status 42")?;
            run.ends(Exit::Failure)
        }),
        limit: Duration::from_secs(180),
    }
}

fn arguments(name: &str, words: Vec<(&'static str, &'static str)>) -> Scenario {
    let given = words.clone();
    Scenario {
        name: name.to_owned(),
        run: Box::new(move || {
            let source = paths::root().join("user/c/arguments.c");
            let file = source.display().to_string();
            let arguments = given.iter().map(|(word, _)| (*word).to_owned());
            let vm: Vm = machine(&boot(
                &[file].into_iter().chain(arguments).collect::<Vec<_>>(),
            )?)?;
            vm.run()
        }),
        check: Box::new(move |run| check(run, &words)),
        limit: Duration::from_secs(120),
    }
}

fn check(run: &Run, words: &[(&str, &str)]) -> Result<()> {
    run.says("argument 0: [<2f>bin<2f>arguments]")?;
    for ((_, printed), number) in words.iter().zip(1..) {
        run.says(&format!("argument {number}: [{printed}]"))?;
    }
    run.nowhere(&format!("argument {}", words.len() + 1))?;
    let mut environment: Vec<&str> = run
        .log
        .lines()
        .filter_map(|line| line.strip_prefix("environment: "))
        .collect();
    environment.sort();
    ensure!(
        environment == ["HOME=/", "PATH=/bin:/tests", "TERM=linux"],
        "the environment is {environment:?}"
    );
    // /bin/sh and what it starts are busybox by other names.
    run.says("/found")?;
    run.line("init: exited with status 42")?;
    run.ends(Exit::Failure)
}

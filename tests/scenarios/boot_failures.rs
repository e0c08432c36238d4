//! Machines and loaders on which the kernel cannot run: each has its own message on the serial
//! line, and its own exit code.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use xtask::compile::{Profile, kernel};
use xtask::gdb;
use xtask::image::{Initramfs, IsoSpec};
use xtask::initramfs::{Entry, newc};
use xtask::qemu::{Medium, Vm};
use xtask::run::{Exit, Run};

use super::{as_usual, scenario};
use crate::Scenario;

/// The processor features that the kernel needs, by QEMU's names.
const FEATURES: &[&str] = &[
    "fpu", "pse", "tsc", "msr", "sep", "cx8", "cmov", "fxsr", "sse",
];

/// Every scenario of this file.
pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios = vec![
        Scenario {
            name: "boot::wrong_magic".to_owned(),
            run: Box::new(|| Vm::new(Medium::Kernel(kernel(Profile::Dev)?)).run()),
            check: Box::new(|run| {
                fatal(
                    run,
                    Exit::NotMultiboot2,
                    &["not started by a Multiboot2 loader", "2badb002"],
                )
            }),
            limit: Duration::from_secs(120),
        },
        // Multiboot information that consists of its end only.
        loaded_by_gdb("boot::no_memory_map", &[16, 0, 0, 8], |run| {
            fatal(run, Exit::NoMemoryMap, &["memory map"])
        }),
        loaded_by_gdb(
            "boot::information_longer_than_can_be",
            &[0x7fff_fff8, 0, 0, 8],
            |run| fatal(run, Exit::NotMultiboot2, &["unreadable"]),
        ),
        loaded_by_gdb("boot::information_of_no_length", &[0, 0, 0, 0], |run| {
            fatal(run, Exit::NotMultiboot2, &["unreadable"])
        }),
        // With so little memory GRUB cannot load the usual initramfs.
        scenario(
            "boot::too_little_memory",
            IsoSpec {
                initramfs: Initramfs::Bytes(newc(&[Entry::folder("tests")])),
                ..IsoSpec::boot("")
            },
            |vm| vm.memory_mib = 12,
            |run| fatal(run, Exit::TooLittleMemory, &["memory", "16384 KiB needed"]),
        ),
        scenario(
            "boot::initramfs_missing",
            IsoSpec {
                initramfs: Initramfs::None,
                ..IsoSpec::boot("")
            },
            as_usual,
            |run| fatal(run, Exit::BadInitramfs, &["initramfs"]),
        ),
    ];
    for feature in FEATURES {
        scenarios.push(scenario(
            &format!("boot::cpu_without_{feature}"),
            IsoSpec::boot(""),
            move |vm| vm.cpu = format!("pentium3,-{feature}"),
            move |run| fatal(run, Exit::CpuLacksFeature, &["lacks", feature]),
        ));
    }
    scenarios
}

/// The run ended with `exit`, and the one line that says why has `words`.
fn fatal(run: &Run, exit: Exit, words: &[&str]) -> Result<()> {
    run.ends(exit)?;
    let lines: Vec<&str> = run
        .log
        .lines()
        .filter(|line| line.starts_with("fatal: "))
        .collect();
    ensure!(
        lines.len() == 1,
        "{} lines begin with `fatal: `",
        lines.len()
    );
    for word in words {
        ensure!(
            lines[0].contains(word),
            "{:?} does not say {word:?}",
            lines[0]
        );
    }
    Ok(())
}

/// QEMU loads the kernel by its Multiboot1 header; at the entry gdb makes it look as if a
/// Multiboot2 loader had done so, with these words as its information.
fn loaded_by_gdb(
    name: &str,
    information: &'static [u32],
    check: impl Fn(&Run) -> Result<()> + Send + 'static,
) -> Scenario {
    let run = move || {
        let elf = kernel(Profile::Dev)?;
        let vm = Vm {
            timeout: Duration::from_secs(40),
            ..Vm::new(Medium::Kernel(elf.clone()))
        };
        let mut script = "hbreak *_start\ncontinue\n".to_owned();
        for (word, at) in information.iter().zip((0x9000..).step_by(4)) {
            script += &format!("set {{unsigned int}}{at:#x} = {word:#x}\n");
        }
        script += "set $eax = 0x36d76289\nset $ebx = 0x9000\ndelete\ndetach\n";
        let session = gdb::batch(&vm, &elf, &[], &script, true).context("gdb")?;
        ensure!(session.ok, "{}", session.explain());
        Ok(session.run)
    };
    Scenario {
        name: name.to_owned(),
        run: Box::new(run),
        check: Box::new(check),
        limit: Duration::from_secs(120),
    }
}

//! An initramfs that cannot be read, an init that cannot be run, unknown words on the command line.

use anyhow::{Result, ensure};
use xtask::compile::Profile;
use xtask::image::{Initramfs, IsoSpec};
use xtask::initramfs::{Entry, entries, newc};
use xtask::run::{Exit, Run};

use super::{as_usual, scenario};
use crate::Scenario;

/// Offsets in an ELF header and in a program header, 32-bit.
const EI_CLASS: usize = 4;
const E_TYPE: usize = 16;
const E_MACHINE: usize = 18;
const E_PHOFF: usize = 28;
const PH_SIZE: usize = 32;

/// Every scenario of this file.
pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios = vec![
        broken_archive("garbage", |archive| archive.fill(b'x')),
        broken_archive("truncated_in_a_file", |archive| {
            archive.truncate(archive.len() / 2)
        }),
        broken_archive("truncated_in_a_header", |archive| archive.truncate(50)),
        broken_archive("without_a_trailer", |archive| {
            let name = b"TRAILER!!!";
            if let Some(at) = archive
                .windows(name.len())
                .rposition(|window| window == name)
            {
                archive.truncate(at - 110);
            }
        }),
        broken_archive("with_a_size_beyond_its_end", |archive| {
            // The size of the second entry; the first is a folder of no bytes.
            archive[112 + 8 + 54..][..8].copy_from_slice(b"ffffffff");
        }),
        bad_init("missing", "init=/nope", None, &["/nope", "ENOENT"]),
        bad_init("a_folder", "init=/bin", None, &["/bin", "EACCES"]),
        bad_init(
            "no_elf",
            "",
            Some(|elf| *elf = b"hello\n".to_vec()),
            &["/init", "ENOEXEC"],
        ),
        bad_init("empty", "", Some(Vec::clear), &["/init", "ENOEXEC"]),
        bad_init(
            "cut_off",
            "",
            Some(|elf| elf.truncate(100)),
            &["/init", "ENOEXEC"],
        ),
        bad_init(
            "64_bit",
            "",
            Some(|elf| elf[EI_CLASS] = 2),
            &["/init", "ENOEXEC"],
        ),
        bad_init(
            "another_machine",
            "",
            Some(|elf| elf[E_MACHINE] = 40),
            &["/init", "ENOEXEC"],
        ),
        bad_init(
            "an_object_file",
            "",
            Some(|elf| elf[E_TYPE] = 1),
            &["/init", "ENOEXEC"],
        ),
        bad_init(
            "dynamically_linked",
            "",
            Some(|elf| make_dynamic(elf)),
            &["/init"],
        ),
    ];
    scenarios.push(scenario(
        "cmdline::unknown_words_are_reported",
        IsoSpec::boot("frobnicate init=/bin/busybox fpu=never x=\"1 2\" -- echo all the same"),
        as_usual,
        |run| {
            run.line("cmdline: unknown word \"frobnicate\" ignored")?;
            run.line("cmdline: unknown word \"x=1 2\" ignored")?;
            let bad = run.line("fpu=never")?;
            ensure!(
                bad.contains("cmdline: "),
                "{bad:?} does not come from the command line's parser"
            );
            run.says("all the same")?;
            run.ends(Exit::Success)
        },
    ));
    scenarios.push(scenario(
        "init::lives_until_its_last_thread_ends",
        IsoSpec::boot("init=/tests/exec_thread -- be_init"),
        as_usual,
        |run| {
            run.line("ok 1 init goes on without its first thread")?;
            run.ends(Exit::Success)
        },
    ));
    scenarios
}

/// The usual archive, damaged by `spoil`.
fn broken_archive(what: &str, spoil: fn(&mut Vec<u8>)) -> Scenario {
    let mut archive = newc(&[
        Entry::folder("bin"),
        Entry::program("init", b"#!/bin/no".repeat(100)),
    ]);
    spoil(&mut archive);
    scenario(
        &format!("initramfs::{what}"),
        IsoSpec {
            initramfs: Initramfs::Bytes(archive),
            ..IsoSpec::boot("")
        },
        as_usual,
        |run| {
            run.line("initramfs")?;
            fatal(run, Exit::BadInitramfs, &["initramfs"])
        },
    )
}

/// The usual files, with a changed /init if `change` is given.
fn bad_init(
    what: &str,
    cmdline: &str,
    change: Option<fn(&mut Vec<u8>)>,
    words: &'static [&'static str],
) -> Scenario {
    let name = format!("init::{what}");
    let cmdline = cmdline.to_owned();
    let run = move || {
        let mut spec = IsoSpec::boot(&cmdline);
        if let Some(change) = change {
            spec.initramfs = Initramfs::Bytes(with_init(change)?);
        }
        super::machine(&spec)?.run()
    };
    Scenario {
        name,
        run: Box::new(run),
        check: Box::new(|run| fatal(run, Exit::BadInit, words)),
        limit: std::time::Duration::from_secs(120),
    }
}

/// Returns an archive with a real program as /init, changed.
fn with_init(change: fn(&mut Vec<u8>)) -> Result<Vec<u8>> {
    let all = entries(Profile::Dev)?;
    let program = all.iter().find(|entry| entry.path == "bin/hello-musl");
    let mut elf = program.map(|entry| entry.bytes.clone()).unwrap_or_default();
    ensure!(!elf.is_empty(), "the initramfs has no bin/hello-musl");
    change(&mut elf);
    Ok(newc(&[Entry::folder("bin"), Entry::program("init", elf)]))
}

/// Gives a program an interpreter by turning its last program header into PT_INTERP.
fn make_dynamic(elf: &mut [u8]) {
    let word = |at: usize| usize::from(elf[at]) | usize::from(elf[at + 1]) << 8;
    let (table, count) = (word(E_PHOFF), word(E_PHOFF + 16));
    let last = table + (count - 1) * PH_SIZE;
    elf[last..last + 4].copy_from_slice(&3_u32.to_le_bytes());
}

fn fatal(run: &Run, exit: Exit, words: &[&str]) -> Result<()> {
    run.ends(exit)?;
    let line = run.line("fatal: ")?;
    for word in words {
        ensure!(line.contains(word), "{line:?} does not say {word:?}");
    }
    Ok(())
}

//! What a file is that a person wants to run, and what to do about one that cannot be run.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// A file that can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A static executable for the i386.
    Executable,
    /// An executable for the i386 that needs a dynamic linker.
    Dynamic,
    /// A script for an interpreter that is there.
    Script,
    /// C or assembly, to be compiled.
    Source,
}

/// How a program is made that runs.
const LINK: &str = "gcc -m32 -static -no-pie";

/// What a file is; `interpreters` are the programs, by their paths, that a script can be for.
///
/// # Errors
/// It cannot be run: what it is, and what to do.
pub fn kind(file: &Path, interpreters: &[String]) -> Result<Kind> {
    let named = || file.display().to_string();
    let about = fs::metadata(file).with_context(named)?;
    ensure!(
        !about.is_dir(),
        "{}: a directory: name the program in it",
        named()
    );
    ensure!(about.is_file(), "{}: not a regular file", named());
    let ending = file.extension().unwrap_or_default().to_string_lossy();
    let bytes = fs::read(file).with_context(named)?;
    kind_of(&bytes, &ending, interpreters).with_context(named)
}

fn kind_of(bytes: &[u8], ending: &str, interpreters: &[String]) -> Result<Kind> {
    if bytes.starts_with(b"\x7fELF") {
        return check_i386(bytes);
    }
    if let Some(rest) = bytes.strip_prefix(b"#!") {
        check_interpreter(rest, interpreters)?;
        return Ok(Kind::Script);
    }
    for (magic, what) in [
        (
            &b"!<arch>\n"[..],
            "a static library: link a program with it",
        ),
        (b"\x1f\x8b", "compressed: unpack it with gunzip"),
        (
            b"MZ",
            "a program for Windows or DOS: this kernel runs Linux's",
        ),
        (b"PK\x03\x04", "an archive: unpack it with unzip"),
    ] {
        ensure!(!bytes.starts_with(magic), "{what}");
    }
    match ending {
        "c" | "s" | "S" => Ok(Kind::Source),
        "cc" | "cpp" | "cxx" | "C" => {
            bail!(
                "C++, and only C is compiled here: g++ -m32 -static -no-pie, then run what it makes"
            )
        }
        "rs" => bail!(
            "Rust, and only C is compiled here: rustc --target i686-unknown-linux-musl, then run what it makes"
        ),
        "go" => bail!(
            "Go, and only C is compiled here: CGO_ENABLED=0 GOARCH=386 go build, then run what it makes"
        ),
        _ if bytes.is_empty() => bail!("empty"),
        _ => {
            bail!("neither an ELF file, nor a script with #!, nor C source whose name ends with .c")
        }
    }
}

/// Fails unless the `#!` line, after these two letters, is for a program that is there.
fn check_interpreter(rest: &[u8], interpreters: &[String]) -> Result<()> {
    let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let name = line.split_whitespace().next().unwrap_or_default();
    ensure!(
        interpreters.iter().any(|known| known == name),
        "a script for {name:?}, which the kernel's files do not have: /bin/sh and what `busybox` lists are there"
    );
    Ok(())
}

/// Fails unless the bytes are a static executable for the i386.
///
/// # Errors
/// What it is instead, and what to do.
pub fn check_elf(elf: &[u8]) -> Result<()> {
    match check_i386(elf)? {
        Kind::Dynamic => bail!("not static: it names a dynamic linker: {LINK}"),
        _ => Ok(()),
    }
}

/// Fails unless the bytes are an executable for the i386.
fn check_i386(elf: &[u8]) -> Result<Kind> {
    const PT_INTERP: u32 = 3;
    const MACHINE_386: u16 = 3;
    let half = |at: usize| Some(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(elf.get(at..at + 4)?.try_into().ok()?));

    ensure!(elf.starts_with(b"\x7fELF"), "not an ELF file");
    ensure!(elf.get(5) == Some(&1), "big-endian ELF: {}", COMPILE);
    let machine = half(18).context("the ELF header is cut off")?;
    let is_wide = elf[4] == 2;
    ensure!(
        !is_wide,
        "a 64-bit ELF file ({}): {COMPILE}",
        machine_name(machine)
    );
    ensure!(
        machine == MACHINE_386,
        "for {}, not for the i386: {COMPILE}",
        machine_name(machine)
    );
    let headers = (word(28), half(42), half(44));
    let (Some(phoff), Some(phentsize), Some(phnum)) = headers else {
        bail!("the ELF header is cut off");
    };
    let kinds = (0..usize::from(phnum))
        .map(|i| word((phoff as usize).checked_add(i * usize::from(phentsize))?))
        .collect::<Option<Vec<u32>>>();
    let is_dynamic = kinds.iter().flatten().any(|kind| *kind == PT_INTERP);
    match half(16) {
        Some(1) => bail!("an object file, not yet a program: {LINK} FILE -o PROGRAM"),
        Some(2 | 3) => {}
        Some(4) => bail!("a core file, which gdb reads"),
        other => bail!("ELF of an unknown type {other:?}"),
    }
    ensure!(kinds.is_some(), "the table of program headers is cut off");
    // Whatever is position-independent and starts at 0 is a library: only its linker would call it.
    ensure!(
        half(16) == Some(2) || word(24) != Some(0),
        "a shared library, not a program"
    );
    Ok(match is_dynamic {
        true => Kind::Dynamic,
        false => Kind::Executable,
    })
}

const COMPILE: &str =
    "this kernel runs programs for the i386; gcc -m32 -static -no-pie, or name the C source";

fn machine_name(machine: u16) -> String {
    let known = [
        (3, "i386"),
        (8, "MIPS"),
        (20, "PowerPC"),
        (40, "ARM"),
        (62, "x86-64"),
        (183, "AArch64"),
        (243, "RISC-V"),
    ];
    known
        .iter()
        .find(|(number, _)| *number == machine)
        .map_or(format!("machine {machine}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foreign::programs;

    fn good() -> Vec<u8> {
        fs::read(programs().unwrap().hello_musl).unwrap()
    }

    fn refused(bytes: &[u8], ending: &str) -> String {
        let sh = ["/bin/sh".to_owned()];
        format!("{:#}", kind_of(bytes, ending, &sh).unwrap_err())
    }

    #[test]
    fn a_static_i386_executable_is_accepted_and_no_other_elf() {
        let good = good();
        assert_eq!(kind_of(&good, "c", &[]).unwrap(), Kind::Executable);
        let spoilt = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            refused(&bytes, "")
        };
        let mut wide = good.clone();
        (wide[4], wide[18]) = (2, 62);
        assert!(refused(&wide, "").starts_with("a 64-bit ELF file (x86-64): "));
        assert!(spoilt(5, 2).contains("big-endian"));
        assert!(spoilt(16, 1).contains("an object file"));
        let mut library = good.clone();
        library[16] = 3;
        assert_eq!(kind_of(&library, "", &[]).unwrap(), Kind::Executable);
        library[24..28].fill(0);
        assert!(refused(&library, "").contains("a shared library"));
        assert!(spoilt(16, 4).contains("a core file"));
        assert!(spoilt(16, 9).contains("unknown type"));
        assert!(spoilt(18, 40).starts_with("for ARM"));
        let mut dynamic = good.clone();
        dynamic[52] = 3;
        assert_eq!(kind_of(&dynamic, "", &[]).unwrap(), Kind::Dynamic);
        assert!(
            check_elf(&dynamic)
                .unwrap_err()
                .to_string()
                .contains("dynamic linker")
        );
        for cut in [4, 5, 18, 30, 60] {
            assert!(!refused(&good[..cut], "").is_empty());
        }
        // A table that cannot be anywhere.
        let mut nowhere = good.clone();
        nowhere[28..32].fill(0xff);
        assert!(refused(&nowhere, "").contains("cut off"));
    }

    #[test]
    fn other_files_are_told_apart() {
        assert_eq!(kind_of(b"int main;", "c", &[]).unwrap(), Kind::Source);
        assert!(refused(b"", "").contains("empty"));
        assert!(refused(b"hello", "txt").contains("neither"));
        assert!(refused(b"!<arch>\nx", "a").contains("library"));
        assert!(refused(b"MZ\x90", "exe").contains("Windows"));
        assert!(refused(b"int x;", "cpp").contains("C++"));
        assert!(refused(b"fn main() {}", "rs").contains("Rust"));
        let sh = ["/bin/sh".to_owned()];
        for script in [&b"#!/bin/sh\necho"[..], b"#! /bin/sh -e"] {
            assert_eq!(kind_of(script, "", &sh).unwrap(), Kind::Script);
        }
        assert!(refused(b"#!/usr/bin/python3\n", "").contains("\"/usr/bin/python3\""));
        assert!(refused(b"#!", "").contains("a script for \"\""));
        let of_path = |path: &str| format!("{:#}", kind(Path::new(path), &[]).unwrap_err());
        assert!(of_path("/").contains("a directory"));
        assert!(of_path("/dev/null").contains("not a regular file"));
        assert!(of_path("/there/is/none").starts_with("/there/is/none: "));
    }
}

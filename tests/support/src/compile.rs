//! The kernel and our ring-3 programs, compiled for the i386.
//!
//! Both are built with the same target and flags, so `core` is compiled once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};

use crate::paths;
use crate::toolchain::{cargo, find, quietly, tool};

/// How a kernel is compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// With debug assertions: the invariants of the switch are checked.
    #[default]
    Dev,
    /// What is measured.
    Release,
}

impl Profile {
    /// Cargo's name for the folder of its output.
    pub fn folder(self) -> &'static str {
        match self {
            Profile::Dev => "debug",
            Profile::Release => "release",
        }
    }
}

/// The kernel with all its symbols, built if it is not up to date.
pub fn kernel(profile: Profile) -> Result<PathBuf> {
    build(profile)?;
    Ok(binaries(profile).join("switch_to"))
}

/// Compiles the kernel and our ring-3 programs, once a process and profile.
pub fn build(profile: Profile) -> Result<()> {
    static BUILT: Mutex<Vec<Profile>> = Mutex::new(Vec::new());
    let mut built = BUILT
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    if built.contains(&profile) {
        return Ok(());
    }
    find("ld.lld")?;
    for what in [
        ["--package", "switch-to", "--bin", "switch_to"],
        ["--package", "programs", "--bins", "--quiet"],
    ] {
        let mut cargo = cargo();
        cargo.args([
            "build",
            "--target",
            "i686-kernel.json",
            "-Zjson-target-spec",
        ]);
        cargo.arg("-Zbuild-std=core,alloc").args(what);
        if profile == Profile::Release {
            cargo.arg("--release");
        }
        // Cargo tells its progress on stderr, which stays ours.
        let status = cargo
            .stdin(Stdio::null())
            .status()
            .context("cannot start cargo")?;
        ensure!(status.success(), "cargo build of {} failed", what[1]);
    }
    built.push(profile);
    Ok(())
}

/// Where cargo puts the ELF files.
pub fn binaries(profile: Profile) -> PathBuf {
    paths::target().join("i686-kernel").join(profile.folder())
}

/// The names of our ring-3 programs, from their sources.
pub fn program_names() -> Result<Vec<String>> {
    let dir = paths::root().join("tests/programs/src/bin");
    let mut names = Vec::new();
    if dir.exists() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let is_program =
                path.extension().is_some_and(|e| e == "rs") || path.join("main.rs").exists();
            if let (true, Some(name)) = (is_program, path.file_stem()) {
                names.push(name.to_string_lossy().into_owned());
            }
        }
    }
    names.sort();
    Ok(names)
}

/// Copies an ELF file without debug information; its symbol table stays.
pub fn strip(from: &Path, to: &Path) -> Result<()> {
    quietly(tool("objcopy")?.arg("--strip-debug").arg(from).arg(to))
}

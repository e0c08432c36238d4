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
    build(profile, KERNEL)?;
    Ok(binaries(profile).join("switch_to"))
}

/// Our ring-3 programs, built if they are not up to date; [`binaries`] is where they are.
pub fn programs(profile: Profile) -> Result<()> {
    build(profile, PROGRAMS)
}

/// What cargo is asked for.
type Part = &'static [&'static str];

const KERNEL: Part = &["--package", "switch-to", "--bin", "switch_to"];
const PROGRAMS: Part = &["--package", "programs", "--bins", "--quiet"];

/// The options with which everything for the i386 is built.
pub const TARGET: &[&str] = &[
    "--target",
    "i686-kernel.json",
    "-Zjson-target-spec",
    "-Zbuild-std=core,alloc",
];

/// Compiles one part, once a process and profile.
fn build(profile: Profile, part: Part) -> Result<()> {
    static BUILT: Mutex<Vec<(Profile, Part)>> = Mutex::new(Vec::new());
    let mut built = BUILT
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    if built.contains(&(profile, part)) {
        return Ok(());
    }
    find("ld.lld")?;
    let mut cargo = cargo();
    cargo.arg("build").args(TARGET).args(part);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    // Cargo tells its progress on stderr, which stays ours.
    let status = cargo
        .stdin(Stdio::null())
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "cargo build of {} failed", part[1]);
    built.push((profile, part));
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

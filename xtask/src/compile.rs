//! The kernel and our ring-3 programs, compiled for the i386.
//!
//! Both are built with the same target and flags, so `core` is compiled once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};

use crate::paths;
use crate::quiet;
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

/// The environment variable in which `mutants` names the kernel that a scenario is to boot.
pub const MUTANT: &str = "MUTANT";

/// That kernel, if this is such a run.
pub fn mutant() -> Option<PathBuf> {
    std::env::var_os(MUTANT).map(PathBuf::from)
}

/// What `.cargo/config.toml` says for every kernel, and RUSTFLAGS hides: no allocation that cannot fail.
const NO_OOM_HANDLING: &str = "--cfg no_global_oom_handling";

/// A kernel that is built apart from the others: with a feature, and other flags for the compiler.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Cargo's feature, and the folder of its output.
    pub feature: &'static str,
    /// The target's file in the root of the tree.
    pub target: &'static str,
    flags: &'static str,
    /// Each crate is one unit for the compiler. Several are put together and optimised again, which
    /// instrumented code stands in the way of: frames outgrow a kernel stack.
    in_one_piece: bool,
}

impl Variant {
    /// Tells cargo to build it.
    pub fn choose(self, cargo: &mut Command) {
        cargo
            .args(["--target", self.target])
            .args(&TARGET[2..])
            .args(["--features", self.feature])
            .env("RUSTFLAGS", format!("{NO_OOM_HANDLING} {}", self.flags));
        if self.in_one_piece {
            cargo.env("CARGO_PROFILE_DEV_CODEGEN_UNITS", "1");
        }
    }

    /// What is left to do after linking; returns the kernel to boot.
    pub fn finish(self, kernel: PathBuf) -> Result<PathBuf> {
        match self.feature {
            "kcov" => quiet::of_coverage(&kernel),
            _ => Ok(kernel),
        }
    }

    /// Where cargo is to keep what it compiles for it.
    pub fn folder(self) -> PathBuf {
        paths::target().join(self.feature)
    }
}

/// Functions check their frames: docs/decisions/0006-canary-in-a-build-of-its-own.md says why with
/// another target.
pub const STACK_PROTECTOR: Variant = Variant {
    feature: "stack_protector",
    target: "i686-stack-protector.json",
    flags: "-Zstack-protector=all",
    in_one_piece: false,
};

/// Functions say which way they go, but for the switch and the entries: see [`quiet`].
pub const KCOV: Variant = Variant {
    feature: "kcov",
    target: "i686-kernel.json",
    flags: "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 -Cllvm-args=-sanitizer-coverage-trace-pc",
    in_one_piece: true,
};

/// Says at the end of a run how long interrupts were off at most: docs/bounded.md.
pub const IRQSOFF: Variant = Variant {
    feature: "irqsoff",
    target: "i686-kernel.json",
    flags: "",
    in_one_piece: false,
};

/// The variant that a person names.
pub fn variant_named(name: &str) -> Result<Variant> {
    let all = [STACK_PROTECTOR, KCOV, IRQSOFF];
    all.into_iter()
        .find(|variant| variant.feature == name)
        .with_context(|| {
            let names = all.map(|variant| variant.feature).join(", ");
            format!("VARIANT={name}: the kernel has no such variant; there are {names}")
        })
}

/// The kernel of a variant, built if it is not up to date.
pub fn variant(variant: Variant) -> Result<PathBuf> {
    find("ld.lld")?;
    // One at a time, each compiles `core` for itself.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut cargo = cargo();
    cargo.arg("build").args(KERNEL);
    variant.choose(&mut cargo);
    let status = cargo
        .env("CARGO_TARGET_DIR", variant.folder())
        .stdin(Stdio::null())
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "cargo build of {variant:?} failed");
    let folder = variant.target.trim_end_matches(".json");
    let kernel = variant.folder().join(folder).join("debug/switch_to");
    variant.finish(kernel)
}

/// Our ring-3 programs, built if they are not up to date; [`binaries`] is where they are.
pub fn programs(profile: Profile) -> Result<()> {
    build(profile, PROGRAMS)
}

/// What cargo is asked for.
type Part = &'static [&'static str];

const KERNEL: Part = &["--package", "switch-to", "--bin", "switch_to"];
const PROGRAMS: Part = &["--package", "user", "--bins"];

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
    let dir = paths::root().join("user/src/bin");
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

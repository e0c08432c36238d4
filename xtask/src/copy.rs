//! The copy of a tree in which kernels with changes are compiled: mutants, labs, broken kernels.
//!
//! It lies under `target/` and is made to agree with the tree before each change, whatever an
//! earlier run has left there. Cargo keeps its output in the target folder of the tree itself,
//! where `core` and the crates that a mutant does not change are compiled already; only the kernel
//! is linked in a folder of the copy.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::compile::{Profile, TARGET, Variant};
use crate::mutants::Edit;
use crate::paths;
use crate::toolchain::cargo;
use anyhow::{Context, Result, bail};

/// The parts of the tree that are copied: all that cargo needs to build the kernel.
const PARTS: &[&str] = &[
    "Cargo.lock",
    "i686-kernel.json",
    "i686-stack-protector.json",
    "linker.ld",
    "build.rs",
    "boot",
    "src",
    "tests",
    "user",
    "xtask",
];

/// The copy of a tree; it agrees with that tree until it is edited.
///
/// There is one: a second process waits until the first has dropped it.
pub struct Copy {
    tree: PathBuf,
    of: PathBuf,
    _lock: fs::File,
}

impl Copy {
    /// Makes the copy agree with our tree.
    pub fn of_the_tree() -> Result<Copy> {
        Copy::of(paths::root())
    }

    /// Makes the copy agree with the tree at `of`, or makes a new one if it cannot be repaired.
    pub fn of(of: &Path) -> Result<Copy> {
        let tree = paths::target().join("mutants/tree");
        fs::create_dir_all(&tree)?;
        let lock = fs::File::create(tree.with_file_name("lock"))?;
        lock.lock()?;
        let copy = Copy {
            tree,
            of: of.to_owned(),
            _lock: lock,
        };
        if copy.agree().is_err() {
            remove(&copy.tree)?;
            copy.agree()?;
        }
        Ok(copy)
    }

    fn agree(&self) -> Result<()> {
        fs::create_dir_all(&self.tree)?;
        for part in PARTS {
            agree(&self.of.join(part), &self.tree.join(part))?;
        }
        // A step that is taken out leaves its imports behind.
        let text = fs::read_to_string(self.of.join("Cargo.toml"))?;
        write(
            &self.tree.join("Cargo.toml"),
            text.replace("warnings = \"deny\"", "warnings = \"allow\"")
                .as_bytes(),
        )
    }

    /// Makes one part of the copy agree with our tree, whatever the tree it was copied from has.
    pub fn take_ours(&self, part: &str) -> Result<()> {
        agree(&paths::root().join(part), &self.tree.join(part))
    }

    /// Makes one change.
    pub fn edit(&self, edit: &Edit) -> Result<()> {
        write(
            &self.tree.join(edit.file),
            edit.apply(&self.tree)?.as_bytes(),
        )
    }

    /// Makes all of the changes, or no change when one of them has no place. Returns whether it made
    /// them.
    pub fn edit_all(&self, edits: &[Edit]) -> Result<bool> {
        let read = |edit: &Edit| fs::read(self.tree.join(edit.file));
        let before = edits.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let fit = edits.iter().all(|edit| self.edit(edit).is_ok());
        if !fit {
            for (edit, text) in edits.iter().zip(before) {
                write(&self.tree.join(edit.file), &text)?;
            }
        }
        Ok(fit)
    }

    /// Checks the copy's kernel and returns the compiler's messages.
    pub fn errors(&self, variant: Option<Variant>) -> Result<String> {
        let mut cargo = cargo();
        cargo
            .current_dir(&self.tree)
            .args(["check", "--package", "switch-to", "--lib", "--quiet"])
            .env("CARGO_TARGET_DIR", self.tree.with_file_name("out"));
        match variant {
            None => cargo
                .args(TARGET)
                .env("CARGO_BUILD_BUILD_DIR", paths::target()),
            Some(variant) => {
                variant.choose(&mut cargo);
                cargo.env("CARGO_BUILD_BUILD_DIR", variant.folder())
            }
        };
        cargo.env("CARGO_TERM_COLOR", "never").stdin(Stdio::null());
        let checked = cargo.output().context("cannot start cargo")?;
        Ok(String::from_utf8_lossy(&checked.stderr).into_owned())
    }

    /// Compiles the copy's kernel and returns its path.
    pub fn kernel(&self, variant: Option<Variant>) -> Result<PathBuf> {
        let out = self.tree.with_file_name("out");
        let mut cargo = cargo();
        cargo
            .current_dir(&self.tree)
            .arg("build")
            .args(["--package", "switch-to", "--bin", "switch_to", "--quiet"])
            .env("CARGO_TARGET_DIR", &out);
        let target = match variant {
            None => {
                // Without optimization across the units of the crate a change is compiled in a few
                // seconds instead of a minute.
                cargo.env("CARGO_PROFILE_DEV_LTO", "off");
                cargo.args(TARGET);
                cargo.env("CARGO_BUILD_BUILD_DIR", paths::target());
                TARGET[1]
            }
            Some(variant) => {
                variant.choose(&mut cargo);
                cargo.env("CARGO_BUILD_BUILD_DIR", variant.folder());
                variant.target
            }
        };
        let built = cargo
            .stdin(Stdio::null())
            .output()
            .context("cannot start cargo")?;
        if !built.status.success() {
            bail!(
                "the kernel does not compile:\n{}",
                String::from_utf8_lossy(&built.stderr)
            );
        }
        let kernel = out
            .join(target.trim_end_matches(".json"))
            .join(Profile::Dev.folder());
        let kernel = kernel.join("switch_to");
        match variant {
            None => Ok(kernel),
            Some(variant) => variant.finish(kernel),
        }
    }
}

/// Makes a file or a folder like another. Files that already agree keep their time, so cargo
/// compiles only what has changed; files that the original lacks are removed.
pub fn agree(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        return write(to, &fs::read(from)?);
    }
    if !to.is_dir() {
        remove(to)?;
        fs::create_dir_all(to)?;
    }
    let names = |dir: &Path| -> Result<Vec<OsString>> {
        fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name()))
            .collect()
    };
    let wanted = names(from)?;
    for name in names(to)? {
        if !wanted.contains(&name) {
            remove(&to.join(name))?;
        }
    }
    for name in wanted {
        agree(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

fn write(to: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(to).ok().as_deref() == Some(bytes) {
        return Ok(());
    }
    if to.is_dir() {
        remove(to)?;
    }
    fs::write(to, bytes).with_context(|| format!("{}", to.display()))
}

/// Removes the file or folder, if there is one.
fn remove(path: &Path) -> Result<()> {
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path)?;
    } else if path.symlink_metadata().is_ok() {
        fs::remove_file(path)?;
    }
    Ok(())
}

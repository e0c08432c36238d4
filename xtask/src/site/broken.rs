//! The kernels with one step taken out, of which the page and the ISO's menu offer a choice. They are
//! made by mutants of `tests/mutants`.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::compile::strip;
use crate::copy::Copy;
use crate::mutants::{self, Mutant};
use crate::patch::unified;
use crate::paths;
use crate::toolchain::{quietly, tool};

/// The mutants, in the order of the book. Each is noticed by a self-test on one processor.
const NAMES: &[&str] = &[
    "eflags_not_saved",
    "bp_not_saved",
    "current_task_not_written",
    "last_is_next",
    "label_1_pushed_for_new_tasks",
    "new_task_keeps_eflags",
    "sp0_not_loaded",
    "tls_not_loaded",
    "gs_loaded_if_different",
    "fpu_not_saved",
    "bitmap_copies_next_only",
    "mm_not_grabbed",
    "voluntary_counted_as_preemption",
    "dead_task_not_dropped",
];

/// What a kernel is made of, beside the mutant's change.
const SOURCES: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "boot",
    "build.rs",
    "i686-kernel.json",
    "linker.ld",
    "src",
];

/// A kernel with one step taken out.
pub struct Broken {
    /// The mutant that makes it.
    pub mutant: &'static Mutant,
    /// The kernel, stripped and compressed by gzip, which GRUB loads as it is.
    pub file: PathBuf,
}

impl Broken {
    /// Returns the change, as a patch.
    pub fn diff(&self) -> Result<String> {
        let patches = self.mutant.edits.iter().map(|edit| {
            let old = fs::read_to_string(paths::root().join(edit.file)).context(edit.file)?;
            Ok(unified(edit.file, &old, &edit.apply_to(&old)?))
        });
        patches.collect()
    }

    /// Returns the kernel's path on the ISO.
    pub fn on_iso(&self) -> String {
        format!("/boot/broken/{}.gz", self.mutant.name)
    }
}

/// Returns the first `most` kernels, compiled if they are not there.
pub fn kernels(most: usize) -> Result<Vec<Broken>> {
    let sources = hash_of_sources()?;
    NAMES
        .iter()
        .take(most)
        .map(|name| kernel(mutants::named(name)?, sources))
        .collect()
}

fn kernel(mutant: &'static Mutant, sources: u64) -> Result<Broken> {
    let folder = paths::target().join("broken");
    fs::create_dir_all(&folder)?;
    let mut hasher = DefaultHasher::new();
    sources.hash(&mut hasher);
    for edit in mutant.edits {
        (edit.file, edit.find, edit.replace).hash(&mut hasher);
    }
    let file = folder.join(format!("{}-{:016x}.gz", mutant.name, hasher.finish()));
    if !file.exists() {
        eprintln!("compiling the kernel without {}", mutant.takes_out);
        let copy = Copy::of_the_tree()?;
        for edit in mutant.edits {
            copy.edit(edit)?;
        }
        compress(&copy.kernel(None)?, &file)?;
    }
    Ok(Broken { mutant, file })
}

/// Strips a kernel and compresses it.
fn compress(kernel: &Path, to: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stripped = folder.path().join("kernel");
    strip(kernel, &stripped)?;
    quietly(tool("gzip")?.args(["-9", "--no-name"]).arg(&stripped))?;
    fs::copy(folder.path().join("kernel.gz"), to)?;
    Ok(())
}

fn hash_of_sources() -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    for source in SOURCES {
        hash_file(&paths::root().join(source), &mut hasher)?;
    }
    Ok(hasher.finish())
}

fn hash_file(path: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    if !path.is_dir() {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        bytes.hash(hasher);
        return Ok(());
    }
    let mut inner: Vec<PathBuf> = fs::read_dir(path)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    inner.sort();
    for path in inner {
        path.file_name().hash(hasher);
        hash_file(&path, hasher)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dozen_kernels_run_a_self_test_on_one_processor() {
        assert!(NAMES.len() >= 12);
        for name in NAMES {
            let red = &mutants::named(name).unwrap().red;
            assert!(red.cmdline().starts_with("selftest="), "{name}");
            assert!(red.cpus == 1 && red.variant.is_none(), "{name}");
        }
    }
}

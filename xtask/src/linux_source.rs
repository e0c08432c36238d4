//! Linux's own tests: fetched as Debian's package of the kernel's source, compiled as they are.
//!
//! Kept under `target/switch_to/kselftest`. Nothing of it is in this tree.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::toolchain::{quietly, tool};
use crate::{foreign, paths};

/// The package: that of Debian 12.
pub const PACKAGE: &str = "linux-source-6.1";
const SELFTESTS: &str = "tools/testing/selftests";

/// A test of Linux's.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name here.
    pub name: &'static str,
    /// Its files below tools/testing/selftests; includes are looked for beside the first, too.
    pub sources: &'static [&'static str],
    /// More words for the compiler.
    pub flags: &'static [&'static str],
}

fn folder() -> PathBuf {
    paths::out().join("kselftest")
}

/// Fetches the source if it is not there. 130 MB are read, a part of it is kept.
pub fn fetch() -> Result<()> {
    let dir = folder();
    fs::create_dir_all(&dir)?;
    let lock = fs::File::create(dir.join("lock"))?;
    lock.lock()?;
    let tree = dir.join("tree");
    if tree.exists() {
        return Ok(());
    }
    println!("fetching Linux's own tests: Debian's {PACKAGE}");
    for needed in ["tar", "xz"] {
        tool(needed)?;
    }
    let partial = dir.join("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(&partial)?;
    foreign::download(&dir, &[PACKAGE], &partial)
        .with_context(|| format!("cannot fetch {PACKAGE}, which Debian 12 has"))?;
    let deb = only_file(&partial)?;
    quietly(
        tool("dpkg-deb")?
            .arg("-x")
            .arg(&deb)
            .arg(partial.join("deb")),
    )?;
    let archive = partial.join(format!("deb/usr/src/{PACKAGE}.tar.xz"));
    let wanted = [SELFTESTS, "tools/include", "arch/x86/include/asm"];
    quietly(
        tool("tar")?
            .arg("-xJf")
            .arg(&archive)
            .arg("-C")
            .arg(&partial)
            .args(wanted.map(|path| format!("{PACKAGE}/{path}"))),
    )?;
    fs::rename(partial.join(PACKAGE), tree)?;
    fs::remove_dir_all(&partial)?;
    Ok(())
}

fn only_file(dir: &Path) -> Result<PathBuf> {
    let mut files = fs::read_dir(dir)?;
    let Some(file) = files.next() else {
        bail!("{} is empty", dir.display())
    };
    Ok(file?.path())
}

impl Program {
    /// The bytes of the program, compiled if that has not been done.
    pub fn compile(&self) -> Result<Vec<u8>> {
        let tree = folder().join("tree");
        let tests = tree.join(SELFTESTS);
        let sources: Vec<PathBuf> = self.sources.iter().map(|file| tests.join(file)).collect();
        let first = sources.first().context("a test without a source")?;
        ensure!(first.exists(), "{PACKAGE} has no {}", self.sources[0]);
        let beside = first.parent().unwrap_or(&tests);
        let mut flags: Vec<String> = [
            beside.to_owned(),
            beside.join("../include"),
            tests.clone(),
            tree.join("tools/include"),
        ]
        .iter()
        .map(|dir| format!("-I{}", dir.display()))
        .collect();
        flags.extend(self.flags.iter().map(|flag| (*flag).to_owned()));
        let out = folder().join(self.name);
        // The flags are there.
        if foreign::older(&out, &paths::root().join("tests/kselftest.rs"))? {
            foreign::link_strangers(&sources, &flags, &out)?;
        }
        fs::read(&out).with_context(|| out.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_linux_does_not_have_is_named() {
        let none = Program {
            name: "none",
            sources: &["x86/there_is_none.c"],
            flags: &[],
        };
        let error = none.compile().unwrap_err().to_string();
        assert!(error.ends_with("has no x86/there_is_none.c"), "{error}");
    }
}

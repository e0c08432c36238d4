//! Where things lie, in the tree and under `target/`.
//!
//! The tree is the one that this crate was compiled in.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The root of the repository.
pub fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        here.join("..").canonicalize().unwrap_or(here.join(".."))
    });
    &ROOT
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// What this crate makes: images, initramfs, real programs.
pub fn out() -> PathBuf {
    target().join("switch_to")
}

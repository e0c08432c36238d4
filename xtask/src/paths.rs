//! Where things lie, in the tree and under `target/`.
//!
//! The tree is the one that `xtask/verb` or cargo has started us for: where this crate was compiled is of
//! no account, as a tree may be moved with its `target/`.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The root of the repository.
pub fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let told = ["SWITCH_TO_ROOT", "CARGO_MANIFEST_DIR"].map(std::env::var_os);
        let mut folders = told.into_iter().flatten().map(PathBuf::from);
        let here = folders
            .next()
            .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        root_above(&here).unwrap_or(here)
    });
    &ROOT
}

/// The nearest folder from `here` upwards that has the kernel's target in it.
fn root_above(here: &Path) -> Option<PathBuf> {
    let here = here.canonicalize().ok()?;
    let root = here
        .ancestors()
        .find(|folder| folder.join("i686-kernel.json").exists())?;
    Some(root.to_owned())
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

/// Where programs lie that are installed once for all trees of this user. `bootstrap` has the same folder.
pub fn tools() -> PathBuf {
    let home = || std::env::var_os("HOME").unwrap_or_else(|| "/root".into());
    let data = match std::env::var_os("XDG_DATA_HOME").filter(|it| !it.is_empty()) {
        Some(data) => PathBuf::from(data),
        None => PathBuf::from(home()).join(".local/share"),
    };
    data.join("switch_to")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_found_from_any_folder_of_a_tree() {
        let tree = tempfile::Builder::new()
            .prefix("a tree ")
            .tempdir()
            .unwrap();
        let inner = tree.path().join("xtask/src");
        std::fs::create_dir_all(&inner).unwrap();
        assert_eq!(root_above(&inner), None);
        std::fs::write(tree.path().join("i686-kernel.json"), "").unwrap();
        assert_eq!(root_above(&inner), tree.path().canonicalize().ok());
        assert!(root().join("xtask/src/paths.rs").exists());
    }
}

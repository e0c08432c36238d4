//! Cargo, and the other programs that a build or a run needs.
//!
//! Which cargo is decided in one place, the script `xtask/cargo`: a
//! rustup nightly with `rust-src`, else Debian's. A program that is missing is
//! named together with the Debian package that has it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::paths;

/// Programs and files, and the Debian packages that have them. `bootstrap` has the same list.
const TOOLS: &[(&str, &str)] = &[
    ("gcc", "gcc"),
    ("ld.lld", "lld"),
    ("objcopy", "binutils"),
    ("as", "binutils"),
    ("objdump", "binutils"),
    ("git", "git"),
    ("grub-mkrescue", "grub-common"),
    ("grub-file", "grub-common"),
    ("/usr/lib/grub/i386-pc/multiboot2.mod", "grub-pc-bin"),
    ("xorriso", "xorriso"),
    ("mformat", "mtools"),
    ("qemu-system-i386", "qemu-system-x86"),
    ("gdb", "gdb"),
    ("trace-cmd", "trace-cmd"),
    ("apt-get", "apt"),
    ("dpkg-deb", "dpkg"),
    ("xz", "xz-utils"),
];

/// The Debian package that has a program, if it is one of ours.
pub fn package_of(tool: &str) -> Option<&'static str> {
    TOOLS
        .iter()
        .find(|(name, _)| *name == tool)
        .map(|(_, package)| *package)
}

/// Where a program is, by `PATH`; a name with a slash is a file to look for.
pub fn find(tool: &str) -> Result<PathBuf> {
    let found = if tool.contains('/') {
        Some(PathBuf::from(tool)).filter(|file| file.exists())
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .map(|dir| dir.join(tool))
            .find(|file| file.is_file())
    };
    match (found, package_of(tool)) {
        (Some(file), _) => Ok(file),
        (None, Some(package)) => bail!(
            "{tool} is not installed: it is in the Debian package {package} (`./bootstrap` installs all that is missing)"
        ),
        (None, None) => bail!("{tool} is not installed"),
    }
}

/// Returns the Debian package of the first of these programs and files that is not on this machine.
pub fn first_missing(needs: &[(&str, &'static str)]) -> Option<&'static str> {
    let missing = needs.iter().find(|(tool, _)| find(tool).is_err());
    missing.map(|&(_, package)| package)
}

/// A program, ready to be given arguments.
pub fn tool(name: &str) -> Result<Command> {
    Ok(Command::new(find(name)?))
}

/// Cargo of the chosen toolchain, in the root of the tree.
pub fn cargo() -> Command {
    let mut cargo = Command::new(paths::root().join("xtask/cargo"));
    cargo.current_dir(paths::root());
    // Set by the cargo that runs us; they describe this crate, not what is built now.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") {
            cargo.env_remove(name);
        }
    }
    cargo
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_MANIFEST_PATH");
    cargo
}

/// Runs a command that should succeed; what it printed is shown only if it did not.
pub fn quietly(command: &mut Command) -> Result<()> {
    let name = Path::new(command.get_program()).display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        bail!(
            "{name} failed ({}):\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_named_with_its_package() {
        assert_eq!(package_of("mformat"), Some("mtools"));
        assert_eq!(package_of("ld.lld"), Some("lld"));
        let error = find("/nonexistent/tool").unwrap_err().to_string();
        assert!(error.contains("not installed"), "{error}");
    }

    /// What `bootstrap` wants: tools or files, and the packages that have them.
    fn wanted(bootstrap: &str) -> Vec<(&str, &str)> {
        let lines = bootstrap.lines();
        lines
            .filter_map(|line| line.strip_prefix("want ")?.split_once(' '))
            .collect()
    }

    fn bootstrap() -> String {
        std::fs::read_to_string(paths::root().join("bootstrap")).unwrap()
    }

    #[test]
    fn bootstrap_installs_what_the_tool_needs() {
        let bootstrap = bootstrap();
        let wanted = wanted(&bootstrap);
        for pair in TOOLS {
            // Every Debian has them.
            let essential = ["apt", "dpkg"].contains(&pair.1);
            assert!(
                essential || wanted.contains(pair),
                "bootstrap does not want {pair:?}"
            );
        }
    }

    #[test]
    fn each_package_has_what_it_is_wanted_for() {
        let bootstrap = bootstrap();
        let Ok(dpkg) = find("dpkg-query") else {
            return; // another system, with other packages
        };
        let mut asked = 0;
        for (tool, package) in wanted(&bootstrap) {
            if package == "ca-certificates" {
                continue; // it makes its file when it is installed
            }
            let Ok(file) = find(tool).and_then(|file| Ok(file.canonicalize()?)) else {
                continue;
            };
            let listed = Command::new(&dpkg).args(["-L", package]).output().unwrap();
            let listed = String::from_utf8_lossy(&listed.stdout);
            if listed.is_empty() {
                continue; // it came here by another way
            }
            asked += 1;
            let has = |line: &str| {
                Path::new(line)
                    .canonicalize()
                    .is_ok_and(|listed| listed == file)
            };
            assert!(
                listed.lines().any(has),
                "{package} has no {tool}: {}",
                file.display()
            );
        }
        assert!(asked > 5, "only {asked} of the packages are here");
    }

    /// `bootstrap` on another system: a folder with the few tools that it needs to look around, and
    /// what `/etc/os-release` says.
    fn bootstrap_on(os_release: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        for tool in ["sh", "dirname", "id", "apt-get"] {
            std::os::unix::fs::symlink(find(tool).unwrap(), bin.join(tool)).unwrap();
        }
        let system = dir.path().join("os-release");
        std::fs::write(&system, os_release).unwrap();
        let output = Command::new(bin.join("sh"))
            .arg(paths::root().join("bootstrap"))
            .env_clear()
            .env("PATH", &bin)
            .env("HOME", dir.path())
            .env("BOOTSTRAP_OS", &system)
            .env("BOOTSTRAP_CARGO", "/nonexistent")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    #[test]
    fn bootstrap_refuses_at_once_a_system_without_a_toolchain() {
        let said = bootstrap_on("ID=debian\nVERSION_CODENAME=bullseye\n");
        assert!(
            said.contains("rustup toolchain install nightly --component rust-src"),
            "{said}"
        );
        let said = bootstrap_on("ID=fedora\n");
        assert!(said.contains("rustup"), "{said}");
        // Nothing was begun before.
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

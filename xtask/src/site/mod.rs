//! `just site`: the book, and the machine that runs the kernel in a browser, as static files.
//!
//! Nothing is fetched when the pages are read. The emulator and the terminal are npm packages with a lock
//! file (`site/package-lock.json`), fetched once; the firmware is Debian's.

mod broken; // kernels with one step taken out
mod disc; // the ISO of the site
mod pages; // the files of the site

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};

use crate::toolchain::{find, first_missing};
use crate::web::browser::is_installed;
use crate::web::server::Server;
use crate::{book, paths};

/// Programs and files that the site is made with, and the Debian packages that have them. `bootstrap`
/// installs them for the verb `site`.
pub const NEEDS: &[(&str, &str)] = &[
    ("npm", "npm"),
    ("gzip", "gzip"),
    ("/usr/share/seabios/bios.bin", "seabios"),
    ("/usr/share/seabios/vgabios-stdvga.bin", "seabios"),
];

/// The most that the site may take, in bytes.
const MOST_BYTES: u64 = 25 * 1024 * 1024;

/// Does what `just site [quick] [serve]` says: with `quick` only one of the broken kernels is built.
pub fn act(words: &[String]) -> Result<ExitCode> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (kernels, serves) = match words[..] {
        [] => (usize::MAX, false),
        ["quick"] => (1, false),
        ["serve"] => (usize::MAX, true),
        ["quick", "serve"] => (1, true),
        _ => bail!("just site [quick] [serve]"),
    };
    let folder = build(kernels)?;
    println!(
        "{} ({:.1} MB)",
        folder.join("index.html").display(),
        size(&folder)? as f64 / 1e6
    );
    if serves {
        let server = Server::start(&folder)?;
        println!("{} until Ctrl-C", server.url("machine.html"));
        loop {
            std::thread::park();
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns what this machine lacks to make the site and to run it, and how to get it. Fetches the npm
/// packages, if they are not there.
pub fn lacking() -> Option<String> {
    if find("node").is_err() && !is_installed() {
        return Some("there is neither node nor Chromium here, to run the page in".to_owned());
    }
    let error = all_is_there().and_then(|()| pages::npm_packages()).err()?;
    Some(format!("{error:#}"))
}

/// Fails if a program or a file that the site is made with is not on this machine.
fn all_is_there() -> Result<()> {
    match first_missing(NEEDS) {
        None => Ok(()),
        Some(package) => bail!(
            "the Debian package {package} is not installed: `./bootstrap site` installs what the site needs"
        ),
    }
}

/// Makes the site with at most so many broken kernels, and returns its folder.
///
/// # Errors
/// A tool is missing or fails, or the site is larger than 25 MB.
pub fn build(kernels: usize) -> Result<PathBuf> {
    all_is_there()?;
    let packages = pages::npm_packages()?;
    let broken = broken::kernels(kernels)?;
    let iso = disc::iso(&broken)?;
    let folder = paths::target().join("site");
    pages::write(&folder, &book::build()?, &packages, &iso, &broken)?;
    let bytes = size(&folder)?;
    ensure!(
        bytes <= MOST_BYTES,
        "{} takes {bytes} bytes, of {MOST_BYTES}",
        folder.display()
    );
    Ok(folder)
}

/// The bytes of all files below a folder.
fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => size(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bootstrap_installs_what_the_site_needs() {
        let bootstrap = std::fs::read_to_string(paths::root().join("bootstrap")).unwrap();
        for (tool, package) in NEEDS {
            assert!(
                bootstrap.contains(&format!("want {tool} {package}\n")),
                "bootstrap does not want {tool}"
            );
        }
    }

    #[test]
    fn other_words_are_refused() {
        let refused = act(&["fast".to_owned()]).unwrap_err().to_string();
        assert!(refused.starts_with("just site ["), "{refused}");
    }
}

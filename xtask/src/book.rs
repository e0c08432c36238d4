//! `just book`: the pages of `docs` as static files, or on localhost; and their quoted lines taken anew.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

use crate::paths;
use crate::suite;
use crate::toolchain::cargo;

/// The version of mdBook that is installed when there is none.
const MDBOOK: &str = "0.4.52";

/// What `just book [serve | bless | record]` does.
pub fn act(words: &[String]) -> Result<ExitCode> {
    match words {
        [] => println!("{}", build()?.join("index.html").display()),
        [word] if word == "serve" => mdbook(&["serve".as_ref(), "docs".as_ref()])?,
        [word] if word == "bless" => return bless(),
        [word] if word == "record" => return record(),
        _ => bail!("just book [serve | bless | record]"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the pages and returns their folder.
pub fn build() -> Result<PathBuf> {
    let folder = paths::target().join("book");
    let mut to = OsString::from("--dest-dir=");
    to.push(&folder);
    mdbook(&["build".as_ref(), "docs".as_ref(), to.as_os_str()])?;
    Ok(folder)
}

/// Returns why the pages cannot be built on this machine: there is no mdBook, and none can be had.
pub fn lacking() -> Option<String> {
    let error = installed().err()?;
    Some(format!("there is no mdBook here: {error:#}"))
}

/// Takes the quoted lines over and draws the pictures, then says what is still wrong.
fn bless() -> Result<ExitCode> {
    let mut tree = cargo();
    tree.args([
        "test",
        "--quiet",
        "--package",
        "switch-to",
        "--test",
        "tree",
        "book::",
    ]);
    // What is wrong is said by the run that follows.
    let _ = tree
        .env("BLESS", "1")
        .output()
        .context("cannot start cargo")?;
    suite::run(&["tree".to_owned()])
}

/// Records the stepper's switches anew, from one boot under gdb.
fn record() -> Result<ExitCode> {
    let mut gdb = cargo();
    gdb.args([
        "test",
        "--package",
        "switch-to",
        "--test",
        "gdb",
        "scenes::",
    ]);
    let status = gdb
        .env("BLESS", "1")
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "the switches were not recorded: {status}");
    Ok(ExitCode::SUCCESS)
}

fn mdbook(arguments: &[&OsStr]) -> Result<()> {
    let status = Command::new(installed()?)
        .args(arguments)
        .current_dir(paths::root())
        .status()
        .context("cannot start mdbook")?;
    ensure!(status.success(), "mdbook ended with {status}");
    Ok(())
}

/// mdBook: the system's, or one that cargo has installed for this user, now if need be.
fn installed() -> Result<PathBuf> {
    if Command::new("mdbook").arg("--version").output().is_ok() {
        return Ok("mdbook".into());
    }
    let folder = paths::tools();
    let program = folder.join("bin/mdbook");
    if !program.exists() {
        println!(
            "installing mdBook {MDBOOK} into {}: some minutes",
            folder.display()
        );
        let status = cargo()
            .args([
                "install",
                "mdbook",
                "--version",
                MDBOOK,
                "--locked",
                "--root",
            ])
            .arg(&folder)
            .status()
            .context("cannot start cargo")?;
        ensure!(status.success(), "cargo could not install mdBook: {status}");
    }
    Ok(program)
}

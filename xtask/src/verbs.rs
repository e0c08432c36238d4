//! What `just run`, `just exec`, `just shell`, `just debug` and `just gdb` do: a machine on this terminal.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Result, anyhow, bail};

use crate::compile::{self, Profile};
use crate::image::{IsoSpec, try_iso};
use crate::qemu::debug_console;
use crate::terminal::{patience, run as on_terminal, verdict};
use crate::toolchain::tool;
use crate::{paths, trace as timeline};

/// Where QEMU waits for gdb, if the port is free and nobody asks for another.
const GDB_PORT: u16 = 1234;

/// Boots this command line on the terminal and maps how it ended.
pub fn run(spec: &IsoSpec) -> Result<ExitCode> {
    let mut qemu = qemu(spec)?;
    qemu.args(["-serial", "stdio"]);
    verdict(spec, &on_terminal(qemu, patience(spec))?)
}

/// The same, counted by instructions: with one command line every run is the same, on however many CPUs.
pub fn repeatable(spec: &IsoSpec) -> Result<ExitCode> {
    let mut qemu = qemu(spec)?;
    qemu.args(["-icount", "shift=4,sleep=off", "-serial", "stdio"]);
    verdict(spec, &on_terminal(qemu, patience(spec))?)
}

/// The same with a debug console, and a timeline made of what the kernel wrote there, however it ended.
pub fn trace(spec: &IsoSpec) -> Result<ExitCode> {
    recorded(spec, timeline::convert)
}

/// The same, and the timeline is a picture.
pub fn timeline(spec: &IsoSpec) -> Result<ExitCode> {
    recorded(spec, timeline::draw)
}

/// Boots with a debug console, and says what `tell` makes of the file with what the kernel wrote there.
fn recorded(spec: &IsoSpec, tell: fn(&Path) -> Result<String>) -> Result<ExitCode> {
    let records = timeline::dir()?.join("trace.bin");
    let mut qemu = qemu(spec)?;
    qemu.args(debug_console(&records))
        .args(["-serial", "stdio"]);
    let end = on_terminal(qemu, patience(spec)).and_then(|ended| verdict(spec, &ended));
    println!("\n{}", tell(&records)?);
    end
}

/// An interactive boot: the keyboard goes to the guest, Ctrl-A X ends QEMU.
pub fn interactive(spec: &IsoSpec) -> Result<ExitCode> {
    println!("Ctrl-A X ends QEMU");
    let mut qemu = qemu(spec)?;
    qemu.args(["-serial", "mon:stdio"]);
    until_it_is_left(spec, qemu)
}

/// Like [`interactive`], but QEMU waits for gdb before the first instruction.
pub fn debug(spec: &IsoSpec) -> Result<ExitCode> {
    let mut qemu = qemu(spec)?;
    let at = free_port(wanted_port()?)?;
    fs::write(meeting_place(), at.to_string())?;
    println!("waiting for gdb on {at}: run `just gdb` in another terminal. Ctrl-A X ends QEMU");
    qemu.args(["-serial", "mon:stdio", "-S", "-gdb"])
        .arg(format!("tcp:{at}"));
    let end = until_it_is_left(spec, qemu);
    // Another machine may have come since.
    if fs::read_to_string(meeting_place()).is_ok_and(|text| text == at.to_string()) {
        fs::remove_file(meeting_place())?;
    }
    end
}

fn until_it_is_left(spec: &IsoSpec, qemu: Command) -> Result<ExitCode> {
    let ended = on_terminal(qemu, None)?;
    match ended.was_left() {
        true => Ok(ExitCode::SUCCESS),
        false => verdict(spec, &ended),
    }
}

/// Becomes gdb with the kernel's symbols, attached to the machine of [`debug`]; `gdb/init.gdb` is read
/// first. A Ctrl-C is then gdb's, which stops the kernel.
pub fn gdb(profile: Profile) -> Result<ExitCode> {
    let at = waiting(wanted_port()?)?;
    let mut gdb = tool("gdb")?;
    gdb.current_dir(paths::root())
        .args([
            "-q",
            "-ex",
            "set architecture i386",
            "-ex",
            "set confirm off",
        ])
        .args(["-ex", "set debuginfod enabled off"])
        .args(["-ix", "gdb/init.gdb"])
        .arg("-ex")
        .arg(format!("target remote {at}"))
        .arg(compile::kernel(profile)?);
    Err(anyhow!(gdb.exec()).context("cannot start gdb"))
}

/// The port that the environment's `GDB_PORT` asks for.
fn wanted_port() -> Result<Option<u16>> {
    match std::env::var("GDB_PORT") {
        Ok(text) => match text.parse() {
            Ok(port @ 1..) => Ok(Some(port)),
            _ => bail!("GDB_PORT={text}: a port is 1 to 65535"),
        },
        Err(_) => Ok(None),
    }
}

/// Where `debug` says on which port its machine waits, and `gdb` looks.
fn meeting_place() -> PathBuf {
    paths::out().join("gdb-port")
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn is_free(at: SocketAddr) -> bool {
    TcpListener::bind(at).is_ok()
}

/// The wanted port, or the usual, or any that is free if that is not.
fn free_port(wanted: Option<u16>) -> Result<SocketAddr> {
    match wanted {
        Some(port) if !is_free(local(port)) => {
            bail!("GDB_PORT={port}: the port is taken; without GDB_PORT a free one is found")
        }
        Some(port) => Ok(local(port)),
        None if is_free(local(GDB_PORT)) => Ok(local(GDB_PORT)),
        None => Ok(TcpListener::bind(local(0))?.local_addr()?),
    }
}

/// Where a machine waits: on the wanted port, or where the last `just debug` of this tree said.
fn waiting(wanted: Option<u16>) -> Result<SocketAddr> {
    let at = match wanted {
        Some(port) => Some(local(port)),
        None => fs::read_to_string(meeting_place())
            .ok()
            .and_then(|text| text.parse().ok()),
    };
    // Whoever can have the port finds nobody there.
    match at.filter(|at| !is_free(*at)) {
        Some(at) => Ok(at),
        None => bail!(
            "no machine waits{}: run `just debug` in another terminal first",
            wanted.map_or(String::new(), |port| format!(" on port {port}"))
        ),
    }
}

/// QEMU with the ISO, without a display and without a serial port yet.
fn qemu(spec: &IsoSpec) -> Result<Command> {
    let cpus = cpus()?;
    let mut qemu = tool("qemu-system-i386")?;
    let kernel = compile::kernel(spec.profile)?;
    let iso = try_iso(spec)?;
    eprintln!("kernel {}\niso    {}", kernel.display(), iso.display());
    qemu.args([
        "-cpu",
        "pentium3",
        "-m",
        "128",
        "-display",
        "none",
        "-no-reboot",
        "-smp",
        &cpus.to_string(),
    ])
    .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
    .arg("-cdrom")
    .arg(iso);
    Ok(qemu)
}

/// How many processors the machine is to have: the environment's `CPUS`, else 1.
fn cpus() -> Result<u32> {
    match std::env::var("CPUS") {
        Ok(text) => match text.parse() {
            Ok(cpus @ 1..=8) => Ok(cpus),
            _ => bail!("CPUS={text}: the machine has 1 to 8 processors"),
        },
        Err(_) => Ok(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_found_out() {
        let taken = TcpListener::bind(local(0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let refused = free_port(Some(port)).unwrap_err().to_string();
        assert!(refused.contains("is taken"), "{refused}");
        assert_eq!(waiting(Some(port)).unwrap(), local(port));
        // Whether the usual one is free or not, there is one.
        let usual = TcpListener::bind(local(GDB_PORT));
        assert!(is_free(free_port(None).unwrap()));
        drop((usual, taken));
        let missing = waiting(Some(port)).unwrap_err().to_string();
        assert!(missing.contains("just debug"), "{missing}");
    }
}

//! What `just run`, `just shell` and `just debug` do: a boot on this terminal.

use std::net::TcpListener;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::compile::{self, Profile};
use crate::image::{IsoSpec, try_iso};
use crate::paths;
use crate::qemu::debug_console;
use crate::steer::GRUB_FAILED;
use crate::toolchain::tool;
use crate::trace;

/// How long a boot that ends by itself may take, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Where QEMU waits for gdb.
const GDB_PORT: &str = "127.0.0.1:1234";

/// Boots this command line on the terminal and maps how it ended.
pub fn run(spec: &IsoSpec) -> Result<ExitCode> {
    on_terminal(qemu(spec)?)
}

/// The same, counted by instructions: with one command line every run is the same, on however many CPUs.
pub fn repeatable(spec: &IsoSpec) -> Result<ExitCode> {
    let mut qemu = qemu(spec)?;
    qemu.args(["-icount", "shift=4,sleep=off"]);
    on_terminal(qemu)
}

fn on_terminal(mut qemu: Command) -> Result<ExitCode> {
    let mut child = qemu.args(["-serial", "stdio"]).spawn()?;
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!(
                "the kernel did not end within {} seconds",
                PATIENCE.as_secs()
            );
        }
        sleep(Duration::from_millis(20));
    };
    verdict(status)
}

/// The same with a debug console, and a timeline made of what the kernel wrote there, however it ended.
pub fn trace(spec: &IsoSpec) -> Result<ExitCode> {
    let records = trace::dir()?.join("trace.bin");
    let mut qemu = qemu(spec)?;
    qemu.args(debug_console(&records));
    let end = on_terminal(qemu);
    println!("\n{}", trace::convert(&records)?);
    end
}

/// An interactive boot: the keyboard goes to the guest, Ctrl-A X ends QEMU.
pub fn interactive(spec: &IsoSpec) -> Result<ExitCode> {
    println!("Ctrl-A X ends QEMU");
    let status = qemu(spec)?.args(["-serial", "mon:stdio"]).status()?;
    if status.success() {
        return Ok(ExitCode::SUCCESS); // ended by Ctrl-A X
    }
    verdict(status)
}

/// Like [`interactive`], but QEMU waits for gdb on port 1234 before the first instruction.
pub fn debug(spec: &IsoSpec) -> Result<ExitCode> {
    println!(
        "waiting for gdb on port 1234: run `just gdb` in another terminal. Ctrl-A X ends QEMU"
    );
    let status = qemu(spec)?
        .args(["-serial", "mon:stdio", "-S", "-gdb"])
        .arg(format!("tcp:{GDB_PORT}"))
        .status()?;
    if status.success() {
        return Ok(ExitCode::SUCCESS);
    }
    verdict(status)
}

/// gdb with the kernel's symbols, attached to the machine of [`debug`]; `gdb/init.gdb` is read first.
pub fn gdb(profile: Profile) -> Result<ExitCode> {
    // Whoever can have the port finds nobody there.
    if TcpListener::bind(GDB_PORT).is_ok() {
        bail!("no machine waits on {GDB_PORT}: run `just debug` in another terminal first");
    }
    let mut gdb = tool("gdb")?;
    gdb.current_dir(paths::root())
        .args([
            "-q",
            "-ex",
            "set architecture i386",
            "-ex",
            "set confirm off",
        ])
        .args(["-ex", "set debuginfod enabled off"]);
    let status = gdb
        .args(["-ix", "gdb/init.gdb"])
        .arg("-ex")
        .arg(format!("target remote {GDB_PORT}"))
        .arg(compile::kernel(profile)?)
        .status()?;
    if !status.success() {
        bail!("gdb ended with {status}");
    }
    Ok(ExitCode::SUCCESS)
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
    .arg(iso)
    .stdout(Stdio::inherit());
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

fn verdict(status: ExitStatus) -> Result<ExitCode> {
    let Some(code) = status.code() else {
        bail!("QEMU died: {status}")
    };
    match explain(code) {
        Ok(what) => {
            println!("\n{what} (exit code {code} of QEMU)");
            Ok(ExitCode::SUCCESS)
        }
        Err(what) => bail!("{what} (exit code {code} of QEMU)"),
    }
}

/// What QEMU's exit code means. The kernel writes `v` to isa-debug-exit, and QEMU ends with `(v << 1) | 1`.
pub fn explain(code: i32) -> Result<&'static str, &'static str> {
    match code {
        33 => Ok("passed: the kernel ended with success"),
        35 => Err("failed: a self-test, a step of the tour, or init"),
        65 => Err("the kernel panicked: see the epitaph above"),
        67 => Err("the kernel was not started by a Multiboot2 loader"),
        69 => Err("the boot loader gave no memory map"),
        71 => Err("too little memory: the kernel needs 16 MiB"),
        73 => Err("the CPU lacks a feature that the kernel needs"),
        75 => Err("the initramfs is missing or broken"),
        77 => Err("init cannot be loaded"),
        0 => Err("QEMU ended without a verdict: the machine was reset or switched off"),
        1 => Err("QEMU could not start the machine"),
        _ if code == (GRUB_FAILED << 1 | 1) as i32 => {
            Err("GRUB could not load the kernel or the initramfs")
        }
        _ => Err("the kernel ended with an unknown code"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_code_is_a_success() {
        let good: Vec<i32> = (0..256).filter(|&code| explain(code).is_ok()).collect();
        assert_eq!(good, [33]);
        assert!(explain(97).unwrap_err().starts_with("GRUB"));
    }
}

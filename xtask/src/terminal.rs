//! A machine on this terminal, and the status that its end is for a shell.

use std::io::{Read, Write, stdout};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use switch_to::base::cmdline::{self, Job, Pauses};
use switch_to::process::sigset;

use crate::image::IsoSpec;
use crate::steer::GRUB_FAILED;

/// How long a boot that ends by itself may take, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is kept of the end of the serial line, in bytes.
const TAIL_BYTES: usize = 4096;

/// How a machine ended.
pub struct Ended {
    status: ExitStatus,
    /// The last of what came on the serial line.
    tail: String,
}

impl Ended {
    /// Whether a person ended QEMU, by Ctrl-A X.
    pub fn was_left(&self) -> bool {
        self.status.success()
    }
}

/// How long a machine may run: a tour without pauses or a test ends by itself, a program of the user's
/// when it wants.
pub fn patience(spec: &IsoSpec) -> Option<Duration> {
    let waits = matches!(
        job(spec),
        Job::Init | Job::Tour(Pauses::Always | Pauses::Ask)
    );
    (!waits).then_some(PATIENCE)
}

/// Runs QEMU, whose output goes to this terminal as it comes.
///
/// # Errors
/// The machine did not end in time.
pub fn run(mut qemu: Command, patience: Option<Duration>) -> Result<Ended> {
    let mut child = qemu
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start QEMU")?;
    let from = child.stdout.take().context("QEMU has no output")?;
    let reader = thread::spawn(move || pass_on(from));
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if patience.is_some_and(|patience| begun.elapsed() > patience) {
            child.kill()?;
            child.wait()?;
            bail!(
                "the kernel did not end within {} seconds",
                PATIENCE.as_secs()
            );
        }
        sleep(Duration::from_millis(20));
    };
    let tail = reader.join().unwrap_or_default();
    Ok(Ended { status, tail })
}

/// Copies to standard output; returns the end of it.
fn pass_on(mut from: impl Read) -> String {
    let (mut buffer, mut tail) = ([0; 1024], Vec::new());
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let mut to = stdout().lock();
        // Whoever reads our output may have enough of it; the machine goes on.
        let _ = to.write_all(&buffer[..length]).and_then(|()| to.flush());
        tail.extend_from_slice(&buffer[..length]);
        tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
    }
    String::from_utf8_lossy(&tail).into_owned()
}

/// The status for the shell: the program's own, if the machine ran one and it ended.
///
/// # Errors
/// What ended the run, if that was not a program's end or a success.
pub fn verdict(spec: &IsoSpec, ended: &Ended) -> Result<ExitCode> {
    let Some(code) = ended.status.code() else {
        bail!("QEMU died: {}", ended.status)
    };
    if runs_a_program(spec)
        && let Some((status, how)) = end_of_program(code, &ended.tail)
    {
        println!("\n{how}");
        return Ok(ExitCode::from(status));
    }
    match explain(code) {
        Ok(what) => {
            println!("\n{what} (exit code {code} of QEMU)");
            Ok(ExitCode::SUCCESS)
        }
        Err(what) => bail!("{what} (exit code {code} of QEMU)"),
    }
}

/// Whether the command line is for a program as init.
fn runs_a_program(spec: &IsoSpec) -> bool {
    job(spec) == Job::Init
}

fn job(spec: &IsoSpec) -> Job<'_> {
    let line = spec.cmdline.as_deref().unwrap_or_default();
    cmdline::parse(line).0.job
}

/// The status that a shell has for a program that ended so, and words for it; `None` if it was the kernel
/// that ended. The kernel's own line is the last, whatever the program wrote before.
fn end_of_program(code: i32, tail: &str) -> Option<(u8, String)> {
    if code == 33 {
        return Some((0, "the program ended with status 0".to_owned()));
    }
    let last = tail.trim_end().lines().next_back()?;
    if code != 35 {
        return None;
    }
    if let Some((_, number)) = last.rsplit_once("init: exited with status ") {
        let status = number.parse().ok()?;
        return Some((status, format!("the program ended with status {status}")));
    }
    let (_, number) = last.rsplit_once("init: killed by signal ")?;
    let signal: u8 = number.parse().ok().filter(|signal| *signal < 128)?;
    let name = sigset::name(signal.into());
    let how = format!("the program was killed by signal {signal}, {name}");
    Some((128 + signal, how))
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

    #[test]
    fn a_programs_status_is_the_one_of_the_kernels_last_line() {
        let end = |code, tail: &str| end_of_program(code, tail).map(|(status, _)| status);
        assert_eq!(end(33, "init: exited with status 7\n"), Some(0));
        assert_eq!(
            end(35, "hi\r\n[ 1.5] init: exited with status 42\r\n"),
            Some(42)
        );
        // A program may write what looks like the kernel's line, or no end of its own last line.
        let forged = "init: exited with status 7\r\nbye[ 1.5] init: exited with status 3\r\n";
        assert_eq!(end(35, forged), Some(3));
        assert_eq!(end(35, "[ 1.5] init: killed by signal 11\r\n"), Some(139));
        assert!(
            end_of_program(35, "init: killed by signal 11")
                .unwrap()
                .1
                .ends_with("SIGSEGV")
        );
        assert_eq!(end(65, "init: exited with status 7\r\n"), None);
        assert_eq!(end(35, "something else\r\n"), None);
        assert_eq!(end(35, "init: exited with status 1234\r\n"), None);
    }

    #[test]
    fn only_init_is_waited_for_without_limit() {
        assert_eq!(patience(&IsoSpec::boot("tour")), Some(PATIENCE));
        assert_eq!(patience(&IsoSpec::boot("tour tour=pause")), None);
        assert_eq!(patience(&IsoSpec::boot("init=/bin/busybox -- tour")), None);
    }
}

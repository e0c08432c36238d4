//! The kernel in Bochs, an emulator that shares no code with QEMU: the tour, and the self-tests on one
//! processor; by name (`4_cpus`) on four.
//!
//! Bochs has no isa-debug-exit: the log says how a run ended, and the machine is then killed.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use xtask::image::{IsoSpec, try_iso};
use xtask::ktap::{self, Outcome};
use xtask::toolchain::find;
use xtask::trial::{Arguments, run, trial};
use xtask::verdict::all_checks_hold;

/// Time limit for one run: Bochs interprets each instruction.
const LIMIT: Duration = Duration::from_secs(900);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let mut trials = vec![
        trial("bochs::tour", LIMIT, tour),
        trial("bochs::selftests_1_cpu", LIMIT, || selftests(1)),
    ];
    // Four processors take four times as long: only by name.
    if arguments.filter.is_some() || arguments.list {
        trials.push(trial("bochs::selftests_4_cpus", LIMIT, || selftests(4)));
    }
    run(&arguments, trials).exit_code()
}

fn tour() -> Result<()> {
    let log = boot("tour", 1, |log| log.contains("tour: verdict: "))?;
    all_checks_hold(&log)
}

fn selftests(cpus: u32) -> Result<()> {
    let is_done = |log: &str| {
        let report = ktap::parse(log);
        !report.cases.is_empty() && report.errors.is_empty()
    };
    let log = boot("selftest", cpus, is_done)?;
    let bad: Vec<String> = ktap::parse(&log)
        .cases
        .into_iter()
        .filter(|case| case.outcome == Outcome::NotOk)
        .map(|case| case.name)
        .collect();
    ensure!(bad.is_empty(), "not ok: {}", bad.join(", "));
    Ok(())
}

/// Boots a command line and returns the log when it is done.
fn boot(cmdline: &str, cpus: u32, is_done: impl Fn(&str) -> bool) -> Result<String> {
    let iso = try_iso(&IsoSpec::boot(cmdline))?;
    let folder = tempfile::tempdir()?;
    let serial = folder.path().join("serial");
    let settings = folder.path().join("bochsrc");
    fs::write(&settings, bochsrc(&iso, cpus, folder.path()))?;
    let mut bochs = Command::new(find("bochs")?)
        .arg("-q")
        .arg("-f")
        .arg(&settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start bochs")?;
    // Debian's Bochs has a debugger in it, which waits for a command; without one it takes no notice.
    let mut stdin = bochs.stdin.take().context("bochs has no standard input")?;
    writeln!(stdin, "c")?;
    let ended = wait(&mut bochs, &serial, is_done);
    // It may have ended by itself.
    let _ = bochs.kill();
    bochs.wait()?;
    ended
}

fn wait(bochs: &mut Child, serial: &Path, is_done: impl Fn(&str) -> bool) -> Result<String> {
    let begun = Instant::now();
    loop {
        let log = fs::read(serial).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).replace('\r', "");
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        if is_done(&log) {
            return Ok(log);
        }
        ensure!(!log.contains("BUG:"), "the kernel panicked:\n{last}");
        if let Some(status) = bochs.try_wait()? {
            bail!("bochs ended with {status}:\n{last}");
        }
        ensure!(begun.elapsed() < LIMIT, "not done in {LIMIT:?}:\n{last}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The settings: a Pentium III with the ISO, and COM1 in a file.
fn bochsrc(iso: &Path, cpus: u32, folder: &Path) -> String {
    format!(
        "plugin_ctrl: unmapped=1, serial=1, speaker=0, sb16=0, es1370=0, gameport=0, parallel=0\n\
         display_library: rfb, options=\"timeout=0\"\n\
         sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy\n\
         memory: guest=128, host=128\n\
         cpu: count={cpus}, ips=50000000, model=p3_katmai\n\
         romimage: file=/usr/share/bochs/BIOS-bochs-latest\n\
         vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest\n\
         ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14\n\
         ata0-master: type=cdrom, path=\"{}\", status=inserted\n\
         boot: cdrom\n\
         com1: enabled=1, mode=file, dev={}\n\
         log: {}\n",
        iso.display(),
        folder.join("serial").display(),
        folder.join("log").display()
    )
}

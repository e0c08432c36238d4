//! The kernel in Bochs, an emulator that shares no code with QEMU.
//!
//! Bochs has no isa-debug-exit: the log says how a run ended, and the machine is then killed.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::image::{IsoSpec, try_iso};
use crate::toolchain::{find, first_missing};

/// Programs and files that a boot needs, and the Debian packages that have them.
pub const NEEDS: &[(&str, &str)] = &[
    ("bochs", "bochs"),
    ("/usr/share/bochs/BIOS-bochs-latest", "bochsbios"),
    ("/usr/share/bochs/VGABIOS-lgpl-latest", "vgabios"),
];

/// Lines that are shown of a run that did not end well.
const SHOWN: usize = 20;

/// Returns what this machine lacks for a boot, and how to get it.
pub fn lacking() -> Option<String> {
    let package = first_missing(NEEDS)?;
    Some(format!(
        "there is no {package} here: apt-get install bochs bochsbios vgabios"
    ))
}

/// Boots a command line on so many processors, and returns the log when `is_done` says that it is
/// complete.
///
/// # Errors
/// The kernel panics, Bochs ends, or the log is not complete within `limit`.
pub fn boot(
    cmdline: &str,
    cpus: u32,
    limit: Duration,
    is_done: impl Fn(&str) -> bool,
) -> Result<String> {
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
    let ended = wait(&mut bochs, &serial, limit, is_done);
    // It may have ended by itself.
    let _ = bochs.kill();
    bochs.wait()?;
    ended
}

fn wait(
    bochs: &mut Child,
    serial: &Path,
    limit: Duration,
    is_done: impl Fn(&str) -> bool,
) -> Result<String> {
    let begun = Instant::now();
    loop {
        let log = fs::read(serial).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).replace('\r', "");
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
        if is_done(&log) {
            return Ok(log);
        }
        ensure!(!log.contains("BUG:"), "the kernel panicked:\n{last}");
        if let Some(status) = bochs.try_wait()? {
            bail!("bochs ended with {status}:\n{last}");
        }
        ensure!(begun.elapsed() < limit, "not done in {limit:?}:\n{last}");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths;

    #[test]
    fn bootstrap_installs_what_a_boot_needs() {
        let bootstrap = fs::read_to_string(paths::root().join("bootstrap")).unwrap();
        for (tool, package) in NEEDS {
            assert!(
                bootstrap.contains(&format!("want {tool} {package}\n")),
                "bootstrap does not want {tool}"
            );
        }
    }
}

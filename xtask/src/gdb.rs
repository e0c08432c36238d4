//! gdb in batch: a script run against a machine that waits for it.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use wait_timeout::ChildExt;

use crate::qemu::Vm;
use crate::run::Run;
use crate::toolchain::tool;

/// What gdb and the machine had to say.
#[derive(Clone, Debug)]
pub struct Session {
    /// gdb's standard output and errors.
    pub output: String,
    /// gdb's exit status was 0, so no command of the script failed.
    pub ok: bool,
    /// The machine.
    pub run: Run,
}

impl Session {
    /// The last lines that gdb said, each cut short.
    pub fn explain_end(&self) -> String {
        let lines: Vec<&str> = self.output.trim().lines().collect();
        let last = &lines[lines.len().saturating_sub(12)..];
        let last: Vec<String> = last
            .iter()
            .map(|line| line.chars().take(400).collect())
            .collect();
        format!("--- gdb said\n{}", last.join("\n"))
    }

    /// The text of a failure: what gdb said, and what the machine said.
    pub fn explain(&self) -> String {
        format!(
            "--- gdb said\n{}\n{}",
            self.output.trim(),
            self.run.explain(None)
        )
    }
}

/// Starts `vm` with its CPUs halted, attaches gdb with the symbols of `elf`, and has it run the
/// files and then the commands of `script`, one a line. The machine is left running when gdb is
/// done, if `stay`; otherwise it is killed.
pub fn batch(vm: &Vm, elf: &Path, files: &[&Path], script: &str, stay: bool) -> Result<Session> {
    let vm = Vm {
        gdb: true,
        ..vm.clone()
    };
    let running = vm.start()?;
    let socket = running.gdb_socket();
    let begun = Instant::now();
    while !socket.exists() {
        if begun.elapsed() > Duration::from_secs(10) {
            let run = running.kill()?;
            bail!("QEMU's gdb server did not come up\n{}", run.explain(None));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut gdb = tool("gdb")?;
    gdb.args(["-nx", "-q", "--batch"])
        .args(["-ex", "set pagination off", "-ex", "set confirm off"])
        .args([
            "-ex",
            "set debuginfod enabled off",
            "-ex",
            "set tcp connect-timeout 10",
        ])
        .args([
            "-ex",
            "set architecture i386",
            "-ex",
            "set breakpoint pending off",
        ])
        .arg("-ex")
        .arg(format!("file \"{}\"", elf.display()))
        .arg("-ex")
        .arg(format!("target remote {}", socket.display()));
    for file in files {
        gdb.arg("-x").arg(file);
    }
    // In a file, so that the first command that fails ends the script.
    let commands = tempfile::Builder::new()
        .prefix("switch_to-")
        .suffix(".gdb")
        .tempfile()?;
    std::fs::write(commands.path(), script)?;
    gdb.arg("-x").arg(commands.path());

    let mut child = gdb
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start gdb")?;
    let readers = [
        child
            .stdout
            .take()
            .map(|pipe| std::thread::spawn(move || read(pipe))),
        child
            .stderr
            .take()
            .map(|pipe| std::thread::spawn(move || read(pipe))),
    ];
    let status = child.wait_timeout(vm.timeout)?;
    if status.is_none() {
        // Both fail only for a child that has ended.
        let _ = child.kill();
        let _ = child.wait();
    }
    let output: String = readers
        .into_iter()
        .flatten()
        .filter_map(|reader| reader.join().ok())
        .collect();
    let run = if stay {
        running.wait()?
    } else {
        running.kill()?
    };
    let session = Session {
        output,
        ok: status.is_some_and(|status| status.success()),
        run,
    };
    if status.is_none() {
        bail!(
            "gdb still ran after {} s\n{}",
            vm.timeout.as_secs(),
            session.explain()
        );
    }
    Ok(session)
}

fn read(mut pipe: impl Read) -> String {
    let mut text = Vec::new();
    let _ = pipe.read_to_end(&mut text); // what came before a broken pipe is enough
    String::from_utf8_lossy(&text).into_owned()
}

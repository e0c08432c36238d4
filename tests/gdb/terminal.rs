//! `just debug` and `just gdb` at two terminals: they find each other, Ctrl-C stops the kernel, and a
//! machine that ends is one sentence.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use xtask::paths;

/// A program with a terminal of its own, which `script` gives it.
struct Terminal {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Terminal {
    fn start(command: &str) -> Result<Terminal> {
        let mut child = Command::new("script")
            .args(["-qefc", command, "/dev/null"])
            .env("TERM", "dumb")
            .env_remove("GDB_PORT")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start script, of bsdutils")?;
        let mut from = child.stdout.take().context("script has no output")?;
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            while let Ok(length @ 1..) = from.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]);
                *heard.lock().unwrap_or_else(PoisonError::into_inner) += &text;
            }
        });
        Ok(Terminal { child, said })
    }

    fn said(&self) -> String {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn type_in(&mut self, keys: &str) -> Result<()> {
        let stdin = self.child.stdin.as_mut().context("script has no input")?;
        stdin.write_all(keys.as_bytes())?;
        Ok(stdin.flush()?)
    }

    /// Waits until something was said after the first `from` bytes; returns the length then.
    fn until(&self, from: usize, text: &str) -> Result<usize> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(90) {
            let said = self.said();
            if said.get(from..).is_some_and(|said| said.contains(text)) {
                return Ok(said.len());
            }
            sleep(Duration::from_millis(50));
        }
        anyhow::bail!("{text:?} was not said:\n{}", self.said())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail only for a child that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The whole story, at two terminals.
pub fn ctrl_c_stops_the_kernel() -> Result<()> {
    let verb = paths::root().join("xtask/verb");
    let verb = format!("'{}'", verb.display());
    // A shell that waits: the kernel idles, and does not end.
    let mut machine = Terminal::start(&format!("{verb} debug init=/bin/busybox -- sh"))?;
    machine.until(0, "waiting for gdb on ")?;
    let mut gdb = Terminal::start(&format!("{verb} gdb"))?;
    let mut at = gdb.until(0, "(gdb) ")?;
    gdb.type_in("continue\n")?;
    machine.until(0, "init: /bin/busybox")?;
    gdb.type_in("\x03")?;
    at = gdb.until(at, "SIGINT")?;
    gdb.type_in("print 6*7\n")?;
    at = gdb.until(at, "= 42")?;
    // Ctrl-A X ends QEMU under it.
    machine.type_in("\x01x")?;
    sleep(Duration::from_secs(1));
    gdb.type_in("lx-ps\n")?;
    at = gdb.until(at, "no machine is attached")?;
    gdb.type_in("quit\n")?;
    let said = gdb.said();
    ensure!(!said.contains("Traceback"), "a trace of Python's:\n{said}");
    ensure!(at > 0, "{said}");
    Ok(())
}

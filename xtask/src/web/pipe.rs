//! A browser's debugging pipe: one JSON object after the other, each ended by a zero byte.
//!
//! Chromium: `--remote-debugging-pipe` reads commands from descriptor 3 and writes to descriptor 4.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// The longest time that an answer may take, on a machine that compiles beside it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Moves the pipes from where a child expects them to where Chromium does.
const MOVE_PIPES: &str = "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";

/// A browser process and the way to talk to it.
pub struct Pipe {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    last_id: u64,
    /// What the browser has reported and nobody has read yet.
    pub events: Vec<Value>,
}

impl Pipe {
    /// Starts a browser with these arguments.
    pub fn start(program: &Path, arguments: &[String]) -> Result<Pipe> {
        let mut child = Command::new("sh")
            .args(["-c", MOVE_PIPES, "sh"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh")?;
        let to = child.stdin.take().context("no pipe to the browser")?;
        let from = child.stdout.take().context("no pipe from the browser")?;
        let (send, receive) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(from).split(0) {
                let Some(value) = message.ok().and_then(|it| serde_json::from_slice(&it).ok())
                else {
                    break;
                };
                if send.send(value).is_err() {
                    break;
                }
            }
        });
        Ok(Pipe {
            child,
            to,
            from: receive,
            last_id: 0,
            events: Vec::new(),
        })
    }

    /// Gives a command and waits for its result. `session` names a page; without it the command is
    /// for the browser.
    ///
    /// # Errors
    /// The browser refuses the command, has ended, or does not answer in a minute.
    pub fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        parameters: Value,
    ) -> Result<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let mut command = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let mut bytes = serde_json::to_vec(&command)?;
        bytes.push(0);
        self.to.write_all(&bytes).context("the browser has ended")?;
        let begun = Instant::now();
        while let Some(left) = PATIENCE.checked_sub(begun.elapsed()) {
            let message = self.from.recv_timeout(left);
            let message = message.with_context(|| format!("no answer to {method}"))?;
            if message["id"] != id {
                self.events.push(message);
            } else if let Some(error) = message.get("error") {
                bail!("{method}: {error}");
            } else {
                return Ok(message["result"].clone());
            }
        }
        bail!("no answer to {method} in {PATIENCE:?}")
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // Chromium ends when its pipe is closed or on this command; both fail only if it has ended.
        let _ = self
            .to
            .write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

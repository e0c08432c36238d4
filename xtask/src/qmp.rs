//! QEMU's monitor, through the QEMU machine protocol.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// How long QEMU may take to open its socket, and to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to the monitor of one QEMU.
pub struct Monitor {
    requests: UnixStream,
    answers: Receiver<Value>,
    shut_down: Arc<AtomicBool>,
}

impl Monitor {
    /// Connects, as soon as QEMU listens.
    pub fn connect(socket: &Path) -> Result<Monitor> {
        let begun = Instant::now();
        let requests = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if begun.elapsed() > PATIENCE => {
                    return Err(error).context("QEMU's monitor does not answer");
                }
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let shut_down = Arc::new(AtomicBool::new(false));
        let (send, answers) = channel();
        let (lines, flag) = (
            BufReader::new(requests.try_clone()?),
            Arc::clone(&shut_down),
        );
        std::thread::spawn(move || listen(lines, &send, &flag));
        let mut monitor = Monitor {
            requests,
            answers,
            shut_down,
        };
        monitor.request(&json!({"execute": "qmp_capabilities"}))?;
        Ok(monitor)
    }

    /// The answer to a line that one could type at the monitor.
    pub fn ask(&mut self, question: &str) -> Result<String> {
        let arguments = json!({"command-line": question});
        let answer =
            self.request(&json!({"execute": "human-monitor-command", "arguments": arguments}))?;
        let text = answer.as_str().context("QEMU's monitor gave no text")?;
        Ok(text.replace('\r', ""))
    }

    /// The guest switched the machine off or reset it, and QEMU keeps it as it was then.
    pub fn has_shut_down(&self) -> bool {
        self.shut_down.load(Ordering::Acquire)
    }

    fn request(&mut self, request: &Value) -> Result<Value> {
        writeln!(self.requests, "{request}")?;
        let answer = self
            .answers
            .recv_timeout(PATIENCE)
            .context("QEMU's monitor is silent")?;
        match (answer.get("return"), answer.get("error")) {
            (Some(result), _) => Ok(result.clone()),
            (None, error) => bail!("QEMU's monitor: {error:?}"),
        }
    }
}

/// Tells answers from events until QEMU hangs up.
fn listen(lines: impl BufRead, answers: &Sender<Value>, shut_down: &AtomicBool) {
    for line in lines.lines().map_while(|line| line.ok()) {
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        if message
            .get("event")
            .is_some_and(|event| event == "SHUTDOWN")
        {
            shut_down.store(true, Ordering::Release);
        }
        let is_answer = message.get("return").or(message.get("error")).is_some();
        if is_answer && answers.send(message).is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_events_and_noise() {
        let (send, receive) = channel();
        let flag = AtomicBool::new(false);
        let lines =
            "{\"QMP\": {}}\n{\"return\": {}}\nnoise\n{\"event\": \"STOP\"}\n{\"error\": 1}\n";
        listen(lines.as_bytes(), &send, &flag);
        assert!(!flag.load(Ordering::Acquire));
        listen(&b"{\"event\": \"SHUTDOWN\"}\n"[..], &send, &flag);
        assert!(flag.load(Ordering::Acquire));
        let answers: Vec<Value> = receive.try_iter().collect();
        assert_eq!(answers, [json!({"return": {}}), json!({"error": 1})]);
    }
}

//! QEMU's monitor, through the QEMU machine protocol.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// How long QEMU may take to open its socket, and to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to the monitor of one QEMU.
pub struct Monitor {
    requests: UnixStream,
    answers: Receiver<Value>,
    ends: Arc<Ends>,
}

/// How the guest has ended its machine, if it has.
#[derive(Default)]
struct Ends {
    shut_down: AtomicBool,
    powered_off: AtomicBool,
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
        let ends = Arc::new(Ends::default());
        let (send, answers) = channel();
        let (lines, flag) = (BufReader::new(requests.try_clone()?), Arc::clone(&ends));
        std::thread::spawn(move || listen(lines, &send, &flag));
        let mut monitor = Monitor {
            requests,
            answers,
            ends,
        };
        monitor.request(&json!({"execute": "qmp_capabilities"}))?;
        Ok(monitor)
    }

    /// The answer to a line that one could type at the monitor.
    ///
    /// # Errors
    /// No answer, or none in time; one for which [`hung_up`] is true if QEMU ended meanwhile.
    pub fn ask(&mut self, question: &str) -> Result<String> {
        let arguments = json!({"command-line": question});
        let answer =
            self.request(&json!({"execute": "human-monitor-command", "arguments": arguments}))?;
        let text = answer.as_str().context("QEMU's monitor gave no text")?;
        Ok(text.replace('\r', ""))
    }

    /// The guest switched the machine off or reset it, and QEMU keeps it as it was then.
    pub fn has_shut_down(&self) -> bool {
        self.ends.shut_down.load(Ordering::Acquire)
    }

    /// The guest switched the machine off.
    pub fn has_powered_off(&self) -> bool {
        self.ends.powered_off.load(Ordering::Acquire)
    }

    fn request(&mut self, request: &Value) -> Result<Value> {
        writeln!(self.requests, "{request}")?;
        let answer = match self.answers.recv_timeout(PATIENCE) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => bail!("QEMU's monitor is silent"),
            Err(RecvTimeoutError::Disconnected) => {
                let ended = "QEMU ended before its monitor answered";
                return Err(io::Error::new(ErrorKind::BrokenPipe, ended).into());
            }
        };
        match (answer.get("return"), answer.get("error")) {
            (Some(result), _) => Ok(result.clone()),
            (None, error) => bail!("QEMU's monitor: {error:?}"),
        }
    }
}

/// Whether a request failed because QEMU had ended.
pub fn hung_up(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// Tells answers from events until QEMU hangs up.
fn listen(lines: impl BufRead, answers: &Sender<Value>, ends: &Ends) {
    for line in lines.lines().map_while(|line| line.ok()) {
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        if message
            .get("event")
            .is_some_and(|event| event == "SHUTDOWN")
        {
            let reason = message.pointer("/data/reason");
            let powered_off = reason.is_some_and(|reason| reason == "guest-shutdown");
            ends.powered_off.store(powered_off, Ordering::Release);
            ends.shut_down.store(true, Ordering::Release);
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
        let ends = Ends::default();
        let lines =
            "{\"QMP\": {}}\n{\"return\": {}}\nnoise\n{\"event\": \"STOP\"}\n{\"error\": 1}\n";
        listen(lines.as_bytes(), &send, &ends);
        let ended = || [&ends.shut_down, &ends.powered_off].map(|it| it.load(Ordering::Acquire));
        assert_eq!(ended(), [false, false]);
        let event = |reason| json!({"event": "SHUTDOWN", "data": {"reason": reason}}).to_string();
        listen(event("guest-reset").as_bytes(), &send, &ends);
        assert_eq!(ended(), [true, false]);
        listen(event("guest-shutdown").as_bytes(), &send, &ends);
        assert_eq!(ended(), [true, true]);
        let answers: Vec<Value> = receive.try_iter().collect();
        assert_eq!(answers, [json!({"return": {}}), json!({"error": 1})]);
    }
}

//! QEMU's monitor, through the QEMU machine protocol.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Asks QEMU's monitor, by QMP.
pub fn ask(socket: &Path, question: &str) -> Result<String> {
    let mut qmp = UnixStream::connect(socket).context("QEMU's monitor does not answer")?;
    qmp.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut answers = BufReader::new(qmp.try_clone()?).lines();
    let mut next = || -> Result<serde_json::Value> {
        let line = answers.next().context("QEMU's monitor hung up")??;
        Ok(serde_json::from_str(&line)?)
    };
    next()?; // the greeting
    for request in [
        serde_json::json!({"execute": "qmp_capabilities"}),
        serde_json::json!({"execute": "human-monitor-command", "arguments": {"command-line": question}}),
    ] {
        writeln!(qmp, "{request}")?;
        loop {
            let answer = next()?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU's monitor: {error}");
            }
            // Anything else is an event.
            let Some(result) = answer.get("return") else {
                continue;
            };
            match result.as_str() {
                Some(text) => return Ok(text.replace('\r', "")),
                None => break,
            }
        }
    }
    bail!("QEMU's monitor gave no text")
}

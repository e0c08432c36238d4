//! The messages that start a CPU, and their times: by QEMU's clock, as the APICs were written.
//!
//! A busy host makes a pause longer, never shorter, so each has only a lower limit.
//!
//! SDM: vol. 3, 8.4.4.1 "Typical BSP Initialization Sequence", 10.6.1 "Interrupt Command Register".
//! Red without: the pause after INIT and the one between the two start-up messages (a CPU that has
//! answered gets no second message), and the time that a CPU has to answer.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use xtask::image::IsoSpec;
use xtask::run::Exit;

use super::scenario;
use crate::Scenario;

/// The interrupt command register: its low half sends, its high half names the receiver.
const ICR: u64 = 0xfee0_0300;
const ICR2: u64 = 0xfee0_0310;
/// APIC number of a processor that is not there.
const NOBODY: u64 = 0xee;

const INIT: Duration = Duration::from_millis(10);
const STARTUP: Duration = Duration::from_micros(200);
const ANSWER: Duration = Duration::from_secs(5);

/// Every scenario of this file.
pub fn scenarios() -> Vec<Scenario> {
    vec![scenario(
        "smp::a_cpu_is_given_the_time_that_it_needs",
        IsoSpec::boot("selftest=cpu_that_never_answers!"),
        |vm| {
            vm.cpus = 2;
            vm.writes = true;
        },
        |run| {
            run.ends(Exit::Success)?;
            let sent = messages(&run.writes)?;
            one_that_comes(&to(&sent, 1)).context("to a CPU that comes")?;
            one_that_does_not(&to(&sent, NOBODY)).context("to a CPU that is not there")
        },
    )]
}

fn one_that_comes(sent: &[&Message]) -> Result<()> {
    let [init, _, first, rest @ ..] = sent else {
        bail!("sent {}", kinds(sent));
    };
    ensure!(
        kinds(sent).starts_with("INIT, deassert, SIPI"),
        "sent {}",
        kinds(sent)
    );
    pause("INIT", init, first, INIT)?;
    match rest.first().filter(|next| next.kind == "SIPI") {
        Some(second) => pause("the first SIPI", first, second, STARTUP),
        None => Ok(()),
    }
}

fn one_that_does_not(sent: &[&Message]) -> Result<()> {
    ensure!(
        kinds(sent) == "INIT, deassert, SIPI, SIPI, INIT, deassert",
        "sent {}",
        kinds(sent)
    );
    pause("INIT", sent[0], sent[2], INIT)?;
    pause("the first SIPI", sent[2], sent[3], STARTUP)?;
    pause("the second SIPI", sent[3], sent[4], ANSWER)?;
    pause("the last INIT", sent[4], sent[5], INIT)
}

/// Checks that a pause is at least `least`, less the error that the kernel's clock may have.
fn pause(after: &str, from: &Message, to: &Message, least: Duration) -> Result<()> {
    let pause = to.at.saturating_sub(from.at);
    ensure!(
        pause >= least * 9 / 10,
        "{pause:?} after {after}, not {least:?}"
    );
    Ok(())
}

/// One message between CPUs.
struct Message {
    at: Duration,
    to: u64,
    kind: &'static str,
}

fn to(sent: &[Message], apic_id: u64) -> Vec<&Message> {
    sent.iter()
        .filter(|message| message.to == apic_id)
        .collect()
}

fn kinds(sent: &[&Message]) -> String {
    let kinds: Vec<&str> = sent.iter().map(|message| message.kind).collect();
    kinds.join(", ")
}

/// Returns all messages. A broadcast of the firmware has no receiver and is taken for one to the
/// boot CPU.
fn messages(writes: &str) -> Result<Vec<Message>> {
    let mut to = BTreeMap::new();
    let mut sent = Vec::new();
    for line in writes.lines() {
        let sender = number(line, "cpu");
        match (number(line, "addr"), number(line, "value")) {
            (Some(ICR2), Some(value)) => {
                to.insert(sender, value >> 24);
            }
            (Some(ICR), Some(value)) => sent.push(Message {
                at: stamp(line).with_context(|| format!("no time in {line:?}"))?,
                to: to.get(&sender).copied().unwrap_or(0),
                kind: match value >> 8 & 7 {
                    5 if value & 1 << 14 != 0 => "INIT",
                    5 => "deassert",
                    6 => "SIPI",
                    _ => "other",
                },
            }),
            _ => (),
        }
    }
    Ok(sent)
}

/// Returns NUMBER where a line has `NAME NUMBER`.
fn number(line: &str, name: &str) -> Option<u64> {
    let mut words = line.split_whitespace();
    words.find(|word| *word == name)?;
    let value = words.next()?;
    match value.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => value.parse().ok(),
    }
}

/// Returns the time where a line begins with `PID@SECONDS.MICROSECONDS:`.
fn stamp(line: &str) -> Option<Duration> {
    let (_, rest) = line.split_once('@')?;
    let (seconds, rest) = rest.split_once('.')?;
    let (micros, _) = rest.split_once(':')?;
    let micros = format!("{micros:0<6}").parse().ok()?;
    Some(Duration::from_secs(seconds.parse().ok()?) + Duration::from_micros(micros))
}

//! The assertions that must hold after each instruction of the switch.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xtask::symbols::Symbols;

/// The number of bytes that `switch_to` spills around the book's sequence.
const SPILLED: u32 = 12;
/// EFLAGS.IF.
const IF: u32 = 1 << 9;
/// The accessed bit of a descriptor.
const ACCESSED: u64 = 1 << 40;

/// One step and its test.
pub struct Step {
    /// The name of the step, a part of the test's name.
    pub name: &'static str,
    /// Whether the step occurs only in a switch to a task that ran before.
    old_only: bool,
    /// Checks the step in a recording.
    pub check: fn(&Recording) -> Result<()>,
}

impl Step {
    /// Returns whether a switch of this kind has this step.
    pub fn is_in(&self, kind: &str) -> bool {
        kind != "new" || !self.old_only
    }
}

/// The steps in order.
pub const STEPS: &[Step] = &[
    Step {
        name: "step_1_save_flags",
        old_only: false,
        check: save_flags,
    },
    Step {
        name: "step_2_save_bp",
        old_only: false,
        check: save_bp,
    },
    Step {
        name: "step_3_save_sp",
        old_only: false,
        check: save_sp,
    },
    Step {
        name: "step_4_load_sp",
        old_only: false,
        check: load_sp,
    },
    Step {
        name: "step_5_save_ip",
        old_only: false,
        check: save_ip,
    },
    Step {
        name: "step_6_push_ip",
        old_only: false,
        check: push_ip,
    },
    Step {
        name: "step_7_jmp",
        old_only: false,
        check: jmp,
    },
    Step {
        name: "step_8_load_sp0",
        old_only: false,
        check: load_sp0,
    },
    Step {
        name: "step_9_load_tls",
        old_only: false,
        check: load_tls,
    },
    Step {
        name: "step_10_gs",
        old_only: false,
        check: gs,
    },
    Step {
        name: "step_11_current_is_last",
        old_only: false,
        check: current_is_last,
    },
    Step {
        name: "step_12_ret",
        old_only: false,
        check: ret,
    },
    Step {
        name: "step_13_restore_bp",
        old_only: true,
        check: restore_bp,
    },
    Step {
        name: "step_14_restore_flags",
        old_only: true,
        check: restore_flags,
    },
    Step {
        name: "step_15_returns_last",
        old_only: true,
        check: returned,
    },
    Step {
        name: "cr3_is_not_touched",
        old_only: false,
        check: cr3,
    },
    Step {
        name: "interrupts_are_off",
        old_only: false,
        check: interrupts,
    },
];

/// The machine between two instructions, as `gdb/switch.py` recorded it.
pub struct Stop(Value);

impl Stop {
    fn number(&self, key: &str) -> Result<u32> {
        let value = self.0.get(key).and_then(Value::as_u64);
        Ok(u32::try_from(
            value.with_context(|| format!("the stop has no {key}"))?,
        )?)
    }

    /// Returns descriptors without the bit that the processor sets when it loads one.
    fn descriptors(&self, key: &str) -> Vec<u64> {
        let list = self
            .0
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let numbers = list.filter_map(|raw| u64::from_str_radix(raw.as_str()?, 16).ok());
        numbers.map(|raw| raw.swap_bytes() & !ACCESSED).collect()
    }

    fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or("missing")
    }
}

/// The recording of one switch.
pub struct Recording {
    stops: Vec<Stop>,
    kind: String,
    label_1: u32,
    ret_from_fork: u32,
    c_half: u32,
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for stop in &self.stops {
            write!(f, "{:14}", stop.text("at"))?;
            for key in [
                "eip", "esp", "top", "prev_sp", "next_sp", "prev_ip", "next_ip", "eax", "sp0",
            ] {
                write!(f, " {key} {:08x}", stop.number(key).unwrap_or(0))?;
            }
            writeln!(
                f,
                " owner {} current {}",
                stop.text("owner"),
                stop.text("current")
            )?;
        }
        Ok(())
    }
}

impl Recording {
    /// Finds the recording of a kind in gdb's output.
    pub fn parse(kind: &str, output: &str, symbols: &Symbols) -> Result<Recording> {
        let mut stops = Vec::new();
        let mut inside = false;
        for line in output.lines() {
            if line == format!("begin {kind}") {
                inside = true;
            } else if line == format!("end {kind}") {
                return Ok(Recording {
                    stops,
                    kind: kind.to_owned(),
                    label_1: symbols.value("switch_to_1")?,
                    ret_from_fork: symbols.value("ret_from_fork")?,
                    c_half: symbols.value("__switch_to")?,
                });
            } else if let (true, Some(json)) = (inside, line.strip_prefix("switch-record ")) {
                stops.push(Stop(serde_json::from_str(json)?));
            }
        }
        bail!("gdb did not record a switch of the kind {kind:?} to its end")
    }

    fn at(&self, name: &str) -> Result<&Stop> {
        self.stops
            .iter()
            .find(|stop| stop.text("at") == name)
            .with_context(|| format!("the recording has no stop {name:?}"))
    }

    /// Returns the stops inside `__switch_to`, one for each change, and the arrival.
    fn inside(&self) -> impl Iterator<Item = &Stop> {
        self.stops
            .iter()
            .filter(|stop| matches!(stop.text("at"), "jmp" | "__switch_to" | "arrived"))
    }

    fn expect(&self, at: &str, key: &str, value: u32) -> Result<()> {
        let got = self.at(at)?.number(key)?;
        ensure!(
            got == value,
            "after {at}: {key} is {got:08x}, not {value:08x}"
        );
        Ok(())
    }

    fn owner(&self, at: &str, owner: &str) -> Result<()> {
        let got = self.at(at)?.text("owner");
        ensure!(
            got == owner,
            "after {at}: esp is on the stack of {got}, not of {owner}"
        );
        Ok(())
    }

    fn entry(&self, key: &str) -> Result<u32> {
        self.at("entry")?.number(key)
    }

    /// Returns the address to which next's `thread.ip`, and so `ret`, must point.
    fn goes_to(&self) -> u32 {
        if self.kind == "new" {
            self.ret_from_fork
        } else {
            self.label_1
        }
    }
}

fn save_flags(r: &Recording) -> Result<()> {
    r.expect("save_flags", "esp", r.entry("esp")? - SPILLED - 4)?;
    r.owner("save_flags", "prev")?;
    let saved = r.at("save_flags")?.number("top")?;
    ensure!(
        saved & IF == 0 && saved & 2 != 0,
        "the saved EFLAGS are {saved:08x}"
    );
    r.expect("save_flags", "prev_sp", r.entry("prev_sp")?)
}

fn save_bp(r: &Recording) -> Result<()> {
    r.expect("save_bp", "esp", r.entry("esp")? - SPILLED - 8)?;
    r.owner("save_bp", "prev")?;
    r.expect("save_bp", "prev_sp", r.entry("prev_sp")?)
}

fn save_sp(r: &Recording) -> Result<()> {
    let esp = r.entry("esp")? - SPILLED - 8;
    r.expect("save_sp", "esp", esp)?;
    r.expect("save_sp", "prev_sp", esp)?;
    r.expect("save_sp", "next_sp", r.entry("next_sp")?)?;
    r.expect("save_sp", "prev_ip", r.entry("prev_ip")?)?;
    r.owner("save_sp", "prev")
}

fn load_sp(r: &Recording) -> Result<()> {
    r.expect("load_sp", "esp", r.entry("next_sp")?)?;
    r.owner("load_sp", "next")?;
    let stop = r.at("load_sp")?;
    // The book's `current` has changed; the per-CPU one has not, and sp0 is still prev's.
    ensure!(
        stop.text("by_stack") == "next",
        "current by esp is {}",
        stop.text("by_stack")
    );
    ensure!(
        stop.text("current") == "prev",
        "current is {} already",
        stop.text("current")
    );
    r.expect("load_sp", "sp0", stop.number("prev_sp0")?)
}

fn save_ip(r: &Recording) -> Result<()> {
    r.expect("save_ip", "prev_ip", r.label_1)?;
    r.expect("save_ip", "next_ip", r.goes_to())?;
    r.expect("save_ip", "esp", r.entry("next_sp")?)
}

fn push_ip(r: &Recording) -> Result<()> {
    r.expect("push_ip", "esp", r.entry("next_sp")? - 4)?;
    r.expect("push_ip", "top", r.goes_to())?;
    r.owner("push_ip", "next")
}

fn jmp(r: &Recording) -> Result<()> {
    r.expect("jmp", "eip", r.c_half)?;
    // A call would have pushed a return address.
    r.expect("jmp", "esp", r.entry("next_sp")? - 4)?;
    r.expect("jmp", "top", r.goes_to())?;
    r.expect("jmp", "eax", r.entry("prev")?)
}

fn load_sp0(r: &Recording) -> Result<()> {
    let (prev, next) = (r.entry("prev_sp0")?, r.entry("next_sp0")?);
    ensure!(prev != next, "both tasks have sp0 {prev:08x}");
    r.expect("jmp", "sp0", prev)?;
    r.expect("arrived", "sp0", next)
}

fn load_tls(r: &Recording) -> Result<()> {
    let stop = r.at("arrived")?;
    let (tls, wanted) = (stop.descriptors("tls"), stop.descriptors("next_tls"));
    ensure!(
        tls.len() == 3 && tls == wanted,
        "GDT 6 to 8 are {tls:x?}, not next's {wanted:x?}"
    );
    if r.kind == "tls" {
        let before = r.at("jmp")?.descriptors("tls");
        ensure!(before != wanted, "the recorded switch has no TLS to load");
    }
    // Next's gs is loaded only after its descriptors.
    let loaded = r
        .inside()
        .position(|stop| stop.descriptors("tls") == wanted)
        .unwrap_or(0);
    let changed = r
        .inside()
        .zip(r.inside().skip(1))
        .position(|(a, b)| a.0.get("gs") != b.0.get("gs"));
    ensure!(
        changed.is_none_or(|changed| loaded <= changed + 1),
        "gs was loaded before TLS"
    );
    Ok(())
}

fn gs(r: &Recording) -> Result<()> {
    let entry = r.at("entry")?;
    let stop = r.at("arrived")?;
    ensure!(
        stop.number("prev_gs")? & 0xffff == entry.number("gs")? & 0xffff,
        "prev's gs was {:x}, and {:x} was saved",
        entry.number("gs")?,
        stop.number("prev_gs")?
    );
    r.expect("arrived", "gs", stop.number("next_gs")?)?;
    // The processor must have read the new descriptor.
    if let Some(slot @ 0..3) = (stop.number("gs")? >> 3).checked_sub(6) {
        let raw = stop.descriptors("tls")[slot as usize];
        let base = (raw >> 16 & 0xff_ffff | raw >> 32 & 0xff00_0000) as u32;
        r.expect("arrived", "gs_base", base)?;
    }
    Ok(())
}

fn current_is_last(r: &Recording) -> Result<()> {
    let inside: Vec<&Stop> = r.inside().collect();
    let changed = inside
        .iter()
        .position(|stop| stop.text("current") == "next");
    let changed = changed.context("current never became next")?;
    ensure!(
        inside[..changed]
            .iter()
            .all(|stop| stop.text("current") == "prev"),
        "current went astray"
    );
    for pair in inside[changed..].windows(2) {
        for key in ["sp0", "tls", "gs", "prev_gs"] {
            ensure!(
                pair[0].0.get(key) == pair[1].0.get(key),
                "{key} changed after current had"
            );
        }
    }
    let sp0 = inside
        .iter()
        .position(|stop| stop.number("sp0").ok() == r.entry("next_sp0").ok());
    ensure!(
        sp0.is_some_and(|sp0| sp0 <= changed),
        "sp0 was loaded after current had changed"
    );
    Ok(())
}

fn ret(r: &Recording) -> Result<()> {
    r.expect("arrived", "eip", r.goes_to())?;
    r.expect("arrived", "esp", r.entry("next_sp")?)?;
    r.owner("arrived", "next")?;
    // last: the task that ran just before, whichever task next left for when it slept.
    r.expect("arrived", "eax", r.entry("prev")?)
}

fn restore_bp(r: &Recording) -> Result<()> {
    r.expect("label_1", "esp", r.entry("next_sp")? + 4)
}

fn restore_flags(r: &Recording) -> Result<()> {
    r.expect("restore_flags", "esp", r.entry("next_sp")? + 8)?;
    let saved = r.at("label_1")?.number("top")?;
    ensure!(saved & IF == 0, "a sleeping task's EFLAGS are {saved:08x}");
    r.expect("restore_flags", "eflags", saved)
}

fn returned(r: &Recording) -> Result<()> {
    r.expect("returned", "esp", r.entry("next_sp")? + 8 + SPILLED + 4)?;
    r.owner("returned", "next")?;
    r.expect("returned", "eax", r.entry("prev")?)?;
    let current = r.at("returned")?.text("current");
    ensure!(current == "next", "current is {current}");
    Ok(())
}

fn cr3(r: &Recording) -> Result<()> {
    for stop in &r.stops {
        r.expect(stop.text("at"), "cr3", r.entry("cr3")?)?;
    }
    Ok(())
}

fn interrupts(r: &Recording) -> Result<()> {
    for stop in &r.stops {
        ensure!(
            stop.number("eflags")? & IF == 0,
            "interrupts are on after {}",
            stop.text("at")
        );
    }
    Ok(())
}

//! The scenes of the book's stepper: switches that `switch-scene` records from one boot, and the files
//! `docs/book/scenes/NAME.js`, which are such recordings.
//!
//! A later recording must tell the same: each instruction of `switch_to` with all that it changes, and
//! every change of a field that is shown, in order. Values may differ, and so may the compiled
//! instructions around the sequence. `BLESS=1` writes the files anew.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xtask::compile::{Profile, kernel};
use xtask::gdb::{Session, batch};
use xtask::golden::without_values;
use xtask::image::{IsoSpec, try_iso};
use xtask::paths;
use xtask::qemu::{Medium, Vm};
use xtask::scene::{self, SCENES};

/// Programs that fork, wait and talk through pipes; then two tasks that use the FPU, two with ports,
/// and two with one selector in %gs and two TLS descriptors.
const CMDLINE: &str = "norandmaps init=/bin/busybox -- sh -c \"for i in 1 2 3 4; do \
    /bin/busybox echo $i | /bin/busybox cat; done; \
    /bin/busybox usleep 20000; /tests/fpu_sse; /tests/ioperm; \
    exec /tests/gs_bases\"";
/// Fields that nearly each instruction changes.
const RESTLESS: &[&str] = &[
    "insn", "at", "line", "source", "esp", "ebp", "eax", "eflags",
];
/// Records all scenes.
pub fn record() -> Result<Session> {
    let iso = try_iso(&IsoSpec::boot(CMDLINE))?;
    let vm = Vm {
        timeout: Duration::from_secs(400),
        icount: Some("shift=4,sleep=off".to_owned()),
        ..Vm::new(Medium::Iso(iso))
    };
    let script: String = SCENES
        .iter()
        .map(|name| format!("switch-scene {name}\n"))
        .collect();
    let init = paths::root().join("gdb/init.gdb");
    batch(&vm, &kernel(Profile::Dev)?, &[&init], &script, false)
}

/// Holds a scene against its file.
pub fn compare(name: &str, session: &Session) -> Result<()> {
    let now = recorded(name, &session.output).with_context(|| session.explain_end())?;
    if std::env::var_os("BLESS").is_some() {
        return scene::write(name, &now);
    }
    let kept = scene::read(name)?;
    let (now, kept) = (story(&now)?, story(&kept)?);
    for (number, (now, kept)) in now.iter().zip(&kept).enumerate() {
        ensure!(
            now == kept,
            "scene {name}: change {number} is now\n{now}\nand not\n{kept}\n`just book record` accepts it"
        );
    }
    ensure!(
        now.len() == kept.len(),
        "scene {name}: {} changes, not {}: `just book record` accepts it",
        now.len(),
        kept.len()
    );
    Ok(())
}

fn recorded(name: &str, output: &str) -> Result<Value> {
    let scenes = output
        .lines()
        .filter_map(|line| line.strip_prefix("switch-scene "))
        .filter_map(|json| serde_json::from_str::<Value>(json).ok());
    let found = scenes.into_iter().find(|scene| scene["name"] == name);
    found.with_context(|| format!("gdb did not record the scene {name}"))
}

/// Returns what a scene tells, without values: a line for each change.
fn story(scene: &Value) -> Result<Vec<String>> {
    let mut told = vec![without_values(&scene["tasks"].to_string())];
    let mut at = String::new();
    for step in scene["steps"].as_array().context("no steps")? {
        let set = step["set"].as_object().context("a step sets nothing")?;
        // The instruction that was executed is the one that the step before showed.
        if at.starts_with("switch_to") || at == "ret_from_fork" {
            told.push(format!("{at}: {}", step["why"]));
        }
        for (name, value) in set {
            let is_stack = name.contains(".stack.");
            if !RESTLESS.contains(&name.as_str()) && !is_stack {
                let value = value.as_str().context("a value is no text")?;
                told.push(without_values(&format!("{name} = {value}")));
            }
        }
        if let Some(next) = set.get("at").and_then(Value::as_str) {
            next.clone_into(&mut at);
        }
    }
    Ok(told)
}

//! The scenes of the book's stepper: recorded switches, `docs/book/scenes/NAME.js`.
//!
//! Each is a script with one call, which a page can load from a disk as well as from a server; its argument
//! is JSON.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::paths;

/// The scenes, in the order in which the boot that is recorded comes to them.
pub const SCENES: &[&str] = &[
    "new", "old", "kernel", "death", "last", "fpu", "ports", "tls",
];
/// Before and behind a scene in its file.
const WRAP: [&str; 2] = ["switchScene(", ");\n"];

fn file(name: &str) -> PathBuf {
    paths::root().join(format!("docs/book/scenes/{name}.js"))
}

/// Reads a scene.
///
/// # Errors
/// There is no such file, or no scene in it.
pub fn read(name: &str) -> Result<Value> {
    let file = file(name);
    let shown = || file.display().to_string();
    let text = fs::read_to_string(&file).with_context(shown)?;
    let inner = text.strip_prefix(WRAP[0]);
    let inner = inner.and_then(|rest| rest.strip_suffix(WRAP[1]));
    let scene = inner
        .context("no scene is in the file")
        .with_context(shown)?;
    serde_json::from_str(scene).with_context(shown)
}

/// Writes a scene, each step a line.
pub fn write(name: &str, scene: &Value) -> Result<()> {
    Ok(fs::write(file(name), written(scene)?)?)
}

fn written(scene: &Value) -> Result<String> {
    let mut head = scene.clone();
    let steps = head["steps"].take();
    let lines: Vec<String> = steps
        .as_array()
        .context("no steps")?
        .iter()
        .map(Value::to_string)
        .collect();
    let steps = format!("\"steps\":[\n{}\n]", lines.join(",\n"));
    let head = serde_json::to_string(&head)?.replace("\"steps\":null", &steps);
    Ok(format!("{}{head}{}", WRAP[0], WRAP[1]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_step_is_a_line() {
        let scene = json!({ "name": "x", "steps": [{ "why": "a" }, { "why": "b" }] });
        let text = written(&scene).unwrap();
        assert_eq!(text.lines().count(), 4, "{text}");
        let inner = &text[WRAP[0].len()..text.len() - WRAP[1].len()];
        assert_eq!(serde_json::from_str::<Value>(inner).unwrap(), scene);
    }
}

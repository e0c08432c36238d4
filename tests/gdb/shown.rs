//! What `switch-step` shows a person: `tests/expected/gdb/KIND.txt`, which the book quotes.
//!
//! Values are those of the run that was kept; a later run must show the same but for them. `BLESS=1`
//! writes the files anew.

use std::fs;

use anyhow::{Context, Result, ensure};
use xtask::golden::without_values;
use xtask::paths;

/// Commands that show the next switch of this kind.
pub fn script(kind: &str) -> String {
    format!("echo shown {kind}\\n\nswitch-step {kind}\necho end of {kind}\\n\n")
}

/// Holds what was shown against the file.
pub fn compare(kind: &str, output: &str) -> Result<()> {
    let begin = format!("shown {kind}\n");
    let end = format!("end of {kind}\n");
    let now = output
        .split_once(&begin)
        .and_then(|(_, rest)| rest.split_once(&end))
        .with_context(|| format!("no switch-step {kind} in what gdb said"))?
        .0;
    let shown = format!("tests/expected/gdb/{kind}.txt");
    let file = paths::root().join(&shown);
    if std::env::var_os("BLESS").is_some() {
        return fs::write(&file, now).context(shown);
    }
    let kept = fs::read_to_string(&file).with_context(|| shown.clone())?;
    for (number, (now, kept)) in now.lines().zip(kept.lines()).enumerate() {
        ensure!(
            essence(now) == essence(kept),
            "{shown}:{}: now it is {now:?}, not {kept:?}: BLESS=1 accepts it",
            number + 1
        );
    }
    let (now, kept) = (now.lines().count(), kept.lines().count());
    ensure!(
        now == kept,
        "{shown}: {now} lines, not {kept}: BLESS=1 accepts it"
    );
    Ok(())
}

/// A line without its values, nor what compiled code around the sequence has on its stack.
fn essence(line: &str) -> String {
    let line = without_values(line);
    let is_ours = |word: &str| word.contains("switch_to_") || word.contains("ret_from_fork");
    match line.split_once("top word ") {
        Some((head, word)) if !is_ours(word) => format!("{head}top word #"),
        _ => line,
    }
}

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
            without_values(now) == without_values(kept),
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

//! What a test says when a step is taken out: `tests/expected/red/NAME.txt`, which the book quotes.
//!
//! Values are those of the run that was kept; a later run must say the same but for them. With `BLESS=1`
//! whatever mutant is run has its file written anew, or for the first time.

use std::fs;

use anyhow::{Context, Result, ensure};
use xtask::golden::without_values;
use xtask::mutants::Run;
use xtask::paths;

/// Where the reports are kept.
const FOLDER: &str = "tests/expected/red";
/// Lines of a report that are kept: the rest of an epitaph is registers and frames.
const MOST: usize = 8;
/// Letters of a line that are kept; what is cut off is three dots.
const WIDTH: usize = 160;
const CUT: &str = " ...";

/// What the run says of the test: its own lines and its result, or how the kernel ended; and first, in
/// which way it is red.
fn report(test: &str, how: &str, log: &str) -> Vec<String> {
    let is_shown = |line: &&str| {
        let of_the_test = line.starts_with("# ") && !line.starts_with("# only run");
        of_the_test
            || line.starts_with("not ok")
            || line.contains("BUG:")
            || line.contains("panicked")
    };
    let lines = log.lines().map(str::trim_end);
    let after = lines.skip_while(|line| !line.contains(Run::STARTED));
    let said = after.filter(is_shown).take(MOST).map(str::to_owned);
    std::iter::once(format!("{test}: {how}"))
        .chain(said)
        .collect()
}

/// Holds what the mutant `name` has a run say against its file, if it has one.
pub fn compare(name: &str, test: &str, how: &str, log: &str) -> Result<()> {
    let shown = format!("{FOLDER}/{name}.txt");
    let file = paths::root().join(&shown);
    let now = report(test, how, log);
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(paths::root().join(FOLDER))?;
        let lines: String = now.iter().map(|line| short(line) + "\n").collect();
        return fs::write(&file, lines).context(shown);
    }
    let Ok(kept) = fs::read_to_string(&file) else {
        return Ok(());
    };
    let now: Vec<String> = now.iter().map(|line| without_values(line)).collect();
    let is_same = |(now, kept): (&String, &str)| match kept.strip_suffix(CUT) {
        Some(kept) => now.starts_with(&without_values(kept)),
        None => *now == without_values(kept),
    };
    let same_length = now.len() == kept.lines().count();
    ensure!(
        same_length && now.iter().zip(kept.lines()).all(is_same),
        "{shown}: the test says something else now\n{}",
        now.join("\n")
    );
    Ok(())
}

/// A line that fits on a page, cut between two words.
fn short(line: &str) -> String {
    match line.char_indices().nth(WIDTH) {
        None => line.to_owned(),
        Some((end, _)) => {
            let end = line[..end].rfind(' ').unwrap_or(end);
            format!("{}{CUT}", &line[..end])
        }
    }
}

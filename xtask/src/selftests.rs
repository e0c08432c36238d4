//! The names of the kernel's own tests, from their sources.

use std::fs;

use anyhow::{Context, Result};

use crate::{paths, words};

/// Fails, before anything boots, if a pattern of `selftest=` would run nothing.
///
/// # Errors
/// The name that is most like it.
pub fn some_match(glob: &str) -> Result<()> {
    let names = names()?;
    let chosen: Vec<&str> = names
        .iter()
        .map(String::as_str)
        // The kernel runs those that crash it only when they are named exactly.
        .filter(|name| !name.ends_with('!') || *name == glob)
        .collect();
    words::some_match("self-test", glob, &chosen)
}

/// Every name in a line of a `CASES`.
fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    let dir = paths::root().join("src/selftest");
    for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
        let text = fs::read_to_string(entry?.path())?;
        let lines = text.lines().filter_map(|line| {
            let quoted = line.trim_start().strip_prefix("name: \"")?;
            Some(quoted.split_once('"')?.0.to_owned())
        });
        names.extend(lines);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_matches_nothing_is_refused_before_a_boot() {
        for good in [
            "*",
            "iopl_does_not_leak",
            "canary_*",
            "canary_frame_overwritten!",
        ] {
            some_match(good).unwrap();
        }
        let refused = |glob: &str| some_match(glob).unwrap_err().to_string();
        assert!(refused("iopl_does_not_laek").contains("\"iopl_does_not_leak\"?"));
        assert!(refused("iopl").contains("\"*iopl*\"?"));
        assert!(refused("*overwritten!").contains("no self-test"));
    }
}

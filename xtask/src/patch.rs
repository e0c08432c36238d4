//! A change of a text as a unified diff, which `git apply` and `patch -p1` take.
#![forbid(unsafe_code)]

/// Lines around a change that show where it belongs.
const CONTEXT: usize = 3;

/// One line of the comparison: in both texts, in the old one only, or in the new one only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Both(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// Returns the patch that makes `old` into `new`; empty if they are the same. `path` is the file's
/// path from the root of its tree; an empty `old` is a file that is not there yet.
pub fn unified(path: &str, old: &str, new: &str) -> String {
    let lines = compare(old, new);
    let changed: Vec<usize> = (0..lines.len())
        .filter(|&at| !matches!(lines[at], Line::Both(_)))
        .collect();
    let Some(&first) = changed.first() else {
        return String::new();
    };
    let from = match old.is_empty() {
        true => "/dev/null".to_owned(),
        false => format!("a/{path}"),
    };
    let mut patch = format!("--- {from}\n+++ b/{path}\n");
    let mut hunk = (first, first);
    for at in changed {
        // Two changes whose contexts touch are one hunk.
        if at - hunk.1 > 2 * CONTEXT {
            patch += &show(&lines, hunk);
            hunk = (at, at);
        }
        hunk.1 = at;
    }
    patch + &show(&lines, hunk)
}

/// Returns the hunk of the changes from line `first` to line `last` of the comparison.
fn show(lines: &[Line<'_>], (first, last): (usize, usize)) -> String {
    let (begin, end) = (
        first.saturating_sub(CONTEXT),
        lines.len().min(last + CONTEXT + 1),
    );
    let count = |part: &[Line<'_>]| {
        let old = part.iter().filter(|line| !matches!(line, Line::New(_)));
        let new = part.iter().filter(|line| !matches!(line, Line::Old(_)));
        (old.count(), new.count())
    };
    let (before, here) = (count(&lines[..begin]), count(&lines[begin..end]));
    // A side without lines names the line before it.
    let start = |before: usize, here: usize| before + usize::from(here > 0);
    let mut text = format!(
        "@@ -{},{} +{},{} @@\n",
        start(before.0, here.0),
        here.0,
        start(before.1, here.1),
        here.1
    );
    for line in &lines[begin..end] {
        let (sign, line) = match line {
            Line::Both(line) => (' ', line),
            Line::Old(line) => ('-', line),
            Line::New(line) => ('+', line),
        };
        text.push(sign);
        text += line;
        if !line.ends_with('\n') {
            text += "\n\\ No newline at end of file\n";
        }
    }
    text
}

/// Compares two texts line by line, by their longest common subsequence.
fn compare<'a>(old: &'a str, new: &'a str) -> Vec<Line<'a>> {
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    // common[i][j]: lines that the texts from old[i] and new[j] on have in common.
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = match old[i] == new[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(Line::Both(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            lines.push(Line::Old(old[i]));
            i += 1;
        } else {
            lines.push(Line::New(new[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;
    use crate::mutants::mutants;
    use crate::paths;
    use crate::toolchain::find;

    /// What `git apply` makes of a file.
    fn applied(path: &str, old: &str, patch: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        if !old.is_empty() {
            fs::write(&file, old).unwrap();
        }
        fs::write(dir.path().join("patch"), patch).unwrap();
        let output = Command::new("git")
            .args(["apply", "patch"])
            .current_dir(dir.path())
            // Not a part of whatever repository is around the folder.
            .env("GIT_CEILING_DIRECTORIES", dir.path().parent().unwrap())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{path}: {said}\n{patch}");
        fs::read_to_string(file).unwrap()
    }

    #[test]
    fn a_patch_shows_three_lines_around_a_change() {
        let old: String = (1..=12).map(|n| format!("{n}\n")).collect();
        let new = old.replace("6\n", "six\n");
        assert_eq!(
            unified("a", &old, &new),
            "--- a/a\n+++ b/a\n@@ -3,7 +3,7 @@\n 3\n 4\n 5\n-6\n+six\n 7\n 8\n 9\n"
        );
        assert_eq!(unified("a", &old, &old), "");
        assert!(unified("a", "", "new\n").starts_with("--- /dev/null\n+++ b/a\n@@ -0,0 +1,1 @@\n"));
    }

    #[test]
    fn git_applies_the_patch_of_every_mutant() {
        if find("git").is_err() {
            return;
        }
        for mutant in mutants() {
            for edit in mutant.edits {
                let old = fs::read_to_string(paths::root().join(edit.file)).unwrap();
                let new = edit.apply_to(&old).unwrap();
                let patch = unified(edit.file, &old, &new);
                assert_eq!(applied(edit.file, &old, &patch), new, "{}", mutant.name);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn git_applies_any_patch(old in "([ab]{0,2}\n){1,30}[ab]{0,1}", new in "([ab]{0,2}\n){1,30}[ab]{0,1}") {
            if find("git").is_ok() && old != new {
                let patch = unified("dir/file", &old, &new);
                prop_assert_eq!(applied("dir/file", &old, &patch), new);
            }
        }
    }
}

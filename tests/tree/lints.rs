//! Lints that hold for the whole kernel, and where they do not.

use std::path::Path;

use crate::rules::Tree;

/// The lint against sums that can overflow: a kernel with overflow checks dies of such a sum.
const LINT: &str = "clippy::arithmetic_side_effects";

/// Modules in which the lint is off, by the file that declares them. No program gives them a
/// number.
const EXEMPT: &[(&str, &[&str])] = &[
    ("src/lib.rs", &["arch", "drivers", "hw", "selftest", "tour"]),
    (
        "src/mm/mod.rs",
        &[
            "frame",
            "heap",
            "ioremap",
            "memblock",
            "quicklist",
            "slab",
            "thread_stack",
            "zone",
        ],
    ),
    ("src/sync/mod.rs", &["lockdep"]),
];

/// Methods that overflow as `+` does, which clippy does not report.
const OVERFLOW: &[&str] = &[
    ".next_multiple_of(",
    ".next_power_of_two(",
    ".pow(",
    ".abs()",
    ".sum()",
    ".sum::<",
    ".product()",
];

/// Returns whether the file belongs to a module that is exempt.
fn is_exempt(path: &Path) -> bool {
    EXEMPT.iter().any(|(file, modules)| {
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        modules.iter().any(|module| {
            let module = folder.join(module);
            path.starts_with(&module) || path == module.with_extension("rs")
        })
    })
}

/// Returns the start of a range without an end that the line walks through, unless it is a number.
/// The range takes one number more than it hands out, and the kernel dies if that is too large. A
/// part of a slice is no such range.
fn endless(line: &str) -> Option<&str> {
    let line = line.split("//").next()?;
    let is_walked = |(end, _): (usize, &str)| {
        let before = &line[..end];
        let after = &line[end + 2..];
        let start = match after.chars().next() {
            Some(')') => {
                let mut depth = 0;
                let open = before.rfind(|c| {
                    depth += i32::from(c == ')') - i32::from(c == '(');
                    depth < 0
                })?;
                let callee = &before[..open];
                let is_part = [".get", ".get_mut"].iter().any(|it| callee.ends_with(it));
                (!is_part).then(|| &before[open + 1..])?
            }
            Some(' ') if after.starts_with(" {") => before.rsplit_once(" in ")?.1,
            _ => return None,
        };
        let is_number = start.starts_with(|c: char| c.is_ascii_digit());
        let is_pattern = start.is_empty() || start.ends_with([' ', ',']) || start.contains(" @ ");
        (!is_number && !is_pattern).then_some(start)
    };
    line.match_indices("..").find_map(is_walked)
}

/// Walks of any kind are told from parts of a slice and from patterns.
pub fn walks_are_seen(_: &Tree) -> Vec<String> {
    let lines = [
        ("for at in (array..).step_by(4) {", Some("array")),
        (
            "for at in self.first().max(2).. {",
            Some("self.first().max(2)"),
        ),
        ("let all = (to + f(1)..).zip(words);", Some("to + f(1)")),
        ("let all = words.zip(to..);", Some("to")),
        ("for (n, it) in (0u32..).zip(words) {", None),
        ("let all = words.iter().zip(1..);", None),
        ("bytes.get(at..).and_then(read)", None),
        ("(P_PID, pid @ 1..) => pid,", None),
        ("Some((first, ..)) => first, // (from..)", None),
        ("for n in 0..=last {", None),
        ("bytes[at..].iter()", None),
    ];
    let wrong = lines.iter().filter(|(line, start)| endless(line) != *start);
    wrong.map(|(line, _)| format!("`{line}`")).collect()
}

/// Modules under the lint use no method that overflows, except in unit tests.
pub fn methods(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for source in &tree.kernel {
        if is_exempt(&source.path) || tree.is_test(source) {
            continue;
        }
        let code = source.text.split("#[cfg(test)]").next().unwrap_or("");
        for (number, line) in code.lines().enumerate() {
            if let Some(start) = endless(line) {
                let place = format!("{}:{}", source.path.display(), number + 1);
                violations.push(format!(
                    "{place}: `{start}..` overflows at its end: say what it does then"
                ));
            }
            for method in OVERFLOW.iter().filter(|method| line.contains(*method)) {
                let place = format!("{}:{}", source.path.display(), number + 1);
                violations.push(format!(
                    "{place}: `{method}` overflows: say what it does then"
                ));
            }
        }
    }
    violations
}

/// Each sum of the kernel says that it is checked, wrapping or saturating.
pub fn sums(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for source in &tree.kernel {
        let path = &source.path;
        let denied = format!("deny({LINT})");
        if path == Path::new("src/lib.rs") && !source.text.contains(&denied) {
            violations.push(format!("{}: no `{denied}`", path.display()));
        }
        let allowed = EXEMPT
            .iter()
            .find(|(file, _)| path == Path::new(file))
            .map_or(&[][..], |(_, modules)| modules);
        let lines: Vec<&str> = source.text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            if !line.contains(LINT) || line.contains(&denied) {
                continue;
            }
            // The module before which the attribute stands.
            let module = lines[number..].iter().find_map(|line| {
                let name = line.trim().strip_prefix("pub mod ")?;
                name.strip_suffix(';')
            });
            if !module.is_some_and(|module| allowed.contains(&module)) {
                let place = format!("{}:{}", path.display(), number + 1);
                violations.push(format!("{place}: {LINT} is off for what is not exempt"));
            }
        }
    }
    violations
}

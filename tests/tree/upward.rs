//! Calls from a room to one above it stand in the table of `src/base/upward.rs`, with both ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::rules::Tree;

/// The file of the table.
const TABLE: &str = "src/base/upward.rs";

/// A row of the table.
struct Row {
    name: String,
    /// File of the caller, and whether it calls from Rust.
    from: PathBuf,
    is_rust: bool,
    /// File of the definition.
    to: PathBuf,
}

fn file(module: &str) -> PathBuf {
    format!("src/{}.rs", module.trim().replace("::", "/")).into()
}

fn rows(text: &str) -> Vec<Row> {
    let table = text
        .split_once("\nupward! {")
        .map_or("", |(_, table)| table);
    let (rust, assembly) = table.split_once("\"C\" {").unwrap_or((table, ""));
    let read = |text: &str, is_rust| {
        let code: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        let code = code.join(" ");
        let row = |statement: &str| {
            let (from, rest) = statement.rsplit_once("=>").map(|(from, rest)| {
                let from = from.rsplit(['{', ' ']).find(|word| !word.is_empty());
                (from.unwrap_or(""), rest)
            })?;
            let (to, rest) = rest.split_once(": ")?;
            let name = rest.split_once("fn ")?.1.split('(').next()?;
            Some(Row {
                name: name.to_owned(),
                from: file(from),
                is_rust,
                to: file(to),
            })
        };
        code.split(';').filter_map(row).collect::<Vec<_>>()
    };
    let mut rows = read(rust, true);
    rows.extend(read(assembly, false));
    rows
}

/// Each row's call and definition are where it says, and no other file declares what one defines.
pub fn calls(tree: &Tree) -> Vec<String> {
    let text = |file: &PathBuf| {
        let source = tree.kernel.iter().find(|it| it.path.ends_with(file));
        source.map_or("", |source| source.text.as_str())
    };
    let rows = rows(text(&TABLE.into()));
    let mut violations = Vec::new();
    if rows.len() < 10 {
        violations.push(format!("{TABLE}: only {} rows were read", rows.len()));
    }
    for row in &rows {
        let name = &row.name;
        if !text(&row.to).contains(&format!("provides_upward!({name});")) {
            violations.push(format!("{name}: {} does not provide it", row.to.display()));
        }
        let call = format!("{name}(");
        let is_called = match row.is_rust {
            true => text(&row.from).contains(&call),
            false => calls_from_assembly(tree, &row.from, name),
        };
        if !is_called {
            violations.push(format!("{name}: {} does not call it", row.from.display()));
        }
    }
    for source in &tree.kernel {
        for line in source.text.lines() {
            let provided = line.trim().strip_prefix("provides_upward!(");
            let Some(name) = provided.and_then(|rest| rest.strip_suffix(");")) else {
                continue;
            };
            if !rows
                .iter()
                .any(|it| it.name == name && source.path.ends_with(&it.to))
            {
                violations.push(format!("{}: {name} has no row", source.path.display()));
            }
        }
    }
    violations.extend(declared_elsewhere(tree));
    violations
}

/// Returns whether the assembly in `file`, or in the `.S` file of `boot` with its name, calls
/// `name`.
fn calls_from_assembly(tree: &Tree, file: &Path, name: &str) -> bool {
    let stem = file.file_stem().unwrap_or_default();
    let beside = Path::new("boot").join(stem).with_extension("S");
    let mut texts = tree.texts.iter();
    texts.any(|(path, text)| {
        (path.ends_with(file) || path.ends_with(&beside))
            && text
                .lines()
                .any(|line| line.split_whitespace().take(2).eq(["call", name]))
    })
}

/// Finds functions that are declared as if they were assembly, and defined in Rust.
fn declared_elsewhere(tree: &Tree) -> Vec<String> {
    let mut defined = BTreeMap::new();
    for source in tree.kernel.iter().filter(|it| !it.path.ends_with(TABLE)) {
        let mut parts = source.text.split("#[unsafe(no_mangle)]");
        parts.next();
        for part in parts {
            let name = part
                .split_once("fn ")
                .and_then(|(_, rest)| rest.split('(').next());
            defined.insert(name.unwrap_or("").to_owned(), &source.path);
        }
    }
    let mut violations = Vec::new();
    for source in tree.kernel.iter().filter(|it| !it.path.ends_with(TABLE)) {
        for block in source.text.split("unsafe extern ").skip(1) {
            let Some((_, block)) = block.split_once("\" {\n") else {
                continue;
            };
            let block = block.split("\n}").next().unwrap_or("");
            for declaration in block.split("fn ").skip(1) {
                let name = declaration.split('(').next().unwrap_or("");
                if let Some(there) = defined.get(name) {
                    violations.push(format!(
                        "{}: declares {name}, which {} defines: that belongs in {TABLE}",
                        source.path.display(),
                        there.display()
                    ));
                }
            }
        }
    }
    violations
}

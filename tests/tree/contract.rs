//! `docs/arch.md` names what the portable rooms import from `arch::x86`, all of it and nothing else.

use std::collections::BTreeMap;

use crate::rules::Tree;

/// The page.
const PAGE: &str = "docs/arch.md";
/// Rooms that look at the machine itself.
const NOT_PORTABLE: &[&str] = &["arch", "selftest", "tour"];

/// Every import has its row, and every row its import.
pub fn arch(tree: &Tree) -> Vec<String> {
    let page = tree.texts.iter().find(|(path, _)| path.ends_with(PAGE));
    let page = page.map_or("", |(_, text)| text.as_str());
    let first_columns = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let named: Vec<&str> = first_columns
        .flat_map(|line| line.split(" | ").next().unwrap_or("").split(", "))
        .map(|item| item.trim_matches('`'))
        .collect();
    let mut imported = BTreeMap::new();
    for source in tree.kernel.iter().filter(|source| !tree.is_test(source)) {
        let room = source.module.first().map_or("", String::as_str);
        if NOT_PORTABLE.contains(&room) || room.is_empty() || room == "main" {
            continue;
        }
        for used in &source.uses {
            let path = used.path.join("::");
            if let Some(item) = path.strip_prefix("arch::x86::") {
                let item = item.strip_suffix("::self").unwrap_or(item);
                imported.insert(item.to_owned(), source.path.clone());
            }
        }
    }
    let missing = imported
        .iter()
        .filter(|(item, _)| !named.contains(&item.as_str()));
    let missing = missing.map(|(item, path)| format!("{}: {PAGE} has no `{item}`", path.display()));
    let stale = named.iter().filter(|item| !imported.contains_key(**item));
    let stale = stale.map(|item| format!("{PAGE}: nothing imports `{item}`"));
    missing.chain(stale).collect()
}

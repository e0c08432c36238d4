//! Checks that the models have the order of the sources: if that changes, so must they.

use std::path::Path;

/// Checks that a file of the kernel has `steps`, each after the one before.
pub fn in_order(file: &str, steps: &[&str]) {
    let text = text_of(file);
    let mut rest = text.as_str();
    for step in steps {
        let at = rest
            .find(step)
            .unwrap_or_else(|| panic!("{file}: {step:?} is not where it was"));
        rest = &rest[at + step.len()..];
    }
}

/// Returns the text of a file of the kernel.
pub fn text_of(file: &str) -> String {
    // As it is now: a tree may be moved with its target/.
    let here = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it for tests");
    let path = Path::new(&here).join("../..").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

//! Makes a second copy of the kernel's own pure files for `loom`: they use its atomics instead of
//! `core`'s and are otherwise unchanged. Further copies have a wrong order.

use std::path::Path;
use std::{env, fs};

/// A file of the kernel, the name of its copy, and the changes in that copy.
type Copy = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// A failed `fetch_or` comes right after the 1 that it read, so the store of 0 comes after both.
/// `loom` does not know this of a store, but knows it of a `swap`.
const STORE_IN_ORDER: (&str, &str) = ("lock.store(0,", "lock.swap(0,");

const COPIES: &[Copy] = &[
    ("mm_count", "src/mm/mm_count.rs", &[]),
    (
        "mm_count_relaxed",
        "src/mm/mm_count.rs",
        &[("Ordering::AcqRel", "Ordering::Relaxed")],
    ),
    ("on_cpu", "src/sched/on_cpu.rs", &[]),
    (
        "on_cpu_relaxed",
        "src/sched/on_cpu.rs",
        &[("Ordering::Release", "Ordering::Relaxed")],
    ),
    ("state", "src/task/state.rs", &[]),
    (
        "state_no_migrating",
        "src/task/state.rs",
        &[("self.0.store(MIGRATING", "self.0.store(0")],
    ),
    ("ttwu", "src/sched/ttwu.rs", &[]),
    (
        "ttwu_no_wait",
        "src/sched/ttwu.rs",
        &[("    wait_until_off_cpu(p.on_cpu());\n", "")],
    ),
    ("lock_word", "src/sync/lock_word.rs", &[STORE_IN_ORDER]),
    (
        "lock_word_relaxed",
        "src/sync/lock_word.rs",
        &[STORE_IN_ORDER, ("Ordering::Release", "Ordering::Relaxed")],
    ),
];

fn main() {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../..");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    println!("cargo:rerun-if-changed=build.rs");
    for (name, file, changes) in COPIES {
        println!("cargo:rerun-if-changed=../../{file}");
        let text = fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let mut text: String = text
            .split("#[cfg(test)]")
            .next()
            .unwrap_or_default()
            .lines()
            // Lines that are allowed only at the head of a file.
            .filter(|line| !line.starts_with("//!") && !line.starts_with("#!["))
            .map(|line| format!("{line}\n"))
            .collect();
        for (find, replace) in [
            ("core::sync::atomic", "loom::sync::atomic"),
            ("core::hint", "loom::hint"),
            ("pub const fn", "pub fn"),
            // The copies lie side by side.
            ("crate::task::state", "super::state"),
        ] {
            text = text.replace(find, replace);
        }
        for (find, replace) in *changes {
            assert!(text.contains(find), "{file} has no {find}");
            text = text.replace(find, replace);
        }
        fs::write(Path::new(&out).join(format!("{name}.rs")), text).expect("OUT_DIR is ours");
    }
}

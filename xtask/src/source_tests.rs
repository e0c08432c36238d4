//! Tests of the reader of source files.

use super::*;

fn parse(text: &str) -> Source {
    let module = ["task", "task_struct"].map(str::to_owned).to_vec();
    Source::parse(
        Path::new("src/task/task_struct.rs"),
        module,
        text.to_owned(),
    )
    .unwrap()
}

fn uses(text: &str) -> Vec<String> {
    parse(text)
        .uses
        .into_iter()
        .map(|path| path.path.join("::"))
        .collect()
}

#[test]
fn groups_are_taken_apart() {
    assert_eq!(
        uses("use crate::{hw::desc::*, arch::x86::{self, insn as i, percpu::{A, B}}, cmdline};"),
        [
            "hw::desc",
            "arch::x86",
            "arch::x86::insn",
            "arch::x86::percpu::A",
            "arch::x86::percpu::B",
            "cmdline"
        ]
    );
}

#[test]
fn paths_in_code_and_in_macros_count() {
    assert_eq!(
        uses("fn f() { crate::sched::schedule(); m!(a, $crate::sync::x::<u8>()); }"),
        ["sched::schedule", "sync::x"]
    );
}

#[test]
fn super_is_made_absolute() {
    assert_eq!(
        uses("use super::state::A; use super::super::mm;"),
        ["task::state::A", "mm"]
    );
    assert_eq!(
        uses("mod a { use super::super::b; use super::C; }"),
        ["task::b", "task::task_struct::C"]
    );
}

#[test]
fn comments_strings_and_unit_tests_do_not_count() {
    let source = parse(
        "//! crate::a\nconst A: &str = \"crate::b unsafe { asm!\";\n#[cfg(test)]\nmod tests { use crate::c; fn f() { unsafe {} } }\n\
         #[cfg(test)]\nfn g() { crate::d() }\nfn h() { crate::e() }",
    );
    assert_eq!(source.uses.len(), 1);
    assert_eq!(
        source.uses[0],
        Use {
            path: vec!["e".to_owned()],
            line: 7
        }
    );
    assert_eq!(source.unsafes, []);
    assert_eq!(source.asm, [0; 0]);
}

#[test]
fn modules_and_their_gates() {
    let source = parse(
        "#[cfg(target_os = \"none\")]\npub mod a;\npub(crate) mod b;\n#[cfg(test)]\nmod c;\n#[cfg(target_os = \"none\")]\nconst _: () = ();\n#[cfg(target_os = \"none\")]\nfn f() { if cfg!(target_os = \"none\") {} }",
    );
    let names: Vec<_> = source
        .mods
        .iter()
        .map(|m| (m.name.as_str(), m.machine, m.test))
        .collect();
    assert_eq!(
        names,
        [("a", true, false), ("b", false, false), ("c", false, true)]
    );
    assert_eq!(source.gates, [8, 9]);
}

#[test]
fn every_kind_of_unsafe_is_seen() {
    let source = parse(
        "#[unsafe(no_mangle)]\nunsafe extern \"C\" { fn x(); }\nunsafe impl Send for A {}\npub unsafe fn f() {\n    // SAFETY: by 1.\n    unsafe { x() };\n    let a =\n        unsafe { x() };\n}",
    );
    let kinds: Vec<_> = source.unsafes.iter().map(|u| u.what.as_str()).collect();
    assert_eq!(kinds, ["extern", "impl", "fn", "{", "{"]);
    assert!(source.has_safety_comment(6));
    assert!(!source.has_safety_comment(8));
    assert!(!source.has_safety_comment(3));
}

#[test]
fn a_safety_comment_reaches_its_statement_and_no_further() {
    let source = parse(
        "fn f() {\n    // SAFETY: a.\n    let x = g(\n        1,\n        unsafe { h() },\n    );\n    unsafe { h() }\n}\n",
    );
    assert!(source.has_safety_comment(5));
    assert!(!source.has_safety_comment(7));
}

#[test]
fn what_is_not_rust_is_an_error() {
    assert!(Source::parse(Path::new("x.rs"), Vec::new(), "fn (".to_owned()).is_err());
}

//! Which room may use which: a room uses the ground floor and the rooms to its left.

use std::fmt::Write as _;

use xtask::source::{Source, Use};

use crate::rules::Tree;

/// The rooms in order; each may use those before it.
const ORDER: &[&str] = &[
    "sync",
    "trace",
    "mm",
    "boot_info",
    "task",
    "arch",
    "sched",
    "fs",
    "process",
    "ptrace",
    "syscall",
    "selftest",
    "tour",
    "init",
];

/// Modules that all rooms may use, and that use only each other.
const GROUND: &[&str] = &[
    "hw",
    "base",
    // Macros of base::percpu, which live at the root like all exported macros.
    "this_cpu_read",
    "this_cpu_write",
    "this_cpu_add",
    "this_cpu_inc",
    // A macro of base::upward.
    "provides_upward",
];

/// A file that may use a room to its right, and why.
pub struct Exception {
    file: &'static str,
    uses: &'static str,
    why: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    // Structures that hold other rooms' types name those types, and call no function of them.
    Exception {
        file: "src/task/task_struct.rs",
        uses: "sched::wait_queue::WaitQueue",
        why: "a process descriptor names types of any room",
    },
    Exception {
        file: "src/task/task_struct.rs",
        uses: "sched::hooks::perf_event::PerfEvent",
        why: "a process descriptor names types of any room",
    },
    Exception {
        file: "src/task/task_struct.rs",
        uses: "sched::cpu_timer::CpuTimers",
        why: "a process descriptor names types of any room",
    },
    Exception {
        file: "src/task/task_struct.rs",
        uses: "fs::kcov::Kcov",
        why: "a process descriptor names types of any room",
    },
    Exception {
        file: "src/task/task_struct.rs",
        uses: "fs::files_struct",
        why: "a process descriptor names types of any room",
    },
    Exception {
        file: "src/task/task_struct.rs",
        uses: "process::signal",
        why: "a process descriptor names types of any room",
    },
    // The TLB, which only the machine has.
    Exception {
        file: "src/mm/fault.rs",
        uses: "arch::x86::tlb_flush",
        why: "a changed page-table entry is flushed from the TLB",
    },
    Exception {
        file: "src/mm/mmap.rs",
        uses: "arch::x86::switch::paravirt",
        why: "page-table entries are batched where the back end does so",
    },
    Exception {
        file: "src/mm/thread_stack.rs",
        uses: "arch::x86::tlb_flush",
        why: "a slot of stacks is flushed from the TLB before it has other frames",
    },
    Exception {
        file: "src/mm/mmap.rs",
        uses: "arch::x86::tlb_flush",
        why: "changed page-table entries are flushed from the TLB",
    },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Ground,
    Drivers,
    Ordered(usize),
    /// lib.rs, main.rs: the map and the entry.
    Root,
}

fn room(path: &[String]) -> Option<Room> {
    let joined = path.join("::");
    if GROUND.iter().any(|ground| begins_with(&joined, ground)) {
        return Some(Room::Ground);
    }
    let first = path.first().map_or("", String::as_str);
    match first {
        "" | "main" => Some(Room::Root),
        "drivers" => Some(Room::Drivers),
        _ => ORDER
            .iter()
            .position(|name| *name == first)
            .map(Room::Ordered),
    }
}

/// Returns whether a path is `prefix` or lies in it.
fn begins_with(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn may_use(user: Room, used: Room, trace: usize, arch: usize) -> bool {
    match (user, used) {
        (Room::Root, _) | (_, Room::Ground) => true,
        (_, Room::Root) | (Room::Ground, _) => false,
        (Room::Drivers, Room::Drivers) => true,
        (Room::Drivers, Room::Ordered(room)) => room <= trace,
        // Checked by `drivers`.
        (Room::Ordered(room), Room::Drivers) => room >= arch,
        (Room::Ordered(user), Room::Ordered(used)) => used <= user,
    }
}

fn excepted(source: &Source, used: &Use) -> Option<&'static Exception> {
    let path = used.path.join("::");
    EXCEPTIONS
        .iter()
        .find(|it| source.path.ends_with(it.file) && begins_with(&path, it.uses))
}

/// Checks every use that `wanted` selects against the rule.
fn violations(tree: &Tree, wanted: impl Fn(Room) -> bool) -> Vec<String> {
    let place = |name| {
        ORDER
            .iter()
            .position(|room| *room == name)
            .unwrap_or(usize::MAX)
    };
    let (trace, arch) = (place("trace"), place("arch"));
    let mut violations = Vec::new();
    for source in tree.kernel.iter().filter(|source| !tree.is_test(source)) {
        let Some(user) = room(&source.module) else {
            violations.push(format!("{}: stands in no room", source.path.display()));
            continue;
        };
        for used in &source.uses {
            // A folder's table of contents, and uses inside a folder.
            if used.path.starts_with(&source.module) {
                continue;
            }
            let path = used.path.join("::");
            let mut text = format!("{}:{}: ", source.path.display(), used.line);
            match room(&used.path) {
                None => {
                    let _ = write!(text, "crate::{path} lies in no room of the table");
                }
                Some(room) if may_use(user, room, trace, arch) || !wanted(room) => continue,
                Some(_) if excepted(source, used).is_some() => continue,
                Some(room) => {
                    let _ = write!(
                        text,
                        "crate::{path} ({room:?}) may not be used from {user:?}"
                    );
                }
            }
            violations.push(text);
        }
    }
    violations
}

/// A room uses the rooms to its left.
pub fn directions(tree: &Tree) -> Vec<String> {
    violations(tree, |used| used != Room::Drivers)
}

/// Only `arch` and the rooms to its right use the drivers.
pub fn drivers(tree: &Tree) -> Vec<String> {
    violations(tree, |used| used == Room::Drivers)
}

/// An exception that is not needed must be deleted.
pub fn stale_exceptions(tree: &Tree) -> Vec<String> {
    EXCEPTIONS
        .iter()
        .filter(|exception| {
            !tree.kernel.iter().any(|source| {
                source.path.ends_with(exception.file)
                    && source
                        .uses
                        .iter()
                        .any(|used| begins_with(&used.path.join("::"), exception.uses))
            })
        })
        .map(|it| format!("{} no longer uses {} ({})", it.file, it.uses, it.why))
        .collect()
}

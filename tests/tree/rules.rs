//! The tree, which is read once, and rules about single files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xtask::paths;
use xtask::source::Source;

/// Most lines that a file may have.
const MOST_LINES: usize = 500;
/// Most lines that the median file of the kernel may have.
const MEDIAN_LINES: usize = 150;
/// Where the counts of `unsafe` are kept.
const UNSAFE_COUNTS: &str = "tests/expected/unsafe.txt";

/// Files that show a part of the book, and so must say which.
const BOOK_FILES: &[&str] = &[
    "src/task/task_struct.rs",
    "src/base/thread_info.rs",
    "src/task/thread_struct.rs",
    "src/task/io_bitmap.rs",
    "src/task/user_desc.rs",
    "src/hw/tss.rs",
    "src/hw/desc.rs",
    "src/arch/x86/current.rs",
    "src/arch/x86/switch/load_sp0.rs",
    "src/arch/x86/switch/switch_to.rs",
    "src/arch/x86/switch/__switch_to.rs",
    "src/arch/x86/switch/load_tls.rs",
    "src/arch/x86/switch/lazy_gs.rs",
    "src/arch/x86/switch/switch_to_xtra.rs",
    "src/arch/x86/switch/math_state.rs",
    "src/arch/x86/switch/copy_thread.rs",
    "src/arch/x86/switch/ret_from_fork.rs",
    "src/arch/x86/switch/mmu_context.rs",
    "src/process/fork.rs",
    "src/process/kthread.rs",
    "src/process/exit.rs",
    "src/sched/schedule.rs",
    "src/sched/context_switch.rs",
    "src/sched/finish_task_switch.rs",
    "src/mm/active_mm.rs",
];

/// Every file that a rule is about.
pub struct Tree {
    /// The kernel's sources: `src/**/*.rs`.
    pub kernel: Vec<Source>,
    /// The other sources: `tests/**/*.rs` and `build.rs`.
    pub others: Vec<Source>,
    /// Every text file of the project, with its path from the root.
    pub texts: Vec<(PathBuf, String)>,
    /// Modules declared for the machine only, by path; their submodules belong to it too.
    machine: Vec<Vec<String>>,
    /// Modules declared for unit tests only.
    test: Vec<Vec<String>>,
}

impl Tree {
    /// Reads the tree.
    pub fn read() -> Result<Tree> {
        let root = paths::root();
        let mut files = Vec::new();
        walk(root, Path::new(""), &mut files)?;
        files.sort();
        let mut tree = Tree {
            kernel: vec![],
            others: vec![],
            texts: vec![],
            machine: vec![],
            test: vec![],
        };
        for path in files {
            let rust = path.extension().is_some_and(|extension| extension == "rs");
            if rust && path.starts_with("src") {
                tree.kernel.push(Source::read(root, &path, module(&path))?);
            } else if rust {
                tree.others.push(Source::read(root, &path, Vec::new())?);
            }
            let bytes = fs::read(root.join(&path)).with_context(|| path.display().to_string())?;
            if let Ok(text) = String::from_utf8(bytes) {
                tree.texts.push((path, text));
            }
        }
        for source in &tree.kernel {
            for declared in &source.mods {
                let path = [&source.module[..], std::slice::from_ref(&declared.name)].concat();
                if declared.machine {
                    tree.machine.push(path);
                } else if declared.test {
                    tree.test.push(path);
                }
            }
        }
        Ok(tree)
    }

    /// Returns whether the file exists only for the machine.
    fn is_machine(&self, source: &Source) -> bool {
        self.machine
            .iter()
            .any(|gated| source.module.starts_with(gated))
    }

    /// Returns whether the file exists only for unit tests.
    pub fn is_test(&self, source: &Source) -> bool {
        let name = source
            .path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        name.ends_with("_tests") || self.test.iter().any(|test| source.module.starts_with(test))
    }

    fn all(&self) -> impl Iterator<Item = &Source> {
        self.kernel.iter().chain(&self.others)
    }
}

/// Collects the files below `root`/`dir` that git would keep.
fn walk(root: &Path, dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(root.join(dir))? {
        let entry = entry?;
        let name = entry.file_name();
        let path = dir.join(&name);
        if name == "target" || name == ".git" || name == "Cargo.lock" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(root, &path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Turns a path into a module: `src/task/task_struct.rs` is `task::task_struct`; a `mod.rs` is its
/// folder.
fn module(path: &Path) -> Vec<String> {
    let mut module: Vec<String> = path
        .with_extension("")
        .components()
        .skip(1)
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    if module
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        module.pop();
    }
    module
}

/// Every file belongs to a declared module: otherwise it would never be compiled.
pub fn orphans(tree: &Tree) -> Vec<String> {
    let declared: Vec<Vec<String>> = tree
        .kernel
        .iter()
        .flat_map(|source| {
            source
                .mods
                .iter()
                .map(|it| [&source.module[..], std::slice::from_ref(&it.name)].concat())
        })
        .collect();
    tree.kernel
        .iter()
        .filter(|source| !source.module.is_empty() && source.module != ["main"])
        // A file of unit tests is declared as `tests` with a path.
        .filter(|source| !tree.is_test(source) && !declared.contains(&source.module))
        .map(|source| format!("{}: no `mod` declares it", source.path.display()))
        .collect()
}

/// No file is too long to be read in one sitting.
pub fn length(tree: &Tree) -> Vec<String> {
    tree.all()
        .map(|source| (source, source.text.lines().count()))
        .filter(|&(_, lines)| lines > MOST_LINES)
        .map(|(source, lines)| format!("{}: {lines} lines", source.path.display()))
        .collect()
}

/// The median file is short.
pub fn median(tree: &Tree) -> Vec<String> {
    let mut lines: Vec<usize> = tree
        .kernel
        .iter()
        .map(|source| source.text.lines().count())
        .collect();
    lines.sort_unstable();
    let median = lines.get(lines.len() / 2).copied().unwrap_or(0);
    if median > MEDIAN_LINES {
        return vec![format!(
            "the median of {} files is {median} lines",
            lines.len()
        )];
    }
    Vec::new()
}

/// A file begins with one line that says what it is.
pub fn tagline(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for source in tree.all() {
        let first = source
            .text
            .lines()
            .find(|line| !line.starts_with("#![") && !line.is_empty());
        if !first.is_some_and(|line| line.starts_with("//! ")) {
            violations.push(format!("{}: no `//!` at its head", source.path.display()));
        }
    }
    violations
}

/// The files that show a part of the book say which part.
pub fn book(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for file in BOOK_FILES {
        match tree
            .kernel
            .iter()
            .find(|source| source.path == Path::new(file))
        {
            None => violations.push(format!("{file}: does not exist")),
            Some(source) => {
                let mut head = source.text.lines().filter(|line| line.starts_with("//!"));
                if !head.any(|line| line.contains("Book: ")) {
                    violations.push(format!("{file}: no `Book:` line"));
                }
            }
        }
    }
    violations
}

/// Files with a part that exists for the machine only, and why it is no module of its own.
const PARTLY_MACHINE: &[(&str, &str)] = &[
    ("src/main.rs", "a kernel on the machine, a hint on a host"),
    (
        "src/base/thread_info.rs",
        "current_thread_info reads esp, and belongs to the book's page",
    ),
];

/// A module for the machine only is marked where it is declared, and nowhere else.
pub fn gates(tree: &Tree) -> Vec<String> {
    tree.kernel
        .iter()
        .filter(|source| {
            !PARTLY_MACHINE
                .iter()
                .any(|(path, _)| source.path == Path::new(path))
        })
        .flat_map(|source| {
            source.gates.iter().map(|line| {
                format!(
                    "{}:{line}: `cfg(target_os)` belongs to a `mod` line",
                    source.path.display()
                )
            })
        })
        .collect()
}

/// Assembly stands only in `arch/x86`, and on the ground floor for single instructions.
pub fn assembly(tree: &Tree) -> Vec<String> {
    tree.kernel
        .iter()
        .filter(|source| !source.path.starts_with("src/arch/x86"))
        .filter(|source| !source.path.starts_with("src/base"))
        .flat_map(|source| {
            source
                .asm
                .iter()
                .map(|line| format!("{}:{line}: assembly", source.path.display()))
        })
        .collect()
}

/// A file that the host compiles and that has no `unsafe` says so in its first line.
pub fn pure(tree: &Tree) -> Vec<String> {
    tree.kernel
        .iter()
        .filter(|source| !source.path.ends_with("mod.rs") && !tree.is_test(source))
        .filter(|source| source.module.first().is_some_and(|first| first != "main"))
        .filter(|source| !tree.is_machine(source) && source.unsafes.is_empty())
        .filter(|source| !source.forbids_unsafe)
        .map(|source| {
            format!(
                "{}: its first line is not `#![forbid(unsafe_code)]`",
                source.path.display()
            )
        })
        .collect()
}

/// A golden file has the number of `unsafe` in each file, so a change of it is reviewed.
pub fn unsafe_counts(tree: &Tree) -> Vec<String> {
    let mut now = String::from(
        "# unsafe blocks, functions, impls and externs of each file: BLESS=1 cargo test --test tree\n",
    );
    let mut counts: BTreeMap<&Path, usize> = BTreeMap::new();
    for source in tree
        .kernel
        .iter()
        .filter(|source| !source.unsafes.is_empty())
    {
        counts.insert(&source.path, source.unsafes.len());
    }
    for (path, count) in counts {
        let _ = writeln!(now, "{count:4} {}", path.display());
    }
    let file = paths::root().join(UNSAFE_COUNTS);
    if std::env::var_os("BLESS").is_some() {
        return match fs::write(&file, now) {
            Ok(()) => Vec::new(),
            Err(error) => vec![format!("{}: {error}", file.display())],
        };
    }
    let blessed = fs::read_to_string(&file).unwrap_or_default();
    let only = |these: &str, those: &str, sign: &str| -> Vec<String> {
        these
            .lines()
            .filter(|line| !those.lines().any(|other| other == *line))
            .map(|line| format!("{sign}{line}"))
            .collect()
    };
    let mut difference = only(&blessed, &now, "-");
    difference.extend(only(&now, &blessed, "+"));
    if !difference.is_empty() {
        difference.insert(
            0,
            format!("differs from {UNSAFE_COUNTS} (BLESS=1 accepts it):"),
        );
    }
    difference
}

/// Each `unsafe` block and impl says why it is sound.
pub fn safety(tree: &Tree) -> Vec<String> {
    tree.all()
        .flat_map(|source| {
            source
                .unsafes
                .iter()
                .filter(|it| it.what == "{" || it.what == "impl")
                .filter(|it| !source.has_safety_comment(it.line))
                .map(|it| format!("{}:{}: no `// SAFETY:`", source.path.display(), it.line))
        })
        .collect()
}

/// Shared state has a lock or is per CPU.
pub fn static_mut(tree: &Tree) -> Vec<String> {
    tree.all()
        .flat_map(|source| {
            source
                .text
                .lines()
                .zip(1..)
                .filter(|(line, _)| {
                    line.trim_start()
                        .trim_start_matches("pub ")
                        .starts_with(concat!("static ", "mut "))
                })
                .map(|(_, number)| {
                    format!("{}:{number}: static and mutable", source.path.display())
                })
        })
        .collect()
}

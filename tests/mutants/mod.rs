//! The mutants: for each step of the switch a small change that takes it out, and the test that
//! must notice. Each file covers one part of the way.
//!
//! This is the one description of a step's removal. The suite `mutants` runs it, `just lab` gives it
//! to whoever is to mend it, and the menu of the ISO has kernels made by it.

mod answers;
mod calls;
mod checkers;
mod limits;
mod membarrier;
mod memory;
mod misuse;
mod numbers;
mod processes;
mod procfs;
mod programs;
mod ptrace;
mod rights;
mod rseq;
mod schedule;
mod screen;
mod several_cpus;
mod signals;
mod strategies;
mod switch_to;
mod trace;
mod variants;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::compile::Variant;
use crate::words::one_of;

/// A change that takes one step out of the tree.
pub struct Mutant {
    /// The mutant's name, which is also that of its test.
    pub name: &'static str,
    /// The step that the mutant takes out.
    pub takes_out: &'static str,
    /// The changes that take the step out.
    pub edits: &'static [Edit],
    /// The run that must notice.
    pub red: Run,
}

/// One change in one file: it replaces text that occurs exactly once.
pub struct Edit {
    /// Path of the file in the tree.
    pub file: &'static str,
    /// The text to be replaced.
    pub find: &'static str,
    /// The text that replaces it.
    pub replace: &'static str,
}

/// A boot of the mutant.
pub struct Run {
    /// The program that reports: the self-test itself, or the ring-3 program that has the case.
    what: What,
    /// Number of processors.
    pub cpus: u32,
    /// Further words of the kernel command line.
    words: &'static str,
    /// The variant of the kernel that has the step; `None` for the usual kernel.
    pub variant: Option<Variant>,
    /// What must be red: the KTAP case, the fault of the trace, the words of a scenario, or the
    /// compiler's error.
    pub test: &'static str,
}

impl Edit {
    /// Returns the changed text of its file in the tree at `tree`.
    ///
    /// # Errors
    /// The text to be replaced does not occur exactly once.
    pub fn apply(&self, tree: &Path) -> Result<String> {
        let text = fs::read_to_string(tree.join(self.file)).context(self.file)?;
        self.apply_to(&text)
    }

    /// Returns `text`, the contents of its file, changed.
    ///
    /// # Errors
    /// The text to be replaced does not occur exactly once.
    pub fn apply_to(&self, text: &str) -> Result<String> {
        let found = text.matches(self.find).count();
        ensure!(
            found == 1,
            "stale: {} has {found} times, not once: {}",
            self.file,
            self.find
        );
        Ok(text.replace(self.find, self.replace))
    }
}

enum What {
    Selftest,
    Stress,
    Init(&'static str),
    Program(&'static str),
    Traced(&'static str),
    Scenario(&'static str),
    Compiler,
}

impl Run {
    /// A line that every kernel writes when it has started, whatever is taken out of its switch.
    pub const STARTED: &'static str = "rootfs: initramfs of";

    /// A run of one self-test on one processor.
    pub const fn selftest(test: &'static str) -> Run {
        Run {
            what: What::Selftest,
            cpus: 1,
            words: "",
            variant: None,
            test,
        }
    }

    /// A run of one self-test on two processors.
    pub const fn on_two_cpus(test: &'static str) -> Run {
        Run {
            what: What::Selftest,
            cpus: 2,
            words: "",
            variant: None,
            test,
        }
    }

    /// The same run on `cpus` processors.
    pub const fn on_cpus(self, cpus: u32) -> Run {
        Run { cpus, ..self }
    }

    /// A run of a ring-3 program that has the case `test`.
    pub const fn ring3(program: &'static str, test: &'static str) -> Run {
        Run {
            what: What::Program(program),
            cpus: 1,
            words: "",
            variant: None,
            test,
        }
    }

    const fn ring3_on_two_cpus(program: &'static str, test: &'static str) -> Run {
        Run {
            cpus: 2,
            ..Run::ring3(program, test)
        }
    }

    /// A run of `job` whose trace cannot be true; `why` is the reason that the check gives.
    const fn traced(job: &'static str, why: &'static str) -> Run {
        Run {
            what: What::Traced(job),
            ..Run::on_two_cpus(why)
        }
    }

    /// A scenario of `boots`, on its own machine; `why` is what it says when it is red.
    const fn boots(scenario: &'static str, why: &'static str) -> Run {
        Run {
            what: What::Scenario(scenario),
            ..Run::selftest(why)
        }
    }

    /// Returns the name of the scenario that is run, if it is one.
    pub fn scenario(&self) -> Option<&'static str> {
        match self.what {
            What::Scenario(name) => Some(name),
            _ => None,
        }
    }

    /// Returns whether the run's trace is checked instead of its report.
    pub fn is_traced(&self) -> bool {
        matches!(self.what, What::Traced(_))
    }

    /// A kernel that the compiler refuses with this error (`E0382`).
    const fn refused(error: &'static str) -> Run {
        Run {
            what: What::Compiler,
            ..Run::selftest(error)
        }
    }

    /// Returns whether the compiler must refuse the mutant.
    pub fn is_refused(&self) -> bool {
        matches!(self.what, What::Compiler)
    }

    /// A program that is init itself.
    const fn init(path: &'static str, test: &'static str) -> Run {
        Run {
            what: What::Init(path),
            ..Run::selftest(test)
        }
    }

    /// A short stress run.
    const fn stress(test: &'static str) -> Run {
        Run {
            what: What::Stress,
            cpus: 2,
            words: "",
            variant: None,
            test,
        }
    }

    /// The same run with `words` on the command line.
    const fn with(self, words: &'static str) -> Run {
        Run { words, ..self }
    }

    /// The same run of another variant of the kernel.
    const fn of(self, variant: Variant) -> Run {
        Run {
            variant: Some(variant),
            ..self
        }
    }

    /// Returns the kernel command line; a scenario has its own.
    pub fn cmdline(&self) -> String {
        let words = self.words;
        match self.what {
            What::Scenario(_) | What::Compiler => String::new(),
            What::Selftest => format!("selftest={} {words}", self.test),
            What::Stress => format!("stress=2 {words}"),
            What::Init(path) => format!("{words} init={path}"),
            What::Traced(job) => format!("trace=on {words} {job}"),
            What::Program(program) => format!("{words} init=/init -- run {program}"),
        }
    }
}

/// Returns every mutant.
pub fn mutants() -> Vec<&'static Mutant> {
    [
        switch_to::SWITCH_TO,
        schedule::SCHEDULE,
        programs::PROGRAMS,
        ptrace::PTRACE,
        rights::RIGHTS,
        procfs::PROCFS,
        memory::MEMORY,
        processes::PROCESSES,
        membarrier::MEMBARRIER,
        misuse::MISUSE,
        rseq::RSEQ,
        calls::CALLS,
        numbers::NUMBERS,
        answers::ANSWERS,
        limits::LIMITS,
        several_cpus::SEVERAL_CPUS,
        signals::SIGNALS,
        strategies::STRATEGIES,
        screen::SCREEN,
        trace::TRACE,
        checkers::CHECKERS,
        variants::VARIANTS,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns the mutant with this name.
///
/// # Errors
/// No mutant has it; the message names the one that is most like it.
pub fn named(name: &str) -> Result<&'static Mutant> {
    let all = mutants();
    let names: Vec<&str> = all.iter().map(|mutant| mutant.name).collect();
    one_of("mutant", name, &names)?;
    all.into_iter()
        .find(|mutant| mutant.name == name)
        .context("a name of the list")
}

//! The mutants: for each step of the switch a small change that takes it out, and the
//! test that must notice. Each file has those of one part of the way.

mod answers;
mod calls;
mod checkers;
mod membarrier;
mod misuse;
mod numbers;
mod processes;
mod procfs;
mod programs;
mod rights;
mod rseq;
mod schedule;
mod several_cpus;
mod signals;
mod strategies;
mod switch_to;
mod trace;
mod variants;

use xtask::compile::Variant;

/// The tree without one step.
pub struct Mutant {
    /// Its name, and its test's.
    pub name: &'static str,
    /// The step.
    pub takes_out: &'static str,
    /// How.
    pub edits: &'static [Edit],
    /// Who must notice.
    pub red: Run,
}

/// One change in one file: text that occurs exactly once, and what stands there instead.
pub struct Edit {
    /// Path in the tree.
    pub file: &'static str,
    /// What is there.
    pub find: &'static str,
    /// What the mutant has.
    pub replace: &'static str,
}

/// A boot of the mutant.
pub struct Run {
    /// What reports: the self-test itself, or the ring-3 program that has the case.
    what: What,
    /// How many processors.
    pub cpus: u32,
    /// More words of the kernel command line.
    words: &'static str,
    /// The kernel that has the step, if not the usual one.
    pub variant: Option<Variant>,
    /// The KTAP case that must be red, why the trace cannot be, what a scenario says, or the compiler's
    /// error.
    pub test: &'static str,
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
    /// A line that every kernel writes when it has come up, whatever is taken out of its switch.
    pub const STARTED: &'static str = "rootfs: initramfs of";

    const fn selftest(test: &'static str) -> Run {
        Run {
            what: What::Selftest,
            cpus: 1,
            words: "",
            variant: None,
            test,
        }
    }

    const fn on_two_cpus(test: &'static str) -> Run {
        Run {
            what: What::Selftest,
            cpus: 2,
            words: "",
            variant: None,
            test,
        }
    }

    const fn on_cpus(self, cpus: u32) -> Run {
        Run { cpus, ..self }
    }

    const fn ring3(program: &'static str, test: &'static str) -> Run {
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

    /// What is asked for by `job`, with a trace that cannot be: `why` is what is said of it then.
    const fn traced(job: &'static str, why: &'static str) -> Run {
        Run {
            what: What::Traced(job),
            ..Run::on_two_cpus(why)
        }
    }

    /// A scenario of `boots`, on its own machine: `why` is what it says when it is red.
    const fn boots(scenario: &'static str, why: &'static str) -> Run {
        Run {
            what: What::Scenario(scenario),
            ..Run::selftest(why)
        }
    }

    /// The name of the scenario that is run, if it is one.
    pub fn scenario(&self) -> Option<&'static str> {
        match self.what {
            What::Scenario(name) => Some(name),
            _ => None,
        }
    }

    /// Whether the run's trace is looked at, not its report.
    pub fn is_traced(&self) -> bool {
        matches!(self.what, What::Traced(_))
    }

    /// No kernel at all: the compiler refuses it with this error (`E0382`).
    const fn refused(error: &'static str) -> Run {
        Run {
            what: What::Compiler,
            ..Run::selftest(error)
        }
    }

    /// Whether the compiler is to refuse it.
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

    /// The same with `words` on the command line.
    const fn with(self, words: &'static str) -> Run {
        Run { words, ..self }
    }

    /// The same of another kernel.
    const fn of(self, variant: Variant) -> Run {
        Run {
            variant: Some(variant),
            ..self
        }
    }

    /// The kernel command line; that of a scenario is its own.
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

/// Every mutant.
pub fn mutants() -> Vec<&'static Mutant> {
    [
        switch_to::SWITCH_TO,
        schedule::SCHEDULE,
        programs::PROGRAMS,
        rights::RIGHTS,
        procfs::PROCFS,
        processes::PROCESSES,
        membarrier::MEMBARRIER,
        misuse::MISUSE,
        rseq::RSEQ,
        calls::CALLS,
        numbers::NUMBERS,
        answers::ANSWERS,
        several_cpus::SEVERAL_CPUS,
        signals::SIGNALS,
        strategies::STRATEGIES,
        trace::TRACE,
        checkers::CHECKERS,
        variants::VARIANTS,
    ]
    .into_iter()
    .flatten()
    .collect()
}

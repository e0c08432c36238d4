//! The kernel's own tests: `selftest` or `selftest=GLOB` on the kernel command line.
//!
//! Each case runs in a kernel thread and is reported in KTAP on COM1, without time stamps. A case
//! that does not end in time is reported with all tasks, and ends the run. Cases whose names end
//! with `!` are meant to crash the kernel: they run only when named exactly.
//!
//! In reading order:
//! - [`check`]: the verdict of a case
//! - [`crew`]: its actors, and in which order they run; [`user`]: address spaces for them
//! - [`probe`]: looking at the machine
//! - the cases: [`switch`], [`mm`], [`tls_gs`], [`flags`], [`fpu`], [`ports`], [`debugreg`],
//!   [`counters`], [`cpu`], [`sched`], [`lifecycle`], [`smp`], [`smp_sched`], [`smp_balance`],
//!   [`tick`], [`paravirt`], [`hooks`], [`perf`], [`canary`], [`smp_mm`], [`membarrier`], [`proc`],
//!   [`locks`], [`deaths`]
//!
//! [`stress`] is a run of its own.
//!
//! The runner is task 1. It has the best priority, and sleeps while a case runs.

extern crate alloc;

pub mod canary;
pub mod check;
pub mod counters;
mod cpu;
pub mod crew;
pub mod deaths;
pub mod debugreg;
pub mod flags;
pub mod fpu;
pub mod hooks;
pub mod lifecycle;
pub mod locks;
pub mod membarrier;
pub mod memory;
pub mod mm;
pub mod paravirt;
pub mod perf;
pub mod ports;
pub mod probe;
pub mod proc;
pub mod sched;
pub mod smp;
pub mod smp_balance;
pub mod smp_mm;
pub mod smp_sched;
pub mod stress;
pub mod switch;
pub mod tick;
pub mod tls_gs;
pub mod user;

use check::{Outcome, Verdict};
use crew::{CASE_PRIO, Thread};

use crate::arch::x86::switch::canary::STACK_PROTECTOR;
use crate::base::cmdline::Glob;
use crate::base::exit_value::ExitValue;
use crate::base::percpu::smp_processor_id;
use crate::drivers::vt::colours::NORMAL;
use crate::drivers::{self, console};
use crate::mm::fallible::{Text, try_box};
use crate::process::tasklist::TASKLIST;
use crate::sched::timer::HZ;
use crate::task::sched_entity::SCHED_FIFO;
use crate::task::state::state_letter;

/// A test: a function and the name under which it is reported.
pub struct Case {
    /// Its name in the report; a `!` at the end says that it is meant to end the kernel.
    pub name: &'static str,
    /// Its body, which the runner calls in a new kernel thread.
    pub run: fn() -> Outcome,
}

impl Case {
    fn is_deadly(&self) -> bool {
        self.name.ends_with('!')
    }
}

/// The cases that load `%gs` in the kernel; with canaries `%gs` is the kernel's own, so there are
/// none.
const LAZY_GS_CASES: &[Case] = if STACK_PROTECTOR { &[] } else { tls_gs::CASES };

const TABLE: &[&[Case]] = &[
    switch::CASES,
    counters::CASES,
    mm::CASES,
    LAZY_GS_CASES,
    flags::CASES,
    fpu::CASES,
    ports::CASES,
    debugreg::CASES,
    cpu::CASES,
    sched::CASES,
    lifecycle::CASES,
    memory::CASES,
    hooks::CASES,
    canary::CASES,
    perf::CASES,
    paravirt::CASES,
    smp::CASES,
    smp_sched::CASES,
    tick::CASES,
    smp_balance::CASES,
    smp_mm::CASES,
    membarrier::CASES,
    proc::CASES,
    locks::CASES,
    deaths::CASES,
];

/// Ticks that a case may take.
const DEADLINE: u64 = 18 * HZ as u64;
/// Priority of the runner: no task can keep it from ending a case.
const RUNNER_PRIO: i32 = 99;

/// Runs the cases that match `glob` and ends the machine. Called in a kernel thread.
pub fn run(glob: Glob<'_>) -> ! {
    crew::set_priority(RUNNER_PRIO);
    crew::pin(smp_processor_id());
    let all = || TABLE.iter().copied().flatten();
    let cases = || {
        all().filter(|case| {
            if case.is_deadly() {
                glob.is_exactly(case.name)
            } else {
                glob.matches(case.name)
            }
        })
    };

    report(format_args!("KTAP version 1\n1..{}\n", cases().count()));
    let mut deadly = Text::new();
    for case in all().filter(|case| case.is_deadly()) {
        write!(deadly, " {}", case.name).expect("memory for a list of names");
    }
    let deadly = deadly.as_str();
    report(format_args!("# only run when named exactly:{deadly}\n"));
    let mut failed = cases().next().is_none();
    if failed {
        report(format_args!("# no case has a name like that\n"));
    }
    for (case, number) in cases().zip(1..) {
        failed |= !run_case(case, number);
    }
    drivers::exit(if failed {
        ExitValue::Failure
    } else {
        ExitValue::Success
    })
}

/// Runs one case and reports it; returns whether it passed or was skipped.
fn run_case(case: &Case, number: u32) -> bool {
    let act = case.run;
    let body = try_box(move || {
        user::borrow_init_mm();
        act()
    });
    let body = body.expect("memory for a case");
    let outcome = Thread::start(case.name, SCHED_FIFO, CASE_PRIO, 0, body).and_then(|thread| {
        thread
            .join_within(DEADLINE)
            .unwrap_or_else(|| hung(case, number))
    });
    let name = case.name;
    match outcome {
        Ok(()) => report(format_args!("ok {number} {name}\n")),
        Err(Verdict::Skipped(why)) => report(format_args!("ok {number} {name} # SKIP {why}\n")),
        Err(Verdict::Failed(what)) => {
            report(format_args!("# {what}\nnot ok {number} {name}\n"));
            return false;
        }
    }
    true
}

/// Reports a case that did not end. Its threads cannot be ended from outside, so the run ends here.
fn hung(case: &Case, number: u32) -> ! {
    report(format_args!(
        "# expected an end within {} seconds, got none; the tasks:\n",
        DEADLINE / u64::from(HZ)
    ));
    let list = TASKLIST.lock();
    for (_, entry) in list.pids.all() {
        let task = &entry.task;
        let state = state_letter(task.state.get());
        // SAFETY: one word of a live task, which is only shown.
        let ip = unsafe { (&raw const (*task.thread()).ip).read_volatile() };
        report(format_args!(
            "#   {} {} {state} thread.ip {ip:#010x}\n",
            task.pid(),
            task.comm.get()
        ));
    }
    report(format_args!(
        "not ok {number} {}\nBail out! a case hangs\n",
        case.name
    ));
    drivers::exit(ExitValue::Failure)
}

/// Writes lines of the report in one piece, from column 0.
fn report(lines: core::fmt::Arguments<'_>) {
    console::write_line(lines, NORMAL);
}

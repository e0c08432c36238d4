//! The stress run and the fuzzer: `stress`, `stress=ROUNDS`, `fuzz=SEED` or `fuzz=SEED,ROUNDS` on
//! the kernel command line.
//!
//! Runs the program `/tests/stress` or `/tests/fuzz` as a process, with many workers, and counts
//! before and after. Whatever the workers do, no task, kernel stack, address space or page may be
//! left over, no lock may stay held, every CPU must have done its share, and a shell must still
//! run.
//!
//! Called by task 1, which ends the machine with the result.

extern crate alloc;
use alloc::string::String;
use core::fmt::Debug;
use core::sync::atomic::{AtomicU32, Ordering};

use super::crew::Crew;
use super::report;
use super::smp::schedule_timeout_uninterruptible;
use super::user::borrow_init_mm;
use crate::arch::x86::current::current;
use crate::arch::x86::irq::irqsoff_report::irqsoff_report;
use crate::base::exit_value::ExitValue;
use crate::base::percpu::{CPU_ONLINE_MASK, NR_CPUS};
use crate::drivers;
use crate::drivers::tsc::since_boot_us;
use crate::mm::fallible::try_to_string;
use crate::mm::frame::nr_free_pages;
use crate::mm::mm_struct::MM_LIVE;
use crate::mm::quicklist;
use crate::mm::thread_stack::thread_stack_counts;
use crate::process::kernel_execve::kernel_execve;
use crate::process::kthread::kernel_thread;
use crate::process::tasklist::find_task_by_pid;
use crate::process::wait4::{WEXITED, WNOHANG, Which, do_wait};
use crate::sched::policy::set_scheduler;
use crate::sched::rq::cpu_rq;
use crate::sched::timer::HZ;
use crate::task::sched_entity::SCHED_NORMAL;
use crate::task::task_struct::TASKS_LIVE;

/// Processes that work at the same time. Those of the stress run do as they are told; those of the
/// fuzzer have victims with threads.
const WORKERS: u32 = 100;
const FUZZ_WORKERS: u32 = 8;
/// Seconds after which the run has failed, for each round.
const SECONDS_PER_ROUND: u64 = 5;
/// Microseconds after which whatever is still held counts as left behind.
const SETTLED_US: u64 = 5_000_000;

/// A run of one of the two programs.
#[derive(Clone, Copy)]
pub struct Storm {
    /// The seed of the fuzzer's random numbers; `None` for the stress run.
    pub seed: Option<u32>,
    /// Rounds of each worker.
    pub rounds: u32,
}

/// The seed and the rounds, passed to the thread that becomes the program.
static SEED: AtomicU32 = AtomicU32::new(0);
static ROUNDS: AtomicU32 = AtomicU32::new(0);

/// The numbers that must be the same before and after.
#[derive(Clone, Copy, PartialEq)]
struct Holdings {
    tasks: u32,
    stacks_in_use: u32,
    address_spaces: u32,
    free_pages: u32,
}

impl Holdings {
    /// Counts what is held now. Call it when all is quiet.
    fn count() -> Self {
        quicklist::drain();
        let (made, free) = thread_stack_counts();
        Self {
            tasks: TASKS_LIVE.load(Ordering::Relaxed),
            stacks_in_use: made - free,
            address_spaces: MM_LIVE.load(Ordering::Relaxed),
            // Kernel stacks are kept for the next task, with their pages.
            free_pages: nr_free_pages() + 2 * free,
        }
    }
}

/// Runs `storm`, reports its result and ends the machine.
pub fn run(storm: Storm) -> ! {
    report(format_args!("KTAP version 1\n1..9\n"));
    // A first run with little to do makes everything that is made only once.
    let mut report = Report {
        number: 0,
        good: true,
    };
    let short = Storm { rounds: 1, ..storm };
    report.case("a_short_run_ends_well", run_storm(short), Some(0));
    let before = settled();
    let switches = nr_switches();
    report.case("every_worker_kept_its_own", run_storm(storm), Some(0));
    // On a busy host it may take a while until the last tasks are off their stacks.
    let after = patiently(settled, |after| *after == before);
    report.case("no_task_is_left", after.tasks, before.tasks);
    report.case(
        "no_kernel_stack_is_left",
        after.stacks_in_use,
        before.stacks_in_use,
    );
    report.case(
        "no_address_space_is_left",
        after.address_spaces,
        before.address_spaces,
    );
    report.case("no_page_is_left", after.free_pages, before.free_pages);
    let busy = patiently(busy_queues, |&busy| busy == 0);
    report.case("no_run_queue_is_locked_or_full", busy, 0);
    let now = nr_switches();
    let is_idle = |cpu: &usize| is_online(*cpu as u32) && now[*cpu] - switches[*cpu] < 10;
    let idle = (0..NR_CPUS).filter(is_idle).count();
    report.case("every_cpu_had_its_part", idle, 0);
    report.case("a_shell_still_runs", run_program(shell, 10), Some(42 << 8));
    irqsoff_report();
    drivers::exit(match report.good {
        true => ExitValue::Success,
        false => ExitValue::Failure,
    })
}

struct Report {
    number: u32,
    good: bool,
}

impl Report {
    fn case<T: PartialEq + Debug>(&mut self, name: &str, got: T, wanted: T) {
        self.number += 1;
        let number = self.number;
        if got == wanted {
            report(format_args!("ok {number} {name}\n"));
        } else {
            self.good = false;
            report(format_args!(
                "# {name}: expected {wanted:?}, got {got:?}\nnot ok {number} {name}\n"
            ));
        }
    }
}

/// Runs the program; returns its wait status, or `None` if it does not end.
fn run_storm(storm: Storm) -> Option<i32> {
    SEED.store(storm.seed.unwrap_or(0), Ordering::Relaxed);
    ROUNDS.store(storm.rounds, Ordering::Relaxed);
    let body = match storm.seed {
        None => stress as extern "C" fn(u32) -> i32,
        Some(_) => fuzz,
    };
    run_program(body, SECONDS_PER_ROUND * u64::from(storm.rounds + 1))
}

/// Runs a process that begins with `body`; returns its wait status, or `None` if it takes longer
/// than `seconds`.
fn run_program(body: extern "C" fn(u32) -> i32, seconds: u64) -> Option<i32> {
    let task = kernel_thread(body, 0, "stress").ok()?;
    let pid = task.pid();
    for _ in 0..seconds * u64::from(HZ) {
        // A process that grew from a kernel thread has no waiting parent: it is reaped when it
        // ends.
        if find_task_by_pid(pid).is_none() {
            return Some(task.exit_code.load(Ordering::Relaxed));
        }
        reap_orphans();
        schedule_timeout_uninterruptible(1);
    }
    None
}

/// Reaps orphans: task 1 becomes the parent of a process whose own parent has ended.
fn reap_orphans() {
    while let Ok(Some(_)) = do_wait(Which::Any, WNOHANG | WEXITED) {}
}

extern "C" fn stress(_: u32) -> i32 {
    let [rounds, workers] = [ROUNDS.load(Ordering::Relaxed), WORKERS].map(text);
    become_program(&["/tests/stress", &rounds, &workers])
}

extern "C" fn fuzz(_: u32) -> i32 {
    let numbers = [&SEED, &ROUNDS].map(|it| it.load(Ordering::Relaxed));
    let [seed, rounds, workers] = [numbers[0], numbers[1], FUZZ_WORKERS].map(text);
    become_program(&["/tests/fuzz", &seed, &rounds, &workers])
}

extern "C" fn shell(_: u32) -> i32 {
    become_program(&["/bin/busybox", "sh", "-c", "(exit 40); exit $(($? + 2))"])
}

fn text(number: u32) -> String {
    try_to_string(number).expect("memory for a number")
}

fn become_program(words: &[&str]) -> i32 {
    // As a normal process: the run's own priority is not meant for programs.
    let _normal = set_scheduler(&current(), SCHED_NORMAL, 0);
    match kernel_execve(words) {
        Ok(never) => match never {},
        Err(errno) => {
            log::error!("stress: {words:?} cannot be executed: {errno}");
            127
        }
    }
}

/// Calls `look` until `is_good` holds for the result or time is up; returns the last result.
fn patiently<T>(look: impl Fn() -> T, is_good: impl Fn(&T) -> bool) -> T {
    let end = since_boot_us() + SETTLED_US;
    loop {
        let seen = look();
        if is_good(&seen) || since_boot_us() > end {
            return seen;
        }
        schedule_timeout_uninterruptible(1);
    }
}

/// Counts what is held once the tasks that have ended are off their stacks and no CPU borrows one's
/// address space.
fn settled() -> Holdings {
    schedule_timeout_uninterruptible(u64::from(HZ) / 5);
    let mut crew = Crew::new();
    for cpu in (0..NR_CPUS as u32).filter(|&cpu| is_online(cpu)) {
        crew = crew.actor_on(cpu, "let go", || {
            borrow_init_mm();
            Ok(())
        });
    }
    if let Err(verdict) = crew.run() {
        log::error!("stress: {verdict:?}");
    }
    borrow_init_mm();
    reap_orphans();
    schedule_timeout_uninterruptible(1);
    Holdings::count()
}

fn is_online(cpu: u32) -> bool {
    CPU_ONLINE_MASK.load(Ordering::Relaxed) & 1 << cpu != 0
}

fn nr_switches() -> [u32; NR_CPUS] {
    core::array::from_fn(|cpu| cpu_rq(cpu as u32).nr_switches.low())
}

/// Counts the run queues that stay locked, or that hold more tasks than this one.
fn busy_queues() -> usize {
    let is_locked_for_long = |cpu: u32| {
        (0..1000).all(|_| {
            core::hint::spin_loop();
            cpu_rq(cpu).is_locked()
        })
    };
    let queued = |cpu: u32| cpu_rq(cpu).nr_running.get();
    let cpus = || (0..NR_CPUS as u32).filter(|&cpu| is_online(cpu));
    let waiting: u32 = cpus().map(queued).sum();
    cpus().filter(|&cpu| is_locked_for_long(cpu)).count() + waiting as usize - 1
}

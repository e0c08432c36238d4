//! A counter per CPU without a lock, in restartable sequences: its sum is exact.
//!
//! A worker reads its CPU's counter, lets some time pass, and writes the value plus one. If it were
//! not restarted after another task ran in between, or after a move, counts would be lost.
//!
//! Linux: rseq(2).
//! Red without: `rseq_preempt`, `rseq_migrate`; the check of the section on the return to ring 3.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    clock::sleep_ms,
    ktap, ok, println,
    rseq::{Ending, Rseq, Section, count},
    sched::{
        SCHED_FIFO, SCHED_OTHER, get_affinity, sched_setscheduler, sched_yield, set_affinity,
        stay_on_one_cpu,
    },
    thread::{Thread, spawn},
};

const WORKERS: usize = 10;
static COUNTERS: [AtomicU32; 1024] = [const { AtomicU32::new(0) }; 1024];
static COMMITS: AtomicU32 = AtomicU32::new(0);
static ABORTS: AtomicU32 = AtomicU32::new(0);
static INTRUDERS: AtomicU32 = AtomicU32::new(0);

/// Adds to the counter of its CPU as long as `wanted` holds for the number of its commits.
fn work(delay: u32, wanted: impl Fn(u32) -> bool) {
    let mine = Rseq::new();
    mine.register().expect("rseq");
    let section = Section::of_count();
    let mut committed = 0;
    while wanted(committed) {
        match count(&mine, &section, &COUNTERS, delay) {
            Ending::Committed => committed += 1,
            Ending::Aborted => {
                ABORTS.fetch_add(1, SeqCst);
            }
        }
    }
    COMMITS.fetch_add(committed, SeqCst);
    mine.unregister().expect("unregister");
}

/// A worker that spends most of its time between reading and writing, while there is an intruder.
extern "C" fn busy(_: u32) -> i32 {
    work(20_000, |_| INTRUDERS.load(SeqCst) != 0);
    0
}

/// A thread that wakes again and again, and so interrupts the others.
extern "C" fn intruder(_: u32) -> i32 {
    sched_setscheduler(0, SCHED_FIFO, 10).expect("SCHED_FIFO");
    work(10, |commits| {
        sleep_ms(1);
        commits < 30
    });
    INTRUDERS.store(0, SeqCst);
    0
}

extern "C" fn wanderer(_: u32) -> i32 {
    work(4_000, |commits| {
        if commits.is_multiple_of(16) {
            sched_yield();
        }
        commits < 300
    });
    0
}

/// Returns whether the counters add up to what the workers committed.
fn is_exact(workers: &[rt::thread::Body]) -> bool {
    for word in COUNTERS.iter().chain([&COMMITS, &ABORTS]) {
        word.store(0, SeqCst);
    }
    let threads: [Option<Thread>; WORKERS] =
        core::array::from_fn(|n| Some(spawn(*workers.get(n)?, 0, None).expect("clone")));
    let joined = threads.into_iter().flatten().all(Thread::join);
    let sum: u32 = COUNTERS.iter().map(|word| word.load(SeqCst)).sum();
    let commits = COMMITS.load(SeqCst);
    println!("# {commits} commits, {} aborts", ABORTS.load(SeqCst));
    if sum != commits {
        println!("# the counters say {sum}");
    }
    joined && sum == commits && commits != 0
}

fn main() -> i32 {
    ktap::plan(3);
    let all = get_affinity();
    stay_on_one_cpu();
    sched_setscheduler(0, SCHED_OTHER, 0).expect("SCHED_OTHER");
    INTRUDERS.store(1, SeqCst);
    let exact = is_exact(&[busy, intruder]);
    ok!(exact, "one CPU: a counter without a lock is exact");
    ok!(
        ABORTS.load(SeqCst) >= 5,
        "though it was interrupted again and again"
    );
    set_affinity(0, all).expect("sched_setaffinity");
    ok!(
        is_exact(&[wanderer as rt::thread::Body; WORKERS]),
        "all CPUs: the counters without locks are exact"
    );
    ktap::finish()
}

rt::main!(main);

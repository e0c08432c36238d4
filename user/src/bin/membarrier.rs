//! `membarrier`: commands, registration, errors; and the ordering of what two threads do.
//!
//! Linux: membarrier(2), as in 5.4. The in-kernel self-tests of the same name show that a barrier
//! interrupts exactly the right CPUs.
//! Red without: the check of flags; the registration; its copy at fork; its end at exec.
#![no_std]
#![no_main]

use core::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    compiler_fence,
};
use rt::{
    Errno, eq, expect_exit,
    gates::syscall,
    ktap, ok, println,
    process::{exec_self, exit},
    sched::sched_yield,
    start,
    thread::spawn,
};

const SYS_MEMBARRIER: u32 = 375;

const QUERY: u32 = 0;
const GLOBAL: u32 = 1;
const GLOBAL_EXPEDITED: u32 = 2;
const REGISTER_GLOBAL_EXPEDITED: u32 = 4;
const PRIVATE_EXPEDITED: u32 = 8;
const REGISTER_PRIVATE_EXPEDITED: u32 = 16;
const PRIVATE_EXPEDITED_SYNC_CORE: u32 = 32;
const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: u32 = 64;
/// The commands that 5.4 has; later kernels have more.
const COMMANDS: u32 = 0x7f;

const DONE: Result<u32, Errno> = Ok(0);

fn membarrier(command: u32, flags: u32) -> Result<u32, Errno> {
    syscall(SYS_MEMBARRIER, [command, flags])
}

fn arguments() {
    eq!(
        membarrier(QUERY, 0).map(|mask| mask & COMMANDS),
        Ok(COMMANDS),
        "the query names all commands"
    );
    eq!(
        membarrier(QUERY, 1),
        Err(Errno::EINVAL),
        "the query with a flag: EINVAL"
    );
    eq!(
        membarrier(PRIVATE_EXPEDITED, 1),
        Err(Errno::EINVAL),
        "a command with a flag: EINVAL, not EPERM"
    );
    eq!(
        membarrier(GLOBAL | GLOBAL_EXPEDITED, 0),
        Err(Errno::EINVAL),
        "two commands at once: EINVAL"
    );
    eq!(
        membarrier(1 << 31, 0),
        Err(Errno::EINVAL),
        "an unknown command: EINVAL"
    );
}

fn registration() {
    eq!(
        membarrier(PRIVATE_EXPEDITED, 0),
        Err(Errno::EPERM),
        "private, not registered: EPERM"
    );
    eq!(
        membarrier(PRIVATE_EXPEDITED_SYNC_CORE, 0),
        Err(Errno::EPERM),
        "with core serialization, not registered: EPERM"
    );
    eq!(membarrier(GLOBAL, 0), DONE, "global needs no registration");
    eq!(
        membarrier(GLOBAL_EXPEDITED, 0),
        DONE,
        "nor does global expedited, from its caller"
    );
    eq!(
        membarrier(REGISTER_GLOBAL_EXPEDITED, 0),
        DONE,
        "global expedited is registered"
    );
    eq!(
        membarrier(PRIVATE_EXPEDITED, 0),
        Err(Errno::EPERM),
        "which is no registration for private"
    );
    expect_exit("a child registers for core serialization only", 0, || {
        let registered = membarrier(REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0) == DONE;
        let private = membarrier(PRIVATE_EXPEDITED, 0) == Err(Errno::EPERM);
        let core = membarrier(PRIVATE_EXPEDITED_SYNC_CORE, 0) == DONE;
        i32::from(!registered) | i32::from(!private) << 1 | i32::from(!core) << 2
    });
    eq!(
        membarrier(PRIVATE_EXPEDITED_SYNC_CORE, 0),
        Err(Errno::EPERM),
        "a child's registration is its own"
    );
    eq!(
        membarrier(REGISTER_PRIVATE_EXPEDITED, 0),
        DONE,
        "private is registered"
    );
    eq!(
        membarrier(REGISTER_PRIVATE_EXPEDITED, 0),
        DONE,
        "and once more"
    );
    eq!(membarrier(PRIVATE_EXPEDITED, 0), DONE, "private then works");
    eq!(
        membarrier(PRIVATE_EXPEDITED_SYNC_CORE, 0),
        Err(Errno::EPERM),
        "it is no registration for core serialization"
    );
    expect_exit("fork copies the registration", 0, || {
        i32::from(membarrier(PRIVATE_EXPEDITED, 0) != DONE)
    });
    expect_exit("exec ends it", 0, || exec_self(c"after-exec"));
}

const ROUNDS: u32 = 2000;

/// The last round that each side has announced.
static ANNOUNCED: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
static FOUND: AtomicU32 = AtomicU32::new(0);
static DONE_ROUNDS: AtomicU32 = AtomicU32::new(0);

/// The side that runs often: it needs a compiler barrier only.
extern "C" fn light(_: u32) -> i32 {
    for round in 1..=ROUNDS {
        ANNOUNCED[0].store(round, Relaxed);
        compiler_fence(SeqCst);
        let other = ANNOUNCED[1].load(Relaxed);
        FOUND.store(other, SeqCst);
        DONE_ROUNDS.store(round, SeqCst);
        while ANNOUNCED[1].load(SeqCst) < round || DONE_ROUNDS.load(SeqCst) != 0 {
            sched_yield();
        }
    }
    0
}

/// Each side announces a round and reads the other's: at least one must see the other.
fn order() {
    let thread = spawn(light, 0, None).expect("clone");
    let mut missed = 0;
    for round in 1..=ROUNDS {
        ANNOUNCED[1].store(round, Relaxed);
        let called = membarrier(PRIVATE_EXPEDITED, 0);
        let other = ANNOUNCED[0].load(Relaxed);
        while DONE_ROUNDS.load(SeqCst) != round {
            sched_yield();
        }
        let seen = other >= round || FOUND.load(SeqCst) >= round;
        missed += u32::from(called != DONE || !seen);
        DONE_ROUNDS.store(0, SeqCst);
    }
    eq!(
        missed,
        0,
        "two threads announce themselves {ROUNDS} times: one sees the other"
    );
    ok!(thread.join(), "the other thread ends");
}

const VISITS: u32 = 500;

/// A lock that favours one thread: its owner takes it without a barrier or an atomic instruction,
/// and any other thread pays for both with a system call.
static OWNER_IN: AtomicU32 = AtomicU32::new(0);
static VISITOR_IN: AtomicU32 = AtomicU32::new(0);
static COUNTER: AtomicU32 = AtomicU32::new(0);
static BY_OWNER: AtomicU32 = AtomicU32::new(0);
static IS_OVER: AtomicU32 = AtomicU32::new(0);

/// Increments like plain memory: an increment by another task in between is lost.
fn increment(counter: &AtomicU32) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

extern "C" fn owner(_: u32) -> i32 {
    let mut turns = 0u32;
    while IS_OVER.load(Relaxed) == 0 {
        OWNER_IN.store(1, Relaxed);
        compiler_fence(SeqCst);
        if VISITOR_IN.load(Relaxed) == 0 {
            increment(&COUNTER);
            increment(&BY_OWNER);
        }
        OWNER_IN.store(0, Release);
        turns += 1;
        if turns.is_multiple_of(64) {
            sched_yield();
        }
    }
    0
}

fn biased_lock() {
    let thread = spawn(owner, 0, None).expect("clone");
    let mut failed = 0;
    for _ in 0..VISITS {
        VISITOR_IN.store(1, Relaxed);
        failed += u32::from(membarrier(PRIVATE_EXPEDITED, 0) != DONE);
        while OWNER_IN.load(Acquire) != 0 {
            sched_yield();
        }
        increment(&COUNTER);
        VISITOR_IN.store(0, Release);
        sched_yield();
    }
    IS_OVER.store(1, Relaxed);
    ok!(thread.join(), "the owner of the counter ends");
    let by_owner = BY_OWNER.load(Relaxed);
    println!("# {by_owner} by its owner, {VISITS} by a visitor");
    eq!(
        (failed, COUNTER.load(Relaxed)),
        (0, by_owner + VISITS),
        "a counter without atomic instructions is exact"
    );
}

fn main() -> i32 {
    if start::arg(1) == Some("after-exec") {
        exit(i32::from(
            membarrier(PRIVATE_EXPEDITED, 0) != Err(Errno::EPERM),
        ));
    }
    ktap::plan(23);
    arguments();
    registration();
    order();
    biased_lock();
    ktap::finish()
}

rt::main!(main);

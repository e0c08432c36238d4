//! `futex`: which tasks sleep on a word, and which a wake-up wakes.
//!
//! Linux: futex(2).
//! Red without: the look at the word after queueing; bitsets; the move of waiters; the difference
//! between private and shared memory.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child,
    clock::{NS_PER_MS, clock_gettime, comes_true, monotonic_ns, sleep_ms},
    eq,
    gates::syscall,
    insn,
    job::{SIGCONT, SIGSTOP, WUNTRACED, hears, job, send, state_of, stopped},
    ktap,
    memory::{
        KERNEL_ADDRESS, MAP_PRIVATE, MAP_SHARED, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous,
        shared_page,
    },
    ok,
    process::getpid,
    signals::{SA_RESTART, SIGUSR1, Sigcontext, kill, set_handler_with},
    start,
    thread::{Thread, spawn},
};

const SYS_FUTEX: u32 = 240;
const WAIT: u32 = 0;
const WAKE: u32 = 1;
const REQUEUE: u32 = 3;
const CMP_REQUEUE: u32 = 4;
const LOCK_PI: u32 = 6;
const WAIT_BITSET: u32 = 9;
const WAKE_BITSET: u32 = 10;
const PRIVATE: u32 = 128;
const OPEN: u32 = 5;
const MPROTECT: u32 = 125;
const MMAP2: u32 = 192;

/// The futex words. They share a page, so a write to one takes the page of all of them.
static WORDS: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];
static WOKEN: AtomicU32 = AtomicU32::new(0);
static WRONG: AtomicU32 = AtomicU32::new(0);
/// Whether a task sleeps that a signal has to disturb.
static DISTURBED: AtomicU32 = AtomicU32::new(0);
/// How often a handler ran.
static NOTED: AtomicU32 = AtomicU32::new(0);

fn futex(word: u32, op: u32, rest: [u32; 4]) -> Result<u32, Errno> {
    let [val, timeout, word2, val3] = rest;
    syscall(SYS_FUTEX, [word, op, val, timeout, word2, val3])
}

fn address(word: usize) -> u32 {
    WORDS[word].as_ptr() as u32
}

fn wake(word: usize, op: u32, count: u32) -> Result<u32, Errno> {
    futex(address(word), op, [count, 0, 0, 0])
}

/// Calls `op` until it has woken `count` sleepers, some of which may not sleep yet.
fn wake_all(word: usize, op: u32, count: u32) -> bool {
    let mut woken = 0;
    comes_true(|| {
        woken += wake(word, op, count - woken).unwrap_or(0);
        woken == count
    })
}

/// Sleeps on word `argument & 3` with bitset `argument >> 8` (0: plain), and notes the bit.
extern "C" fn sleeper(argument: u32) -> i32 {
    let (word, bits) = ((argument & 3) as usize, argument >> 8);
    let result = match bits {
        0 => futex(address(word), WAIT, [0, 0, 0, 0]),
        bits => futex(address(word), WAIT_BITSET, [0, 0, 0, bits]),
    };
    WRONG.fetch_add(u32::from(result != Ok(0)), SeqCst);
    WOKEN.fetch_add(1, SeqCst);
    0
}

fn start(argument: u32) -> Thread {
    spawn(sleeper, argument, None).expect("clone")
}

fn answers() {
    let word = address(0);
    eq!(
        futex(word, WAIT, [1, 0, 0, 0]),
        Err(Errno::EAGAIN),
        "another value: EAGAIN"
    );
    eq!(
        futex(word, WAIT | PRIVATE, [1, 0, 0, 0]),
        Err(Errno::EAGAIN),
        "and in private memory"
    );
    eq!(
        futex(word + 1, WAIT, [0, 0, 0, 0]),
        Err(Errno::EINVAL),
        "a word that is not aligned: EINVAL"
    );
    eq!(
        futex(KERNEL_ADDRESS, WAIT, [0, 0, 0, 0]),
        Err(Errno::EFAULT),
        "a word of the kernel: EFAULT"
    );
    eq!(
        futex(0, WAIT, [0, 0, 0, 0]),
        Err(Errno::EFAULT),
        "a word that is not there: EFAULT"
    );
    eq!(
        futex(word, WAIT_BITSET, [0, 0, 0, 0]),
        Err(Errno::EINVAL),
        "a wait without bits: EINVAL"
    );
    eq!(
        futex(word, WAKE_BITSET, [1, 0, 0, 0]),
        Err(Errno::EINVAL),
        "a wake-up without bits: EINVAL"
    );
    eq!(
        futex(word, LOCK_PI, [0; 4]),
        Err(Errno::ENOSYS),
        "priority inheritance: ENOSYS"
    );
    // A kernel that supports it has taken the lock.
    WORDS[0].store(0, SeqCst);
    eq!(
        futex(word, 99, [0; 4]),
        Err(Errno::ENOSYS),
        "an unknown operation: ENOSYS"
    );
    eq!(wake(0, WAKE, 1), Ok(0), "no sleeper: 0");
    let time = |seconds: i32, nanoseconds: u32| {
        let time = [seconds as u32, nanoseconds];
        futex(word, WAIT, [0, time.as_ptr() as u32, 0, 0])
    };
    eq!(
        time(0, 1_000_000),
        Err(Errno::ETIMEDOUT),
        "a timeout: ETIMEDOUT"
    );
    eq!(
        time(0, 1_000_000_000),
        Err(Errno::EINVAL),
        "too many nanoseconds: EINVAL"
    );
    eq!(time(-1, 0), Err(Errno::EINVAL), "a negative time: EINVAL");
    let past = clock_gettime(1).expect("clock_gettime");
    eq!(
        futex(word, WAIT_BITSET, [0, past.as_ptr() as u32, 0, u32::MAX]),
        Err(Errno::ETIMEDOUT),
        "a time that has passed: ETIMEDOUT"
    );
}

fn sleepers() {
    let three = [start(0), start(0), start(0)];
    ok!(wake_all(0, WAKE, 1), "one of three is woken");
    comes_true(|| WOKEN.load(SeqCst) != 0);
    sleep_ms(5);
    eq!(WOKEN.load(SeqCst), 1, "and no other");
    // Repeat, because they may not sleep yet.
    comes_true(|| wake(0, WAKE, 0) != Ok(0));
    comes_true(|| WOKEN.load(SeqCst) != 1);
    eq!(WOKEN.load(SeqCst), 2, "a count of 0 wakes one");
    ok!(wake_all(0, WAKE, 1), "then the last");
    ok!(three.into_iter().all(Thread::join), "each goes on");

    let (low, high) = (start(1 | 0b01 << 8), start(1 | 0b10 << 8));
    let bit = |bits: u32| futex(address(1), WAKE_BITSET, [9, 0, 0, bits]);
    let mut got = 0;
    while got == 0 {
        got = bit(0b10).unwrap_or(9);
        sleep_ms(1);
    }
    ok!(
        got == 1 && high.join(),
        "a bit wakes the sleeper that waits for it, and no other"
    );
    while bit(0b101) != Ok(1) {
        sleep_ms(1);
    }
    ok!(low.join(), "and another bit the other");

    let three = [start(2), start(2), start(2)];
    let requeue = |op: u32, val3: u32| futex(address(2), op, [1, 9, address(3), val3]);
    for (wakes, moves, what) in [(u32::MAX, 0, "wakes"), (0, u32::MAX, "moves")] {
        eq!(
            futex(address(2), REQUEUE, [wakes, moves, address(3), 0]),
            Err(Errno::EINVAL),
            "a requeue that {what} a negative number: EINVAL"
        );
    }
    eq!(
        requeue(CMP_REQUEUE, 5),
        Err(Errno::EAGAIN),
        "a requeue with another value: EAGAIN"
    );
    for (op, what) in [(CMP_REQUEUE, "shared"), (CMP_REQUEUE | PRIVATE, "private")] {
        let page = mmap_anonymous(4096, PROT_READ | PROT_WRITE, MAP_PRIVATE).expect("mmap");
        eq!(
            futex(page, op, [1, 9, address(3), 0]),
            Ok(0),
            "a requeue brings in its page, {what}"
        );
        eq!(
            futex(8, op, [1, 9, address(3), 0]),
            Err(Errno::EFAULT),
            "without a page: EFAULT, {what}"
        );
    }
    sleep_ms(20);
    let mut moved = 0;
    while moved < 3 {
        moved += requeue(if moved == 0 { REQUEUE } else { CMP_REQUEUE }, 0).unwrap_or(9);
        sleep_ms(1);
    }
    eq!(moved, 3, "all three are woken or moved");
    eq!(
        wake(2, WAKE, 9),
        Ok(0),
        "no sleeper is left on the old word"
    );
    while WOKEN.load(SeqCst) < 8 {
        let _woken = wake(3, WAKE, 1);
        sleep_ms(1);
    }
    ok!(
        three.into_iter().all(Thread::join),
        "and each wakes where it was moved to"
    );
    eq!(WRONG.load(SeqCst), 0, "whoever is woken is told 0");
}

extern "C" fn note(_: u32, _: Sigcontext) {
    NOTED.fetch_add(1, SeqCst);
}

/// Sends a signal to the leader while it sleeps.
extern "C" fn disturb(word: u32) -> i32 {
    while state_of(getpid()) != 'S' {
        sleep_ms(1);
    }
    kill(getpid(), SIGUSR1).expect("kill");
    while DISTURBED.load(SeqCst) != 0 {
        sleep_ms(10);
        futex(word, WAKE, [1, 0, 0, 0]).expect("FUTEX_WAKE");
    }
    0
}

/// Sleeps until `disturb` wakes it; the signal of `disturb` comes first. The thread does not block
/// the signal either, so the kernel gives it to the leader.
fn disturbed(flags: u32) -> Result<u32, Errno> {
    NOTED.store(0, SeqCst);
    set_handler_with(SIGUSR1, note, flags).expect("sigaction");
    DISTURBED.store(1, SeqCst);
    let thread = spawn(disturb, address(0), None).expect("clone");
    let result = futex(address(0), WAIT, [0, 0, 0, 0]);
    DISTURBED.store(0, SeqCst);
    thread.join();
    result
}

fn signals() {
    WORDS[0].store(0, SeqCst);
    eq!(
        disturbed(0),
        Err(Errno::EINTR),
        "a signal ends the sleep: EINTR"
    );
    eq!(NOTED.load(SeqCst), 1, "its handler has run");
    eq!(disturbed(SA_RESTART), Ok(0), "with SA_RESTART it goes on");
    eq!(NOTED.load(SeqCst), 1, "after the handler");
}

/// A wait with a timeout is stopped; when it goes on, the word has changed.
fn stopped_wait() {
    let [word, ends, ..] = shared_page();
    let waiter = job(|| {
        // Ten seconds; none of it may be left over for the sleep behind the wait.
        let timeout = [10u32, 0];
        let wait = [0, timeout.as_ptr() as u32, 0, 0];
        let answer = futex(word.as_ptr() as u32, WAIT, wait);
        let begin = monotonic_ns();
        sleep_ms(4);
        let slept_ms = (monotonic_ns() - begin) / NS_PER_MS;
        ends.store(1 + u32::from(slept_ms >= 8000), SeqCst);
        i32::from(answer != Err(Errno::EAGAIN))
    });
    while state_of(waiter.pid) != 'S' {
        sleep_ms(1);
    }
    send(waiter, SIGSTOP);
    let stop = hears(waiter, WUNTRACED);
    word.store(1, SeqCst);
    send(waiter, SIGCONT);
    eq!(
        (stop, waiter.wait()),
        (Ok(stopped(SIGSTOP)), WaitStatus::exited(0)),
        "a stopped wait reads its word again"
    );
    eq!(ends.load(SeqCst), 1, "and its time left is forgotten");
}

fn memory() {
    // The parent gets a copy of the page while the child keeps the old one; the parent's sleeper
    // stays.
    WORDS[0].store(0, SeqCst);
    let thread = start(0);
    sleep_ms(10);
    let keeper = child(|| {
        loop {
            sleep_ms(60_000);
        }
    });
    sleep_ms(10);
    WORDS[3].store(1, SeqCst);
    ok!(
        wake_all(0, WAKE, 1),
        "a sleeper in private memory is found though its page was copied"
    );
    ok!(thread.join(), "and woken");
    syscall(37, [keeper.pid, 9]).expect("kill");
    keeper.wait();

    let page = mmap_anonymous(4096, PROT_READ | PROT_WRITE, MAP_SHARED).expect("mmap");
    // SAFETY: a page of ours, shared with the child.
    let shared = unsafe { &*(page as *const AtomicU32) };
    let other = child(|| {
        let result = futex(shared.as_ptr() as u32, WAIT, [0, 0, 0, 0]);
        i32::from(result != Ok(0))
    });
    while futex(shared.as_ptr() as u32, WAKE, [1, 0, 0, 0]) != Ok(1) {
        sleep_ms(1);
    }
    eq!(
        other.wait(),
        WaitStatus::exited(0),
        "a word in shared memory is one for two processes"
    );
}

/// Futexes in words that cannot be written, without FUTEX_PRIVATE_FLAG.
fn read_only() {
    let zeroes = |sharing: u32| mmap_anonymous(PAGE_SIZE, PROT_READ, sharing).expect("mmap");
    let own = zeroes(MAP_PRIVATE);
    let written = mmap_anonymous(PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE).expect("mmap");
    insn::write(written, 5);
    protect(written);
    let efault = Err(Errno::EFAULT);
    for (name, word) in [("untouched", own), ("written before", written)] {
        eq!(
            (
                futex(word, WAIT, [7, 0, 0, 0]),
                futex(word, WAKE, [1, 0, 0, 0])
            ),
            (efault, efault),
            "private memory that cannot be written, {name}: EFAULT"
        );
    }
    let word = WORDS[0].as_ptr() as u32;
    eq!(
        futex(word, REQUEUE, [1, 1, own, 0]),
        efault,
        "nor can sleepers be moved there: EFAULT"
    );
    let private = [WAIT | PRIVATE, WAKE | PRIVATE].map(|op| futex(own, op, [7, 0, 0, 0]));
    eq!(
        private,
        [Err(Errno::EAGAIN), Ok(0)],
        "marked private, it is not checked"
    );
    let shared = zeroes(MAP_SHARED);
    eq!(
        (
            futex(shared, WAIT, [7, 0, 0, 0]),
            futex(shared, WAKE, [1, 0, 0, 0])
        ),
        (Err(Errno::EAGAIN), Ok(0)),
        "shared memory may be read-only"
    );
    let path = start::arg_cstr(0).expect("argv[0]").as_ptr() as u32;
    let fd = syscall(OPEN, [path, 0]).expect("open");
    let map = |prot: u32, sharing: u32| {
        syscall(MMAP2, [0, PAGE_SIZE, prot, sharing, fd, 0]).expect("mmap2")
    };
    let (one, other) = (map(PROT_READ, MAP_PRIVATE), map(PROT_READ, MAP_SHARED));
    let sleeper = child(|| {
        let timeout = [1000u32, 0];
        let answer = futex(one, WAIT, [insn::read(one), timeout.as_ptr() as u32, 0, 0]);
        i32::from(answer != Ok(0))
    });
    while futex(other, WAKE, [1, 0, 0, 0]) != Ok(1) {
        sleep_ms(1);
    }
    eq!(
        sleeper.wait(),
        WaitStatus::exited(0),
        "a word of a file is one, wherever it is mapped"
    );
    let copy = map(PROT_READ | PROT_WRITE, MAP_PRIVATE);
    eq!(
        futex(copy, WAKE, [1, 0, 0, 0]),
        Ok(0),
        "a writable copy is private"
    );
    insn::write(copy, 5);
    protect(copy);
    eq!(
        futex(copy, WAKE, [1, 0, 0, 0]),
        efault,
        "written, and read-only now, it is not the file's: EFAULT"
    );
    let status = child(|| i32::from(futex(copy, WAKE, [1, 0, 0, 0]) != efault)).wait();
    eq!(status, WaitStatus::exited(0), "nor is a fork's copy of it");
}

fn protect(page: u32) {
    syscall(MPROTECT, [page, PAGE_SIZE, PROT_READ]).expect("mprotect");
}

fn main() -> i32 {
    ktap::plan(50);
    answers();
    sleepers();
    signals();
    stopped_wait();
    memory();
    read_only();
    ktap::finish()
}

rt::main!(main);

//! FUTEX_WAKE_OP: a word changes, and sleepers of two words wake.
//!
//! Linux: futex(2); glibc before 2.25 uses it to signal condition variables.
//! Red without: the change of the word; the second word's sleepers; the comparison with the old
//! value; the page that has to be brought in.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno,
    clock::comes_true,
    eq,
    gates::syscall,
    insn, ktap,
    memory::{KERNEL_ADDRESS, MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous},
    ok,
    thread::{Thread, spawn},
};

const FUTEX: u32 = 240;
const WAIT: u32 = 0;
const WAKE: u32 = 1;
const CMP_REQUEUE: u32 = 4;
const WAKE_OP: u32 = 5;
const PRIVATE: u32 = 128;
const SET: u32 = 0;
const ADD: u32 = 1;
const OR: u32 = 2;
const ANDN: u32 = 3;
const XOR: u32 = 4;
const SHIFT: u32 = 8;
const EQ: u32 = 0;
const NE: u32 = 1;
const LT: u32 = 2;
const LE: u32 = 3;
const GT: u32 = 4;
const GE: u32 = 5;

/// Two words, most likely in different hash buckets.
static FIRST: AtomicU32 = AtomicU32::new(0);
static SECOND: AtomicU32 = AtomicU32::new(0);
static WOKEN: AtomicU32 = AtomicU32::new(0);

fn futex(word: &AtomicU32, op: u32, rest: [u32; 4]) -> Result<u32, Errno> {
    let [val, val2, word2, val3] = rest;
    syscall(FUTEX, [word.as_ptr() as u32, op, val, val2, word2, val3])
}

fn encode(op: u32, oparg: u32, cmp: u32, cmparg: u32) -> u32 {
    op << 28 | cmp << 24 | (oparg & 0xfff) << 12 | cmparg & 0xfff
}

/// Wakes at most one sleeper of each word.
fn wake_op(encoded: u32) -> Result<u32, Errno> {
    futex(&FIRST, WAKE_OP, [1, 1, SECOND.as_ptr() as u32, encoded])
}

/// Sleeps on the first word (0) or the second (1), private or shared.
extern "C" fn sleeper(argument: u32) -> i32 {
    let word = if argument & 1 == 0 { &FIRST } else { &SECOND };
    let value = word.load(SeqCst);
    let _any = futex(word, WAIT | argument & PRIVATE, [value, 0, 0, 0]);
    WOKEN.fetch_add(1, SeqCst);
    0
}

/// Starts `N` sleepers of a word and returns when all are asleep.
fn asleep<const N: usize>(argument: u32) -> [Thread; N] {
    let threads = [(); N].map(|()| spawn(sleeper, argument, None).expect("clone"));
    let word = if argument & 1 == 0 { &FIRST } else { &SECOND };
    let op = CMP_REQUEUE | argument & PRIVATE;
    let at = word.as_ptr() as u32;
    // Requeued from the word to itself: they are counted, not woken.
    let counted = || futex(word, op, [0, 100, at, word.load(SeqCst)]);
    assert!(
        comes_true(|| counted() == Ok(N as u32)),
        "the sleepers sleep"
    );
    threads
}

fn wake_all() {
    for word in [&FIRST, &SECOND] {
        for op in [WAKE, WAKE | PRIVATE] {
            let _woken = futex(word, op, [100, 0, 0, 0]);
        }
    }
}

fn operations() {
    for (name, op, arg, result) in [
        ("SET", SET, 5, 5),
        ("ADD", ADD, 5, 17),
        ("ADD of a negative number", ADD, -13i32 as u32, u32::MAX),
        ("OR", OR, 3, 15),
        ("ANDN", ANDN, 4, 8),
        ("XOR", XOR, 5, 9),
        ("SET of a bit", SHIFT | SET, 31, 1 << 31),
        ("OR of a bit", SHIFT | OR, 4, 28),
    ] {
        SECOND.store(12, SeqCst);
        let answer = wake_op(encode(op, arg, EQ, 0));
        eq!((answer, SECOND.load(SeqCst)), (Ok(0), result), "{name}");
    }
    SECOND.store(12, SeqCst);
    let answer = wake_op(encode(5, 0, EQ, 0));
    eq!(
        (answer, SECOND.load(SeqCst)),
        (Err(Errno::ENOSYS), 12),
        "an unknown operation: ENOSYS"
    );
    let answer = wake_op(encode(ADD, 1, 6, 0));
    eq!(
        (answer, SECOND.load(SeqCst)),
        (Err(Errno::ENOSYS), 13),
        "an unknown comparison: ENOSYS, after the operation"
    );
}

fn comparisons() {
    let both = [EQ, NE, LT, LE, GT, GE].map(|cmp| {
        [-6i32, -5, -4].map(|old| {
            SECOND.store(old as u32, SeqCst);
            let [one] = asleep::<1>(1);
            let woken = wake_op(encode(ADD, 0, cmp, -5i32 as u32)) == Ok(1);
            wake_all();
            one.join();
            woken
        })
    });
    eq!(both[0], [false, true, false], "EQ");
    eq!(both[1], [true, false, true], "NE");
    eq!(both[2], [true, false, false], "LT, of signed numbers");
    eq!(both[3], [true, true, false], "LE");
    eq!(both[4], [false, false, true], "GT");
    eq!(both[5], [false, true, true], "GE");
}

fn sleepers() {
    for (flag, name) in [(0, "shared"), (PRIVATE, "private")] {
        FIRST.store(0, SeqCst);
        SECOND.store(3, SeqCst);
        WOKEN.store(0, SeqCst);
        let (first, second) = (asleep::<3>(flag), asleep::<3>(flag | 1));
        let at = SECOND.as_ptr() as u32;
        let answer = futex(&FIRST, WAKE_OP | flag, [1, 2, at, encode(ADD, 4, EQ, 3)]);
        eq!(
            (answer, SECOND.load(SeqCst)),
            (Ok(3), 7),
            "one of the first word and two of the second wake, {name}"
        );
        ok!(
            comes_true(|| WOKEN.load(SeqCst) == 3),
            "these and no others, {name}"
        );
        let answer = futex(&FIRST, WAKE_OP | flag, [9, 9, at, encode(ADD, 4, EQ, 3)]);
        eq!(
            answer,
            Ok(2),
            "if the comparison fails, those of the first only, {name}"
        );
        let answer = futex(&SECOND, WAKE_OP | flag, [0, 9, at, encode(SET, 0, NE, 0)]);
        eq!(
            answer,
            Ok(1),
            "one word for both: no sleeper is woken twice, {name}"
        );
        wake_all();
        for thread in first.into_iter().chain(second) {
            thread.join();
        }
    }
}

fn pages() {
    let area = mmap_anonymous(PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE).expect("mmap2");
    let op = encode(ADD, 6, EQ, 0);
    let wake = |at: u32| futex(&FIRST, WAKE_OP | PRIVATE, [1, 1, at, op]);
    let answer = wake(area + 8);
    eq!(
        (answer, insn::read(area + 8)),
        (Ok(0), 6),
        "a word whose page is not there yet"
    );
    eq!(
        wake(area + 2),
        Err(Errno::EINVAL),
        "a word that is not aligned: EINVAL"
    );
    eq!(
        wake(KERNEL_ADDRESS),
        Err(Errno::EFAULT),
        "a word of the kernel: EFAULT"
    );
    syscall(125, [area, PAGE_SIZE, PROT_READ]).expect("mprotect");
    eq!(
        wake(area + 8),
        Err(Errno::EFAULT),
        "a word that cannot be written: EFAULT"
    );
    eq!(insn::read(area + 8), 6, "and is not");
}

fn main() -> i32 {
    ktap::plan(29);
    operations();
    comparisons();
    sleepers();
    pages();
    ktap::finish()
}

rt::main!(main);

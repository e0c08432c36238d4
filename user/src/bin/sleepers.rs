//! Many sleepers at once: one call wakes all that it should, and no other.
//!
//! Each is asleep before the call, as its state in `/proc` says, so the answer of the call is exact.
//!
//! Linux: futex(2), pipe(7), wait(2).
//! Red without: the second batch of sleepers that a wake-up or a requeue goes through.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, child,
    clock::{comes_true, sleep_ms},
    eq,
    gates::syscall,
    job::state_of,
    ktap,
    memory::{SharedPage, shared_page},
    ok,
    process::{Child, wait4},
    thread::spawn,
};

const SYS_READ: u32 = 3;
const SYS_WRITE: u32 = 4;
const SYS_CLOSE: u32 = 6;
const SYS_PIPE: u32 = 42;
const SYS_FUTEX: u32 = 240;
const WAKE: u32 = 1;
const REQUEUE: u32 = 3;
const WAIT_BITSET: u32 = 9;
const WAKE_BITSET: u32 = 10;
const ALL: u32 = i32::MAX as u32;

/// More than the kernel wakes in one go.
const MANY: usize = 100;

fn futex(word: &AtomicU32, op: u32, rest: [u32; 4]) -> Result<u32, Errno> {
    let [val, timeout, word2, val3] = rest;
    let word = word.as_ptr() as u32;
    syscall(SYS_FUTEX, [word, op, val, timeout, word2, val3])
}

/// Makes `MANY` processes of `body`, and waits until all are asleep.
fn asleep(body: impl Fn(usize) -> i32) -> [Child; MANY] {
    let mut made = 0;
    let children = [(); MANY].map(|()| {
        let number = made;
        made += 1;
        child(|| body(number))
    });
    let sleeps = |it: &Child| state_of(it.pid) == 'S';
    assert!(
        comes_true(|| children.iter().all(sleeps)),
        "all fall asleep"
    );
    children
}

/// Waits for so many children, all of which are to exit with 0; returns how many did.
fn end_well(count: usize) -> usize {
    let ended = |_: &usize| wait4(-1, 0).is_ok_and(|(_, status)| status.0 == 0);
    (0..count).filter(ended).count()
}

/// Half of them, the first or the others, wait for one bit each.
fn wake_ups(word: &AtomicU32) {
    let bit = |number: usize| 1 + u32::from(number >= MANY / 2);
    let _children = asleep(|number| {
        let result = futex(word, WAIT_BITSET, [0, 0, 0, bit(number)]);
        i32::from(result != Ok(0))
    });
    let half = MANY as u32 / 2;
    eq!(
        futex(word, WAKE_BITSET, [ALL, 0, 0, 2]),
        Ok(half),
        "a wake-up reaches those behind many that it is not for"
    );
    eq!(end_well(MANY / 2), MANY / 2, "and they wake");
    eq!(
        futex(word, WAKE, [half - 1, 0, 0, 0]),
        Ok(half - 1),
        "one for so many wakes so many"
    );
    eq!(
        futex(word, WAKE, [ALL, 0, 0, 0]),
        Ok(1),
        "and one for all wakes all"
    );
    eq!(end_well(MANY / 2), MANY / 2, "and they all wake");
    eq!(
        futex(word, WAKE, [ALL, 0, 0, 0]),
        Ok(0),
        "then nobody is left"
    );
}

fn requeues(page: SharedPage) {
    let [first, second, ..] = page;
    let _children = asleep(|_| {
        let result = futex(first, WAIT_BITSET, [0, 0, 0, u32::MAX]);
        i32::from(result != Ok(0))
    });
    let to = second.as_ptr() as u32;
    eq!(
        futex(first, REQUEUE, [2, ALL, to, 0]),
        Ok(MANY as u32),
        "a requeue wakes some and moves all others"
    );
    eq!(end_well(2), 2, "those wake");
    eq!(
        (
            futex(first, WAKE, [ALL, 0, 0, 0]),
            futex(second, WAKE, [ALL, 0, 0, 0])
        ),
        (Ok(0), Ok(MANY as u32 - 2)),
        "the others sleep on the other word"
    );
    eq!(end_well(MANY - 2), MANY - 2, "and wake");
}

fn readers() {
    let mut ends = [0u32; 2];
    syscall(SYS_PIPE, [ends.as_mut_ptr() as u32]).expect("pipe");
    let [from, to] = ends;
    let _children = asleep(|_| {
        let _closed = syscall(SYS_CLOSE, [to]);
        let mut byte = 0u8;
        let read = syscall(SYS_READ, [from, &raw mut byte as u32, 1]);
        // The byte, or the end of the pipe.
        match (read, byte) {
            (Ok(0), _) => 0,
            (Ok(1), b'x') => 1,
            _ => 2,
        }
    });
    let byte = b'x';
    syscall(SYS_WRITE, [to, &raw const byte as u32, 1]).expect("write");
    let status = wait4(-1, 0).map(|(_, status)| status.0);
    eq!(status, Ok(1 << 8), "one of many readers gets the byte");
    syscall(SYS_CLOSE, [to]).expect("close");
    eq!(
        end_well(MANY - 1),
        MANY - 1,
        "and all others hear that the last writer is gone"
    );
    ok!(
        wait4(-1, 0) == Err(Errno::ECHILD),
        "then there is no child left"
    );
}

/// Threads that have heard of the child, and those that have heard that there is none.
static HEARD: AtomicU32 = AtomicU32::new(0);
static CHILDLESS: AtomicU32 = AtomicU32::new(0);

extern "C" fn wait_for_a_child(_: u32) -> i32 {
    let heard = match wait4(-1, 0) {
        Ok(_) => &HEARD,
        Err(_) => &CHILDLESS,
    };
    heard.fetch_add(1, SeqCst);
    0
}

/// The end of a child wakes all threads that wait for one.
fn parents(word: &AtomicU32) {
    let _child = child(|| {
        let _woken = futex(word, WAIT_BITSET, [0, 0, 0, 1]);
        0
    });
    for _ in 0..MANY / 2 {
        let _thread = spawn(wait_for_a_child, 0, None).expect("clone");
    }
    // Most are asleep then; any that is not yet hears of it all the same.
    sleep_ms(200);
    let _woken = comes_true(|| futex(word, WAKE, [1, 0, 0, 0]) == Ok(1));
    let counts = || (HEARD.load(SeqCst), CHILDLESS.load(SeqCst));
    let all = (1, MANY as u32 / 2 - 1);
    let _all = comes_true(|| counts() == all);
    eq!(
        counts(),
        all,
        "the end of a child wakes all threads that wait for one"
    );
}

fn main() -> i32 {
    ktap::plan(14);
    wake_ups(&shared_page()[0]);
    requeues(shared_page());
    readers();
    parents(&shared_page()[0]);
    ktap::finish()
}

rt::main!(main);

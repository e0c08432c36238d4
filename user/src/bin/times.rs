//! Times in 64 bits and in 32: padding, far-off times, the rest of an interrupted one.
//!
//! Linux: 5.1 `*_time64`, clock_nanosleep(2), select(2).
//! Red without: the padding ignored; 292 years accepted; the time left; each clock that can be
//! slept by.
#![no_std]
#![no_main]

use core::sync::atomic::AtomicU32;
use rt::{
    Errno, child, eq,
    gates::syscall,
    ktap,
    memory::KERNEL_ADDRESS,
    ok,
    signals::{Sigcontext, set_handler},
};

const SETITIMER: u32 = 104;
const NEWSELECT: u32 = 142;
const NANOSLEEP: u32 = 162;
const RT_SIGTIMEDWAIT: u32 = 177;
const TIMER_CREATE: u32 = 259;
const TIMER_SETTIME: u32 = 260;
const CLOCK_NANOSLEEP: u32 = 267;
const FUTEX: u32 = 240;
const PSELECT6: u32 = 308;
const PPOLL: u32 = 309;
const CLOCK_GETTIME64: u32 = 403;
const CLOCK_GETRES64: u32 = 406;
const CLOCK_NANOSLEEP64: u32 = 407;
const TIMER_GETTIME64: u32 = 408;
const TIMER_SETTIME64: u32 = 409;
const PSELECT6_64: u32 = 413;
const PPOLL64: u32 = 414;
const RT_SIGTIMEDWAIT64: u32 = 421;
const FUTEX64: u32 = 422;
const RR_GET_INTERVAL64: u32 = 423;
const MONOTONIC: u32 = 1;
const PROCESS_CPUTIME: u32 = 2;
const THREAD_CPUTIME: u32 = 3;
const BOOTTIME: u32 = 7;
const ABSTIME: u32 = 1;
const SIGALRM: u32 = 14;
const GARBAGE: u64 = 0x7bad << 32;
const FAR: u64 = 1 << 32;
const MS: u64 = 1_000_000;

extern "C" fn nothing(_: u32, _: Sigcontext) {}

/// Asks for SIGALRM after `ms` and again every `ms`: one may come before the sleep has begun.
fn alarm(ms: u32) {
    let it = [0, ms * 1000, 0, ms * 1000];
    syscall(SETITIMER, [0, it.as_ptr() as u32, 0]).expect("setitimer");
}

/// A call whose last argument is the address of a 64-bit time.
type Call = fn(&[u64; 2]) -> Result<u32, Errno>;

static WORD: AtomicU32 = AtomicU32::new(0);
static SET: u64 = 1 << 9;

fn sleeps() -> [(&'static str, Call, Result<u32, Errno>); 5] {
    fn at(time: &[u64; 2]) -> u32 {
        time.as_ptr() as u32
    }
    let wait: Call = |time| syscall(RT_SIGTIMEDWAIT64, [&raw const SET as u32, 0, at(time), 8]);
    [
        (
            "clock_nanosleep",
            |time| syscall(CLOCK_NANOSLEEP64, [MONOTONIC, 0, at(time), 0]),
            Ok(0),
        ),
        ("rt_sigtimedwait", wait, Err(Errno::EAGAIN)),
        (
            "futex",
            |time| syscall(FUTEX64, [WORD.as_ptr() as u32, 0, 0, at(time), 0, 0]),
            Err(Errno::ETIMEDOUT),
        ),
        (
            "ppoll",
            |time| syscall(PPOLL64, [0, 0, at(time), 0, 0]),
            Ok(0),
        ),
        (
            "pselect6",
            |time| syscall(PSELECT6_64, [0, 0, 0, 0, at(time), 0]),
            Ok(0),
        ),
    ]
}

fn all_sleeps() {
    for (name, call, over) in sleeps() {
        eq!(call(&[0, MS | GARBAGE]), over, "{name}: padding is ignored");
        eq!(
            call(&[0, 1000 * MS]),
            Err(Errno::EINVAL),
            "{name}: a second of nanoseconds: EINVAL"
        );
        eq!(
            call(&[u64::MAX, 0]),
            Err(Errno::EINVAL),
            "{name}: negative seconds: EINVAL"
        );
        alarm(100);
        eq!(
            call(&[FAR, 0]),
            Err(Errno::EINTR),
            "{name}: 2^32 seconds are long"
        );
        eq!(
            call(&[i64::MAX as u64, 0]),
            Err(Errno::EINTR),
            "{name}: so are 2^63"
        );
        alarm(0);
    }
}

fn left() {
    let time = [5u64, GARBAGE];
    let mut rest = [u64::MAX; 2];
    alarm(100);
    let at = [time.as_ptr() as u32, rest.as_mut_ptr() as u32];
    let answer = syscall(CLOCK_NANOSLEEP64, [MONOTONIC, 0, at[0], at[1]]);
    eq!(
        (answer, rest[0]),
        (Err(Errno::EINTR), 4),
        "clock_nanosleep returns the time left"
    );
    ok!(rest[1] < 1000 * MS, "with a padding of 0");
    let answer = syscall(CLOCK_NANOSLEEP64, [MONOTONIC, 0, at[0], KERNEL_ADDRESS]);
    eq!(
        answer,
        Err(Errno::EFAULT),
        "where it cannot be written: EFAULT"
    );
    rest = [7; 2];
    let answer = syscall(
        CLOCK_NANOSLEEP64,
        [MONOTONIC, ABSTIME, [FAR, 0].as_ptr() as u32, at[1]],
    );
    eq!(
        (answer, rest),
        (Err(Errno::EINTR), [7; 2]),
        "an absolute sleep has no time left"
    );

    for (name, number, place) in [("ppoll", PPOLL64, 2), ("pselect6", PSELECT6_64, 4)] {
        let time = [5u64, GARBAGE];
        let mut arguments = [0u32; 6];
        arguments[place] = time.as_ptr() as u32;
        let answer = syscall(number, arguments);
        // SAFETY: the kernel has written there.
        let time = unsafe { time.as_ptr().read_volatile() };
        eq!(
            (answer, time),
            (Err(Errno::EINTR), 4),
            "{name} returns it in place"
        );
    }
    let (old, mut old_rest) = ([5u32, 0], [u32::MAX; 2]);
    let at = [old.as_ptr() as u32, old_rest.as_mut_ptr() as u32];
    let answer = syscall(NANOSLEEP, at);
    eq!(
        (answer, old_rest[0]),
        (Err(Errno::EINTR), 4),
        "nanosleep returns it in 32 bits"
    );
    old_rest = [u32::MAX; 2];
    let answer = syscall(CLOCK_NANOSLEEP, [MONOTONIC, 0, at[0], at[1]]);
    eq!(
        (answer, old_rest[0]),
        (Err(Errno::EINTR), 4),
        "so does clock_nanosleep"
    );
    alarm(0);
}

fn timers() {
    let (mut id, event) = (0u32, [0u32, 0, 1, 0]);
    let create = [MONOTONIC, event.as_ptr() as u32, &raw mut id as u32];
    syscall(TIMER_CREATE, create).expect("timer_create");
    let set = |it: &[u64; 4]| syscall(TIMER_SETTIME64, [id, 0, it.as_ptr() as u32, 0]);
    eq!(
        set(&[0, GARBAGE, 0, MS | GARBAGE]),
        Ok(0),
        "timer_settime: padding is ignored"
    );
    eq!(set(&[0, 0, FAR, 0]), Ok(0), "2^32 seconds are a time");
    let mut it = [u64::MAX; 4];
    syscall(TIMER_GETTIME64, [id, it.as_mut_ptr() as u32]).expect("timer_gettime");
    ok!((FAR - 16..FAR).contains(&it[2]), "and so much is left");
    ok!(it[1] == 0 && it[3] < 1000 * MS, "both with a padding of 0");
    let old = [0u32, 0, 1, 1_000_000_000];
    let answer = syscall(TIMER_SETTIME, [id, 0, old.as_ptr() as u32, 0]);
    eq!(
        answer,
        Err(Errno::EINVAL),
        "a second of nanoseconds: EINVAL"
    );
}

fn clocks() {
    let mut time = [u64::MAX; 2];
    let at = time.as_mut_ptr() as u32;
    syscall(CLOCK_GETTIME64, [MONOTONIC, at]).expect("clock_gettime64");
    ok!(time[1] < 1000 * MS, "clock_gettime64: a padding of 0");
    time = [u64::MAX; 2];
    syscall(CLOCK_GETRES64, [MONOTONIC, at]).expect("clock_getres64");
    ok!(
        time[0] == 0 && (1..1000 * MS).contains(&time[1]),
        "clock_getres64"
    );
    time = [u64::MAX; 2];
    syscall(RR_GET_INTERVAL64, [0, at]).expect("sched_rr_get_interval64");
    ok!(
        time[0] == 0 && time[1] < 1000 * MS,
        "sched_rr_get_interval64"
    );

    let ms = [0u32, 1_000_000];
    let sleep = |clock: u32| syscall(CLOCK_NANOSLEEP, [clock, 0, ms.as_ptr() as u32, 0]);
    for (name, clock) in [
        ("the day", 0),
        ("MONOTONIC", MONOTONIC),
        ("BOOTTIME", BOOTTIME),
    ] {
        eq!(sleep(clock), Ok(0), "clock_nanosleep by {name}");
    }
    eq!(
        sleep(THREAD_CPUTIME),
        Err(Errno::EOPNOTSUPP),
        "not by a thread's own time"
    );
    for clock in 4..=6 {
        eq!(sleep(clock), Err(Errno::EOPNOTSUPP), "nor by clock {clock}");
    }
    eq!(sleep(99), Err(Errno::EINVAL), "an unknown clock: EINVAL");
    let own_thread = !0 << 3 | 4 | 2;
    eq!(
        sleep(own_thread),
        Err(Errno::EINVAL),
        "the caller's own time by its number: EINVAL"
    );
    let busy = child(|| {
        loop {
            core::hint::spin_loop();
        }
    });
    let (theirs, far) = ((!busy.pid) << 3 | 2, [1u32, 0]);
    let answer = syscall(
        CLOCK_NANOSLEEP,
        [theirs, 0, [0u32, 40_000_000].as_ptr() as u32, 0],
    );
    eq!(answer, Ok(0), "by another process's time");
    syscall(37, [busy.pid, 9]).expect("kill");
    busy.wait();
    alarm(100);
    let mut rest = [9u32; 2];
    let at = [far.as_ptr() as u32, rest.as_mut_ptr() as u32];
    let answer = syscall(CLOCK_NANOSLEEP, [PROCESS_CPUTIME, 0, at[0], at[1]]);
    ok!(
        answer == Err(Errno::EINTR) && rest <= [1, 0],
        "one's own stands still meanwhile"
    );
    alarm(0);
}

/// A timeval with more than a second of microseconds.
fn select() {
    let select = |time: &[i32; 2]| syscall(NEWSELECT, [0, 0, 0, 0, time.as_ptr() as u32]);
    eq!(
        select(&[-1, 1_000_001]),
        Ok(0),
        "select adds microseconds up"
    );
    eq!(
        select(&[0, -1]),
        Err(Errno::EINVAL),
        "negative ones: EINVAL"
    );
    let time = [0u32, 1_000_000_000];
    let at = time.as_ptr() as u32;
    for (name, answer) in [
        ("pselect6", syscall(PSELECT6, [0, 0, 0, 0, at, 0])),
        ("ppoll", syscall(PPOLL, [0, 0, at, 0, 0])),
        (
            "rt_sigtimedwait",
            syscall(RT_SIGTIMEDWAIT, [&raw const SET as u32, 0, at, 8]),
        ),
        (
            "futex",
            syscall(FUTEX, [WORD.as_ptr() as u32, 0, 0, at, 0, 0]),
        ),
    ] {
        eq!(
            answer,
            Err(Errno::EINVAL),
            "{name}, 32 bits: a second of nanoseconds: EINVAL"
        );
    }
}

fn main() -> i32 {
    ktap::plan(58);
    set_handler(SIGALRM, nothing).expect("sigaction");
    let block = 1u64 << 9;
    syscall(175, [0, &raw const block as u32, 0, 8]).expect("rt_sigprocmask");
    all_sleeps();
    left();
    timers();
    clocks();
    select();
    ktap::finish()
}

rt::main!(main);

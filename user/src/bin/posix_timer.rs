//! POSIX timers: a chosen signal after a time, with a value, to a process or a thread.
//!
//! Linux: timer_create(2), timer_settime(2), timer_getoverrun(2).
//! Red without: the timer's signal; its overruns, also of intervals in the past; the interval; that a timer
//! rests while its signal waits; its end with a process.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno,
    clock::{NS_PER_MS, PATIENCE_NS, monotonic_ns, sleep_ms},
    eq, expect_exit,
    gates::syscall,
    ktap,
    memory::KERNEL_ADDRESS,
    ok,
    posix_timer::{self, SI_TIMER, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD_ID, TIMER_ABSTIME, get},
    signals::{block, wait_ms},
    thread::{gettid, spawn},
};

const SYS_RT_SIGACTION: u32 = 174;
const SYS_TIMER_CREATE: u32 = 259;
const SYS_TIMER_SETTIME: u32 = 260;
const SYS_TIMER_GETOVERRUN: u32 = 262;
const SYS_TIMER_DELETE: u32 = 263;
const SYS_TIMER_GETTIME64: u32 = 408;
const SYS_TIMER_SETTIME64: u32 = 409;
const CLOCK_MONOTONIC: u32 = 1;
const SIGALRM: u32 = 14;
const SIGNAL: u32 = 35;
/// A time that no case reaches.
const NEVER_MS: u32 = (PATIENCE_NS / NS_PER_MS) as u32;

fn create(how: u32, value: u32, tid: u32) -> Result<u32, Errno> {
    posix_timer::create(CLOCK_MONOTONIC, SIGNAL, how, value, tid)
}

/// Sets interval and value in milliseconds.
fn set(id: u32, flags: u32, interval: u32, value: u32) -> Result<[u32; 4], Errno> {
    let [interval, value] = [interval, value].map(|ms| u64::from(ms) * NS_PER_MS);
    posix_timer::set_ns(id, flags, interval, value)
}

fn telling() {
    let id = create(SIGEV_SIGNAL, 42, 0).expect("timer_create");
    let begin = monotonic_ns();
    eq!(set(id, 0, 0, 30), Ok([0; 4]), "a new timer does not run");
    eq!(
        wait_ms(SIGNAL, NEVER_MS),
        Ok([SI_TIMER, id, 0, 42]),
        "it ends once, with its value"
    );
    ok!(monotonic_ns() - begin >= 30 * NS_PER_MS, "and not early");
    eq!(get(id), Ok([0; 4]), "and then does not run");

    let begin = monotonic_ns();
    set(id, 0, 10, 10).expect("timer_settime");
    sleep_ms(100);
    let told = wait_ms(SIGNAL, NEVER_MS).expect("rt_sigtimedwait");
    let most = (monotonic_ns() - begin) / (10 * NS_PER_MS);
    ok!(
        told[..2] == [SI_TIMER, id] && (3..most).contains(&u64::from(told[2])),
        "one signal waits, and tells of overruns"
    );
    let overruns = syscall(SYS_TIMER_GETOVERRUN, [id]);
    ok!(
        overruns.is_ok_and(|n| n >= told[2]) || wait_ms(SIGNAL, 0).is_ok(),
        "timer_getoverrun reports them too"
    );
    let now = [1u32, 0, 0, 0].as_ptr() as u32;
    eq!(
        syscall(SYS_TIMER_SETTIME, [id, TIMER_ABSTIME, now, 0]),
        Ok(0),
        "it is stopped"
    );
    while wait_ms(SIGNAL, 0).is_ok() {}
    eq!(wait_ms(SIGNAL, 30), Err(Errno::EAGAIN), "and sends no more");
    let past = [0u32, 0, 0, 1];
    let at = [id, TIMER_ABSTIME, past.as_ptr() as u32, 0];
    syscall(SYS_TIMER_SETTIME, at).expect("timer_settime");
    eq!(
        wait_ms(SIGNAL, NEVER_MS),
        Ok([SI_TIMER, id, 0, 42]),
        "a time of the past ends at once"
    );

    let (new, mut old) = ([0u64, 0, 1 << 40, 0], [0u64; 4]);
    syscall(SYS_TIMER_SETTIME64, [id, 0, new.as_ptr() as u32, 0]).expect("timer_settime64");
    syscall(SYS_TIMER_GETTIME64, [id, old.as_mut_ptr() as u32]).expect("timer_gettime64");
    ok!(old[2] > 1 << 31, "with 64-bit times it may be far away");
    expect_exit("a forked process has no timers", 0, || {
        i32::from(get(id) != Err(Errno::EINVAL))
    });
    eq!(syscall(SYS_TIMER_DELETE, [id]), Ok(0), "it is deleted");
    eq!(get(id), Err(Errno::EINVAL), "and gone");
}

static TID: AtomicU32 = AtomicU32::new(0);
static TOLD: AtomicU32 = AtomicU32::new(0);

extern "C" fn be_told(_: u32) -> i32 {
    TID.store(gettid(), SeqCst);
    let told = wait_ms(SIGNAL, NEVER_MS);
    TOLD.store(told.map_or(1, |info| info[3]), SeqCst);
    0
}

fn others() {
    let thread = spawn(be_told, 0, None).expect("clone");
    while TID.load(SeqCst) == 0 {
        sleep_ms(1);
    }
    let id = create(SIGEV_THREAD_ID, 43, TID.load(SeqCst)).expect("timer_create");
    set(id, 0, 0, 10).expect("timer_settime");
    ok!(thread.join(), "a timer of a thread:");
    eq!(TOLD.load(SeqCst), 43, "signals that thread");
    let silent = create(SIGEV_NONE, 0, 0).expect("timer_create");
    set(silent, 0, 0, 60_000).expect("timer_settime");
    ok!(
        get(silent).is_ok_and(|now| (30..=60).contains(&now[2])),
        "one without a signal can be read"
    );
    let mut id = 9;
    let at = [CLOCK_MONOTONIC, 0, &raw mut id as u32];
    syscall(SYS_TIMER_CREATE, at).expect("timer_create");
    set(id, 0, 0, 1).expect("timer_settime");
    eq!(
        wait_ms(SIGALRM, NEVER_MS),
        Ok([SI_TIMER, id, 0, id]),
        "without an event it is SIGALRM and its number"
    );
}

/// Sets timer `id` to end at `ns` of its own clock, and again every `interval_ns`.
fn set_at(id: u32, interval_ns: u64, ns: u64) {
    let spec = |ns: u64| [ns / 1_000_000_000, ns % 1_000_000_000];
    let ([a, b], [c, d]) = (spec(interval_ns), spec(ns));
    let new = [a, b, c, d];
    let at = [id, TIMER_ABSTIME, new.as_ptr() as u32, 0];
    syscall(SYS_TIMER_SETTIME64, at).expect("timer_settime64");
}

/// Overruns that `signal` tells of, and those that timer `id` then says were told.
fn overruns(id: u32, signal: u32) -> (u32, u32) {
    let told = wait_ms(signal, NEVER_MS).expect("rt_sigtimedwait");
    let said = syscall(SYS_TIMER_GETOVERRUN, [id]).expect("timer_getoverrun");
    (told[2], said)
}

/// However short the interval, a timer rests until its signal is taken, and then all ends are counted.
fn intervals() {
    let id = create(SIGEV_SIGNAL, 1, 0).expect("timer_create");
    let begin = monotonic_ns();
    set_at(id, NS_PER_MS, begin - 50 * NS_PER_MS);
    let (told, said) = overruns(id, SIGNAL);
    let most = 50 + (monotonic_ns() - begin) / NS_PER_MS;
    ok!(
        (50..=most).contains(&u64::from(told)) && said == told,
        "each interval since a time of the past is an overrun"
    );
    set_at(id, 1000, begin);
    sleep_ms(20);
    let waits_ms = (monotonic_ns() - begin) / NS_PER_MS;
    let (told, said) = overruns(id, SIGNAL);
    ok!(
        u64::from(told) >= waits_ms * 1000 - 1 && said == told,
        "each of a microsecond is, while the signal waits"
    );
    set(id, 0, 0, 0).expect("timer_settime");
    while wait_ms(SIGNAL, 0).is_ok() {}

    set(id, 0, 0, 1).expect("timer_settime");
    sleep_ms(20);
    set(id, 0, 0, 1).expect("timer_settime");
    sleep_ms(20);
    eq!(
        overruns(id, SIGNAL).0,
        1,
        "set anew, it counts an overrun in the signal that waits"
    );
    eq!(
        wait_ms(SIGNAL, 0),
        Err(Errno::EAGAIN),
        "of which there is one"
    );
    syscall(SYS_TIMER_DELETE, [id]).expect("timer_delete");

    // Those of the time of day, 1970: more intervals than can be told.
    let mut id = 0;
    let event = [0, SIGNAL, SIGEV_SIGNAL, 0, 0, 0, 0, 0u32];
    let at = [0, event.as_ptr() as u32, &raw mut id as u32];
    syscall(SYS_TIMER_CREATE, at).expect("timer_create");
    set_at(id, NS_PER_MS, 1);
    let many = i32::MAX as u32;
    eq!(
        overruns(id, SIGNAL),
        (many, many),
        "no more than 2147483647 are told"
    );
    syscall(SYS_TIMER_DELETE, [id]).expect("timer_delete");
    while wait_ms(SIGNAL, 0).is_ok() {}
}

/// A signal that has no effect sets its timer going again: it tells of its ends once there is a handler.
fn ignored() {
    const IGNORED: u32 = 37;
    const SIG_IGN: u32 = 1;
    let action = |handler: u32| {
        let action = [handler, 0, 0, 0, 0];
        let at = [IGNORED, action.as_ptr() as u32, 0, 8];
        syscall(SYS_RT_SIGACTION, at).expect("rt_sigaction");
    };
    action(SIG_IGN);
    let (event, mut id) = ([0, IGNORED, SIGEV_SIGNAL, 0, 0, 0, 0, 0u32], 0u32);
    let at = [CLOCK_MONOTONIC, event.as_ptr() as u32, &raw mut id as u32];
    syscall(SYS_TIMER_CREATE, at).expect("timer_create");
    let begin = monotonic_ns();
    set_at(id, NS_PER_MS, begin);
    sleep_ms(20);
    block(&[IGNORED]);
    let (told, _) = overruns(id, IGNORED);
    let most = (monotonic_ns() - begin) / NS_PER_MS;
    ok!(
        (1..=most).contains(&u64::from(told)),
        "a timer whose signal is ignored runs on"
    );
    syscall(SYS_TIMER_DELETE, [id]).expect("timer_delete");
}

fn errors() {
    let mut id = 0u32;
    let at = &raw mut id as u32;
    let event = |signal: u32, how: u32, tid: u32| [0, signal, how, tid, 0, 0, 0, 0];
    let good = event(SIGNAL, SIGEV_SIGNAL, 0);
    let [signal, how, tid] = [
        event(65, 0, 0),
        event(SIGNAL, 9, 0),
        event(SIGNAL, 4, 1 << 20),
    ];
    for (arguments, errno, name) in [
        (
            [99, good.as_ptr() as u32, at],
            Errno::EINVAL,
            "another clock",
        ),
        ([0, signal.as_ptr() as u32, at], Errno::EINVAL, "signal 65"),
        (
            [0, how.as_ptr() as u32, at],
            Errno::EINVAL,
            "another way to notify",
        ),
        (
            [0, tid.as_ptr() as u32, at],
            Errno::EINVAL,
            "a thread of another process",
        ),
        ([0, KERNEL_ADDRESS, at], Errno::EFAULT, "no event"),
        (
            [0, good.as_ptr() as u32, KERNEL_ADDRESS],
            Errno::EFAULT,
            "nowhere to put its number",
        ),
    ] {
        eq!(
            syscall(SYS_TIMER_CREATE, arguments),
            Err(errno),
            "{name}: {errno:?}"
        );
    }
    let id = create(SIGEV_NONE, 0, 0).expect("timer_create");
    let time = [0u32, 0, 0, 1_000_000_000];
    eq!(
        syscall(SYS_TIMER_SETTIME, [id, 0, time.as_ptr() as u32, 0]),
        Err(Errno::EINVAL),
        "an invalid time: EINVAL"
    );
    eq!(
        syscall(SYS_TIMER_SETTIME, [id, 0, 0, 0]),
        Err(Errno::EINVAL),
        "no time: EINVAL"
    );
}

fn main() -> i32 {
    ktap::plan(31);
    block(&[SIGNAL, SIGALRM]);
    telling();
    others();
    intervals();
    ignored();
    errors();
    ktap::finish()
}

rt::main!(main);

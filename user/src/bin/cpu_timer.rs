//! Timers and clocks of CPU time: of a process, of a thread, of another process.
//!
//! Linux: timer_create(2), setitimer(2), clock_getres(2).
//! Red without: the time of each thread in that of its process; the timer of one thread apart from
//! another's; the tick's look at them; a clock that stands still; the signal of each.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child,
    clock::{NS_PER_MS, PATIENCE_NS, clock_gettime, monotonic_ns, sleep_ms},
    eq, expect_exit, expect_signal,
    gates::syscall,
    ktap, ok,
    posix_timer::{
        self, SI_TIMER, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD_ID, TIMER_ABSTIME, get, set_ns,
    },
    process::{exec_self, exit},
    signals::{block, wait_ms},
    start,
    thread::{gettid, spawn},
};

const SYS_PAUSE: u32 = 29;
const SYS_KILL: u32 = 37;
const SYS_SETITIMER: u32 = 104;
const SYS_GETITIMER: u32 = 105;
const SYS_RT_SIGPROCMASK: u32 = 175;
const SYS_GETRANDOM: u32 = 355;
const SYS_TIMER_DELETE: u32 = 263;
const PROCESS: u32 = 2;
const THREAD: u32 = 3;
/// Bits of a clock number: all time in ring 3, all time on a CPU, a thread's.
const VIRT: u32 = 1;
const SCHED: u32 = 2;
const PERTHREAD: u32 = 4;
const SI_KERNEL: u32 = 0x80;
const ITIMER_VIRTUAL: u32 = 1;
const ITIMER_PROF: u32 = 2;
const SIGKILL: u32 = 9;
const SIGALRM: u32 = 14;
const SIGVTALRM: u32 = 26;
const SIGPROF: u32 = 27;
const SIGNAL: u32 = 36;
const MS: u64 = NS_PER_MS;

/// Takes `signal` if it is pending: its code, timer, overruns, value.
fn take(signal: u32) -> Result<[u32; 4], Errno> {
    wait_ms(signal, 0)
}

fn now(clock: u32) -> u64 {
    let [seconds, ns] = clock_gettime(clock).expect("clock_gettime");
    u64::from(seconds) * 1_000_000_000 + u64::from(ns)
}

/// Computes until `clock` has gone on by `ms`, or for long.
fn burn(clock: u32, ms: u64) {
    let (begin, patience) = (now(clock), monotonic_ns() + PATIENCE_NS);
    while now(clock) < begin + ms * MS && monotonic_ns() < patience {
        for _ in 0..10_000 {
            core::hint::spin_loop();
        }
    }
}

/// Computes until `signal` comes, or for long.
fn burn_until(signal: u32) -> Result<[u32; 4], Errno> {
    let patience = monotonic_ns() + PATIENCE_NS;
    loop {
        let taken = take(signal);
        if taken.is_ok() || monotonic_ns() > patience {
            return taken;
        }
        for _ in 0..10_000 {
            core::hint::spin_loop();
        }
    }
}

fn create(clock: u32, how: u32, value: u32, tid: u32) -> Result<u32, Errno> {
    posix_timer::create(clock, SIGNAL, how, value, tid)
}

fn of_process() {
    let id = create(PROCESS, SIGEV_SIGNAL, 42, 0).expect("timer_create");
    let begin = now(PROCESS);
    eq!(
        set_ns(id, 0, 0, 40 * MS),
        Ok([0; 4]),
        "a new timer does not run"
    );
    sleep_ms(100);
    eq!(
        take(SIGNAL),
        Err(Errno::EAGAIN),
        "while the process sleeps, its timer does too"
    );
    ok!(
        get(id).is_ok_and(|left| left[2] == 0 && (1..=40_000_000).contains(&left[3])),
        "and has time left"
    );
    eq!(
        burn_until(SIGNAL),
        Ok([SI_TIMER, id, 0, 42]),
        "it ends once the process has run for so long, with its value"
    );
    ok!(now(PROCESS) - begin >= 40 * MS, "and not early");
    eq!(get(id), Ok([0; 4]), "and then does not run");
    burn(PROCESS, 12);
    eq!(take(SIGNAL), Err(Errno::EAGAIN), "once");

    let begin = now(PROCESS);
    set_ns(id, 0, 2 * MS, 2 * MS).expect("timer_settime");
    burn(PROCESS, 60);
    let told = burn_until(SIGNAL).expect("rt_sigtimedwait");
    let most = (now(PROCESS) - begin) / (2 * MS);
    ok!(
        told[..2] == [SI_TIMER, id] && (20..=most).contains(&u64::from(told[2])),
        "with an interval, one signal tells of the overruns"
    );
    ok!(
        get(id).is_ok_and(|left| left[1] == 2_000_000 && left[3] != 0),
        "and it goes on"
    );
    ok!(burn_until(SIGNAL).is_ok(), "to the next signal");
    set_ns(id, 0, 0, 0).expect("timer_settime");
    while take(SIGNAL).is_ok() {}
    burn(PROCESS, 12);
    eq!(take(SIGNAL), Err(Errno::EAGAIN), "it is stopped");

    let end = now(PROCESS) + 20 * MS;
    set_ns(id, TIMER_ABSTIME, 0, end).expect("timer_settime");
    ok!(
        burn_until(SIGNAL).is_ok() && now(PROCESS) >= end,
        "it may end at a time of the clock"
    );
    set_ns(id, TIMER_ABSTIME, 0, 1).expect("timer_settime");
    eq!(
        take(SIGNAL),
        Ok([SI_TIMER, id, 0, 42]),
        "a time of the past ends at once"
    );
    let silent = create(PROCESS, SIGEV_NONE, 0, 0).expect("timer_create");
    set_ns(silent, 0, 0, 50_000 * MS).expect("timer_settime");
    burn(PROCESS, 12);
    ok!(
        get(silent).is_ok_and(|left| (30..50).contains(&left[2])),
        "one without a signal can be read"
    );
    let user = create(!0 << 3 | VIRT, SIGEV_SIGNAL, 43, 0).expect("timer_create");
    set_ns(user, 0, 0, 20 * MS).expect("timer_settime");
    ok!(
        burn_until(SIGNAL).is_ok_and(|told| told[3] == 43),
        "one may count the time in ring 3 alone"
    );
    let (all, in_ring_3) = (now(PROCESS), now(!0 << 3 | VIRT));
    let patience = monotonic_ns() + PATIENCE_NS;
    while now(PROCESS) < all + 200 * MS && monotonic_ns() < patience {
        let mut random = [0u32; 64];
        for _ in 0..20 {
            syscall(SYS_GETRANDOM, [random.as_mut_ptr() as u32, 256, 0]).expect("getrandom");
        }
    }
    ok!(
        now(!0 << 3 | VIRT) - in_ring_3 < now(PROCESS) - all,
        "time in the kernel is none in ring 3"
    );
    expect_exit("a forked process has no timers", 0, || {
        i32::from(get(silent) != Err(Errno::EINVAL) || now(PROCESS) > 20 * MS)
    });
    for id in [id, silent, user] {
        syscall(SYS_TIMER_DELETE, [id]).expect("timer_delete");
    }
}

static TID: AtomicU32 = AtomicU32::new(0);
static BURN: AtomicU32 = AtomicU32::new(0);

/// Computes while it is told to.
extern "C" fn worker(_: u32) -> i32 {
    TID.store(gettid(), SeqCst);
    while BURN.load(SeqCst) != 2 {
        match BURN.load(SeqCst) {
            0 => sleep_ms(4),
            _ => burn(THREAD, 4),
        }
    }
    0
}

fn of_threads() {
    let thread = spawn(worker, 0, None).expect("clone");
    while TID.load(SeqCst) == 0 {
        sleep_ms(1);
    }
    let theirs = !TID.load(SeqCst) << 3 | PERTHREAD | SCHED;
    let (mine, main) = (
        create(THREAD, SIGEV_SIGNAL, 1, 0).expect("timer_create"),
        gettid(),
    );
    let other = create(theirs, SIGEV_THREAD_ID, 2, main).expect("timer_create");
    set_ns(mine, 0, 0, 3_600_000 * MS).expect("timer_settime");
    set_ns(other, 0, 0, 40 * MS).expect("timer_settime");
    burn(THREAD, 80);
    eq!(
        take(SIGNAL),
        Err(Errno::EAGAIN),
        "one thread's time does not end another's timer"
    );
    let (process, own, begin) = (now(PROCESS), now(THREAD), now(theirs));
    BURN.store(1, SeqCst);
    let told = wait_ms(SIGNAL, (PATIENCE_NS / MS) as u32);
    eq!(
        told,
        Ok([SI_TIMER, other, 0, 2]),
        "its own does, and signals the thread that was chosen"
    );
    let ran = now(theirs) - begin;
    ok!(
        ran >= 28 * MS && now(PROCESS) - process >= ran && now(THREAD) - own < ran,
        "the time of a process is that of its threads"
    );
    set_ns(other, 0, 0, 40 * MS).expect("timer_settime");
    BURN.store(2, SeqCst);
    ok!(thread.join(), "once the thread has ended:");
    while take(SIGNAL).is_ok() {}
    let ended = || get(other) == Ok([0; 4]);
    ok!(
        rt::clock::comes_true(ended),
        "a timer by its time does not run"
    );
    eq!(
        set_ns(other, 0, 0, MS),
        Err(Errno::ESRCH),
        "and cannot be set: ESRCH"
    );
    for (id, name) in [
        (mine, "a timer of a live clock"),
        (other, "one of a dead clock"),
    ] {
        eq!(syscall(SYS_TIMER_DELETE, [id]), Ok(0), "{name} is deleted");
    }
}

fn of_others() {
    let busy = child(|| {
        loop {
            core::hint::spin_loop();
        }
    });
    let clock = !busy.pid << 3 | SCHED;
    let id = create(clock, SIGEV_SIGNAL, 3, 0).expect("timer_create");
    set_ns(id, 0, 0, 20 * MS).expect("timer_settime");
    ok!(
        wait_ms(SIGNAL, (PATIENCE_NS / MS) as u32).is_ok_and(|told| told[3] == 3),
        "the time of another process ends a timer of this one"
    );
    set_ns(id, 0, 0, 3_600_000 * MS).expect("timer_settime");
    syscall(SYS_KILL, [busy.pid, SIGKILL]).expect("kill");
    busy.wait();
    eq!(get(id), Ok([0; 4]), "when it is gone, the timer is too");
    eq!(
        set_ns(id, 0, 0, MS),
        Err(Errno::ESRCH),
        "and stays so: ESRCH"
    );
    syscall(SYS_TIMER_DELETE, [id]).expect("timer_delete");

    let lazy = child(|| {
        burn(PROCESS, 20);
        loop {
            // Only the parent's signal ends this.
            let _interrupted = syscall(SYS_PAUSE, []);
        }
    });
    let clock = !lazy.pid << 3 | SCHED;
    let burnt = || clock_gettime(clock).is_ok_and(|[_, ns]| u64::from(ns) >= 20 * MS);
    ok!(
        rt::clock::comes_true(burnt),
        "another process's clock is read"
    );
    sleep_ms(40);
    let id = create(clock, SIGEV_SIGNAL, 4, 0).expect("timer_create");
    set_ns(id, TIMER_ABSTIME, 0, MS).expect("timer_settime");
    ok!(
        take(SIGNAL).is_ok_and(|told| told[3] == 4),
        "a time that a sleeping process has passed ends at once"
    );
    let of_a_thread = clock | PERTHREAD;
    eq!(
        create(of_a_thread, SIGEV_SIGNAL, 0, 0),
        Err(Errno::EINVAL),
        "not by a thread of another process: EINVAL"
    );
    expect_exit(
        "a process may end with a timer by another's time",
        0,
        || {
            let id = create(clock, SIGEV_SIGNAL, 4, 0).expect("timer_create");
            set_ns(id, 0, MS, 3_600_000 * MS).map_or(1, |_| 0)
        },
    );
    syscall(SYS_KILL, [lazy.pid, SIGKILL]).expect("kill");
    lazy.wait();
    for (clock, errno, name) in [
        (!0 << 3 | 3, Errno::EINVAL, "a fourth kind of time"),
        (!(1u32 << 20) << 3 | SCHED, Errno::EINVAL, "no such process"),
        (4, Errno::EOPNOTSUPP, "MONOTONIC_RAW"),
        (6, Errno::EOPNOTSUPP, "MONOTONIC_COARSE"),
    ] {
        eq!(
            create(clock, SIGEV_SIGNAL, 0, 0),
            Err(errno),
            "{name}: {errno:?}"
        );
    }
}

/// Sets interval and value of an interval timer, in milliseconds.
fn set_it(which: u32, interval_ms: u32, value_ms: u32) {
    let it = [
        0,
        interval_ms * 1000,
        value_ms / 1000,
        value_ms % 1000 * 1000,
    ];
    syscall(SYS_SETITIMER, [which, it.as_ptr() as u32, 0]).expect("setitimer");
}

/// Returns interval and value of an interval timer, in microseconds.
fn get_it(which: u32) -> (u32, u32) {
    let mut it = [u32::MAX; 4];
    syscall(SYS_GETITIMER, [which, it.as_mut_ptr() as u32]).expect("getitimer");
    (it[0] * 1_000_000 + it[1], it[2] * 1_000_000 + it[3])
}

fn interval_timers() {
    for (which, signal, name, forked, killed) in [
        (
            ITIMER_VIRTUAL,
            SIGVTALRM,
            "ITIMER_VIRTUAL",
            "a forked process has no ITIMER_VIRTUAL",
            "without a handler SIGVTALRM ends the program",
        ),
        (
            ITIMER_PROF,
            SIGPROF,
            "ITIMER_PROF",
            "nor ITIMER_PROF",
            "without a handler SIGPROF ends it",
        ),
    ] {
        eq!(get_it(which), (0, 0), "{name} does not run at first");
        let begin = now(PROCESS);
        set_it(which, 0, 40);
        sleep_ms(100);
        eq!(
            take(signal),
            Err(Errno::EAGAIN),
            "{name}: it stands still in a sleep"
        );
        ok!(
            (1..=45_000).contains(&get_it(which).1),
            "{name}: and tells the time left"
        );
        ok!(
            burn_until(signal).is_ok_and(|told| told[0] == SI_KERNEL)
                && now(PROCESS) - begin >= 40 * MS,
            "{name}: its signal comes after so much time of the process"
        );
        eq!(get_it(which), (0, 0), "{name}: once");
        set_it(which, 8, 8);
        let again = (0..3).all(|_| burn_until(signal).is_ok());
        ok!(
            again && get_it(which).0 == 8000,
            "{name}: or again and again"
        );
        set_it(which, 8, 0);
        while take(signal).is_ok() {}
        burn(PROCESS, 20);
        eq!(
            (take(signal), get_it(which)),
            (Err(Errno::EAGAIN), (0, 0)),
            "{name}: until it is turned off"
        );
        set_it(which, 0, 100_000);
        expect_exit(forked, 0, || i32::from(get_it(which) != (0, 0)));
        set_it(which, 0, 0);
        expect_signal(killed, signal, || {
            let set = 1u64 << (signal - 1);
            syscall(SYS_RT_SIGPROCMASK, [1, &raw const set as u32, 0, 8]).expect("sigprocmask");
            set_it(which, 0, 10);
            burn(PROCESS, 1000);
        });
    }
    let kept = child(|| {
        set_it(ITIMER_PROF, 0, 100_000);
        exec_self(c"after-exec")
    });
    eq!(kept.wait(), WaitStatus::exited(0), "exec keeps them");
    expect_exit("a thread's exec too", 0, || {
        let _none = spawn(executes, 0, None).expect("clone");
        sleep_ms(10_000);
        1
    });
}

extern "C" fn executes(_: u32) -> i32 {
    set_it(ITIMER_PROF, 0, 100_000);
    exec_self(c"after-exec")
}

fn main() -> i32 {
    if start::arg(1) == Some("after-exec") {
        let (_, left) = get_it(ITIMER_PROF);
        set_it(ITIMER_PROF, 0, 20);
        let rang = burn_until(SIGPROF).is_ok();
        exit(i32::from(left < 60_000_000 || !rang));
    }
    ktap::plan(56);
    block(&[SIGNAL, SIGALRM, SIGVTALRM, SIGPROF]);
    of_process();
    of_threads();
    of_others();
    interval_timers();
    ktap::finish()
}

rt::main!(main);

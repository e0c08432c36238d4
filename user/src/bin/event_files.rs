//! eventfd and timerfd: a counter and a timer that are read from files.
//!
//! Linux: eventfd(2), timerfd_create(2).
//! Red without: the sleep of a reader and of a writer; the semaphore; the count of expiries; the
//! interval; the time of day.
#![no_std]
#![no_main]

use rt::{
    Errno, WaitStatus, child,
    clock::{
        CLOCK_MONOTONIC, CLOCK_REALTIME, NS_PER_MS, clock_gettime, comes_true, monotonic_ns,
        sleep_ms,
    },
    eq, expect_exit,
    gates::syscall,
    job::{is_woken, sleeps},
    ktap,
    memory::KERNEL_ADDRESS,
    ok,
    poll::{POLLIN, POLLOUT, poll},
    process::setuid,
    signals::{SA_RESTART, SIGUSR1, Sigcontext, kill, set_handler, set_handler_with},
};

const READ: u32 = 3;
const WRITE: u32 = 4;
const FCNTL64: u32 = 221;
const EPOLL_CTL: u32 = 255;
const EPOLL_WAIT: u32 = 256;
const EPOLL_CREATE1: u32 = 329;
const TIMERFD_CREATE: u32 = 322;
const EVENTFD: u32 = 323;
const TIMERFD_SETTIME: u32 = 325;
const TIMERFD_GETTIME: u32 = 326;
const EVENTFD2: u32 = 328;
const TIMERFD_GETTIME64: u32 = 410;
const TIMERFD_SETTIME64: u32 = 411;
const SEMAPHORE: u32 = 1;
const NONBLOCK: u32 = 0o4000;
const CLOEXEC: u32 = 0o2_000_000;
const F_GETFD: u32 = 1;
const F_GETFL: u32 = 3;
const O_RDWR: u32 = 2;
const ABSTIME: u32 = 1;
const HOUR_NS: u64 = 3_600_000 * NS_PER_MS;
const MAX: u64 = u64::MAX - 1;

extern "C" fn nothing(_: u32, _: Sigcontext) {}

fn counter(count: u32, flags: u32) -> u32 {
    syscall(EVENTFD2, [count, flags]).expect("eventfd2")
}

/// Reads a value of 8 bytes.
fn get(fd: u32) -> Result<u64, Errno> {
    let mut value = 0u64;
    match syscall(READ, [fd, &raw mut value as u32, 8])? {
        8 => Ok(value),
        _ => Err(Errno::EIO),
    }
}

fn put(fd: u32, value: u64) -> Result<u32, Errno> {
    syscall(WRITE, [fd, &raw const value as u32, 8])
}

fn counters() {
    let fd = counter(3, NONBLOCK);
    eq!(
        (get(fd), get(fd)),
        (Ok(3), Err(Errno::EAGAIN)),
        "a read takes all, then waits: EAGAIN"
    );
    eq!(poll(fd), POLLOUT, "a counter of 0 is not readable");
    eq!(
        (put(fd, 2), put(fd, 5), get(fd)),
        (Ok(8), Ok(8), Ok(7)),
        "writes add up"
    );
    eq!(put(fd, MAX), Ok(8), "the counter can be 2^64 - 2");
    eq!(poll(fd), POLLIN, "then it is not writable");
    eq!(
        (put(fd, 1), put(fd, 0)),
        (Err(Errno::EAGAIN), Ok(8)),
        "nor is there room for 1, but for 0"
    );
    eq!(
        put(fd, u64::MAX),
        Err(Errno::EINVAL),
        "2^64 - 1 cannot be written: EINVAL"
    );
    eq!(get(fd), Ok(MAX), "it is read as it is");
    eq!(
        syscall(READ, [fd, 0, 7]),
        Err(Errno::EINVAL),
        "seven bytes to read: EINVAL"
    );
    eq!(
        syscall(WRITE, [fd, 0, 7]),
        Err(Errno::EINVAL),
        "seven bytes to write: EINVAL"
    );
    eq!(
        syscall(WRITE, [fd, 0, 8]),
        Err(Errno::EFAULT),
        "nothing to write there: EFAULT"
    );
    put(fd, 1).expect("write");
    let lost = syscall(READ, [fd, 0, 8]);
    eq!(
        (lost, get(fd)),
        (Err(Errno::EFAULT), Err(Errno::EAGAIN)),
        "a value that cannot be stored is lost"
    );
    let semaphore = counter(2, SEMAPHORE | NONBLOCK);
    let taken = [get(semaphore), get(semaphore), get(semaphore)];
    eq!(
        taken,
        [Ok(1), Ok(1), Err(Errno::EAGAIN)],
        "a semaphore gives 1 a read"
    );
    eq!(
        syscall(EVENTFD2, [0, 2]),
        Err(Errno::EINVAL),
        "eventfd2, an unknown flag: EINVAL"
    );
    let fd = syscall(EVENTFD, [9]).expect("eventfd");
    eq!(get(fd), Ok(9), "eventfd has no flags");
    let fd = counter(0, CLOEXEC | NONBLOCK);
    let flags = [F_GETFD, F_GETFL].map(|what| syscall(FCNTL64, [fd, what]));
    eq!(
        flags,
        [Ok(1), Ok(O_RDWR | NONBLOCK)],
        "flags become those of the descriptor and the file"
    );
}

fn counters_wait() {
    let fd = counter(0, 0);
    let woken = is_woken(|| get(fd) == Ok(4), || _ = put(fd, 4));
    ok!(woken, "a reader sleeps until there is a value");
    put(fd, MAX).expect("write");
    let woken = is_woken(|| put(fd, 1) == Ok(8), || _ = get(fd));
    ok!(woken, "a writer sleeps until there is room");
    get(fd).expect("read");
    set_handler(SIGUSR1, nothing).expect("rt_sigaction");
    let sleeper = sleeps(child(|| i32::from(get(fd) != Err(Errno::EINTR))));
    kill(sleeper.pid, SIGUSR1).expect("kill");
    eq!(
        sleeper.wait(),
        WaitStatus::exited(0),
        "a signal ends a read: EINTR"
    );
    set_handler_with(SIGUSR1, nothing, SA_RESTART).expect("rt_sigaction");
    let sleeper = sleeps(child(|| i32::from(get(fd) != Ok(6))));
    kill(sleeper.pid, SIGUSR1).expect("kill");
    sleep_ms(20);
    put(fd, 6).expect("write");
    eq!(
        sleeper.wait(),
        WaitStatus::exited(0),
        "with SA_RESTART the read goes on"
    );
    let list = syscall(EPOLL_CREATE1, [0]).expect("epoll_create1");
    let mut event = [POLLIN, 7, 8];
    syscall(EPOLL_CTL, [list, 1, fd, event.as_ptr() as u32]).expect("epoll_ctl");
    let mut wait = |ms| syscall(EPOLL_WAIT, [list, event.as_mut_ptr() as u32, 1, ms]);
    eq!(wait(0), Ok(0), "epoll: no value");
    put(fd, 1).expect("write");
    eq!(wait(u32::MAX), Ok(1), "epoll: a value");
}

fn timer(clock: u32) -> u32 {
    syscall(TIMERFD_CREATE, [clock, NONBLOCK]).expect("timerfd_create")
}

fn spec(ns: u64) -> [u32; 2] {
    [(ns / 1_000_000_000) as u32, (ns % 1_000_000_000) as u32]
}

/// Sets interval and value; returns the old ones in nanoseconds.
fn set(fd: u32, flags: u32, interval_ns: u64, value_ns: u64) -> Result<[u64; 2], Errno> {
    let ([a, b], [c, d]) = (spec(interval_ns), spec(value_ns));
    let (new, mut old) = ([a, b, c, d], [0u32; 4]);
    let at = [fd, flags, new.as_ptr() as u32, old.as_mut_ptr() as u32];
    syscall(TIMERFD_SETTIME, at).map(|_| ns_of(old))
}

fn ns_of([a, b, c, d]: [u32; 4]) -> [u64; 2] {
    [(a, b), (c, d)].map(|(s, ns)| u64::from(s) * 1_000_000_000 + u64::from(ns))
}

fn value(fd: u32) -> [u64; 2] {
    let mut now = [0u32; 4];
    syscall(TIMERFD_GETTIME, [fd, now.as_mut_ptr() as u32]).expect("timerfd_gettime");
    ns_of(now)
}

fn timers() {
    let fd = timer(CLOCK_MONOTONIC);
    eq!(
        (get(fd), value(fd)),
        (Err(Errno::EAGAIN), [0, 0]),
        "a new timer is stopped"
    );
    eq!(
        set(fd, 0, 0, 20 * NS_PER_MS),
        Ok([0, 0]),
        "it had no value before"
    );
    set(fd, 0, 0, HOUR_NS).expect("timerfd_settime");
    let left = value(fd)[1];
    ok!(
        left > 0 && left <= HOUR_NS,
        "the time to the expiry is told"
    );
    eq!(poll(fd), 0, "it is not readable before");
    set(fd, 0, 0, 20 * NS_PER_MS).expect("timerfd_settime");
    ok!(
        comes_true(|| poll(fd) == POLLIN),
        "an expiry makes it readable"
    );
    eq!(
        (get(fd), get(fd)),
        (Ok(1), Err(Errno::EAGAIN)),
        "one expiry is read once"
    );
    eq!(value(fd), [0, 0], "then it is stopped");
    set(fd, 0, 10 * NS_PER_MS, NS_PER_MS).expect("timerfd_settime");
    let begun = monotonic_ns();
    sleep_ms(60);
    let (count, most) = (
        get(fd).unwrap_or(0),
        (monotonic_ns() - begun) / (10 * NS_PER_MS) + 2,
    );
    ok!(
        count >= 6 && count <= most,
        "an interval: all expiries are counted"
    );
    let [interval, left] = value(fd);
    ok!(
        interval == 10 * NS_PER_MS && left <= interval,
        "its state has the interval"
    );
    ok!(comes_true(|| poll(fd) == POLLIN), "it goes on");
    eq!(
        set(fd, 0, 5_000_000, 0).map(|old| old[0]),
        Ok(10 * NS_PER_MS),
        "a value of 0 stops it"
    );
    eq!(
        (get(fd), value(fd)),
        (Err(Errno::EAGAIN), [5_000_000, 0]),
        "its expiries are forgotten"
    );
    for (clock, name) in [(CLOCK_MONOTONIC, "boot"), (CLOCK_REALTIME, "day")] {
        let fd = timer(clock);
        let begun = monotonic_ns();
        let [s, ns] = clock_gettime(clock).expect("clock_gettime");
        let now = u64::from(s) * 1_000_000_000 + u64::from(ns);
        set(fd, ABSTIME, 0, now + HOUR_NS).expect("timerfd_settime");
        let left = value(fd)[1] / (1000 * NS_PER_MS);
        ok!(
            (3500..3600).contains(&left) && poll(fd) == 0,
            "a time by the clock of the {name}"
        );
        // The clock has run for longer than that.
        set(fd, ABSTIME, 10 * NS_PER_MS, now - 45 * NS_PER_MS).expect("timerfd_settime");
        let (count, took) = (get(fd).unwrap_or(0), monotonic_ns() - begun);
        let most = 6 + took / (10 * NS_PER_MS);
        ok!(
            (5..=most).contains(&count),
            "a time by the clock of the {name} that is over"
        );
    }
    let fd = syscall(TIMERFD_CREATE, [CLOCK_MONOTONIC, 0]).expect("timerfd_create");
    set(fd, 0, 0, 20 * NS_PER_MS).expect("timerfd_settime");
    let begun = monotonic_ns();
    eq!(get(fd), Ok(1), "a reader sleeps until the expiry");
    ok!(monotonic_ns() - begun >= 15 * NS_PER_MS, "and no shorter");
    let woken = is_woken(|| get(fd) == Ok(1), || _ = set(fd, 0, 0, NS_PER_MS));
    ok!(woken, "a reader of a stopped timer sleeps until it is set");
    set(fd, 0, 0, HOUR_NS).expect("timerfd_settime");
    let woken = is_woken(|| get(fd) == Ok(1), || _ = set(fd, 0, 0, NS_PER_MS));
    ok!(
        woken,
        "a timer that is set anew does not keep its reader for the old time"
    );
}

fn timer_errors() {
    let fd = timer(CLOCK_MONOTONIC);
    let create = |clock, flags| syscall(TIMERFD_CREATE, [clock, flags]);
    eq!(
        create(2, 0),
        Err(Errno::EINVAL),
        "a clock of CPU time: EINVAL"
    );
    eq!(
        create(CLOCK_MONOTONIC, 1),
        Err(Errno::EINVAL),
        "timerfd_create, an unknown flag: EINVAL"
    );
    ok!(create(7, 0).is_ok(), "CLOCK_BOOTTIME is a clock");
    let good = [0u32; 4];
    let set = |fd, flags, new| syscall(TIMERFD_SETTIME, [fd, flags, new, 0]);
    let at = good.as_ptr() as u32;
    eq!(
        set(999, 0, 0),
        Err(Errno::EFAULT),
        "the new value comes first: EFAULT"
    );
    eq!(
        set(999, 4, at),
        Err(Errno::EINVAL),
        "then the flags: EINVAL"
    );
    eq!(
        set(999, 0, at),
        Err(Errno::EBADF),
        "then the descriptor: EBADF"
    );
    eq!(
        set(0, 0, at),
        Err(Errno::EINVAL),
        "and that it is a timer: EINVAL"
    );
    let bad = [0, 0, 0, 1_000_000_000];
    eq!(
        set(fd, 0, bad.as_ptr() as u32),
        Err(Errno::EINVAL),
        "a second of nanoseconds: EINVAL"
    );
    eq!(
        put(fd, 1),
        Err(Errno::EINVAL),
        "a timer cannot be written: EINVAL"
    );
    eq!(
        syscall(READ, [fd, 0, 7]),
        Err(Errno::EINVAL),
        "seven bytes of a timer: EINVAL"
    );
    let old = syscall(TIMERFD_GETTIME, [fd, KERNEL_ADDRESS]);
    eq!(old, Err(Errno::EFAULT), "its state, to the kernel: EFAULT");
    let long = [3u32, 0, 4000, 0, 5, 0, 6000, 0];
    let (new, mut now) = (long.as_ptr() as u32, [u32::MAX; 8]);
    let done = [
        syscall(TIMERFD_SETTIME64, [fd, 0, new, 0]),
        syscall(TIMERFD_GETTIME64, [fd, now.as_mut_ptr() as u32]),
    ];
    ok!(
        done == [Ok(0); 2] && now[0] == 3 && now[2] == 4000,
        "times of 64 bits"
    );
    ok!(
        (4..=5).contains(&now[4]) && now[5] == 0,
        "and the time left in 64 bits"
    );
    expect_exit(
        "a clock that wakes the machine needs privilege: EPERM",
        0,
        || {
            let _may_be_so_already = setuid(1000);
            i32::from(create(9, 0) != Err(Errno::EPERM))
        },
    );
}

fn main() -> i32 {
    ktap::plan(56);
    counters();
    counters_wait();
    timers();
    timer_errors();
    ktap::finish()
}

rt::main!(main);

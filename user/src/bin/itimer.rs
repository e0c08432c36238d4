//! alarm and setitimer: SIGALRM after a time.
//!
//! Linux: alarm(2), setitimer(2).
//! Red without: the timer itself; setting it anew.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child,
    clock::{monotonic_ns, nanosleep, sleep_ms},
    eq, expect_exit, expect_signal,
    gates::syscall,
    ktap,
    memory::KERNEL_ADDRESS,
    ok,
    process::{exec_self, exit, exit_group},
    signals::{Sigcontext, set_handler},
    start,
    thread::spawn,
};

const SYS_ALARM: u32 = 27;
const SYS_PAUSE: u32 = 29;
const SYS_SETITIMER: u32 = 104;
const SYS_GETITIMER: u32 = 105;
const SYS_RT_SIGPROCMASK: u32 = 175;
const SIG_BLOCK: u32 = 0;
const SIG_UNBLOCK: u32 = 1;
const REAL: u32 = 0;
const VIRTUAL: u32 = 1;
const SIGALRM: u32 = 14;

static RANG: AtomicU32 = AtomicU32::new(0);

extern "C" fn ring(_: u32, _: Sigcontext) {
    RANG.fetch_add(1, SeqCst);
}

fn alarm(seconds: u32) -> u32 {
    syscall(SYS_ALARM, [seconds]).expect("alarm cannot fail")
}

fn pause() -> Result<u32, Errno> {
    syscall(SYS_PAUSE, [])
}

/// Sets interval and value, each in milliseconds.
fn set(which: u32, interval_ms: u32, value_ms: u32) -> Result<u32, Errno> {
    let it = [
        interval_ms / 1000,
        interval_ms % 1000 * 1000,
        value_ms / 1000,
        value_ms % 1000 * 1000,
    ];
    syscall(SYS_SETITIMER, [which, it.as_ptr() as u32, 0])
}

/// Returns interval and value in microseconds.
fn get(which: u32) -> Result<(u32, u32), Errno> {
    let mut it = [u32::MAX; 4];
    syscall(SYS_GETITIMER, [which, it.as_mut_ptr() as u32])?;
    Ok((it[0] * 1_000_000 + it[1], it[2] * 1_000_000 + it[3]))
}

fn answers() {
    eq!(alarm(0), 0, "there is no alarm at first");
    eq!(get(REAL), Ok((0, 0)), "and no timer");
    eq!(alarm(100), 0, "one is set");
    ok!(
        (60..=100).contains(&alarm(50)),
        "another instead: the time left of the first"
    );
    ok!(
        get(REAL).is_ok_and(|(interval, value)| interval == 0 && value > 20_000_000),
        "it is the timer"
    );
    ok!((20..=50).contains(&alarm(0)), "none");
    eq!(set(REAL, 3000, 3_600_000), Ok(0), "a timer of an hour");
    ok!(
        get(REAL).is_ok_and(|(interval, value)| interval == 3_000_000
            && (3_500_000_000..=3_600_000_000).contains(&value)),
        "reads back"
    );
    let mut old = [0u32; 4];
    let none = [0u32; 4];
    eq!(
        syscall(
            SYS_SETITIMER,
            [REAL, none.as_ptr() as u32, old.as_mut_ptr() as u32]
        ),
        Ok(0),
        "it is turned off"
    );
    ok!(
        old[0] == 3 && old[1] == 0 && old[2] >= 3500 && old[2] <= 3600,
        "and the old value returned"
    );
    eq!(get(VIRTUAL), Ok((0, 0)), "no timer of CPU time runs");
    eq!(get(3), Err(Errno::EINVAL), "there is no fourth: EINVAL");
    eq!(set(3, 0, 0), Err(Errno::EINVAL), "to be set: EINVAL");
    for (it, what) in [
        ([0, 1_000_000, 0, 0], "a million microseconds"),
        ([0, 0, u32::MAX, 0], "a negative time"),
    ] {
        let result = syscall(SYS_SETITIMER, [REAL, it.as_ptr() as u32, 0]);
        eq!(result, Err(Errno::EINVAL), "{what}: EINVAL");
    }
    eq!(
        syscall(SYS_SETITIMER, [REAL, KERNEL_ADDRESS, 0]),
        Err(Errno::EFAULT),
        "memory of the kernel: EFAULT"
    );
    eq!(
        syscall(SYS_GETITIMER, [REAL, KERNEL_ADDRESS]),
        Err(Errno::EFAULT),
        "to be written: EFAULT"
    );
}

extern "C" fn spin(_: u32) -> i32 {
    loop {
        if RANG.load(SeqCst) == 1000 {
            exit_group(0);
        }
    }
}

extern "C" fn ring_1000(_: u32, _: Sigcontext) {
    RANG.store(1000, SeqCst);
}

fn processes() {
    expect_signal("without a handler it ends the program", SIGALRM, || {
        set(REAL, 0, 10).expect("setitimer");
        loop {
            // Only the signal ends this.
            let _interrupted = pause();
        }
    });
    expect_signal("one that computes too", SIGALRM, || {
        set(REAL, 0, 10).expect("setitimer");
        while RANG.load(SeqCst) != u32::MAX {
            core::hint::spin_loop();
        }
    });
    alarm(100);
    expect_exit("a forked process has none", 0, || {
        i32::from(get(REAL) != Ok((0, 0)))
    });
    ok!(
        get(REAL).is_ok_and(|(_, value)| value > 0),
        "its parent still has"
    );
    alarm(0);
    let kept = child(|| {
        alarm(100);
        exec_self(c"after-exec")
    });
    eq!(kept.wait(), WaitStatus::exited(0), "exec keeps it");
    expect_exit("it rings for a thread that does not block it", 0, || {
        set_handler(SIGALRM, ring_1000).expect("sigaction");
        let _spins = spawn(spin, 0, None).expect("clone");
        let mask = [1u32 << (SIGALRM - 1), 0];
        syscall(SYS_RT_SIGPROCMASK, [SIG_BLOCK, mask.as_ptr() as u32, 0, 8]).expect("sigprocmask");
        set(REAL, 0, 10).expect("setitimer");
        loop {
            sleep_ms(1000);
        }
    });
}

fn rings() {
    set_handler(SIGALRM, ring).expect("sigaction");
    let begin = monotonic_ns();
    // Repeating, since the first signal may come before the pause.
    set(REAL, 30, 30).expect("setitimer");
    eq!(pause(), Err(Errno::EINTR), "it ends a pause");
    let took_ms = (monotonic_ns() - begin) / 1_000_000;
    ok!(took_ms >= 30, "not too early");
    ok!(RANG.load(SeqCst) >= 1, "the handler ran");
    eq!(nanosleep(60, 0), Err(Errno::EINTR), "it ends a sleep");
    set(REAL, 0, 10).expect("setitimer");
    let rang = RANG.swap(0, SeqCst);
    while rang != 0 && RANG.load(SeqCst) == 0 {
        core::hint::spin_loop();
    }
    eq!(get(REAL), Ok((0, 0)), "once");
    set(REAL, 10, 10).expect("setitimer");
    while RANG.load(SeqCst) < 6 {
        core::hint::spin_loop();
    }
    ok!(
        get(REAL).is_ok_and(|(interval, value)| interval == 10_000 && value <= 10_000),
        "with an interval it rings again and again, while the program computes"
    );
    set(REAL, 0, 0).expect("setitimer");
    let rang = RANG.load(SeqCst);
    sleep_ms(40);
    eq!(RANG.load(SeqCst), rang, "until it is turned off");
}

/// However short the interval, the timer rests until its signal is taken.
fn rests() {
    let mask = |how: u32| {
        let mask = [1u32 << (SIGALRM - 1), 0];
        syscall(SYS_RT_SIGPROCMASK, [how, mask.as_ptr() as u32, 0, 8]).expect("sigprocmask");
    };
    mask(SIG_BLOCK);
    set(REAL, 1, 1).expect("setitimer");
    sleep_ms(20);
    eq!(
        get(REAL),
        Ok((1000, 0)),
        "it rests while its signal is blocked"
    );
    let rang = RANG.load(SeqCst);
    mask(SIG_UNBLOCK);
    ok!(RANG.load(SeqCst) > rang, "then the signal comes");
    while RANG.load(SeqCst) < rang + 3 {
        core::hint::spin_loop();
    }
    ok!(
        get(REAL).is_ok_and(|(interval, _)| interval == 1000),
        "and it goes on"
    );
    mask(SIG_BLOCK);
    sleep_ms(20);
    set(REAL, 5, 0).expect("setitimer");
    mask(SIG_UNBLOCK);
    eq!(
        get(REAL),
        Ok((0, 0)),
        "turned off while its signal waits, it does not go on"
    );
}

fn main() -> i32 {
    if start::arg(1) == Some("after-exec") {
        exit(i32::from(alarm(0) < 60));
    }
    ktap::plan(34);
    answers();
    processes();
    rings();
    rests();
    ktap::finish()
}

rt::main!(main);

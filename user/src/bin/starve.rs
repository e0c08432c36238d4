//! No task keeps a CPU for ever by system calls: each attacker without privilege makes one call in
//! a loop, and a victim beside it on the same CPU still gets its share.
//!
//! Book: ch. 7, "The scheduler_tick() Function", "The sched_setscheduler() system call".
//! Linux: 2.6.11 `sched_fork`, `set_user_nice`; sched(7).
//! Red without: a time slice that only the tick refills; the expired array, kept when a task's
//! policy, priority or CPU changes; the division of the slice at fork.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, child,
    clock::{NS_PER_MS, monotonic_ns, sleep_ms},
    eq, expect_exit,
    gates::syscall,
    job::{SIGKILL, send},
    ktap,
    memory::{SharedPage, shared_page},
    ok,
    process::{NOBODY, WNOHANG, exit, fork, getpid, setuid, wait4},
    sched::{
        SCHED_FIFO, SCHED_OTHER, SCHED_RR, sched_setscheduler, sched_yield, set_affinity,
        stay_on_one_cpu,
    },
    thread::{CLONE_PARENT, SIGCHLD, SYS_CLONE},
};

const SYS_NICE: u32 = 34;
const SYS_KILL: u32 = 37;
const SYS_SETPGID: u32 = 57;
const SYS_SCHED_SETPARAM: u32 = 154;

/// How long the victim is watched.
const WATCHED_MS: u64 = 400;

/// Returns by how much `counter` grows meanwhile.
fn progress(counter: &AtomicU32) -> u32 {
    let before = counter.load(SeqCst);
    let end = monotonic_ns() + WATCHED_MS * NS_PER_MS;
    while monotonic_ns() < end {
        sleep_ms(20);
        while wait4(-1, WNOHANG).is_ok_and(|(pid, _)| pid != 0) {}
    }
    counter.load(SeqCst).wrapping_sub(before)
}

/// Works a little between two calls: without `pause`, at which QEMU leaves its translated code.
fn work() {
    for n in 0..4000 {
        core::hint::black_box(n);
    }
}

fn count(counter: &AtomicU32) -> ! {
    loop {
        counter.fetch_add(1, SeqCst);
        work();
    }
}

/// One case: a victim shares a CPU with `attackers` tasks that run `attack`. Half of the CPU would
/// be fair; the case wants an eighth, which is far from nothing.
fn beside(name: &str, attackers: usize, attack: fn(SharedPage, usize)) {
    let page = shared_page();
    let victim = child(|| {
        setuid(NOBODY).expect("root may");
        count(&page[0])
    });
    sleep_ms(50);
    let alone = progress(&page[0]);
    let mut evil = [None; 2];
    for (who, slot) in evil.iter_mut().enumerate().take(attackers) {
        *slot = Some(child(|| {
            setuid(NOBODY).expect("root may");
            page[1 + who].store(getpid(), SeqCst);
            // In a group of its own, which is killed with all that it forks.
            let _own = syscall(SYS_SETPGID, [0, 0]);
            loop {
                attack(page, who);
                work();
            }
        }));
    }
    sleep_ms(300);
    let got = progress(&page[0]);
    for it in evil.iter().flatten() {
        let _whole_group = syscall(SYS_KILL, [it.pid.wrapping_neg(), SIGKILL]);
    }
    send(victim, SIGKILL);
    while wait4(-1, 0).is_ok() {}
    if got < alone / 8 {
        rt::println!("# alone {alone}, beside the attacker {got}");
    }
    ok!(got >= alone / 8, "{name}");
}

/// A chain of processes, each of which forks the next and ends. All are children of the program, so
/// it can wait for them.
fn chain(_: SharedPage, _: usize) {
    spin_ms(2);
    if syscall(SYS_CLONE, [CLONE_PARENT | SIGCHLD, 0, 0, 0, 0]) != Ok(0) {
        // Until its last tick; by then the next one exists.
        spin_ms(10);
        exit(0);
    }
}

fn spin_ms(ms: u64) {
    let end = monotonic_ns() + ms * NS_PER_MS;
    while monotonic_ns() < end {
        core::hint::spin_loop();
    }
}

fn main() -> i32 {
    ktap::plan(10);
    stay_on_one_cpu();
    beside("beside another that only counts", 1, |_, _| {});
    beside("sched_setscheduler(0, SCHED_OTHER, 0)", 1, |_, _| {
        let _set = sched_setscheduler(0, SCHED_OTHER, 0);
    });
    beside(
        "two that call sched_setparam for each other",
        2,
        |page, who| {
            let priority = [0u32];
            let other = page[2 - who].load(SeqCst);
            let _set = syscall(SYS_SCHED_SETPARAM, [other, priority.as_ptr() as u32]);
        },
    );
    beside("nice(0)", 1, |_, _| {
        let _set = syscall(SYS_NICE, [0]);
    });
    beside("sched_yield", 1, |_, _| sched_yield());
    beside("sched_setaffinity", 1, |_, _| {
        let _set = set_affinity(0, 1);
    });
    beside("forks that wait", 1, |_, _| {
        if fork() == Ok(0) {
            exit(0);
        }
        let _ended = wait4(-1, 0);
    });
    beside("a chain of forks", 2, chain);
    eq!(
        [SCHED_FIFO, SCHED_RR].map(|policy| child(|| {
            setuid(NOBODY).expect("root may");
            let set = sched_setscheduler(0, policy, 1);
            i32::from(set != Err(Errno::EPERM))
        })
        .wait()
        .0),
        [0, 0],
        "a real-time policy without privilege: EPERM"
    );
    expect_exit("and a better nice value: EPERM", 0, || {
        setuid(NOBODY).expect("root may");
        i32::from(syscall(SYS_NICE, [-1i32 as u32]) != Err(Errno::EPERM))
    });
    ktap::finish()
}

rt::main!(main);

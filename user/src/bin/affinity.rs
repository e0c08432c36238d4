//! Affinity: the CPUs that a task may run on, and its move to one of them.
//!
//! Linux: sched_setaffinity(2), getcpu(2). Book: ch. 7, "System Calls Related to Scheduling".
//! Red without: the move of a running task; the migration threads' priority; the checks of both
//! calls; the copy of the mask at fork.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering::SeqCst;
use rt::{
    Errno, WaitStatus, child, eq, expect_exit,
    gates::syscall,
    ktap,
    memory::{KERNEL_ADDRESS, SharedPage, shared_page},
    ok,
    process::{Child, NOBODY, exec_self, setuid},
    sched::{SCHED_FIFO, get_affinity, sched_setscheduler, sched_yield, set_affinity},
    signals::kill,
    skip, start,
};

const SYS_SCHED_SETAFFINITY: u32 = 241;
const SYS_SCHED_GETAFFINITY: u32 = 242;
const SYS_GETCPU: u32 = 318;
const SIGKILL: u32 = 9;
/// A process number that no task has.
const NO_PID: u32 = 32_000;

fn getcpu() -> u32 {
    let mut cpu = u32::MAX;
    match syscall(SYS_GETCPU, [&raw mut cpu as u32, 0, 0]) {
        Ok(_) => cpu,
        Err(errno) => panic!("getcpu: {errno:?}"),
    }
}

fn cpus(mask: u32) -> impl Iterator<Item = u32> {
    (0..32).filter(move |cpu| mask & 1 << cpu != 0)
}

fn errors(all: u32) {
    let mask = [all];
    let mask = mask.as_ptr() as u32;
    let cases = [
        ("a length of 0", 0, 0, mask, Errno::EINVAL),
        ("a kernel address", 0, 4, KERNEL_ADDRESS, Errno::EFAULT),
        ("a number that no task has", NO_PID, 4, mask, Errno::ESRCH),
        ("pid -1", u32::MAX, 4, mask, Errno::ESRCH),
    ];
    for (name, pid, length, address, errno) in cases {
        let answer = syscall(SYS_SCHED_SETAFFINITY, [pid, length, address]);
        eq!(answer, Err(errno), "sched_setaffinity, {name}: {errno:?}");
    }
    eq!(set_affinity(0, 0), Err(Errno::EINVAL), "no CPU: EINVAL");
    eq!(
        set_affinity(0, !all),
        Err(Errno::EINVAL),
        "CPUs that do not run: EINVAL"
    );
    expect_exit("another user's task: EPERM", 0, || {
        setuid(NOBODY).expect("setuid");
        i32::from(set_affinity(1, all) != Err(Errno::EPERM))
    });
    let mut got = [0u32; 32];
    let got = got.as_mut_ptr() as u32;
    let cases = [
        ("a length of 3", 0, 3, got, Errno::EINVAL),
        ("a length of 6", 0, 6, got, Errno::EINVAL),
        ("a kernel address", 0, 128, KERNEL_ADDRESS, Errno::EFAULT),
        ("a number that no task has", NO_PID, 128, got, Errno::ESRCH),
        ("pid -1", u32::MAX, 128, got, Errno::ESRCH),
    ];
    for (name, pid, length, address, errno) in cases {
        let answer = syscall(SYS_SCHED_GETAFFINITY, [pid, length, address]);
        eq!(answer, Err(errno), "sched_getaffinity, {name}: {errno:?}");
    }
    eq!(
        get_affinity(),
        all,
        "after these errors nothing has changed"
    );
}

fn own(all: u32) {
    let there = cpus(all).all(|cpu| {
        set_affinity(0, 1 << cpu).is_ok() && getcpu() == cpu && get_affinity() == 1 << cpu
    });
    ok!(there, "getcpu names each CPU that was chosen");
    set_affinity(0, u32::MAX).expect("sched_setaffinity");
    eq!(
        get_affinity(),
        all,
        "a mask of all CPUs leaves those that run"
    );
    set_affinity(0, 1).expect("CPU 0");
    expect_exit("a forked process has its parent's mask", 0, || {
        i32::from(get_affinity() != 1)
    });
    expect_exit("and keeps it across exec", 0, || exec_self(c"bound"));
    set_affinity(0, all).expect("sched_setaffinity");
}

/// Starts a process that notes the CPU it is on and never yields.
fn spinner(page: SharedPage, policy: Option<u32>) -> Child {
    page[0].store(u32::MAX, SeqCst);
    let spinner = child(|| {
        set_affinity(0, 0b10).expect("CPU 1");
        if let Some(priority) = policy {
            sched_setscheduler(0, SCHED_FIFO, priority).expect("SCHED_FIFO");
        }
        loop {
            page[0].store(getcpu(), SeqCst);
        }
    });
    while page[0].load(SeqCst) != 1 {
        sched_yield();
    }
    spinner
}

/// Moves `spinner` from CPU 1 to `to`; returns whether it is there when the call returns.
fn moves(page: SharedPage, spinner: Child, to: u32) -> bool {
    let moved = set_affinity(spinner.pid, 1 << to).is_ok();
    // From now on it writes this word only on the CPU that it has moved to.
    page[0].store(u32::MAX, SeqCst);
    rt::clock::comes_true(|| page[0].load(SeqCst) != u32::MAX);
    let seen = page[0].load(SeqCst);
    let killed = kill(spinner.pid, SIGKILL).is_ok();
    moved && seen == to && killed && spinner.wait() == WaitStatus::signaled(SIGKILL)
}

fn others(all: u32) {
    if all & 0b11 != 0b11 {
        skip!("one CPU", "a process that never sleeps is moved");
        skip!("one CPU", "of the best priority, too");
        return;
    }
    let page = shared_page();
    set_affinity(0, 1).expect("CPU 0");
    ok!(
        moves(page, spinner(page, None), 0),
        "a process that never sleeps is moved"
    );
    if all & 0b100 == 0 {
        // On CPU 0 it would not let us go on.
        skip!("two CPUs", "of the best priority, too");
        return;
    }
    sched_setscheduler(0, SCHED_FIFO, 99).expect("SCHED_FIFO");
    ok!(
        moves(page, spinner(page, Some(99)), 2),
        "of the best priority, too"
    );
}

fn main() -> i32 {
    if start::arg(1) == Some("bound") {
        return i32::from(get_affinity() != 1);
    }
    ktap::plan(19);
    let all = get_affinity();
    errors(all);
    own(all);
    others(all);
    ktap::finish()
}

rt::main!(main);

//! Programs that want more memory than there is: calls say ENOMEM or EAGAIN, one process ends for all,
//! and afterwards the memory is there again.
//!
//! Skipped where there is so much memory that to use it up takes long.
//! Red without: the end of one process when a page fault finds no memory, a heap that gives frames back.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering::SeqCst;
use rt::{
    Errno, WaitStatus, child,
    clock::{NS_PER_MS, monotonic_ns},
    eq,
    gates::syscall,
    job::SIGKILL,
    ktap,
    memory::{
        MAP_PRIVATE, MAP_SHARED, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous, shared_page,
    },
    ok,
    proc::{close, open, read_fd, text, touch},
    process::{Child, execve, exit, fork, wait4},
    sched::{SCHED_FIFO, get_affinity, sched_setscheduler, set_affinity, stay_on_one_cpu},
};

const SYS_KILL: u32 = 37;
const SYS_PIPE: u32 = 42;
const SYS_SYSINFO: u32 = 116;
const SYS_MPROTECT: u32 = 125;
const SYS_NANOSLEEP: u32 = 162;
const MIB: u32 = 1 << 20;
/// More memory than this is not used up here, in MiB.
const MOST_MIB: u32 = 512;
/// Pages that may be missing afterwards: kernel stacks and page tables that are kept for the next task.
const SLACK_PAGES: u32 = 1024;

/// Total and free memory, in bytes.
fn memory() -> (u32, u32) {
    let mut info = [0u32; 16];
    syscall(SYS_SYSINFO, [&raw mut info as u32]).expect("sysinfo");
    (info[4], info[5])
}

fn nap(ms: u32) {
    let time = [ms / 1000, ms % 1000 * 1_000_000];
    let _slept = syscall(SYS_NANOSLEEP, [&raw const time as u32, 0]);
}

fn kill(child: Child, signal: u32) {
    syscall(SYS_KILL, [child.pid, signal]).expect("kill");
}

/// Maps and writes 1 MiB at a time, for ever or until there is no more room in the address space.
fn eat() -> i32 {
    while let Ok(address) = mmap_anonymous(MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE) {
        touch(address, MIB, true);
    }
    0
}

fn killed() -> WaitStatus {
    WaitStatus::signaled(SIGKILL)
}

/// All of the memory is free again, sooner or later: a process is waited for before all of it is gone.
fn comes_back(before: u32, after: &str) {
    let is_back = || memory().1 + SLACK_PAGES * PAGE_SIZE >= before;
    let back = (0..50).any(|_| {
        if !is_back() {
            nap(100);
        }
        is_back()
    });
    let lost = (before / 1024).saturating_sub(memory().1 / 1024);
    ok!(back, "the memory is back after {after}");
    if !back {
        rt::println!("# {lost} KiB are missing");
    }
}

fn one_eater() {
    let before = memory().1;
    let bystander = child(|| {
        loop {
            nap(100_000);
        }
    });
    eq!(child(eat).wait(), killed(), "who eats all memory is killed");
    eq!(
        wait4(bystander.pid as i32, 1),
        Ok((0, WaitStatus(0))),
        "a bystander lives on"
    );
    kill(bystander, SIGKILL);
    bystander.wait();
    comes_back(before, "one that ate all");
}

fn eaters_in_parallel() {
    let before = memory().1;
    let eaters: [Child; 6] = core::array::from_fn(|_| child(eat));
    let ended = eaters.map(Child::wait);
    ok!(
        ended.iter().all(|status| *status == killed()),
        "all of six that eat at a time are killed"
    );
    comes_back(before, "six that ate at a time");
}

/// Two processes want memory, and the one that ends for it does not get the CPU for a while: the other
/// waits, and does not end as well.
fn one_ends_at_a_time() {
    const WANTED: u32 = 4 * MIB;
    const MEANWHILE_MS: u64 = 300;
    let before = memory().1;
    let cpus = get_affinity();
    stay_on_one_cpu();
    let full = shared_page();
    let hoarder = child(|| {
        while memory().1 > WANTED / 2 + MIB {
            let address = mmap_anonymous(MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
            touch(address.expect("mmap"), MIB, true);
        }
        full[0].store(1, SeqCst);
        loop {
            nap(100_000);
        }
    });
    while full[0].load(SeqCst) == 0 {
        nap(10);
    }
    let other = child(|| {
        let address = mmap_anonymous(WANTED, PROT_READ | PROT_WRITE, MAP_PRIVATE).expect("mmap");
        sched_setscheduler(0, SCHED_FIFO, 20).expect("root may");
        // It runs whenever the other one sleeps, and the hoarder does not.
        let busy = child(|| {
            sched_setscheduler(0, SCHED_FIFO, 10).expect("root may");
            let end = monotonic_ns() + MEANWHILE_MS * NS_PER_MS;
            while monotonic_ns() < end {
                core::hint::spin_loop();
            }
            0
        });
        touch(address, WANTED, true);
        busy.wait();
        0
    });
    eq!(
        [other.wait(), hoarder.wait()],
        [WaitStatus::exited(0), killed()],
        "whoever wants memory waits for the one that is ending"
    );
    set_affinity(0, cpus).expect("the CPUs of before");
    comes_back(before, "one of two");
}

/// Memory that two processes share is not given back by the end of one.
fn shared_memory() {
    let before = memory().1;
    let bytes = memory().0 / 2 * 3 / 2;
    let shared = mmap_anonymous(bytes, PROT_READ | PROT_WRITE, MAP_SHARED);
    if let Ok(address) = shared {
        let both: [Child; 2] = core::array::from_fn(|_| {
            child(|| {
                touch(address, bytes, true);
                eat()
            })
        });
        let ended = both.map(Child::wait);
        ok!(
            ended.iter().all(|status| *status == killed()),
            "two that share what they eat are killed"
        );
        rt::memory::munmap(address, bytes).expect("munmap");
    }
    comes_back(before, "shared memory");
}

/// More processes than there is memory for; each is larger than the one that makes them.
fn fork_bomb() {
    const FORKS: u32 = 600;
    let before = memory().1;
    let bytes = memory().0 / FORKS * 2;
    let bomb = child(|| {
        let mut pids = [0; FORKS as usize];
        let mut known = true;
        for pid in &mut pids {
            match fork() {
                Ok(0) => {
                    if let Ok(address) = mmap_anonymous(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE)
                    {
                        touch(address, bytes, true);
                    }
                    loop {
                        nap(100_000);
                    }
                }
                Ok(made) => *pid = made,
                Err(errno) => known &= matches!(errno, Errno::EAGAIN | Errno::ENOMEM),
            }
        }
        // They stay zombies until they are waited for, so their numbers are theirs.
        for pid in pids.into_iter().filter(|pid| *pid != 0) {
            let _sent = syscall(SYS_KILL, [pid, SIGKILL]);
            known &= (Child { pid }).wait() == killed();
        }
        i32::from(!known)
    });
    eq!(
        bomb.wait(),
        WaitStatus::exited(0),
        "forks beyond the memory end, or are refused with EAGAIN or ENOMEM"
    );
    eq!(
        child(|| 7).wait(),
        WaitStatus::exited(7),
        "one can fork again"
    );
    comes_back(before, "forks without end");
}

/// Pipes full of bytes, in more and more processes.
fn pipes() {
    let before = memory().1;
    let hoarders: [Child; 8] = core::array::from_fn(|_| {
        child(|| {
            let mut fds = [0u32; 2];
            let errno = loop {
                if let Err(errno) = syscall(SYS_PIPE, [&raw mut fds as u32]) {
                    break errno;
                }
            };
            i32::from(!matches!(
                errno,
                Errno::EMFILE | Errno::ENOMEM | Errno::ENFILE
            ))
        })
    });
    let ended = hoarders.map(Child::wait);
    ok!(
        ended
            .iter()
            .all(|status| *status == WaitStatus::exited(0) || *status == killed()),
        "pipes without end are refused with EMFILE, ENFILE or ENOMEM"
    );
    comes_back(before, "pipes without end");
}

/// Many areas, and their list read while another process eats all memory.
fn maps() {
    const AREAS: u32 = 5_000;
    let before = memory().1;
    let reader = child(|| {
        let bytes = AREAS * 2 * PAGE_SIZE;
        let base = mmap_anonymous(bytes, 0, MAP_PRIVATE).expect("mmap");
        for area in 0..AREAS {
            let address = base + area * 2 * PAGE_SIZE;
            if syscall(SYS_MPROTECT, [address, PAGE_SIZE, PROT_READ]).is_err() {
                break;
            }
        }
        let eater = child(eat);
        let mut buffer = [0; 1024];
        for _ in 0..4 {
            let Ok(file) = open(&text(format_args!("/proc/self/maps")), 0) else {
                continue;
            };
            // ENOMEM is an answer too.
            while read_fd(file, &mut buffer).is_ok_and(|piece| !piece.is_empty()) {}
            close(file);
        }
        eater.wait();
        0
    });
    let status = reader.wait();
    ok!(
        status == WaitStatus::exited(0) || status == killed(),
        "a long /proc/self/maps is read, or is ENOMEM"
    );
    comes_back(before, "many areas");
}

/// A program is executed again and again while there is no memory.
fn exec() {
    let before = memory().1;
    let eaters: [Child; 2] = core::array::from_fn(|_| child(eat));
    let mut known = true;
    for _ in 0..40 {
        let Ok(pid) = fork() else {
            continue;
        };
        if pid == 0 {
            let errno = execve(c"/tests/out_of_memory", &[c"out_of_memory", c"nothing"]);
            exit(if errno == Errno::ENOMEM { 0 } else { 1 });
        }
        let status = (Child { pid }).wait();
        known &= status == WaitStatus::exited(0) || status == killed();
    }
    ok!(
        known,
        "exec without memory works, is ENOMEM, or the process ends"
    );
    for eater in eaters {
        eater.wait();
    }
    comes_back(before, "exec without memory");
}

fn main() -> i32 {
    if rt::start::arg(1) == Some("nothing") {
        return 0;
    }
    if memory().0 > MOST_MIB * MIB {
        ktap::plan(1);
        ktap::skip(format_args!("out of memory"), "so much memory takes long");
        return ktap::finish();
    }
    ktap::plan(18);
    one_eater();
    eaters_in_parallel();
    one_ends_at_a_time();
    shared_memory();
    fork_bomb();
    pipes();
    maps();
    exec();
    ktap::finish()
}

rt::main!(main);

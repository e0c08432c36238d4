//! The cost of a switch and of what surrounds it: for `just bench`, with `-icount shift=0`, where
//! RDTSC counts guest instructions.
//!
//! Prints a line `bench NAME COST` for each measure: the cost of one step in hundredths, the best
//! of several batches, so that a timer tick does not count. The caller's own loop is part of it.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use rt::{
    child,
    fast::{call0, call3, call4, vsyscall0, x87_add},
    insn::rdtsc,
    memory::{SharedPage, shared_page},
    ports::ioperm,
    println,
    process::{Child, exit, fork, getpid, wait4},
    rseq::Rseq,
    sched::fifo_on_one_cpu,
    start, thread,
    tls::{ANY_SLOT, UserDesc, set_thread_area},
};

const SYS_READ: u32 = 3;
const SYS_WRITE: u32 = 4;
const SYS_PAUSE: u32 = 29;
const SYS_KILL: u32 = 37;
const SYS_PIPE: u32 = 42;
const SYS_GETPPID: u32 = 64;
const SYS_SCHED_YIELD: u32 = 158;
const SYS_PRCTL: u32 = 172;
const SYS_FUTEX: u32 = 240;
const AT_SYSINFO: u32 = 32;
const PR_SET_TSC: u32 = 26;
const FUTEX_WAIT_PRIVATE: u32 = 128;
const FUTEX_WAKE_PRIVATE: u32 = 129;

const BATCHES: u32 = 16;

/// Runs `once` in batches of `times` and prints the cost of one step; `once` makes `per` steps.
fn measure(name: &str, times: u32, per: u32, mut once: impl FnMut()) {
    for _ in 0..times {
        once();
    }
    let best = (0..BATCHES).map(|_| {
        let from = rdtsc();
        for _ in 0..times {
            once();
        }
        rdtsc() - from
    });
    let best = best.min().unwrap_or(0);
    let cost = best * 100 / u64::from(times * per);
    println!("bench {name} {}.{:02}", cost / 100, cost % 100);
}

fn yield_now() {
    call0(SYS_SCHED_YIELD);
}

/// Starts children that call `prepare` once and then `step` until word 0 is set.
fn others<const N: usize>(stop: SharedPage, prepare: fn(), step: fn()) -> [Child; N] {
    core::array::from_fn(|_| {
        child(|| {
            prepare();
            while stop[0].load(Relaxed) == 0 {
                step();
            }
            0
        })
    })
}

fn wait_for<const N: usize>(children: [Child; N]) {
    for child in children {
        child.wait();
    }
}

/// Measures a switch among N + 1 processes that yield; all call `prepare` once and `step` each
/// time.
fn among_processes<const N: usize>(name: &str, prepare: fn(), step: fn()) {
    // In a process of its own, so that the effect of `prepare` ends with it.
    child(|| {
        let stop = shared_page();
        let others = others::<N>(stop, prepare, step);
        prepare();
        measure(name, 128, N as u32 + 1, step);
        stop[0].store(1, Relaxed);
        wait_for(others);
        0
    })
    .wait();
}

fn nothing() {}

fn x87_and_yield() {
    x87_add();
    yield_now();
}

fn take_tls() {
    let mut desc = UserDesc::data(ANY_SLOT, 0);
    set_thread_area(&mut desc).expect("a free TLS slot");
    rt::insn::set_gs((desc.entry_number * 8 + 3) as u16);
}

/// Does what a C library does before `main`, since glibc 2.35: TLS and restartable sequences.
fn be_a_glibc_program() {
    static RSEQ: Rseq = Rseq::new();
    take_tls();
    RSEQ.register().expect("not registered yet");
}

fn take_low_port() {
    ioperm(0x80, 1, true).expect("root may");
}

fn take_high_port() {
    ioperm(0xffff, 1, true).expect("root may");
}

/// The other process may not read the time-stamp counter; the process that measures may.
fn with_and_without_tsc() {
    let stop = shared_page();
    let other = others::<1>(
        stop,
        || {
            call3(SYS_PRCTL, PR_SET_TSC, 2, 0);
        },
        yield_now,
    );
    measure("switch.tsc", 128, 2, yield_now);
    stop[0].store(1, Relaxed);
    wait_for(other);
}

static STOP: AtomicU32 = AtomicU32::new(0);

extern "C" fn yielding_thread(_: u32) -> i32 {
    while STOP.load(Relaxed) == 0 {
        yield_now();
    }
    0
}

fn among_threads() {
    let thread = thread::spawn(yielding_thread, 0, None).expect("a thread");
    measure("switch.threads", 128, 2, yield_now);
    STOP.store(1, Relaxed);
    thread.join();
}

static BELLS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

fn ring(bell: usize) {
    BELLS[bell].store(1, Relaxed);
    call4(
        SYS_FUTEX,
        BELLS[bell].as_ptr() as u32,
        FUTEX_WAKE_PRIVATE,
        1,
        0,
    );
}

fn await_bell(bell: usize) {
    while BELLS[bell].swap(0, Relaxed) == 0 {
        call4(
            SYS_FUTEX,
            BELLS[bell].as_ptr() as u32,
            FUTEX_WAIT_PRIVATE,
            0,
            0,
        );
    }
}

extern "C" fn answering_thread(_: u32) -> i32 {
    while STOP.load(Relaxed) == 0 {
        await_bell(0);
        ring(1);
    }
    0
}

fn futex_round_trip() {
    STOP.store(0, Relaxed);
    let thread = thread::spawn(answering_thread, 0, None).expect("a thread");
    measure("futex_round_trip", 128, 1, || {
        ring(0);
        await_bell(1);
    });
    STOP.store(1, Relaxed);
    ring(0);
    thread.join();
}

fn pipe() -> [u32; 2] {
    let mut ends = [0u32; 2];
    assert!(call3(SYS_PIPE, ends.as_mut_ptr() as u32, 0, 0) == 0, "pipe");
    ends
}

fn pipe_round_trip() {
    let (there, back) = (pipe(), pipe());
    let byte = [0u8];
    let at = byte.as_ptr() as u32;
    let echo = child(|| {
        // The answer 'q' ends it.
        let mut byte = [0u8];
        let at = byte.as_mut_ptr() as u32;
        while call3(SYS_READ, there[0], at, 1) == 1 && byte[0] != b'q' {
            call3(SYS_WRITE, back[1], at, 1);
        }
        0
    });
    measure("pipe_round_trip", 128, 1, || {
        call3(SYS_WRITE, there[1], at, 1);
        call3(SYS_READ, back[0], at, 1);
    });
    call3(SYS_WRITE, there[1], b"q".as_ptr() as u32, 1);
    echo.wait();
}

fn fork_exit_wait(name: &str) {
    measure(name, 16, 1, || match fork() {
        Ok(0) => exit(0),
        _ => {
            let _ended = wait4(-1, 0);
        }
    });
}

fn kill_oneself(name: &str) {
    let myself = getpid();
    measure(name, 512, 1, || {
        call3(SYS_KILL, myself, 0, 0);
    });
}

/// Has children that sleep until there are `count` of them, then measures what the number may not matter to.
///
/// `names` are those of `kill` and of fork, exit and wait.
fn among_sleepers(asleep: &mut u32, count: u32, names: [&str; 2]) {
    while *asleep < count {
        match fork() {
            Ok(0) => loop {
                call0(SYS_PAUSE);
            },
            Ok(_) => *asleep += 1,
            Err(errno) => {
                println!("no more than {asleep} asleep: {errno:?}");
                return;
            }
        }
        // So that the child comes to sleep.
        yield_now();
    }
    kill_oneself(names[0]);
    fork_exit_wait(names[1]);
}

fn main() -> i32 {
    fifo_on_one_cpu();
    measure("getppid.int80", 512, 1, || {
        call0(SYS_GETPPID);
    });
    if let Some((_, entry)) = start::auxv().find(|&(kind, _)| kind == AT_SYSINFO) {
        measure("getppid.sysenter", 512, 1, || {
            vsyscall0(entry, SYS_GETPPID);
        });
    }
    measure("yield.alone", 512, 1, yield_now);
    among_processes::<1>("switch.processes", nothing, yield_now);
    among_processes::<31>("switch.32_processes", nothing, yield_now);
    among_threads();
    among_processes::<1>("switch.x87", nothing, x87_and_yield);
    among_processes::<1>("switch.tls", take_tls, yield_now);
    among_processes::<1>("switch.glibc", be_a_glibc_program, yield_now);
    among_processes::<1>("switch.port_0x80", take_low_port, yield_now);
    among_processes::<1>("switch.port_0xffff", take_high_port, yield_now);
    with_and_without_tsc();
    pipe_round_trip();
    futex_round_trip();
    fork_exit_wait("fork_exit_wait");
    kill_oneself("kill");
    let mut asleep = 0;
    among_sleepers(&mut asleep, 1000, ["kill.1000", "fork_exit_wait.1000"]);
    among_sleepers(&mut asleep, 10_000, ["kill.10000", "fork_exit_wait.10000"]);
    println!("bench done");
    0
}

rt::main!(main);

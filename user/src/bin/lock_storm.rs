//! Every kind of call that takes the locks of a task, a process or a CPU, at once: credentials,
//! signals, timers, robust lists, futexes, children, `/proc`, affinities, perf events.
//!
//! Processes with two threads each choose calls at random and aim them at one another, while their
//! timers send signals in interrupts. The answer of a call does not matter; every call must return,
//! and the machine must go on. `lock_storm SEED` chooses other calls.
//!
//! Red without: credentials that an interrupt may find free; one order of locks for all.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child,
    clock::{NS_PER_MS, monotonic_ns},
    eq,
    gates::syscall,
    ktap,
    memory::{
        MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE, SharedPage, mmap_anonymous, munmap,
        shared_page,
    },
    perf::{self, Attr},
    proc::text,
    process::{Child, NOBODY, exit_group, setuid},
    signals::{SA_RESTART, SIGUSR1, Sigcontext, set_handler_with},
    start,
    thread::{gettid, spawn},
};

/// Processes; the odd ones give up their rights.
const PROCESSES: u32 = 6;
/// Milliseconds that the storm lasts.
const STORM_MS: u64 = 1500;
const SIGALRM: u32 = 14;
const SIGVTALRM: u32 = 26;
const SIGPROF: u32 = 27;

/// System calls by their i386 numbers.
mod nr {
    pub const READ: u32 = 3;
    pub const OPEN: u32 = 5;
    pub const CLOSE: u32 = 6;
    pub const NANOSLEEP: u32 = 162;
    pub const KILL: u32 = 37;
    pub const TIMES: u32 = 43;
    pub const SETPGID: u32 = 57;
    pub const GETRUSAGE: u32 = 77;
    pub const SETITIMER: u32 = 104;
    pub const GETITIMER: u32 = 105;
    pub const WAIT4: u32 = 114;
    pub const MODIFY_LDT: u32 = 123;
    pub const GETPGID: u32 = 132;
    pub const SETFSUID: u32 = 138;
    pub const SCHED_YIELD: u32 = 158;
    pub const SIGPROCMASK: u32 = 175;
    pub const SIGPENDING: u32 = 176;
    pub const SIGTIMEDWAIT: u32 = 177;
    pub const GETUID: u32 = 199;
    pub const GETGROUPS: u32 = 205;
    pub const SETRESUID: u32 = 208;
    pub const GETRESUID: u32 = 209;
    pub const SETPRIORITY: u32 = 97;
    pub const FUTEX: u32 = 240;
    pub const SCHED_SETAFFINITY: u32 = 241;
    pub const TIMER_CREATE: u32 = 259;
    pub const TIMER_SETTIME: u32 = 260;
    pub const TIMER_GETTIME: u32 = 261;
    pub const TIMER_DELETE: u32 = 263;
    pub const TGKILL: u32 = 270;
    pub const SET_ROBUST_LIST: u32 = 311;
    pub const GET_ROBUST_LIST: u32 = 312;
    pub const MEMBARRIER: u32 = 375;
}

/// The words that all processes share: the end, their numbers, and words to sleep on.
#[derive(Clone, Copy)]
struct Field {
    page: SharedPage,
}

impl Field {
    fn is_over(&self) -> bool {
        self.page[0].load(SeqCst) != 0
    }

    /// Returns the number of the `nth` process, 0 before it runs.
    fn pid(&self, nth: u32) -> &AtomicU32 {
        &self.page[(1 + nth % PROCESSES) as usize]
    }

    fn word(&self, nth: u32) -> &AtomicU32 {
        &self.page[(64 + nth % 4) as usize]
    }
}

/// Random numbers from a seed (xorshift).
struct Draw(u32);

impl Draw {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn below(&mut self, end: u32) -> u32 {
        self.next() % end
    }

    fn one_of<const N: usize>(&mut self, from: [u32; N]) -> u32 {
        from[self.below(N as u32) as usize]
    }
}

extern "C" fn nothing(_: u32, _: Sigcontext) {}

/// Makes a call of which only the return matters.
fn go<const N: usize>(number: u32, arguments: [u32; N]) -> Option<u32> {
    syscall(number, arguments).ok()
}

/// Sets a timer of this task that sends a signal about every millisecond.
fn set_timers(draw: &mut Draw, timer: Option<u32>) {
    let us = 300 + draw.below(2000);
    let every = [0, us, 0, us];
    go(nr::SETITIMER, [draw.below(3), every.as_ptr() as u32, 0]);
    if let Some(timer) = timer {
        let every = [0, us * 1000, 0, us * 1000];
        go(nr::TIMER_SETTIME, [timer, 0, every.as_ptr() as u32, 0]);
    }
}

fn create_timer(draw: &mut Draw) -> Option<u32> {
    // To the process, or to this thread.
    let how = draw.one_of([0, 4]);
    let event = [7, draw.one_of([SIGALRM, 35]), how, gettid(), 0, 0, 0, 0];
    let mut id = 0u32;
    let at = [draw.below(2), event.as_ptr() as u32, &raw mut id as u32];
    go(nr::TIMER_CREATE, at).map(|_| id)
}

fn read_proc(draw: &mut Draw, pid: u32) {
    let file = [
        "stat",
        "status",
        "maps",
        "wchan",
        "statm",
        "cmdline",
        "task",
        "../stat",
        "../loadavg",
    ];
    let name = file[draw.below(file.len() as u32) as usize];
    let mut path = text(format_args!("/proc/{pid}/"));
    if name.starts_with("..") {
        path = text(format_args!("/proc"));
    }
    let written = write!(path, "{}", name.trim_start_matches(".."));
    assert!(written.is_ok(), "a path too long");
    let mut bytes = [0u8; 700];
    let Some(fd) = go(nr::OPEN, [path.bytes.as_ptr() as u32, 0, 0]) else {
        return;
    };
    for _ in 0..2 {
        go(nr::READ, [fd, bytes.as_mut_ptr() as u32, 700]);
    }
    go(nr::CLOSE, [fd]);
}

fn count(draw: &mut Draw, pid: u32) {
    let what = [perf::TASK_CLOCK, perf::CONTEXT_SWITCHES, perf::PAGE_FAULTS];
    let config = what[draw.below(3) as usize];
    let flags = if draw.below(2) == 0 { perf::INHERIT } else { 0 };
    let target = draw.one_of([0, pid]);
    if let Ok(fd) = Attr::software(config, flags).open(target, perf::NONE, perf::NONE, 0) {
        let mut value = 0u64;
        set_affinity(draw, 0);
        go(nr::READ, [fd, &raw mut value as u32, 8]);
        go(nr::CLOSE, [fd]);
    }
}

fn set_affinity(draw: &mut Draw, pid: u32) {
    let mask = draw.next() | 1 << draw.below(4);
    go(nr::SCHED_SETAFFINITY, [pid, 4, &raw const mask as u32]);
}

fn touch_memory() {
    if let Ok(at) = mmap_anonymous(4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE) {
        // SAFETY: mapped just above, for us alone.
        unsafe { (at as *mut u32).write_volatile(1) };
        // A failure would not matter.
        let _ = munmap(at, 4 * PAGE_SIZE);
    }
}

fn futex(field: &Field, draw: &mut Draw) {
    let word = field.word(draw.next()).as_ptr() as u32;
    let other = field.word(draw.next()).as_ptr() as u32;
    let time = [0u32, 200_000];
    match draw.below(3) {
        0 => go(nr::FUTEX, [word, 0, 0, time.as_ptr() as u32, 0, 0]),
        1 => go(nr::FUTEX, [word, 1, 2, 0, 0, 0]),
        _ => go(nr::FUTEX, [word, 4, 1, 1, other, 0]),
    };
}

/// Makes a child that ends at once, or is killed.
fn bear(draw: &mut Draw) {
    let ends_itself = draw.below(2) == 0;
    let born = child(|| {
        if !ends_itself {
            loop {
                go(nr::SCHED_YIELD, []);
            }
        }
        0
    });
    if !ends_itself {
        go(nr::KILL, [born.pid, 9]);
    }
    wait_for(born);
}

/// Waits until the child is gone; a signal may interrupt a wait.
fn wait_for(child: Child) {
    let mut status = 0u32;
    while syscall(nr::WAIT4, [child.pid, &raw mut status as u32, 0, 0]) == Err(Errno::EINTR) {}
}

fn signals(draw: &mut Draw, pid: u32) {
    let set = draw.next();
    let set = [set & !(1 << 8), 0];
    let at = set.as_ptr() as u32;
    let zero = [0u32; 2];
    let mut out = [0u32; 32];
    match draw.below(6) {
        0 => go(nr::KILL, [pid, draw.one_of([0, SIGUSR1, SIGALRM])]),
        1 => go(nr::TGKILL, [pid, pid, draw.one_of([0, SIGUSR1, 35])]),
        2 => go(nr::SIGPROCMASK, [draw.below(3), at, 0, 8]),
        3 => go(nr::SIGPENDING, [out.as_mut_ptr() as u32, 8]),
        4 => go(
            nr::SIGTIMEDWAIT,
            [at, out.as_mut_ptr() as u32, zero.as_ptr() as u32, 8],
        ),
        _ => go(nr::KILL, [0, 0]),
    };
}

fn credentials(draw: &mut Draw) {
    let mut out = [0u32; 4];
    let at = out.as_mut_ptr() as u32;
    match draw.below(5) {
        0 => go(nr::SETRESUID, [u32::MAX, u32::MAX, u32::MAX]),
        1 => go(nr::GETRESUID, [at, at + 4, at + 8]),
        2 => go(nr::GETGROUPS, [0, 0]),
        3 => go(nr::SETFSUID, [u32::MAX]),
        _ => go(nr::GETUID, []),
    };
}

/// Does one thing that takes locks.
fn act(field: &Field, draw: &mut Draw, timer: Option<u32>) {
    // Its own thread, until the other process runs.
    let pid = match field.pid(draw.next()).load(SeqCst) {
        0 => gettid(),
        pid => pid,
    };
    let (mut a, mut b) = (0u32, 0u32);
    let mut out = [0u32; 20];
    let at = out.as_mut_ptr() as u32;
    match draw.below(20) {
        0..=3 => credentials(draw),
        4..=6 => signals(draw, pid),
        7 => set_timers(draw, timer),
        8 => read_proc(draw, pid),
        9 => count(draw, pid),
        10 => set_affinity(draw, pid),
        11 => futex(field, draw),
        12 => {
            let of = draw.one_of([0, pid, gettid()]);
            go(nr::SET_ROBUST_LIST, [0, 12]);
            go(
                nr::GET_ROBUST_LIST,
                [of, &raw mut a as u32, &raw mut b as u32],
            );
        }
        13 if draw.below(4) == 0 => bear(draw),
        14 => {
            go(nr::GETRUSAGE, [draw.one_of([0, u32::MAX]), at]);
            go(nr::TIMES, [at]);
        }
        15 => {
            go(nr::SETPGID, [0, draw.one_of([0, pid])]);
            go(nr::GETPGID, [pid]);
        }
        16 => {
            go(nr::GETITIMER, [draw.below(3), at]);
            timer.and_then(|id| go(nr::TIMER_GETTIME, [id, at]));
        }
        17 => touch_memory(),
        18 => {
            go(nr::MODIFY_LDT, [0, at, 80]);
            go(nr::MEMBARRIER, [draw.one_of([0, 1, 8, 16]), 0]);
            go(nr::SETPRIORITY, [0, pid, draw.below(5)]);
        }
        _ => {
            let little = [0u32, 1000];
            go(nr::NANOSLEEP, [little.as_ptr() as u32, 0]);
        }
    }
}

/// Runs one thread's part of the storm.
fn storm(field: Field, seed: u32) {
    let mut draw = Draw(seed | 1);
    let mut timer = create_timer(&mut draw);
    set_timers(&mut draw, timer);
    while !field.is_over() {
        act(&field, &mut draw, timer);
        if draw.below(64) == 0 {
            timer.and_then(|id| go(nr::TIMER_DELETE, [id]));
            timer = create_timer(&mut draw);
        }
    }
}

static FIELD_AT: AtomicU32 = AtomicU32::new(0);

extern "C" fn second_thread(seed: u32) -> i32 {
    // SAFETY: `run_process` has stored the address of the shared page, which stays.
    let page = unsafe { &*(FIELD_AT.load(SeqCst) as *const [AtomicU32; 1024]) };
    storm(Field { page }, seed);
    0
}

fn run_process(field: Field, nth: u32, seed: u32) -> i32 {
    for signal in [SIGUSR1, SIGALRM, SIGVTALRM, SIGPROF, 35] {
        set_handler_with(signal, nothing, SA_RESTART).expect("rt_sigaction");
    }
    if nth % 2 == 1 {
        setuid(NOBODY).expect("setuid");
    }
    FIELD_AT.store(field.page.as_ptr() as u32, SeqCst);
    let seed = seed.wrapping_mul(31).wrapping_add(nth * 2 + 1);
    field.pid(nth).store(gettid(), SeqCst);
    let _second = spawn(second_thread, seed.wrapping_mul(0x9e37_79b1), None).expect("clone");
    storm(field, seed);
    // Whatever the second thread does just now ends with it.
    exit_group(0)
}

fn main() -> i32 {
    let seed = start::arg(1)
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    ktap::plan(PROCESSES + 1);
    let field = Field {
        page: shared_page(),
    };
    let children = [0, 1, 2, 3, 4, 5].map(|nth| child(|| run_process(field, nth, seed)));
    let end = monotonic_ns() + STORM_MS * NS_PER_MS;
    while monotonic_ns() < end {
        for nth in 0..PROCESSES {
            go(nr::KILL, [field.pid(nth).load(SeqCst).max(1), 0]);
        }
    }
    field.page[0].store(1, SeqCst);
    for (nth, child) in children.into_iter().enumerate() {
        eq!(child.wait(), WaitStatus::exited(0), "process {nth} ends");
    }
    eq!(
        child(|| 7).wait(),
        WaitStatus::exited(7),
        "afterwards a process is made, and ends"
    );
    ktap::finish()
}

rt::main!(main);

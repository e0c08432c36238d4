//! getrusage, times and wait4: what processes have used, and which process their times are added
//! to.
//!
//! Linux: getrusage(2), times(2), wait4(2).
//! Red without: the sums that a thread leaves to its process and a child to its parent; the groups
//! that wait4 tells apart.
#![no_std]
#![no_main]

use rt::{
    Errno, child,
    clock::{PATIENCE_NS, clock_gettime, comes_true, monotonic_ns, sleep_ms},
    eq, expect_exit,
    gates::syscall,
    insn, ktap,
    memory::{MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous},
    ok,
    process::{getpid, wait4},
    thread::{gettid, spawn},
};

const SYS_TIMES: u32 = 43;
const SYS_PIPE: u32 = 42;
const SYS_SETPGID: u32 = 57;
const SYS_GETRUSAGE: u32 = 77;
const SYS_WAIT4: u32 = 114;
const SYS_NEWSELECT: u32 = 142;
const SELF: u32 = 0;
const CHILDREN: u32 = u32::MAX;
const THREAD: u32 = 1;

/// The fields of `struct rusage` that the kernel keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Usage {
    user_ms: u32,
    min_flt: u32,
    nvcsw: u32,
}

impl Usage {
    fn of(words: [u32; 18]) -> Self {
        Self {
            user_ms: words[0] * 1000 + words[1] / 1000,
            min_flt: words[8],
            nvcsw: words[16],
        }
    }
}

fn getrusage(who: u32) -> Result<Usage, Errno> {
    let mut words = [0u32; 18];
    syscall(SYS_GETRUSAGE, [who, words.as_mut_ptr() as u32]).map(|_| Usage::of(words))
}

fn used(who: u32) -> Usage {
    getrusage(who).expect("getrusage")
}

/// Computes until the caller has used `ms` milliseconds of CPU time.
fn compute_ms(ms: u32) {
    let begin = used(THREAD).user_ms;
    while used(THREAD).user_ms < begin + ms {
        let until = monotonic_ns() + 1_000_000;
        while monotonic_ns() < until {
            for _ in 0..1000 {
                core::hint::spin_loop();
            }
        }
    }
}

fn touch(pages: u32) {
    let memory =
        mmap_anonymous(pages * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE).expect("mmap");
    for page in 0..pages {
        insn::write(memory + page * PAGE_SIZE, 1);
    }
}

#[inline(never)]
fn faults_of_touching(pages: u32) -> u32 {
    let before = used(THREAD).min_flt;
    touch(pages);
    used(THREAD).min_flt - before
}

extern "C" fn sleeper(_: u32) -> i32 {
    sleep_until_switches(20);
    0
}

/// Sleeps until the caller has made `count` switches: a sleep that is over before it begins, on a
/// busy host, makes none.
fn sleep_until_switches(count: u32) {
    while used(THREAD).nvcsw < count {
        sleep_ms(1);
    }
}

fn own() {
    eq!(
        getrusage(2),
        Err(Errno::EINVAL),
        "an unknown target: EINVAL"
    );
    eq!(
        syscall(SYS_GETRUSAGE, [SELF, 8]),
        Err(Errno::EFAULT),
        "a bad address: EFAULT"
    );
    // The first call also brings in its code and its stack.
    let _first = faults_of_touching(1);
    eq!(faults_of_touching(32), 32, "each new page is a fault");
    let before = used(THREAD);
    ok!(
        comes_true(|| used(THREAD).nvcsw > before.nvcsw),
        "a sleep is a switch"
    );
    compute_ms(20);
    ok!(
        used(SELF).user_ms >= before.user_ms + 20,
        "work counts as time of the process"
    );
    let before = (used(SELF), used(THREAD));
    let thread = spawn(sleeper, 0, None).expect("clone");
    ok!(thread.join(), "a thread sleeps twenty times, and ends");
    let after = (used(SELF), used(THREAD));
    let others = (after.0.nvcsw - before.0.nvcsw) - (after.1.nvcsw - before.1.nvcsw);
    ok!(others >= 20, "its switches are its process's");
    ok!(
        after.1.nvcsw - before.1.nvcsw < 20,
        "and not another thread's"
    );
}

fn of_children() {
    eq!(
        used(CHILDREN),
        Usage {
            user_ms: 0,
            min_flt: 0,
            nvcsw: 0
        },
        "no child has ended"
    );
    let worker = child(|| {
        compute_ms(24);
        touch(50);
        let grandchild = child(|| {
            compute_ms(24);
            0
        });
        grandchild.wait();
        sleep_until_switches(2);
        0
    });
    let mut status = 0u32;
    let mut words = [0u32; 18];
    let waited = syscall(
        SYS_WAIT4,
        [
            worker.pid,
            &raw mut status as u32,
            0,
            words.as_mut_ptr() as u32,
        ],
    );
    eq!((waited, status), (Ok(worker.pid), 0), "one ends");
    let told = Usage::of(words);
    ok!(told.user_ms >= 48, "wait4 returns its time and its child's");
    ok!(told.min_flt >= 50 && told.nvcsw >= 2, "faults, switches");
    eq!(used(CHILDREN), told, "which are of the children now");
    let mut times = [0u32; 4];
    ok!(
        syscall(SYS_TIMES, [times.as_mut_ptr() as u32]).is_ok() && times[2] >= 4,
        "for times too"
    );
}

fn groups() {
    let leader = child(|| 3);
    let in_group = child(|| 4);
    let _of_ours = child(|| 5);
    for pid in [leader.pid, in_group.pid] {
        syscall(SYS_SETPGID, [pid, leader.pid]).expect("setpgid");
    }
    let one_of = |which: i32| wait4(which, 0).map(|(_, status)| status.0 >> 8);
    eq!(one_of(0), Ok(5), "wait4(0): one of the caller's group");
    eq!(one_of(0), Err(Errno::ECHILD), "there is no other");
    let group = -(leader.pid as i32);
    let both = [one_of(group), one_of(group)];
    ok!(
        both == [Ok(3), Ok(4)] || both == [Ok(4), Ok(3)],
        "wait4(-group): those of the group"
    );
    eq!(one_of(group), Err(Errno::ECHILD), "and then none");
}

fn clock_ms(clock: u32) -> Result<u32, Errno> {
    clock_gettime(clock).map(|[seconds, ns]| seconds * 1000 + ns / 1_000_000)
}

/// Returns the clock of a process or thread: its number inverted, whose it is, and what it counts
/// (2 is all).
fn clock_of(pid: u32, of: u32) -> u32 {
    !pid << 3 | of | 2
}

const THREAD_CLOCK: u32 = 4;

fn clocks() {
    // The thread's first: it goes on while the other is read.
    let both = || [3, 2].map(|clock| clock_ms(clock).expect("clock_gettime"));
    // A busy host may take the processor away in between, so it may need another look.
    let stand = (0..10).any(|_| {
        let before = both();
        sleep_ms(100);
        let slept = both();
        (0..2).all(|i| slept[i] - before[i] < 50)
    });
    ok!(stand, "the clocks of CPU time stand still in a sleep");
    let (begin, end) = (both(), monotonic_ns() + PATIENCE_NS);
    let mut ran = begin;
    while monotonic_ns() < end && (0..2).any(|i| ran[i] - begin[i] < 50) {
        ran = both();
    }
    ok!(monotonic_ns() < end, "and not while it computes");
    ok!(
        ran[1] >= ran[0],
        "a process has run no less than its thread"
    );
    let [pid, tid] = [getpid(), gettid()];
    let own = [
        clock_of(pid, 0),
        clock_of(0, 0),
        clock_of(tid, THREAD_CLOCK),
    ];
    ok!(
        own.iter()
            .all(|&clock| clock_ms(clock).is_ok_and(|ms| ms >= ran[0])),
        "by number it is the same"
    );
    expect_exit(
        "another process has a clock, its thread has none for us",
        0,
        || {
            let [process, thread] = [clock_of(pid, 0), clock_of(pid, THREAD_CLOCK)].map(clock_ms);
            i32::from(process.is_err() || thread != Err(Errno::EINVAL))
        },
    );
    eq!(
        clock_ms(clock_of(1 << 20, 0)),
        Err(Errno::EINVAL),
        "an unused number has none: EINVAL"
    );

    let mut time = [60u32, 0];
    let mut end = [0u32; 2];
    syscall(SYS_PIPE, [end.as_mut_ptr() as u32]).expect("pipe");
    let writable = 1u32 << end[1];
    let at = [
        32,
        0,
        &raw const writable as u32,
        0,
        time.as_mut_ptr() as u32,
    ];
    eq!(
        syscall(SYS_NEWSELECT, at),
        Ok(1),
        "select that finds something at once"
    );
    ok!(
        time == [60, 0] || (30..60).contains(&time[0]),
        "leaves its time"
    );
    let (mut time, none) = ([0u32, 50_000], 0u32);
    let at = [32, &raw const none as u32, 0, 0, time.as_mut_ptr() as u32];
    eq!(
        syscall(SYS_NEWSELECT, at),
        Ok(0),
        "select that finds nothing"
    );
    ok!(time == [0, 0], "uses it up");
}

fn main() -> i32 {
    ktap::plan(28);
    own();
    of_children();
    groups();
    clocks();
    ktap::finish()
}

rt::main!(main);

//! System calls that continue after a signal: for the rest of their time, not for all of it again;
//! and fork, which starts over.
//!
//! Linux: signal(7), "Interruption of system calls and library functions by stop signals"; select(2);
//! `copy_process`.
//! Red without: the remaining time that the kernel keeps until a call is run again; that the call
//! uses it up even when it fails; that a signal to several processes misses neither a parent nor
//! its new child, and that fork does not overtake it (seen only on several CPUs, and not each
//! time).
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child,
    clock::{NS_PER_MS, monotonic_ns, nanosleep, sleep_ms},
    eq,
    gates::syscall,
    job::{SIGCONT, SIGKILL, SIGSTOP, WUNTRACED, hears, job, send},
    job::{state_of, stop_until_it_ends, stopped},
    ktap,
    memory::{MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous, munmap},
    memory::{SharedPage, shared_page},
    process::Child,
    sched::{SCHED_FIFO, SCHED_OTHER, sched_setscheduler, sched_yield},
    signals::kill,
    thread::{Body, spawn_process},
};

const SYS_READ: u32 = 3;
const SYS_WRITE: u32 = 4;
const SYS_CLOSE: u32 = 6;
const SYS_PIPE: u32 = 42;
const SYS_MPROTECT: u32 = 125;
const SYS_SELECT: u32 = 142;
const SYS_NANOSLEEP: u32 = 162;
const SYS_POLL: u32 = 168;
const SYS_FUTEX: u32 = 240;
const SYS_CLOCK_NANOSLEEP: u32 = 267;
const SYS_PSELECT6: u32 = 308;
const SYS_PPOLL: u32 = 309;
const CLOCK_MONOTONIC: u32 = 1;

/// A futex on which no task is ever woken.
static WORD: AtomicU32 = AtomicU32::new(0);

/// A wait whose timeout is at address `time`; it may use the memory behind.
type Wait = fn(time: u32) -> Result<u32, Errno>;

fn select(time: u32) -> Result<u32, Errno> {
    syscall(SYS_SELECT, [0, 0, 0, 0, time])
}

fn pselect6(time: u32) -> Result<u32, Errno> {
    syscall(SYS_PSELECT6, [0, 0, 0, 0, time, 0])
}

fn ppoll(time: u32) -> Result<u32, Errno> {
    syscall(SYS_PPOLL, [0, 0, time, 0, 8])
}

fn futex(time: u32) -> Result<u32, Errno> {
    syscall(SYS_FUTEX, [WORD.as_ptr() as u32, 0, 0, time])
}

/// Waits with a time of 200 ms.
fn times() {
    const MS: u32 = 200;
    let poll: Wait = |_| syscall(SYS_POLL, [0, 0, MS]);
    let clock_nanosleep: Wait = |time| syscall(SYS_CLOCK_NANOSLEEP, [CLOCK_MONOTONIC, 0, time, 0]);
    let nanos = MS * NS_PER_MS as u32;
    let calls = [
        ("poll", poll, 0, Ok(0)),
        ("ppoll", ppoll, nanos, Ok(0)),
        ("select", select, MS * 1000, Ok(0)),
        ("pselect6", pselect6, nanos, Ok(0)),
        ("clock_nanosleep", clock_nanosleep, nanos, Ok(0)),
        ("a wait on a futex", futex, nanos, Err(Errno::ETIMEDOUT)),
    ];
    for (name, wait, part, answer) in calls {
        let sleeper = job(|| {
            let mut time = [0, part];
            let begin = monotonic_ns();
            let good = wait(time.as_mut_ptr() as u32) == answer;
            i32::from(!good || monotonic_ns() - begin < u64::from(MS) * NS_PER_MS)
        });
        eq!(
            stop_until_it_ends(sleeper),
            Ok(WaitStatus::exited(0)),
            "{name} ends at its time, however often it was stopped"
        );
    }
}

/// Makes a child run `body`, a wait, in our memory, with a page for its arguments; stops it, lets
/// `meanwhile` change the page, and continues it. The child exits with 0 if all was well.
fn stop_once(name: &str, body: Body, meanwhile: fn(page: u32)) {
    let page = mmap_anonymous(PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE).expect("mmap2");
    let sleeper = Child {
        pid: spawn_process(0, body, page).expect("clone"),
    };
    while state_of(sleeper.pid) != 'S' {
        sched_yield();
    }
    send(sleeper, SIGSTOP);
    let stop = hears(sleeper, WUNTRACED);
    meanwhile(page);
    send(sleeper, SIGCONT);
    eq!(
        (stop, hears(sleeper, 0)),
        (Ok(stopped(SIGSTOP)), Ok(WaitStatus::exited(0))),
        "{name}"
    );
}

fn unmap(page: u32) {
    munmap(page, PAGE_SIZE).expect("munmap");
}

/// Stores two words of arguments.
fn put(page: u32, words: [u32; 2]) {
    // SAFETY: the page that the caller was given for the arguments.
    unsafe { (page as *mut [u32; 2]).write_volatile(words) };
}

/// Seconds longer than anything here takes.
const LONG_S: u32 = 1000;
/// Seconds that can still be slept through: Linux reads the time of a sleep only once.
const SLEPT_S: u32 = 10;

/// Returns 0 if a wait whose arguments are gone fails with EFAULT, and the sleep after it lasts its
/// own time.
fn faults_and_sleeps(wait: impl FnOnce() -> Result<u32, Errno>) -> i32 {
    let answer = wait();
    let begin = monotonic_ns();
    nanosleep(0, 20 * NS_PER_MS as u32).expect("nanosleep");
    let all = monotonic_ns() - begin >= 20 * NS_PER_MS;
    i32::from(answer != Err(Errno::EFAULT)) + 2 * i32::from(!all)
}

extern "C" fn poll_of_what_is_gone(page: u32) -> i32 {
    put(page, [u32::MAX, 0]);
    faults_and_sleeps(|| syscall(SYS_POLL, [page, 1, 1000 * LONG_S]))
}

extern "C" fn select_of_what_is_gone(page: u32) -> i32 {
    put(page, [LONG_S, 0]);
    faults_and_sleeps(|| select(page))
}

extern "C" fn ppoll_of_what_is_gone(page: u32) -> i32 {
    put(page, [LONG_S, 0]);
    faults_and_sleeps(|| ppoll(page))
}

/// Returns 0 if `then`, which follows a wait whose timeout is gone, does not use that wait's time.
fn is_short(first: impl FnOnce() -> Result<u32, Errno>, then: impl FnOnce()) -> i32 {
    let _gone_or_over = first();
    let begin = monotonic_ns();
    then();
    i32::from(monotonic_ns() - begin >= u64::from(SLEPT_S - 1) * 1000 * NS_PER_MS)
}

extern "C" fn futex_of_what_is_gone(page: u32) -> i32 {
    put(page, [SLEPT_S, 0]);
    is_short(|| futex(page), || sleep_ms(4))
}

extern "C" fn sleep_of_what_is_gone(page: u32) -> i32 {
    put(page, [SLEPT_S, 0]);
    is_short(
        || syscall(SYS_NANOSLEEP, [page, 0]),
        || _ = syscall(SYS_POLL, [0, 0, 4]),
    )
}

fn forgotten() {
    let cases: [(&str, Body); 5] = [
        (
            "poll, its files unmapped: EFAULT, and forgotten",
            poll_of_what_is_gone,
        ),
        (
            "select, its time unmapped: EFAULT, and forgotten",
            select_of_what_is_gone,
        ),
        (
            "ppoll, its time unmapped: EFAULT, and forgotten",
            ppoll_of_what_is_gone,
        ),
        (
            "a wait on a futex, its time unmapped: forgotten when it ends",
            futex_of_what_is_gone,
        ),
        (
            "nanosleep, its time unmapped: forgotten when it ends",
            sleep_of_what_is_gone,
        ),
    ];
    for (name, body) in cases {
        stop_once(name, body, unmap);
    }
}

/// Returns 0 if a wait that cannot write its remaining time back fails with EINTR.
fn cannot_tell(page: u32, wait: Wait) -> i32 {
    put(page, [LONG_S, 0]);
    syscall(SYS_MPROTECT, [page, PAGE_SIZE, PROT_READ]).expect("mprotect");
    i32::from(wait(page) != Err(Errno::EINTR))
}

extern "C" fn select_cannot_tell(page: u32) -> i32 {
    cannot_tell(page, select)
}

extern "C" fn pselect6_cannot_tell(page: u32) -> i32 {
    cannot_tell(page, pselect6)
}

extern "C" fn ppoll_cannot_tell(page: u32) -> i32 {
    cannot_tell(page, ppoll)
}

/// select and its like are run again with the time that they have written back.
fn read_only() {
    let nothing = |_| ();
    stop_once(
        "select, its time read-only: EINTR",
        select_cannot_tell,
        nothing,
    );
    stop_once(
        "pselect6, its time read-only: EINTR",
        pselect6_cannot_tell,
        nothing,
    );
    stop_once(
        "ppoll, its time read-only: EINTR",
        ppoll_cannot_tell,
        nothing,
    );
}

/// Kills a process that forks without end, with its group, at any moment. A child that the signal
/// missed would be the only one to notice.
fn forks(page: SharedPage) -> i32 {
    let [begun, made, over] = [&page[0], &page[1], &page[2]];
    // At this priority it runs as soon as its sleep ends, whatever other tasks are doing.
    sched_setscheduler(0, SCHED_FIFO, 1).expect("SCHED_FIFO");
    let mut missed = 0;
    for _ in 0..300 {
        [begun, made, over]
            .iter()
            .for_each(|word| word.store(0, SeqCst));
        let mut ends = [0u32; 2];
        syscall(SYS_PIPE, [ends.as_mut_ptr() as u32]).expect("pipe");
        let forker = job(|| {
            sched_setscheduler(0, SCHED_OTHER, 0).expect("SCHED_OTHER");
            for number in 1.. {
                begun.store(number, SeqCst);
                let child = child(|| {
                    while made.load(SeqCst) < number {
                        if over.load(SeqCst) != 0 {
                            let byte = [1u8].as_ptr() as u32;
                            return syscall(SYS_WRITE, [ends[1], byte, 1]).map_or(1, |_| 0);
                        }
                        sched_yield();
                    }
                    0
                });
                made.store(number, SeqCst);
                child.wait();
            }
            0
        });
        syscall(SYS_CLOSE, [ends[1]]).expect("close");
        while begun.load(SeqCst) < 2 {
            sleep_ms(1);
        }
        kill(forker.pid.wrapping_neg(), SIGKILL).expect("kill");
        over.store(1, SeqCst);
        forker.wait();
        let mut byte = 0u8;
        // Reads the end of the pipe once all are gone.
        missed += syscall(SYS_READ, [ends[0], &raw mut byte as u32, 1]).expect("read");
        syscall(SYS_CLOSE, [ends[0]]).expect("close");
    }
    missed as i32
}

/// Runs all cases below a parent that is not init, in another group of the same session.
fn all() -> i32 {
    ktap::plan(15);
    let page = shared_page();
    eq!(
        child(|| forks(page)).wait(),
        WaitStatus::exited(0),
        "a signal to a group reaches a child that is just being made"
    );
    times();
    forgotten();
    read_only();
    ktap::finish()
}

fn main() -> i32 {
    i32::from(child(all).wait() != WaitStatus::exited(0))
}

rt::main!(main);

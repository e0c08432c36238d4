//! Orphaned process groups: nobody is left outside who could let their members continue.
//!
//! Nothing here waits for time to pass: each process waits until another writes a word or closes.
//!
//! Linux: setpgid(2), `kill_orphaned_pgrp`.
//! Red without: the search for orphaned groups at the end of a process, among its children's groups
//! and its own; that only groups with stopped members are told.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child, eq,
    gates::syscall,
    job::{SIGCONT, SIGHUP, SIGKILL, SIGSTOP, WUNTRACED, hears, job, send, send_self},
    job::{state_of, stopped, wait_for},
    ktap,
    memory::{SharedPage, shared_page},
    process::{Child, getpid},
    signals::{Sigcontext, set_handler},
};

const SYS_READ: u32 = 3;
const SYS_WRITE: u32 = 4;
const SYS_CLOSE: u32 = 6;
const SYS_PIPE: u32 = 42;
const SYS_SETPGID: u32 = 57;

/// How often the running process has received SIGHUP.
static HUNG_UP: AtomicU32 = AtomicU32::new(0);

extern "C" fn hang_up(_signal: u32, _context: Sigcontext) {
    HUNG_UP.fetch_add(1, SeqCst);
}

/// Stops; then stores the number of its SIGHUPs, plus one.
fn stop_and_tell(word: &AtomicU32) -> i32 {
    set_handler(SIGHUP, hang_up).expect("sigaction");
    send_self(SIGSTOP);
    word.store(1 + HUNG_UP.load(SeqCst), SeqCst);
    0
}

/// Waits until a child has stopped, and then ends: with 0 if it has.
fn ends_when_stopped(child: Child) -> i32 {
    i32::from(hears(child, WUNTRACED) != Ok(stopped(SIGSTOP)))
}

/// Waits for a word to be stored, and returns it.
fn told(word: &AtomicU32) -> u32 {
    wait_for(word, 1);
    word.load(SeqCst)
}

const GOOD: WaitStatus = WaitStatus::exited(0);

fn by_the_end_of_the_parent(page: SharedPage) {
    let parent = child(|| ends_when_stopped(job(|| stop_and_tell(&page[0]))));
    eq!(
        (parent.wait(), told(&page[0])),
        (GOOD, 2),
        "when its parent ends, a stopped job gets SIGHUP and goes on"
    );
    let mut ends = [0u32; 2];
    syscall(SYS_PIPE, [ends.as_mut_ptr() as u32]).expect("pipe");
    let parent = child(|| {
        ends_when_stopped(job(|| {
            send_self(SIGSTOP);
            syscall(SYS_WRITE, [ends[1], [1u8].as_ptr() as u32, 1]).map_or(1, |_| 0)
        }))
    });
    syscall(SYS_CLOSE, [ends[1]]).expect("close");
    let mut byte = 0u8;
    let read = syscall(SYS_READ, [ends[0], &raw mut byte as u32, 1]);
    eq!(
        (parent.wait(), read),
        (GOOD, Ok(0)),
        "which ends it, unless it has a handler"
    );
}

fn by_the_end_of_a_member(page: SharedPage) {
    let leader = job(|| ends_when_stopped(child(|| stop_and_tell(&page[1]))));
    eq!(
        (leader.wait(), told(&page[1])),
        (GOOD, 2),
        "so does the job left behind when the member with a parent outside ends"
    );
}

fn who_is_not_told(page: SharedPage) {
    let [runs, goes_on, word] = [&page[2], &page[3], &page[4]];
    let parent = child(|| {
        let _an_orphan = job(|| {
            set_handler(SIGHUP, hang_up).expect("sigaction");
            runs.store(1, SeqCst);
            wait_for(goes_on, 1);
            word.store(1 + HUNG_UP.load(SeqCst), SeqCst);
            0
        });
        wait_for(runs, 1);
        0
    });
    let end = parent.wait();
    goes_on.store(1, SeqCst);
    eq!(
        (end, told(word)),
        (GOOD, 1),
        "a group without stopped members is not told"
    );

    let [pid, word] = [&page[5], &page[6]];
    let connected = job(|| {
        loop {
            rt::clock::sleep_ms(1000);
        }
    });
    let parent = child(|| {
        ends_when_stopped(child(|| {
            syscall(SYS_SETPGID, [0, connected.pid]).expect("setpgid");
            pid.store(getpid(), SeqCst);
            stop_and_tell(word)
        }))
    });
    let end = parent.wait();
    let member = Child {
        pid: pid.load(SeqCst),
    };
    let state = state_of(member.pid);
    send(member, SIGCONT);
    eq!(
        (end, state, told(word)),
        (GOOD, 'T', 1),
        "nor one in which another still has its parent outside"
    );
    send(connected, SIGKILL);
    connected.wait();
    let nobody: Result<WaitStatus, Errno> = hears(member, WUNTRACED);
    eq!(
        nobody,
        Err(Errno::ECHILD),
        "orphans are children of another process"
    );
}

/// Runs all cases below a parent that is not init, in another group of the same session.
fn all() -> i32 {
    ktap::plan(6);
    let page = shared_page();
    by_the_end_of_the_parent(page);
    by_the_end_of_a_member(page);
    who_is_not_told(page);
    ktap::finish()
}

fn main() -> i32 {
    i32::from(child(all).wait() != GOOD)
}

rt::main!(main);

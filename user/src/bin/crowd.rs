//! Many processes at once: each is found by its number, its group and its parent, and none is missed.
//!
//! Nothing here waits for time to pass: each process waits for a word that another one writes.
//!
//! Linux: kill(2), setpgid(2), wait(2), `do_each_pid_task`, `forget_original_parent`.
//! Red without: the second batch of a list; that the children of a dying parent all go to another; that a
//! group has to be there to be joined.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child, eq,
    gates::syscall,
    job::{SIGKILL, job, wait_for},
    ktap,
    memory::{SharedPage, shared_page},
    ok,
    process::{Child, getpid, getppid, wait4},
    sched::sched_yield,
    signals::kill,
};

const SYS_PAUSE: u32 = 29;
const SYS_SETPGID: u32 = 57;
const SIGTERM: u32 = 15;
const WNOHANG: u32 = 1;

/// More than the kernel does something to in one go.
const CROWD: u32 = 100;

fn sleep_for_ever() -> ! {
    loop {
        let _ = syscall(SYS_PAUSE, [0; 0]);
    }
}

fn group(of: u32) -> u32 {
    of.wrapping_neg()
}

/// Makes `CROWD` processes in the group of `leader`; each counts itself.
fn gather(leader: Child, here: &AtomicU32) {
    for _ in 0..CROWD {
        let member = child(|| {
            here.fetch_add(1, SeqCst);
            sleep_for_ever()
        });
        syscall(SYS_SETPGID, [member.pid, leader.pid]).expect("setpgid");
    }
    wait_for(here, CROWD);
}

/// Waits for all children of group `leader`; returns how many there were, and how many `signal` ended.
fn hear_of(leader: Child, signal: u32) -> (u32, u32) {
    let (mut heard, mut by_signal) = (0, 0);
    while let Ok((_, status)) = wait4(group(leader.pid) as i32, 0) {
        heard += 1;
        by_signal += u32::from(status == WaitStatus::signaled(signal));
    }
    (heard, by_signal)
}

fn a_signal_for_all(here: &AtomicU32) {
    let outsider = child(|| sleep_for_ever());
    let leader = job(|| sleep_for_ever());
    gather(leader, here);
    kill(group(leader.pid), SIGTERM).expect("kill");
    eq!(
        hear_of(leader, SIGTERM),
        (CROWD + 1, CROWD + 1),
        "a signal for a group reaches each of it"
    );
    eq!(
        wait4(-1, WNOHANG).map(|(pid, _)| pid),
        Ok(0),
        "and nobody else"
    );
    kill(outsider.pid, SIGKILL).expect("kill");
    outsider.wait();
}

/// A group exists, and its number stays in use, as long as it has a member.
fn groups_without_leader(here: &AtomicU32) {
    let leader = job(|| sleep_for_ever());
    gather(leader, here);
    kill(leader.pid, SIGKILL).expect("kill");
    leader.wait();
    eq!(
        (kill(group(leader.pid), 0), kill(leader.pid, 0)),
        (Ok(()), Err(Errno::ESRCH)),
        "a group outlives its leader"
    );
    let late = child(|| sleep_for_ever());
    eq!(
        syscall(SYS_SETPGID, [late.pid, leader.pid]),
        Ok(0),
        "a latecomer joins it"
    );
    kill(group(leader.pid), SIGKILL).expect("kill");
    eq!(
        hear_of(leader, SIGKILL),
        (CROWD + 1, CROWD + 1),
        "its members are waited for by its number"
    );
    eq!(
        kill(group(leader.pid), 0),
        Err(Errno::ESRCH),
        "with the last one it is gone"
    );
    let single = child(|| sleep_for_ever());
    eq!(
        syscall(SYS_SETPGID, [single.pid, leader.pid]),
        Err(Errno::EPERM),
        "and nobody joins it any more"
    );
    kill(single.pid, SIGKILL).expect("kill");
    single.wait();
}

/// Each child, in a group of its own, counts itself once another process has become its parent.
fn children_of_an_ended_parent(page: SharedPage) {
    let [here, adopted, ..] = page;
    let parent = child(|| {
        for _ in 0..CROWD {
            let parent = getpid();
            let orphan = child(|| {
                here.fetch_add(1, SeqCst);
                while getppid() == parent {
                    sched_yield();
                }
                adopted.fetch_add(1, SeqCst);
                0
            });
            syscall(SYS_SETPGID, [orphan.pid, orphan.pid]).expect("setpgid");
        }
        wait_for(here, CROWD);
        0
    });
    eq!(
        parent.wait(),
        WaitStatus::exited(0),
        "a parent of many ends"
    );
    wait_for(adopted, CROWD);
    eq!(
        adopted.load(SeqCst),
        CROWD,
        "each of its children has another"
    );
    if getpid() == 1 {
        // The other parent is this program.
        for _ in 0..CROWD {
            wait4(-1, 0).expect("wait4");
        }
    }
}

/// Among many zombies, wait4 finds the one that is named, and returns each other one once.
fn zombies() {
    let mut last = Child { pid: 0 };
    for number in 0..CROWD {
        last = child(|| (number % 7) as i32);
    }
    eq!(
        last.wait(),
        WaitStatus::exited((CROWD - 1) % 7),
        "a named zombie is found among many"
    );
    let mut heard = 0;
    while wait4(-1, 0).is_ok() {
        heard += 1;
    }
    eq!(heard, CROWD - 1, "and each other is heard of once");
    ok!(
        wait4(-1, WNOHANG) == Err(Errno::ECHILD),
        "then there is no child"
    );
}

fn main() -> i32 {
    ktap::plan(12);
    a_signal_for_all(&shared_page()[0]);
    groups_without_leader(&shared_page()[0]);
    children_of_an_ended_parent(shared_page());
    zombies();
    ktap::finish()
}

rt::main!(main);

//! A fuzzer of the kernel: processes and threads that do at random whatever ring 3 can do.
//!
//! `fuzz SEED ROUNDS WORKERS`. Each worker is a process that starts a victim in every round and
//! waits for its end, or ends it. A victim is root or a user of its own; it makes random and
//! well-formed system calls, loads random selectors and flags, edits its LDT, forges signal frames,
//! maps and unmaps memory, clones itself with random flags, and runs random bytes. The fate of a
//! victim does not matter: the kernel must survive and take back all that the victims had, which
//! the kernel's own run of this program counts.
//!
//! SEED, the worker's number and the round's decide all that a victim does. Three things are left
//! out because they would end the machine on Linux too: reboot, ports that belong to the machine,
//! and signals from root to processes other than the victim's.
//!
//! Red without: the checks of whatever a program passes to the kernel.
#![no_std]
#![no_main]

mod almost_good;
mod calls;
mod frames;
mod guard;
mod segments;
mod traces;
mod values;

use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    dice::Dice,
    gates::syscall,
    memory::{MAP_PRIVATE, SharedPage, mmap_anonymous, shared_page},
    println, process, start, thread,
};
use values::Victim;

const SYS_SETSID: u32 = 66;
const SYS_KILL: u32 = 37;
const SYS_SETRESUID: u32 = 208;
const SYS_SETRESGID: u32 = 210;
const SYS_RT_SIGPROCMASK: u32 = 175;
const SYS_RT_SIGTIMEDWAIT: u32 = 177;
const SYS_OPEN: u32 = 5;
const SYS_CLOSE: u32 = 6;
const PROT_NONE: u32 = 0;
const SIGKILL: u32 = 9;
const SIGCHLD: u32 = 17;

/// Directories in which victims make files.
const PLACES: [&CStr; 2] = [c"/", c"/tmp"];
/// Deeds of a victim's first thread, and of each of its other threads.
const DEEDS: u32 = 160;
const THREAD_DEEDS: u32 = 60;
/// Seconds that a victim may live.
const PATIENCE_S: u32 = 2;
/// The user of worker 0. Each worker has its own, by which all of its victims can be found.
const FIRST_USER: u32 = 20_000;

fn main() -> i32 {
    // Victims execute this program too, with any arguments.
    let (Some(seed), Some(rounds), Some(workers), 4) =
        (number(1), number(2), number(3), start::argc())
    else {
        return if start::arg(1) == Some("leaf") { 42 } else { 2 };
    };
    println!("# fuzz: seed {seed}, {rounds} rounds of {workers} workers");
    let before = PLACES.map(traces::Names::of);
    PLACES.into_iter().for_each(traces::grow);
    let counts = shared_page();
    // Victims use numbers that they have read as addresses: these are low, and often beyond their
    // memory.
    let _ = mmap_anonymous(0x40_0000, PROT_NONE, MAP_PRIVATE);
    let mut started = 0;
    for worker in 0..workers {
        match process::fork() {
            Ok(0) => process::exit(work(Dice::new(seed), worker, rounds, counts)),
            Ok(_) => started += 1,
            Err(errno) => println!("# fuzz: fork of worker {worker}: {errno:?}"),
        }
    }
    let mut good = 0;
    while let Ok((_, status)) = process::wait4(-1, 0) {
        good += u32::from(status == rt::WaitStatus::exited(0));
    }
    for (directory, names) in PLACES.iter().zip(before) {
        names.remove_others(directory);
    }
    println!(
        "# fuzz: seed {seed}: {} deeds by {} victims, of which {} were ended",
        counts[0].load(SeqCst),
        counts[1].load(SeqCst),
        counts[2].load(SeqCst)
    );
    i32::from(good != workers || started != workers)
}

fn number(argument: usize) -> Option<u32> {
    start::arg(argument)?.parse().ok()
}

/// Runs one worker; returns its exit status.
fn work(dice: Dice, worker: u32, rounds: u32, counts: SharedPage) -> i32 {
    let child_ended = 1u64 << (SIGCHLD - 1);
    let mask = &raw const child_ended as u32;
    syscall(SYS_RT_SIGPROCMASK, [0, mask, 0, 8]).expect("SIGCHLD is blocked");
    let dice = dice.split(worker);
    for round in 0..rounds {
        let mut dice = dice.split(round);
        let user = (dice.throw(3) > 0).then_some(FIRST_USER + worker);
        let pid = loop {
            match process::fork() {
                Ok(0) => victim(dice, user, counts),
                Ok(pid) => break pid,
                // Other victims hold all memory for as long as they live.
                Err(_) => pause(mask),
            }
        };
        counts[1].fetch_add(1, SeqCst);
        let mut turns = 0;
        while !reaped(pid) {
            pause(mask);
            turns += 1;
            if turns >= PATIENCE_S {
                counts[2].fetch_add(u32::from(turns == PATIENCE_S), SeqCst);
                end(pid, user);
            }
        }
        end(pid, user);
    }
    while process::wait4(-1, 0).is_ok() {}
    0
}

/// Waits until a child ends, or for a second.
fn pause(mask: u32) {
    let timeout = [1, 0];
    let _ = syscall(SYS_RT_SIGTIMEDWAIT, [mask, 0, timeout.as_ptr() as u32, 8]);
}

/// Reaps every child that has ended; returns whether `pid` is no child any more.
fn reaped(pid: u32) -> bool {
    loop {
        match process::wait4(-1, process::WNOHANG) {
            Ok((0, _)) => break,
            Ok((ended, _)) if ended == pid => return true,
            Ok(_) => (),
            Err(_) => return true,
        }
    }
    false
}

/// Kills the group of a victim, and every process that runs as its user.
fn end(group: u32, user: Option<u32>) {
    let _ = syscall(SYS_KILL, [group.wrapping_neg(), SIGKILL]);
    let Some(user) = user else { return };
    if let Ok(0) = process::fork() {
        if syscall(SYS_SETRESUID, [user, user, user]).is_ok() {
            let _ = syscall(SYS_KILL, [u32::MAX, SIGKILL]);
        }
        process::exit(0);
    }
}

/// Runs one victim.
fn victim(mut dice: Dice, user: Option<u32>, counts: SharedPage) -> ! {
    let _ = syscall(SYS_SETSID, []);
    // Victims must not use the console.
    for fd in 0..3 {
        let _ = syscall(SYS_CLOSE, [fd]);
        let _ = syscall(SYS_OPEN, [NULL.as_ptr() as u32, 2, 0]);
    }
    if let Some(user) = user {
        let _ = syscall(SYS_SETRESGID, [user, user, user]);
        let _ = syscall(SYS_SETRESUID, [user, user, user]);
    }
    let mut victim = Victim::new(user.is_none());
    THREAD_SEED.store(dice.word(), SeqCst);
    IS_ROOT.store(u32::from(victim.is_root), SeqCst);
    for number in 0..dice.throw(4) {
        let _ = thread::spawn(thread_body, number, None);
    }
    for deed in 0..DEEDS {
        if deed % 16 == 0 {
            guard::install();
        }
        let mut life = Life {
            dice: &mut dice,
            victim: &mut victim,
        };
        guard::guarded(act, &raw mut life as u32);
        counts[0].fetch_add(1, SeqCst);
    }
    process::exit_group(0)
}

const NULL: &CStr = c"/dev/null";
static THREAD_SEED: AtomicU32 = AtomicU32::new(0);
static IS_ROOT: AtomicU32 = AtomicU32::new(0);

extern "C" fn thread_body(number: u32) -> i32 {
    let mut dice = Dice::new(THREAD_SEED.load(SeqCst)).split(number);
    let mut victim = Victim::new(IS_ROOT.load(SeqCst) != 0);
    for _ in 0..THREAD_DEEDS {
        calls::random(&mut dice, &mut victim);
    }
    0
}

/// The random numbers and the victim that a deed uses.
struct Life<'a> {
    dice: &'a mut Dice,
    victim: &'a mut Victim,
}

/// Does one thing at random, with the [`Life`] at the address `life`.
extern "C" fn act(life: u32) {
    // SAFETY: the address of the `Life` of `victim`, which waits for this deed.
    let Life { dice, victim } = unsafe { &mut *(life as *mut Life<'_>) };
    match dice.throw(16) {
        0..=3 => calls::random(dice, victim),
        4 | 5 => almost_good::call(dice, victim),
        6..=10 => calls::well_formed(dice, victim),
        11 => segments::selector(dice),
        12 => segments::flags(dice),
        13 => segments::far(dice),
        14 => frames::forge(dice, victim),
        _ => segments::code(dice, victim),
    }
}

rt::main!(main);

//! Threads: one address space and %gs = 0x33 for all; everything else is their own.
//!
//! A switch between threads leaves CR3 as it is, so only the switch itself tells one from the
//! other:
//! TLS base, FPU, I/O bitmap, EFLAGS.
//!
//! Book: ch. 3, lightweight processes; `__switch_to`.
//! Red without: CLONE_SETTLS; `load_TLS` and the reload of gs; saving the FPU; the copy of the I/O
//! bitmap; the count of users of the mm; the check, when a thread is made, whether all are ending.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    WaitStatus, child, eq, expect_exit, expect_signal,
    fpu::{Xmm, x87_holds, x87_load, xmm_load, xmm_store},
    insn, ktap, machine, ok, process,
    relay::{Role, alternate_threads},
    sched::{SCHED_OTHER, sched_setscheduler, set_affinity},
    signal::SIGSEGV,
    thread::spawn,
    tls::{UserDesc, set_thread_area},
};

const ROUNDS: u32 = 500;
const GETTID: u32 = 224;

/// The words at the threads' %gs:0, in memory that all of them see.
static WORDS: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

fn area(who: usize) -> UserDesc {
    UserDesc::data(machine::tls_min(), WORDS[who].as_ptr() as u32)
}

fn holds(who: usize) -> bool {
    insn::gs() == machine::tls_selector(0)
        && insn::gs_word() == 0x100 + who as u32
        && x87_holds(100 * who as i32, 0x37f)
        && xmm_store() == Xmm::named(who as u32 + 1)
}

fn set(who: usize) {
    x87_load(100 * who as i32, 0x37f);
    xmm_load(&Xmm::named(who as u32 + 1));
}

fn switching() {
    for (who, word) in WORDS.iter().enumerate() {
        word.store(0x100 + who as u32, SeqCst);
    }
    set_thread_area(&mut area(0)).expect("set_thread_area");
    insn::set_gs(machine::tls_selector(0)); // which threads inherit

    let out = alternate_threads(
        ROUNDS,
        &[area(0), area(1), area(2)],
        &[
            Role::new(&|| set(0), &|_| holds(0)),
            Role::new(&|| set(1), &|_| holds(1)),
            Role::new(&|| set(2), &|_| holds(2)),
        ],
    );
    for who in 0..3 {
        ok!(
            out.held(who),
            "thread {who} keeps its %gs base, x87 and XMM registers"
        );
    }
    ok!(
        out.passed() >= 3 * ROUNDS - 1,
        "the three alternated {ROUNDS} times"
    );
    eq!(insn::gs_word(), 0x100, "their creator keeps its own base");
    insn::set_gs(0);
}

static NOTES: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];

extern "C" fn take_notes(argument: u32) -> i32 {
    NOTES[0].store(argument, SeqCst);
    NOTES[1].store(process::getpid(), SeqCst);
    NOTES[2].store(rt::gates::syscall(GETTID, []).unwrap_or(0), SeqCst);
    0
}

extern "C" fn die(_: u32) -> i32 {
    insn::ud2();
    0
}

extern "C" fn exit_all(_: u32) -> i32 {
    process::exit_group(44)
}

extern "C" fn sleep_long(_: u32) -> i32 {
    rt::clock::sleep_ms(60_000);
    0
}

extern "C" fn never_end(_: u32) -> i32 {
    loop {
        rt::clock::sleep_ms(60_000);
    }
}

extern "C" fn make_threads(_: u32) -> i32 {
    while spawn(never_end, 0, None).is_ok() {}
    0
}

/// Ends, as a whole, a process in which two threads make more and more; returns false if it never
/// ends.
fn ends_with_all_its_threads() -> bool {
    let process = child(|| {
        sched_setscheduler(0, SCHED_OTHER, 0).expect("SCHED_OTHER");
        set_affinity(0, u32::MAX).expect("sched_setaffinity");
        let _makers = [spawn(make_threads, 0, None), spawn(make_threads, 0, None)];
        rt::clock::sleep_ms(4);
        process::exit_group(0)
    });
    rt::clock::comes_true(
        || matches!(process::wait4(process.pid as i32, process::WNOHANG), Ok((pid, _)) if pid != 0),
    )
}

fn life_cycle() {
    let me = process::getpid();
    ok!(
        spawn(take_notes, 99, None).expect("clone").join(),
        "a thread runs, ends and is joined"
    );
    eq!(
        NOTES[0].load(SeqCst),
        99,
        "it shares its creator's memory, and got its argument"
    );
    eq!(NOTES[1].load(SeqCst), me, "its getpid is its creator's");
    let tid = NOTES[2].load(SeqCst);
    ok!(tid != me && tid != 0, "its gettid is its own");
    let nobody = process::wait4(-1, 0);
    eq!(
        nobody,
        Err(rt::Errno::ECHILD),
        "it is no child: wait4 does not see it"
    );
    let joined = (0..200).all(|i| spawn(take_notes, i, None).is_ok_and(|thread| thread.join()));
    ok!(joined, "200 threads, one after another");

    expect_signal(
        "a thread's fault kills its whole process: SIGILL",
        4,
        || {
            let _ = spawn(die, 0, None);
            rt::clock::sleep_ms(60_000);
        },
    );
    expect_exit("a thread's exit_group ends its whole process", 44, || {
        let _ = spawn(exit_all, 0, None);
        rt::clock::sleep_ms(60_000);
        0
    });
    expect_exit("exit_group ends the threads that sleep", 0, || {
        let _ = spawn(sleep_long, 0, None);
        rt::sched::sched_yield();
        process::exit_group(0)
    });
    ok!(
        (0..20).all(|_| ends_with_all_its_threads()),
        "and those that are just being made"
    );
    let forked = child(|| i32::from(NOTES[0].swap(5, SeqCst) != 199));
    eq!(
        forked.wait(),
        WaitStatus::exited(0),
        "a fork sees what the threads wrote"
    );
    eq!(NOTES[0].load(SeqCst), 199, "and does not share it");
    expect_signal("the parent's fault after threads: SIGSEGV", SIGSEGV, || {
        insn::read(0)
    });
}

fn main() -> i32 {
    ktap::plan(18);
    switching();
    life_cycle();
    ktap::finish()
}

rt::main!(main);

//! The I/O privilege level: it is in the EFLAGS of one task and of no other.
//!
//! Linux up to 5.4 puts the level into EFLAGS.IOPL, which the switch carries with `pushfl`/`popfl`.
//! Later versions emulate it by a bitmap: there the cases that look at the flag are skipped.
//!
//! Book: ch. 3, `switch_to`, saving EFLAGS. Linux: ioport.c.
//! Red without: `pushfl` and `popfl` in `switch_to`; the privilege check; interrupts on in system
//! calls and page faults.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, eq, expect_exit, expect_signal,
    gates::yield_with_eflags_sysenter,
    insn::{cli, eflags, inb, read, sti, write},
    ktap, machine,
    memory::{MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous, munmap},
    ok,
    ports::{IOPL_3, POST, iopl},
    process::{NOBODY, exit_group, setuid},
    relay::{Role, alternate},
    sched::{sched_yield, set_affinity},
    signal::SIGSEGV,
    skip,
    thread::spawn,
};

static TURNS: AtomicU32 = AtomicU32::new(0);

const ROUNDS: u32 = 400;
/// IF, and bit 1, which is always set.
const CLEAN: u32 = 0x202;

fn level_3() {
    iopl(3).expect("iopl(3)");
}

fn main() -> i32 {
    ktap::plan(16);
    let emulated = machine::iopl_is_emulated();

    eq!(eflags() & IOPL_3, 0, "a new program has IOPL 0");
    eq!(iopl(4), Err(Errno::EINVAL), "iopl(4): EINVAL");
    eq!(iopl(0), Ok(()), "iopl(0) from 0 is allowed");
    expect_signal("at level 0 inb is SIGSEGV", SIGSEGV, || inb(POST));
    expect_signal("at level 0 cli is SIGSEGV", SIGSEGV, cli);
    expect_exit("at level 3 inb works on every port", 0, || {
        level_3();
        let _ = [0x61, POST, 0xffff].map(inb);
        0
    });
    if emulated {
        skip!(
            "this kernel emulates iopl",
            "at level 3 cli and sti work, and pushf shows 3"
        );
    } else {
        expect_exit("at level 3 cli and sti work, and pushf shows 3", 0, || {
            level_3();
            cli();
            sti();
            i32::from(eflags() & IOPL_3 != IOPL_3)
        });
    }
    if emulated {
        skip!(
            "this kernel emulates iopl",
            "after cli memory changes under another thread all the same"
        );
    } else {
        expect_exit(
            "after cli memory changes under another thread all the same",
            0,
            changes_memory_after_cli,
        );
    }
    expect_signal("back at level 0 inb is SIGSEGV", SIGSEGV, || {
        level_3();
        iopl(0).expect("iopl(0)");
        inb(POST);
    });
    expect_exit("a forked child has its parent's level", 0, || {
        level_3();
        let status = rt::child(|| {
            inb(POST);
            0
        })
        .wait();
        i32::from(status != WaitStatus::exited(0))
    });
    expect_exit("unprivileged: raising is EPERM", 0, || {
        setuid(NOBODY).expect("setuid");
        i32::from(iopl(1) != Err(Errno::EPERM))
    });
    expect_exit("unprivileged: lowering is allowed", 0, || {
        level_3();
        setuid(NOBODY).expect("setuid");
        i32::from(iopl(1) != Ok(()) || iopl(1) != Ok(()) || iopl(2) != Err(Errno::EPERM))
    });

    switching(emulated);
    eq!(eflags() & IOPL_3, 0, "their parent is still at 0");
    ktap::finish()
}

extern "C" fn run_elsewhere(_: u32) -> i32 {
    // On a machine with one CPU the two take turns.
    let _only_one = set_affinity(0, 0b10);
    loop {
        TURNS.fetch_add(1, SeqCst);
    }
}

/// A flush waits for the other CPU; the other CPU must not wait for this one.
fn changes_memory_after_cli() -> i32 {
    level_3();
    let _runs_on = spawn(run_elsewhere, 0, None);
    set_affinity(0, 0b01).expect("CPU 0");
    while TURNS.load(SeqCst) == 0 {
        sched_yield();
    }
    cli();
    for _ in 0..20 {
        let page = mmap_anonymous(PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        let page = page.expect("mmap");
        // First maps the page of zeroes, then replaces it with a page of its own.
        read(page);
        write(page, 1);
        munmap(page, PAGE_SIZE).expect("munmap");
    }
    sti();
    exit_group(0)
}

/// The second task returns by sysexit, which restores no flags: it would have the level that the
/// switch left behind.
fn switching(emulated: bool) {
    let leave_by_sysexit = || {
        if machine::is_i386_kernel() {
            yield_with_eflags_sysenter(CLEAN);
        } else {
            sched_yield();
        }
    };
    let at_level_3 = Role {
        set: &level_3,
        holds: &|_| {
            inb(POST);
            emulated || eflags() & IOPL_3 == IOPL_3
        },
        give_way: &sched_yield,
    };
    let at_level_0 = Role {
        set: &|| (),
        holds: &|round| {
            if round == ROUNDS - 1 {
                inb(POST);
            }
            eflags() & IOPL_3 == 0
        },
        give_way: &leave_by_sysexit,
    };
    let out = alternate(ROUNDS, &[at_level_3, at_level_0]);
    ok!(
        out.held(0),
        "a task at level 3 keeps it over {ROUNDS} switches"
    );
    eq!(
        out.status(1),
        WaitStatus::signaled(SIGSEGV),
        "the other is at 0, and faults"
    );
    ok!(
        out.passed() >= 2 * ROUNDS - 2,
        "the two alternated {ROUNDS} times"
    );
}

rt::main!(main);

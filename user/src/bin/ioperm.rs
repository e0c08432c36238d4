//! The I/O permission bitmap: a task may use the ports granted to it, and no other task may.
//!
//! Book: ch. 3, I/O permission bitmap; `__switch_to`, last step.
//! Linux: ioport.c, `__switch_to_xtra`. SDM: vol. 1, 18.5.2 "I/O Permission Bit Map".
//! Red without: the copy of the bitmap at a switch (a granted port faults); the ones for a task
//! without a bitmap (the other task may use it); `max(prev, next)` (a port of the longer bitmap
//! stays open); the byte of ones (inw 65535); exit_thread.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering::SeqCst;
use rt::{
    Errno, WaitStatus, child, eq, expect_exit, expect_signal,
    insn::{inb, inl, inw, outb},
    job::wait_for,
    ktap,
    memory::shared_page,
    ok,
    ports::{LAST, POST, ioperm},
    process::{NOBODY, exec_self, setuid},
    relay::{Role, alternate},
    sched::stay_on_one_cpu,
    segfaults,
    signal::SIGSEGV,
    start,
};

const ROUNDS: u32 = 400;

fn grant(port: u16) {
    ioperm(u32::from(port), 1, true).expect("ioperm");
}

fn one_port() {
    expect_signal("nothing granted: outb 0x80 is SIGSEGV", SIGSEGV, || {
        outb(POST, 0)
    });
    expect_exit("0x80 granted: outb 0x80 works", 0, || {
        grant(POST);
        outb(POST, 0x11);
        0
    });
    let denied: [(&str, fn()); 5] = [
        ("inb 0x81", || {
            inb(POST + 1);
        }),
        ("inb 0x7f", || {
            inb(POST - 1);
        }),
        ("inw 0x80", || {
            inw(POST);
        }),
        ("inw 0x7f", || {
            inw(POST - 1);
        }),
        ("inl 0x80", || {
            inl(POST);
        }),
    ];
    for (name, access) in denied {
        expect_signal(name, SIGSEGV, || {
            grant(POST);
            access();
        });
    }
    expect_exit("0x80 and 0x81 granted: inw 0x80 works", 0, || {
        ioperm(u32::from(POST), 2, true).expect("ioperm");
        inw(POST);
        0
    });
    expect_signal("revoked again: outb 0x80 is SIGSEGV", SIGSEGV, || {
        grant(POST);
        outb(POST, 0x12);
        ioperm(u32::from(POST), 1, false).expect("ioperm");
        outb(POST, 0x13);
    });
}

fn last_port() {
    expect_exit("65535 granted: inb 65535 works", 0, || {
        grant(LAST);
        inb(LAST);
        0
    });
    expect_signal(
        "inw 65535 is SIGSEGV: port 65536 is not there",
        SIGSEGV,
        || {
            grant(LAST);
            inw(LAST);
        },
    );
    expect_signal("65535 granted: inb 65534 is SIGSEGV", SIGSEGV, || {
        grant(LAST);
        inb(LAST - 1);
    });
    expect_exit("all 65536 granted: both ends work", 0, || {
        ioperm(0, 65536, true).expect("ioperm");
        outb(POST, 0x14);
        inb(LAST);
        0
    });
}

/// Switches among a task with a short bitmap, one with a long bitmap and one with none.
fn switching() {
    let seldom = |round| round % 100 == 50;
    let out = alternate(
        ROUNDS,
        &[
            Role::new(&|| grant(POST), &|round| {
                outb(POST, round as u8);
                !seldom(round) || segfaults(|| inb(LAST))
            }),
            Role::new(&|| grant(LAST), &|round| {
                inb(LAST);
                !seldom(round) || segfaults(|| outb(POST, 0))
            }),
            Role::new(&|| (), &|round| {
                !seldom(round) || segfaults(|| outb(POST, 0)) && segfaults(|| inb(LAST))
            }),
        ],
    );
    ok!(
        out.held(0),
        "a task with port 0x80 has it after each switch, and not 65535"
    );
    ok!(
        out.held(1),
        "a task with port 65535 has it after each switch, and not 0x80"
    );
    ok!(out.held(2), "a task without ports has neither");
    ok!(
        out.passed() >= 3 * ROUNDS - 1,
        "the three alternated {ROUNDS} times"
    );

    let out = alternate(
        ROUNDS,
        &[
            Role::new(&|| grant(POST), &|_| {
                outb(POST, 0x15);
                true
            }),
            Role::new(&|| (), &|round| {
                if round == ROUNDS / 2 {
                    outb(POST, 0x16);
                }
                true
            }),
        ],
    );
    eq!(
        out.status(1),
        WaitStatus::signaled(SIGSEGV),
        "the other task itself: SIGSEGV"
    );
    ok!(out.held(0), "and the owner goes on");
}

fn life_cycle() {
    expect_exit("fork copies the bitmap", 0, || {
        grant(POST);
        let granted = child(|| {
            outb(POST, 0x17);
            0
        });
        i32::from(granted.wait() != WaitStatus::exited(0))
    });
    expect_exit("a child's revocation", 0, || {
        grant(POST);
        let revoked = child(|| {
            ioperm(u32::from(POST), 1, false).expect("ioperm");
            0
        })
        .wait();
        outb(POST, 0x18); // does not reach its parent
        i32::from(revoked != WaitStatus::exited(0))
    });
    expect_exit("exec keeps the bitmap", 0, || {
        grant(POST);
        exec_self(c"outb")
    });
    expect_signal("exec of a program without it: SIGSEGV", SIGSEGV, || {
        exec_self(c"outb")
    });
    expect_signal("exit revokes: a later process faults", SIGSEGV, || {
        outb(POST, 0)
    });
}

fn errors() {
    eq!(
        ioperm(65535, 2, true),
        Err(Errno::EINVAL),
        "beyond 65536: EINVAL"
    );
    eq!(
        ioperm(u32::MAX, 2, true),
        Err(Errno::EINVAL),
        "a range that wraps: EINVAL"
    );
    eq!(
        ioperm(0x80, 0, true),
        Err(Errno::EINVAL),
        "an empty range: EINVAL"
    );
    let unprivileged = |name: &str, wanted: Result<(), Errno>, call: fn() -> Result<(), Errno>| {
        expect_exit(name, 0, || {
            setuid(NOBODY).expect("setuid");
            i32::from(call() != wanted)
        });
    };
    unprivileged("unprivileged: granting is EPERM", Err(Errno::EPERM), || {
        ioperm(0x80, 1, true)
    });
    unprivileged("EINVAL comes before EPERM", Err(Errno::EINVAL), || {
        ioperm(65535, 2, true)
    });
    unprivileged("unprivileged: revoking is allowed", Ok(()), || {
        ioperm(0x80, 1, false)
    });
}

/// A process that ends gives up its ports before any other task runs.
fn dying() {
    let page = shared_page();
    let neighbour = child(|| {
        stay_on_one_cpu();
        setuid(NOBODY).expect("root may");
        page[0].store(1, SeqCst);
        wait_for(&page[1], 1);
        outb(POST, 0x1a);
        0
    });
    wait_for(&page[0], 1);
    expect_exit("a process with a port ends", 0, || {
        stay_on_one_cpu();
        grant(POST);
        page[1].store(1, SeqCst);
        0
    });
    eq!(
        neighbour.wait(),
        WaitStatus::signaled(SIGSEGV),
        "and the next task on the CPU does not have it"
    );
}

fn main() -> i32 {
    if start::arg(1) == Some("outb") {
        outb(POST, 0x19);
        return 0;
    }
    ktap::plan(32);
    one_port();
    last_port();
    switching();
    life_cycle();
    dying();
    errors();
    ktap::finish()
}

rt::main!(main);

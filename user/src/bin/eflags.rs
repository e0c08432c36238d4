//! EFLAGS of one task never reach another, by whatever way it enters the kernel.
//!
//! sysenter leaves NT, AC, DF and TF as the user set them and sysexit restores
//! nothing, so they would cross to the next task but for `pushfl`/`popfl`.
//!
//! Book: ch. 3, `switch_to`, saving EFLAGS.
//! Red without: `pushfl` and `popfl` in `switch_to`; the flags in the entry code.
#![no_std]
#![no_main]

use core::cell::Cell;
use rt::{
    WaitStatus, eq, expect_signal,
    gates::{vdso_keeps_registers, yield_with_eflags, yield_with_eflags_sysenter},
    ktap, machine, ok,
    relay::{Outcome, Role, alternate},
    signal::SIGTRAP,
    skip,
};

const ROUNDS: u32 = 500;

/// IF, and bit 1, which is always set.
const CLEAN: u32 = 0x202;
const TF: u32 = 1 << 8;
const IF: u32 = 1 << 9;
const DF: u32 = 1 << 10;
const IOPL: u32 = 3 << 12;
const NT: u32 = 1 << 14;
const AC: u32 = 1 << 18;
const ID: u32 = 1 << 21;
/// CF PF AF ZF SF OF
const ARITHMETIC: u32 = 0x8d5;

/// One task yields with `flags` set, by `gate`; two others yield without, one by each gate.
///
/// The task that runs next leaves the kernel by sysexit, which restores no flags: it finds what the
/// switch left. For the third task, iret hides that.
fn together(flags: u32, gate: fn(u32) -> u32, must_keep: u32) -> Outcome {
    let (kept, clean) = (Cell::new(true), Cell::new(true));
    let by_sysexit = if machine::is_i386_kernel() {
        yield_with_eflags_sysenter
    } else {
        yield_with_eflags
    };
    let setter = Role {
        set: &|| (),
        holds: &|_| kept.get(),
        give_way: &|| {
            let after = gate(CLEAN | flags);
            kept.set(kept.get() && after & must_keep == must_keep);
        },
    };
    let stays_clean = |_| clean.get();
    let first = Role {
        set: &|| (),
        holds: &stays_clean,
        give_way: &|| {
            let after = by_sysexit(CLEAN);
            clean.set(clean.get() && after & !ARITHMETIC == CLEAN);
        },
    };
    let second = Role {
        give_way: &|| clean.set(clean.get() && yield_with_eflags(CLEAN) == CLEAN),
        ..first
    };
    alternate(ROUNDS, &[setter, first, second])
}

fn others_are_clean(out: &Outcome, name: &str) {
    ok!(
        out.held(1),
        "{name}: the next task, back by sysexit, does not see it"
    );
    ok!(out.held(2), "{name}: nor does one that comes back by iret");
}

fn by_int80() {
    let flags = [
        ("NT", NT),
        ("AC", AC),
        ("DF", DF),
        ("ID", ID),
        ("CF PF AF ZF SF OF", ARITHMETIC),
    ];
    for (name, flag) in flags {
        let out = together(flag, yield_with_eflags, flag);
        ok!(
            out.held(0),
            "{name}: the task that set it keeps it over int 0x80"
        );
        others_are_clean(&out, name);
    }
}

fn by_sysenter() {
    for (name, flag) in [
        ("NT at sysenter", NT),
        ("AC at sysenter", AC),
        ("DF at sysenter", DF),
        ("ID at sysenter", ID),
        ("NT AC DF at sysenter", NT | AC | DF),
    ] {
        if machine::is_i386_kernel() {
            let out = together(flag, yield_with_eflags_sysenter, 0);
            ok!(out.held(0), "{name}: the task lives");
            others_are_clean(&out, name);
        } else {
            let reason = "sysenter is not every 64-bit kernel's";
            skip!(reason, "{name}: the task lives");
            skip!(
                reason,
                "{name}: the next task, back by sysexit, does not see it"
            );
            skip!(reason, "{name}: nor does one that comes back by iret");
        }
    }
}

fn trap_flag() {
    expect_signal("TF at int 0x80 ends in SIGTRAP", SIGTRAP, || {
        yield_with_eflags(CLEAN | TF)
    });
    if machine::is_i386_kernel() {
        expect_signal("TF at sysenter ends in SIGTRAP", SIGTRAP, || {
            yield_with_eflags_sysenter(CLEAN | TF);
        });
    } else {
        skip!(
            "sysenter is not every 64-bit kernel's",
            "TF at sysenter ends in SIGTRAP"
        );
    }
    let out = alternate(
        ROUNDS,
        &[
            Role::new(&|| (), &|round| {
                if round == ROUNDS / 2 {
                    yield_with_eflags(CLEAN | TF);
                }
                true
            }),
            Role::new(&|| (), &|_| yield_with_eflags(CLEAN) == CLEAN),
        ],
    );
    eq!(
        out.status(0),
        WaitStatus::signaled(SIGTRAP),
        "TF between switches: SIGTRAP"
    );
    ok!(out.held(1), "TF between switches: the other is not traced");
}

fn not_for_the_user() {
    eq!(
        yield_with_eflags(CLEAN & !IF),
        CLEAN,
        "popf cannot clear IF"
    );
    eq!(
        yield_with_eflags(CLEAN | IOPL),
        CLEAN,
        "popf cannot raise IOPL"
    );
    eq!(
        yield_with_eflags(CLEAN),
        CLEAN,
        "all flags are clean at the end"
    );
    ok!(vdso_keeps_registers(), "the vDSO still works");
}

fn main() -> i32 {
    ktap::plan(38);
    by_int80();
    by_sysenter();
    trap_flag();
    not_for_the_user();
    ktap::finish()
}

rt::main!(main);

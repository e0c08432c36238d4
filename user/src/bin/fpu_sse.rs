//! XMM0-7 and MXCSR of several tasks never mix.
//!
//! Book: ch. 3, saving and loading the FPU, MMX and XMM registers. Linux: fxsave.
//! Red without: CR4.OSFXSR; fxsave at a switch; CR0.TS; the copy at fork; the reset
//! at exec.
#![no_std]
#![no_main]

use rt::{
    WaitStatus, child, eq, expect_exit,
    fpu::{FRESH_MXCSR, Xmm, ldmxcsr, stmxcsr, xmm_load, xmm_store},
    ktap, ok,
    process::exec_self,
    relay::{Role, alternate},
    start,
};

const ROUNDS: u32 = 600;

/// Returns the MXCSR of task `who`: all exceptions masked, a rounding mode of its own.
fn mxcsr(who: u32) -> u32 {
    FRESH_MXCSR | (who + 1) << 13
}

fn load(who: u32) {
    ldmxcsr(mxcsr(who));
    xmm_load(&Xmm::named(who + 0x21));
}

fn holds(who: u32) -> bool {
    stmxcsr() == mxcsr(who) && xmm_store() == Xmm::named(who + 0x21)
}

fn is_fresh() -> bool {
    stmxcsr() == FRESH_MXCSR && xmm_store() == Xmm([0; 32])
}

fn switching() {
    let out = alternate(
        ROUNDS,
        &[
            Role::new(&|| load(0), &|_| holds(0)),
            Role::new(&|| load(1), &|_| holds(1)),
        ],
    );
    ok!(out.held(0) & out.held(1), "two tasks keep XMM0-7 and MXCSR");
    ok!(
        out.passed() >= 2 * ROUNDS - 1,
        "the two alternated {ROUNDS} times"
    );

    let out = alternate(
        ROUNDS,
        &[
            Role::new(&|| load(0), &|_| holds(0)),
            Role::new(&|| load(1), &|round| !round.is_multiple_of(3) || holds(1)),
            Role::new(&|| load(2), &|round| !round.is_multiple_of(10) || holds(2)),
        ],
    );
    ok!(
        out.held(0),
        "of three, the one that looks every round keeps its own"
    );
    ok!(
        out.held(1),
        "of three, the one that looks every 3 rounds keeps its own"
    );
    ok!(
        out.held(2),
        "of three, the one that looks every 10 rounds keeps its own"
    );
}

fn life_cycle() {
    load(0);
    expect_exit("a forked child has its parent's live registers", 0, || {
        i32::from(!holds(0))
    });
    ok!(holds(0), "and its parent has them too");
    let changed = child(|| {
        load(1);
        i32::from(!holds(1))
    });
    eq!(
        changed.wait(),
        WaitStatus::exited(0),
        "a child loads its own"
    );
    ok!(holds(0), "which do not reach its parent");
    expect_exit("exec gives MXCSR 0x1f80 and zeroed XMM", 0, || {
        exec_self(c"fresh")
    });
    ok!(holds(0), "and its caller's parent keeps its own");
}

fn main() -> i32 {
    if start::arg(1) == Some("fresh") {
        return i32::from(!is_fresh());
    }
    ktap::plan(12);
    ok!(is_fresh(), "a new program: MXCSR 0x1f80, XMM0-7 zero");
    switching();
    life_cycle();
    ktap::finish()
}

rt::main!(main);

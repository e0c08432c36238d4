//! x87 stacks and control words of several tasks never mix.
//!
//! The tasks use the FPU in every round, every third or every tenth, so the switch meets registers
//! that are loaded, stale, and preloaded (after five uses in a row).
//!
//! Book: ch. 3, saving and loading the FPU. Linux: `__unlazy_fpu`, math_state_restore.
//! Red without: saving at a switch; CR0.TS; #NM; the copy at fork; the reset at exec;
//! dropping the owner at exit.
#![no_std]
#![no_main]

use rt::{
    WaitStatus, child, eq, expect_exit,
    fpu::{FRESH_CWD, x87_environment, x87_holds, x87_load},
    ktap, ok,
    process::exec_self,
    relay::{Role, alternate},
    start,
};

const ROUNDS: u32 = 600;

/// Control words with all exceptions masked, which differ in precision and rounding.
const CONTROL_WORDS: [u16; 3] = [0x37f, 0x07f, 0xe7f];
const SEEDS: [i32; 3] = [1000, -2000, 300_000];
const EVERY: [u32; 3] = [1, 3, 10];

fn load(who: usize) {
    x87_load(SEEDS[who], CONTROL_WORDS[who]);
}

fn holds(who: usize) -> bool {
    x87_holds(SEEDS[who], CONTROL_WORDS[who])
}

fn switching() {
    let in_turn = |who: usize, round: u32| !round.is_multiple_of(EVERY[who]) || holds(who);
    let out = alternate(
        ROUNDS,
        &[
            Role::new(&|| load(0), &|_| holds(0)),
            Role::new(&|| load(1), &|_| holds(1)),
        ],
    );
    ok!(
        out.held(0) & out.held(1),
        "two tasks keep their x87 stacks and control words"
    );
    ok!(
        out.passed() >= 2 * ROUNDS - 1,
        "the two alternated {ROUNDS} times"
    );

    let out = alternate(
        ROUNDS,
        &[
            Role::new(&|| load(0), &|round| in_turn(0, round)),
            Role::new(&|| load(1), &|round| in_turn(1, round)),
            Role::new(&|| load(2), &|round| in_turn(2, round)),
        ],
    );
    for (who, every) in EVERY.iter().enumerate() {
        ok!(
            out.held(who),
            "of three, the one that looks every {every} rounds keeps its own"
        );
    }
    let out = alternate(
        ROUNDS,
        &[
            Role::new(&|| load(0), &|_| holds(0)),
            Role::new(&|| (), &|_| true),
        ],
    );
    ok!(
        out.held(0),
        "a task that never uses the FPU takes nothing from one that does"
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

    let died_well = (0..100).all(|_| {
        child(|| {
            load(2);
            0
        })
        .wait()
            == WaitStatus::exited(0)
    });
    ok!(
        died_well && holds(0),
        "100 users of the FPU that die leave nothing behind"
    );
    expect_exit("exec gives a fresh FPU", 0, || exec_self(c"fresh"));
    ok!(holds(0), "and its caller's parent keeps its own");
    eq!(
        child(|| exec_self(c"fresh")).wait(),
        WaitStatus::exited(0),
        "once more"
    );
}

fn main() -> i32 {
    if start::arg(1) == Some("fresh") {
        let (control, status, tag) = x87_environment();
        return i32::from((control, status, tag) != (FRESH_CWD, 0, 0xffff));
    }
    ktap::plan(15);
    eq!(
        x87_environment(),
        (FRESH_CWD, 0, 0xffff),
        "a new program: cwd 0x37f, empty stack"
    );
    switching();
    life_cycle();
    ktap::finish()
}

rt::main!(main);

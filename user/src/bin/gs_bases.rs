//! Tasks with the same %gs selector and different bases each keep their own base.
//!
//! The processor reads a descriptor only when the selector is loaded, so the kernel
//! must both rewrite GDT 6-8 and load %gs again, although the selector is the same.
//!
//! Book: ch. 3, `__switch_to`, the TLS step and the fs/gs step.
//! Red without: `load_TLS`; the reload of gs on `prev.gs | next.gs`; saving gs of prev.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use rt::{
    eq, insn, ktap, machine, ok,
    relay::{Role, alternate},
    tls,
};

const ROUNDS: u32 = 1000;

/// The words that the three slots point at. They lie at an address of their own for each role, and
/// each has a value of its own.
static WORDS: [[AtomicU32; 3]; 3] = [const { [const { AtomicU32::new(0) }; 3] }; 3];

fn value(role: usize, nth: u32) -> u32 {
    0xa000_0000 | (role as u32) << 8 | nth
}

/// Points slot `nth` at the role's own word and loads %gs with its selector.
fn set_slot(role: usize, nth: u32) {
    let word = &WORDS[role][nth as usize];
    word.store(value(role, nth), Relaxed);
    let mut desc = tls::UserDesc::data(machine::tls_min() + nth, word.as_ptr() as u32);
    tls::set_thread_area(&mut desc).expect("set_thread_area");
    insn::set_gs(machine::tls_selector(nth));
}

fn sees_own(role: usize, nth: u32) -> bool {
    insn::gs() == machine::tls_selector(nth) && insn::gs_word() == value(role, nth)
}

/// Loads %gs with each selector in turn and reads through it.
fn sees_all_three(role: usize) -> bool {
    [1, 2, 0].into_iter().all(|nth| {
        insn::set_gs(machine::tls_selector(nth));
        sees_own(role, nth)
    })
}

fn main() -> i32 {
    ktap::plan(8);

    let two = alternate(
        ROUNDS,
        &[
            Role::new(&|| set_slot(0, 0), &|_| sees_own(0, 0)),
            Role::new(&|| set_slot(1, 0), &|_| sees_own(1, 0)),
        ],
    );
    ok!(two.held(0), "the first task reads its own word at %gs:0");
    ok!(two.held(1), "the second task reads its own word at %gs:0");
    ok!(
        two.passed() >= 2 * ROUNDS - 1,
        "the two alternated {ROUNDS} times"
    );

    let all_slots = |role| (0..3).for_each(|nth| set_slot(role, nth));
    let three = alternate(
        ROUNDS,
        &[
            Role::new(&|| all_slots(0), &|_| sees_own(0, 2)),
            Role::new(&|| all_slots(1), &|_| sees_all_three(1)),
            Role::new(&|| set_slot(2, 1), &|_| sees_own(2, 1)),
        ],
    );
    ok!(
        three.held(0),
        "a task with all three slots keeps the third in %gs"
    );
    ok!(
        three.held(1),
        "a task reloads %gs with each of its three selectors"
    );
    ok!(three.held(2), "a task with only the middle slot keeps it");
    ok!(
        three.passed() >= 3 * ROUNDS - 1,
        "the three alternated {ROUNDS} times"
    );
    eq!(
        insn::gs(),
        0,
        "the parent, which loaded nothing, still has %gs = 0"
    );
    ktap::finish()
}

rt::main!(main);

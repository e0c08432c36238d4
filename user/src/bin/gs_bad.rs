//! A task whose %gs names a descriptor that is gone has %gs 0 after a switch.
//!
//! Loading the selector of an empty entry raises #GP inside the kernel. The kernel must neither die
//! of it, nor kill the task, nor leave another task's segment in place. The entry belongs to the
//! LDT: until the switch, in round 0, the processor still keeps the old descriptor. When a TLS slot
//! changes, the kernel loads %gs again at once.
//!
//! Book: ch. 3, `__switch_to`, the fs/gs step. Linux: loadgs with its fix-up.
//! Red without: the fall-back to 0 in the reload of gs; `load_LDT` of empty
//! entries; the load of gs in set_thread_area.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use rt::{
    WaitStatus, eq, insn, ktap, machine, ok,
    relay::{Role, alternate},
    signal::SIGSEGV,
    tls::{UserDesc, ldt_selector, point_slot_at, set_thread_area, write_ldt},
};

const ROUNDS: u32 = 300;

static WORD: AtomicU32 = AtomicU32::new(0x600d);

/// Sets a good descriptor and loads it into %gs.
fn fill(entry: u32) {
    write_ldt(&UserDesc::data(entry, WORD.as_ptr() as u32)).expect("modify_ldt");
    insn::set_gs(ldt_selector(entry));
}

/// Removes the descriptor that %gs uses.
fn fill_and_clear(entry: u32) {
    fill(entry);
    write_ldt(&UserDesc::empty(entry)).expect("clearing");
}

fn main() -> i32 {
    ktap::plan(10);

    for entry in 0..2 {
        let out = alternate(
            ROUNDS,
            &[
                Role::new(&|| fill_and_clear(entry), &|round| {
                    round == 0 || insn::gs() == 0
                }),
                Role::new(&|| insn::set_gs(0), &|_| insn::gs() == 0),
            ],
        );
        ok!(
            out.held(0),
            "entry {entry} cleared: %gs is 0 after a switch, and the task lives"
        );
        ok!(
            out.held(1),
            "entry {entry} cleared: a task with %gs = 0 keeps 0"
        );
    }

    let out = alternate(
        ROUNDS,
        &[
            Role::new(&|| fill_and_clear(0), &|round| {
                round == 0 || insn::gs() == 0
            }),
            Role::new(&|| fill(0), &|_| insn::gs_word() == WORD.load(Relaxed)),
        ],
    );
    ok!(
        out.held(0),
        "the other task's descriptor in the same entry is not used"
    );
    ok!(out.held(1), "the other task keeps its own");

    let out = alternate(
        2,
        &[
            Role::new(&|| fill_and_clear(0), &|round| {
                round == 0 || insn::gs_word() == u32::MAX
            }),
            Role::new(&|| fill(0), &|_| true),
        ],
    );
    eq!(
        out.status(0),
        WaitStatus::signaled(SIGSEGV),
        "reading through the lost %gs is SIGSEGV"
    );
    ok!(out.held(1), "and only for the task that lost it");
    rt::expect_signal(
        "loading %gs with an empty slot's selector is SIGSEGV",
        SIGSEGV,
        || {
            insn::set_gs(machine::tls_selector(2));
        },
    );
    let slot = machine::tls_min() + 1;
    point_slot_at(slot, &7);
    insn::set_gs(machine::tls_selector(1));
    set_thread_area(&mut UserDesc::empty(slot)).expect("clearing");
    eq!(insn::gs(), 0, "a TLS slot cleared under %gs: 0 at once");
    ktap::finish()
}

rt::main!(main);

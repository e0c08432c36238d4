//! The three TLS slots of a task: filling, reading, clearing, inheriting.
//!
//! Book: ch. 2, the Linux GDT. Linux: arch/x86/kernel/tls.c.
//! Red without: `load_TLS` in set_thread_area itself; the copy of `tls_array` and gs
//! in `copy_thread`; `load_TLS` in `__switch_to`; `flush_thread`.
#![no_std]
#![no_main]

use core::sync::atomic::AtomicU32;
use rt::{
    Errno,
    clock::sleep_ms,
    eq, expect_exit, insn, ktap, machine,
    memory::KERNEL_ADDRESS,
    ok,
    process::exec_self,
    relay::{Role, alternate},
    signal::SIGSEGV,
    skip, start,
    tls::{ANY_SLOT, SEG_32BIT, UserDesc, get_thread_area, set_thread_area, set_thread_area_at},
};

static WORDS: [AtomicU32; 2] = [AtomicU32::new(0xaaaa), AtomicU32::new(0xbbbb)];

fn address(word: usize) -> u32 {
    WORDS[word].as_ptr() as u32
}

fn filling(first: u32) {
    for nth in 0..3 {
        let mut desc = UserDesc::data(ANY_SLOT, address(0));
        let done = set_thread_area(&mut desc);
        eq!(
            (done, desc.entry_number),
            (Ok(()), first + nth),
            "-1 chooses slot {nth} of three"
        );
    }
    let mut desc = UserDesc::data(ANY_SLOT, address(0));
    eq!(
        set_thread_area(&mut desc),
        Err(Errno::ESRCH),
        "then there is none left: ESRCH"
    );
    eq!(desc.entry_number, ANY_SLOT, "and the request is as it was");
}

fn errors(first: u32) {
    for slot in [first - 1, first + 3] {
        let mut desc = UserDesc::data(slot, address(0));
        eq!(
            set_thread_area(&mut desc),
            Err(Errno::EINVAL),
            "set slot {slot}: EINVAL"
        );
        eq!(
            get_thread_area(slot),
            Err(Errno::EINVAL),
            "get slot {slot}: EINVAL"
        );
    }
    eq!(
        get_thread_area(ANY_SLOT),
        Err(Errno::EINVAL),
        "get slot -1: EINVAL"
    );
    for pointer in [0, KERNEL_ADDRESS, u32::MAX - 7] {
        eq!(
            set_thread_area_at(pointer),
            Err(Errno::EFAULT),
            "pointer {pointer:#x}: EFAULT"
        );
    }
}

fn effect(first: u32) {
    insn::set_gs(machine::tls_selector(1));
    eq!(insn::gs_word(), 0xaaaa, "%gs:0 is the word at the base");
    let mut desc = UserDesc::data(first + 1, address(1));
    eq!(
        set_thread_area(&mut desc),
        Ok(()),
        "a slot in use may be filled again"
    );
    eq!(
        get_thread_area(first + 1),
        Ok(desc),
        "it reads back as it was given"
    );
    insn::set_gs(machine::tls_selector(1));
    eq!(insn::gs_word(), 0xbbbb, "the new base is in force at once");
    insn::set_fs(machine::tls_selector(2));
    eq!(insn::fs_word(), 0xaaaa, "a slot serves %fs as well");

    if machine::is_tcg() {
        skip!(
            "QEMU's TCG does not check limits",
            "a read beyond the limit is SIGSEGV"
        );
        return;
    }
    let mut short = UserDesc {
        limit: 3,
        flags: SEG_32BIT,
        ..desc
    };
    set_thread_area(&mut short).expect("a limit of 4 bytes");
    rt::expect_signal("a read beyond the limit is SIGSEGV", SIGSEGV, || {
        insn::set_gs(machine::tls_selector(1));
        insn::gs_word_at_4()
    });
    set_thread_area(&mut desc).expect("the long limit again");
}

fn inheritance(first: u32) {
    insn::set_gs(machine::tls_selector(1));
    expect_exit("a forked child has its parent's %gs and base", 0, || {
        i32::from(insn::gs() != machine::tls_selector(1) || insn::gs_word() != 0xbbbb)
    });
    expect_exit("a child's change", 0, || {
        let mut desc = UserDesc::data(first + 1, address(0));
        set_thread_area(&mut desc).expect("set_thread_area");
        insn::set_gs(machine::tls_selector(1));
        i32::from(insn::gs_word() != 0xaaaa)
    });
    eq!(insn::gs_word(), 0xbbbb, "does not reach its parent");
}

fn clearing(first: u32) {
    insn::set_gs(0);
    insn::set_fs(0);
    for slot in first..first + 3 {
        set_thread_area(&mut UserDesc::empty(slot)).expect("clearing");
    }
    let read_back: [_; 3] = core::array::from_fn(|nth| get_thread_area(first + nth as u32));
    let empty: [_; 3] = core::array::from_fn(|nth| Ok(UserDesc::empty(first + nth as u32)));
    eq!(
        read_back,
        empty,
        "cleared slots read back as the empty pattern"
    );
}

/// One task fills a slot that the other leaves empty.
fn independence(first: u32) {
    let fill = || set_thread_area(&mut UserDesc::data(first, address(0))).expect("filling");
    let out = alternate(
        300,
        &[
            Role::new(&fill, &|_| {
                get_thread_area(first) == Ok(UserDesc::data(first, address(0)))
            }),
            Role::new(&|| (), &|_| {
                get_thread_area(first) == Ok(UserDesc::empty(first))
                    && !insn::segment_exists(machine::tls_selector(0))
            }),
        ],
    );
    ok!(out.held(0), "a task's slot stays filled");
    ok!(out.held(1), "and the other's stays empty, in the GDT too");
}

/// Returns whether no slot is filled, neither in the task nor in the GDT, and %gs is 0.
fn is_fresh(first: u32) -> bool {
    insn::gs() == 0
        && (0..3).all(|nth| {
            get_thread_area(first + nth) == Ok(UserDesc::empty(first + nth))
                && !insn::segment_exists(machine::tls_selector(nth))
        })
}

fn main() -> i32 {
    let first = machine::tls_min();
    if start::arg(1) == Some("fresh") {
        sleep_ms(1); // Linux leaves the GDT as it was until the next switch
        return i32::from(!is_fresh(first));
    }
    ktap::plan(27);
    ok!(is_fresh(first), "a new program's slots are empty");
    filling(first);
    errors(first);
    effect(first);
    inheritance(first);
    expect_exit("exec empties the slots, and %gs is 0", 0, || {
        exec_self(c"fresh")
    });
    clearing(first);
    independence(first);
    ktap::finish()
}

rt::main!(main);

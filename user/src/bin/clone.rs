//! clone: its flags and its errors.
//!
//! Linux: `do_fork`, `copy_thread` (CLONE_SETTLS takes only an explicit slot).
//! Book: ch. 3, "The clone(), fork(), and vfork() System Calls".
//! Red without: the checks of flags; CLONE_SETTLS in `copy_thread`; put_user of the
//! child's number in parent and child; the wait of CLONE_VFORK, in any thread.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, eq,
    gates::syscall,
    insn, ktap, machine,
    memory::{KERNEL_ADDRESS, shared_page},
    ok,
    process::{exit, getpid, wait4},
    thread::{
        CLONE_CHILD_SETTID, CLONE_FS, CLONE_NEWNS, CLONE_PARENT_SETTID, CLONE_SETTLS,
        CLONE_SIGHAND, CLONE_THREAD, CLONE_VFORK, CLONE_VM, SIGCHLD, SYS_CLONE, spawn,
    },
    tls::{ANY_SLOT, UserDesc, get_thread_area, set_thread_area},
};

static WORDS: [AtomicU32; 2] = [AtomicU32::new(0xaaaa), AtomicU32::new(0xbbbb)];

/// Calls clone without a new stack, runs `child` in the copy, and returns its exit status.
fn clone(
    flags: u32,
    arguments: [u32; 3],
    child: impl FnOnce() -> bool,
) -> Result<WaitStatus, Errno> {
    let [parent_tid, tls, child_tid] = arguments;
    match syscall(SYS_CLONE, [flags | SIGCHLD, 0, parent_tid, tls, child_tid])? {
        0 => exit(i32::from(!child())),
        pid => Ok(wait4(pid as i32, 0)?.1),
    }
}

const GOOD: Result<WaitStatus, Errno> = Ok(WaitStatus::exited(0));

fn errors() {
    let cases = [
        (
            "CLONE_THREAD without CLONE_SIGHAND",
            CLONE_THREAD | CLONE_VM,
        ),
        ("CLONE_SIGHAND without CLONE_VM", CLONE_SIGHAND),
        ("CLONE_FS with CLONE_NEWNS", CLONE_FS | CLONE_NEWNS),
    ];
    for (name, flags) in cases {
        eq!(
            clone(flags, [0; 3], || true),
            Err(Errno::EINVAL),
            "{name}: EINVAL"
        );
    }
    for slot in [ANY_SLOT, machine::tls_min() - 1, machine::tls_min() + 3] {
        let desc = UserDesc::data(slot, WORDS[1].as_ptr() as u32);
        let answer = clone(CLONE_SETTLS, [0, &raw const desc as u32, 0], || true);
        eq!(
            answer,
            Err(Errno::EINVAL),
            "CLONE_SETTLS, slot {slot:#x}: EINVAL"
        );
    }
    let answer = clone(CLONE_SETTLS, [0, KERNEL_ADDRESS, 0], || true);
    eq!(
        answer,
        Err(Errno::EFAULT),
        "CLONE_SETTLS, a kernel address: EFAULT"
    );
    eq!(
        wait4(-1, 0),
        Err(Errno::ECHILD),
        "no failed clone left a child behind"
    );
}

fn thread_area() {
    let slot = machine::tls_min();
    set_thread_area(&mut UserDesc::data(slot, WORDS[0].as_ptr() as u32)).expect("slot");
    insn::set_gs(machine::tls_selector(0));
    let desc = UserDesc::data(slot, WORDS[1].as_ptr() as u32);
    let answer = clone(CLONE_SETTLS, [0, &raw const desc as u32, 0], || {
        insn::gs_word() == 0xbbbb && get_thread_area(slot) == Ok(desc)
    });
    eq!(
        answer,
        GOOD,
        "CLONE_SETTLS: the child's %gs has the new base"
    );
    eq!(
        insn::gs_word(),
        0xaaaa,
        "and its parent's %gs keeps the old one"
    );
    insn::set_gs(0);
}

fn numbers() {
    let page = shared_page();
    let address = |word: usize| page[word].as_ptr() as u32;
    let flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID;
    let answer = clone(flags, [address(0), 0, address(1)], || {
        let pid = getpid();
        page[2].store(pid, SeqCst);
        page[1].load(SeqCst) == pid
    });
    eq!(
        answer,
        GOOD,
        "CLONE_CHILD_SETTID: the child finds its number"
    );
    eq!(
        page[0].load(SeqCst),
        page[2].load(SeqCst),
        "CLONE_PARENT_SETTID: so does its parent"
    );
    eq!(
        clone(0, [0; 3], || true),
        GOOD,
        "clone with SIGCHLD alone is fork"
    );
}

/// CLONE_VFORK: the parent goes on only when the child has ended or executes another program.
fn vfork() {
    let page = shared_page();
    match syscall(SYS_CLONE, [CLONE_VFORK | SIGCHLD, 0, 0, 0, 0]) {
        Ok(0) => {
            rt::clock::sleep_ms(30);
            page[0].store(1, SeqCst);
            exit(0)
        }
        Ok(pid) => {
            ok!(
                page[0].load(SeqCst) == 1,
                "CLONE_VFORK: the parent waits for its child"
            );
            let status = wait4(pid as i32, 0).map(|(_, status)| status);
            eq!(status, GOOD, "and reaps it");
        }
        Err(errno) => panic!("clone(CLONE_VFORK): {errno:?}"),
    }
    ok!(
        spawn(vfork_and_exit, 0, None).expect("clone").join(),
        "CLONE_VFORK in a thread: it goes on when its child is gone"
    );
    let status = wait4(-1, 0).map(|(_, status)| status);
    eq!(status, GOOD, "and the child belongs to its process");
}

extern "C" fn vfork_and_exit(_: u32) -> i32 {
    match syscall(SYS_CLONE, [CLONE_VFORK | SIGCHLD, 0, 0, 0, 0]) {
        Ok(0) => exit(0),
        Ok(_) => 0,
        Err(errno) => panic!("clone(CLONE_VFORK): {errno:?}"),
    }
}

fn main() -> i32 {
    ktap::plan(17);
    errors();
    thread_area();
    numbers();
    vfork();
    ktap::finish()
}

rt::main!(main);

//! Signals to a process of several threads: each reaches one that can take it.
//!
//! Linux: kill(2), sigaction(2), clone(2).
//! Red without: the message to another thread when the one that was told of a signal blocks it; the
//! pending signals dropped when a process starts to ignore them; the way from any thread's number
//! to its process.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    WaitStatus, child,
    clock::{comes_true, sleep_ms},
    eq, expect_exit,
    gates::syscall,
    job::state_of,
    ktap,
    memory::shared_page,
    ok,
    process::{exit, exit_group, getpid, getppid},
    signals::{SIGUSR1, Sigcontext, kill, set_handler},
    thread::{CLONE_VFORK, SIGCHLD, SYS_CLONE, gettid, spawn},
};

const SYS_NANOSLEEP: u32 = 162;
const SYS_RT_SIGACTION: u32 = 174;
const SYS_RT_SIGPROCMASK: u32 = 175;
const SYS_RT_SIGPENDING: u32 = 176;
const SYS_TGKILL: u32 = 270;
const SIGKILL: u32 = 9;
const SIG_DFL: u32 = 0;
const SIG_IGN: u32 = 1;
const SIG_BLOCK: u32 = 0;
const SIG_UNBLOCK: u32 = 1;

static CALLS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: u32, _: Sigcontext) {
    CALLS.fetch_add(1, SeqCst);
}

fn set_action(signal: u32, handler: u32) {
    let action = [handler, 0, 0, 0, 0];
    syscall(SYS_RT_SIGACTION, [signal, action.as_ptr() as u32, 0, 8]).expect("rt_sigaction");
}

fn change_mask(how: u32, signal: u32) {
    let set = 1u64 << (signal - 1);
    syscall(SYS_RT_SIGPROCMASK, [how, &raw const set as u32, 0, 8]).expect("rt_sigprocmask");
}

fn is_pending(signal: u32) -> bool {
    let mut set = 0u64;
    syscall(SYS_RT_SIGPENDING, [&raw mut set as u32, 8]).expect("rt_sigpending");
    set & 1 << (signal - 1) != 0
}

/// Stores its thread number, and stays.
extern "C" fn tell_number(page: u32) -> i32 {
    // SAFETY: the shared page that the caller has mapped.
    unsafe { &*(page as *const AtomicU32) }.store(gettid(), SeqCst);
    sleep_ms(60_000);
    exit_group(7)
}

fn headless() {
    let page = shared_page();
    for signal in [SIGKILL, SIGUSR1] {
        let process = child(|| {
            spawn(tell_number, page.as_ptr() as u32, None).expect("clone");
            exit(0)
        });
        comes_true(|| page[0].load(SeqCst) != 0 && state_of(process.pid) == 'Z');
        eq!(
            kill(page[0].load(SeqCst), signal),
            Ok(()),
            "kill takes any thread's number: signal {signal}"
        );
        eq!(
            process.wait(),
            WaitStatus::signaled(signal),
            "for its process: signal {signal}"
        );
        page[0].store(0, SeqCst);
    }
}

fn forgotten() {
    set_handler(SIGUSR1, count).expect("rt_sigaction");
    change_mask(SIG_BLOCK, SIGUSR1);
    kill(getpid(), SIGUSR1).expect("kill");
    syscall(SYS_TGKILL, [getpid(), gettid(), SIGUSR1]).expect("tgkill");
    ok!(is_pending(SIGUSR1), "a blocked signal waits");
    set_action(SIGUSR1, SIG_IGN);
    ok!(!is_pending(SIGUSR1), "until it is ignored");
    set_handler(SIGUSR1, count).expect("rt_sigaction");
    change_mask(SIG_UNBLOCK, SIGUSR1);
    eq!(CALLS.load(SeqCst), 0, "and then is forgotten");
    set_action(SIGUSR1, SIG_DFL);
}

/// A handler in which the first thread stays until the other thread has entered its own.
extern "C" fn take(_: u32, _: Sigcontext) {
    if gettid() != getpid() {
        CALLS.fetch_add(1, SeqCst);
        return;
    }
    comes_true(|| CALLS.load(SeqCst) != 0);
}

extern "C" fn sleep_on(_: u32) -> i32 {
    loop {
        // Until a signal comes, and again.
        let _ = syscall(SYS_NANOSLEEP, [[60u32, 0].as_ptr() as u32, 0]);
    }
}

/// While the first thread is in vfork, it and its process are sent a signal each. It is told of
/// both, handles its own, and blocks the other from then on.
fn handed_on() {
    expect_exit("a signal that its taker blocks goes to another", 0, || {
        set_handler(SIGUSR1, take).expect("rt_sigaction");
        spawn(sleep_on, 0, None).expect("clone");
        sleep_ms(50);
        match syscall(SYS_CLONE, [CLONE_VFORK | SIGCHLD, 0, 0, 0, 0]) {
            Ok(0) => {
                let process = getppid();
                let own = syscall(SYS_TGKILL, [process, process, SIGUSR1]);
                exit(i32::from(own.is_err() || kill(process, SIGUSR1).is_err()))
            }
            other => other.expect("clone"),
        };
        exit_group(i32::from(CALLS.load(SeqCst) != 1))
    });
}

extern "C" fn tell_parent(page: u32) -> i32 {
    // SAFETY: the shared page that the caller has mapped.
    let [parent, is_orphan, is_there] = unsafe { &*(page as *const [AtomicU32; 3]) };
    is_there.store(1, SeqCst);
    comes_true(|| is_orphan.load(SeqCst) != 0);
    parent.store(getppid(), SeqCst);
    exit_group(0)
}

fn orphans() {
    let page = shared_page();
    let parent = child(|| {
        let _orphan = child(|| {
            spawn(tell_parent, page.as_ptr() as u32, None).expect("clone");
            sleep_on(0)
        });
        comes_true(|| page[2].load(SeqCst) != 0);
        0
    });
    parent.wait();
    page[1].store(1, SeqCst);
    comes_true(|| page[0].load(SeqCst) != 0);
    eq!(
        page[0].load(SeqCst),
        1,
        "each thread of an orphan is init's child"
    );
}

fn main() -> i32 {
    ktap::plan(9);
    headless();
    forgotten();
    handed_on();
    orphans();
    ktap::finish()
}

rt::main!(main);

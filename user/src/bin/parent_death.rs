//! PR_SET_PDEATHSIG: a signal when the parent ends.
//!
//! Linux: prctl(2).
//! Red without: the signal; its sender; the parent's right to send it; that fork and other rights
//! end the request.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering::SeqCst;
use rt::{
    child, eq,
    gates::syscall,
    job::{change_blocked, wait_for},
    ktap,
    memory::{SharedPage, shared_page},
    process::{exec_self, exit, getpid, getppid},
    signals::{SIGUSR1, wait_ms},
    start,
};

const SYS_SETRESUID: u32 = 208;
const SYS_PRCTL: u32 = 172;
const PR_SET_PDEATHSIG: u32 = 1;
const PR_GET_PDEATHSIG: u32 = 2;
const SIG_BLOCK: u32 = 0;
const SI_USER: u32 = 0;
const USER: u32 = 1000;

fn ask() {
    syscall(SYS_PRCTL, [PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0]).expect("prctl");
}

fn asked() -> u32 {
    let mut signal = u32::MAX;
    syscall(
        SYS_PRCTL,
        [PR_GET_PDEATHSIG, &raw mut signal as u32, 0, 0, 0],
    )
    .expect("prctl");
    signal
}

fn set_users(real: u32, effective: u32, saved: u32) {
    syscall(SYS_SETRESUID, [real, effective, saved]).expect("setresuid");
}

/// Makes a parent that does `before` in its child and `last` in itself, and ends. The child stores
/// what `then` returns, plus one.
fn orphan(page: SharedPage, before: fn(), last: fn(), then: fn(u32) -> u32) -> u32 {
    page[0].store(0, SeqCst);
    page[1].store(0, SeqCst);
    let parent = child(|| {
        let own = getpid();
        let _orphan = child(|| {
            before();
            page[1].store(1, SeqCst);
            page[0].store(1 + then(own), SeqCst);
            0
        });
        wait_for(&page[1], 1);
        last();
        0
    });
    parent.wait();
    wait_for(&page[0], 1);
    page[0].load(SeqCst) - 1
}

fn main() -> i32 {
    if start::arg(1) == Some("after-exec") {
        exit(i32::from(asked() != SIGUSR1));
    }
    ktap::plan(7);
    let page = shared_page();
    change_blocked(SIG_BLOCK, SIGUSR1);
    let told = orphan(
        page,
        ask,
        || {},
        |parent| {
            let got = wait_ms(SIGUSR1, 15_000);
            let is_from_parent = got.is_ok_and(|it| it[..3] == [SI_USER, parent, 0]);
            u32::from(is_from_parent && getppid() != parent)
        },
    );
    eq!(
        told,
        1,
        "it comes when the parent ends, and from the parent"
    );
    let told = orphan(
        page,
        || {},
        || {},
        |_| u32::from(wait_ms(SIGUSR1, 100).is_ok()),
    );
    eq!(told, 0, "only to whoever has asked");
    let told = orphan(
        page,
        || {
            ask();
            set_users(USER, USER, USER);
        },
        || {},
        |_| asked() + u32::from(wait_ms(SIGUSR1, 100).is_ok()),
    );
    eq!(
        told,
        0,
        "with another user's rights a process no longer asks"
    );
    let told = orphan(
        page,
        || {
            set_users(USER, USER, USER);
            ask();
        },
        || {},
        |_| u32::from(wait_ms(SIGUSR1, 15_000).is_ok()),
    );
    eq!(told, 1, "unless it asks again");
    let told = orphan(
        page,
        ask,
        || set_users(USER, USER, USER),
        |_| u32::from(wait_ms(SIGUSR1, 100).is_ok()),
    );
    eq!(told, 0, "a parent without the right to send it does not");
    ask();
    rt::expect_exit("a child has not asked", 0, || asked() as i32);
    rt::expect_exit("a program that it executes has", 0, || {
        ask();
        exec_self(c"after-exec")
    });
    ktap::finish()
}

rt::main!(main);

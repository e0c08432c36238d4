//! Real-time signals: each one sent arrives, in order and with its value; and signals that a task
//! waits for instead of handling them.
//!
//! Linux: sigqueue(3), sigtimedwait(2), signal(7).
//! Red without: the queue of SigPending; that rt_sigtimedwait wakes for signals that are blocked.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, child,
    clock::{NS_PER_MS, PATIENCE_NS, monotonic_ns, sleep_ms},
    eq, expect_exit,
    gates::syscall,
    job::state_of,
    ktap,
    memory::KERNEL_ADDRESS,
    ok,
    process::{getpid, getppid},
    signals::{Sigcontext, kill, set_handler},
    thread::{SIGCHLD, gettid, spawn},
};

const SYS_RT_SIGPROCMASK: u32 = 175;
const SYS_RT_SIGTIMEDWAIT: u32 = 177;
const SYS_RT_SIGQUEUEINFO: u32 = 178;
const SYS_RT_TGSIGQUEUEINFO: u32 = 335;
const SYS_RT_SIGTIMEDWAIT64: u32 = 421;
const SIG_BLOCK: u32 = 0;
/// A time that no case reaches.
const NEVER_MS: u32 = (PATIENCE_NS / NS_PER_MS) as u32;
const SIG_UNBLOCK: u32 = 1;
const SIGUSR1: u32 = 10;
const SIGUSR2: u32 = 12;
const FIRST: u32 = 34;
const SI_QUEUE: u32 = -1i32 as u32;

static CALLS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: u32, _: Sigcontext) {
    CALLS.fetch_add(1, SeqCst);
}

fn set_of(signals: &[u32]) -> u64 {
    signals
        .iter()
        .fold(0, |set, signal| set | 1 << (signal - 1))
}

fn mask(how: u32, signals: &[u32]) {
    let set = set_of(signals);
    syscall(SYS_RT_SIGPROCMASK, [how, &raw const set as u32, 0, 8]).expect("rt_sigprocmask");
}

/// Waits for one of `signals`; returns its number and its value.
fn wait_ms(signals: &[u32], ms: Option<u32>) -> Result<(u32, u32), Errno> {
    let set = set_of(signals);
    let mut info = [0u32; 32];
    let time = ms.map_or([0; 2], |ms| [ms / 1000, ms % 1000 * 1_000_000]);
    let pointer = ms.map_or(0, |_| time.as_ptr() as u32);
    let arguments = [&raw const set as u32, info.as_mut_ptr() as u32, pointer, 8];
    let signal = syscall(SYS_RT_SIGTIMEDWAIT, arguments)?;
    assert_eq!(info[0], signal);
    Ok((signal, info[5]))
}

fn queue(pid: u32, signal: u32, code: u32, value: u32) -> Result<(), Errno> {
    let mut info = [0u32; 32];
    (info[0], info[2], info[3], info[5]) = (signal, code, getpid(), value);
    syscall(SYS_RT_SIGQUEUEINFO, [pid, signal, info.as_ptr() as u32]).map(drop)
}

fn queueing() {
    let me = getpid();
    for value in 1..=3 {
        queue(me, FIRST, SI_QUEUE, value).expect("rt_sigqueueinfo");
        queue(me, SIGUSR1, SI_QUEUE, 10 + value).expect("rt_sigqueueinfo");
    }
    queue(me, FIRST - 1, SI_QUEUE, 4).expect("rt_sigqueueinfo");
    let wanted = [FIRST, FIRST - 1, SIGUSR1];
    let got: [_; 6] = core::array::from_fn(|_| wait_ms(&wanted, Some(0)));
    let expected = [
        Ok((SIGUSR1, 11)),
        Ok((FIRST - 1, 4)),
        Ok((FIRST, 1)),
        Ok((FIRST, 2)),
        Ok((FIRST, 3)),
        Err(Errno::EAGAIN),
    ];
    eq!(
        got,
        expected,
        "by number, then in order; a usual signal once"
    );
    for _ in 0..3 {
        kill(me, FIRST).expect("kill");
        kill(me, SIGUSR2).expect("kill");
    }
    for signal in [FIRST, SIGUSR2] {
        set_handler(signal, count).expect("rt_sigaction");
        CALLS.store(0, SeqCst);
        mask(SIG_UNBLOCK, &[signal]);
        let times = if signal == FIRST { 3 } else { 1 };
        eq!(
            CALLS.load(SeqCst),
            times,
            "signal {signal} is handled {times} times"
        );
        mask(SIG_BLOCK, &[signal]);
    }
    let full = (0..100_000).find_map(|_| queue(me, FIRST, SI_QUEUE, 0).err());
    eq!(full, Some(Errno::EAGAIN), "when too many wait: EAGAIN");
    while wait_ms(&[FIRST], Some(0)).is_ok() {}
}

extern "C" fn kill_later(tid: u32) -> i32 {
    sleep_ms(30);
    let mut info = [0u32; 32];
    (info[2], info[5]) = (SI_QUEUE, 77);
    let arguments = [getpid(), tid, FIRST, info.as_ptr() as u32];
    syscall(SYS_RT_TGSIGQUEUEINFO, arguments).map_or(1, |_| 0)
}

fn waiting() {
    let begin = monotonic_ns();
    eq!(
        wait_ms(&[FIRST], Some(30)),
        Err(Errno::EAGAIN),
        "no signal in time: EAGAIN"
    );
    ok!(monotonic_ns() - begin >= 30 * NS_PER_MS, "and not earlier");
    let thread = spawn(kill_later, gettid(), None).expect("clone");
    eq!(
        wait_ms(&[FIRST], None),
        Ok((FIRST, 77)),
        "one that a thread sends to a thread"
    );
    ok!(thread.join(), "(which ends)");
    let ended = child(|| {
        sleep_ms(30);
        0
    });
    eq!(
        wait_ms(&[SIGCHLD], Some(NEVER_MS)).map(|(signal, _)| signal),
        Ok(SIGCHLD),
        "SIGCHLD, which by default does nothing"
    );
    ended.wait();
    set_handler(SIGUSR1, count).expect("rt_sigaction");
    mask(SIG_UNBLOCK, &[SIGUSR1]);
    let me = getpid();
    let sender = child(|| {
        // A signal sent before it waits would interrupt nothing.
        while state_of(me) != 'S' {
            sleep_ms(1);
        }
        kill(me, SIGUSR1).map_or(1, |()| 0)
    });
    eq!(
        wait_ms(&[FIRST], Some(NEVER_MS)),
        Err(Errno::EINTR),
        "another signal: EINTR"
    );
    mask(SIG_BLOCK, &[SIGUSR1, SIGCHLD]);
    sender.wait();
    let _of_sender = wait_ms(&[SIGCHLD], Some(0));
    kill(me, SIGUSR1).expect("kill");
    let (set, time) = (set_of(&[SIGUSR1]), [0u64, 5]);
    let arguments = [&raw const set as u32, 0, time.as_ptr() as u32, 8];
    eq!(
        syscall(SYS_RT_SIGTIMEDWAIT64, arguments),
        Ok(SIGUSR1),
        "with 64-bit times"
    );
}

fn errors() {
    let set = 0u64;
    let at = &raw const set as u32;
    for (arguments, errno, name) in [
        ([at, 0, 0, 4], Errno::EINVAL, "another size of set"),
        ([KERNEL_ADDRESS, 0, 0, 8], Errno::EFAULT, "no set"),
        ([at, 0, KERNEL_ADDRESS, 8], Errno::EFAULT, "no time"),
        (
            [at, 0, [0u32, 1_000_000_000].as_ptr() as u32, 8],
            Errno::EINVAL,
            "a bad time",
        ),
    ] {
        eq!(
            syscall(SYS_RT_SIGTIMEDWAIT, arguments),
            Err(errno),
            "{name}: {errno:?}"
        );
    }
    expect_exit(
        "a siginfo of kill or the kernel, to another process: EPERM",
        0,
        || {
            let as_who = [0, -6i32 as u32, 0x80];
            i32::from(as_who.map(|code| queue(getppid(), FIRST, code, 0)) != [Err(Errno::EPERM); 3])
        },
    );
    eq!(
        queue(getpid(), 65, SI_QUEUE, 0),
        Err(Errno::EINVAL),
        "signal 65: EINVAL"
    );
}

fn main() -> i32 {
    ktap::plan(17);
    mask(SIG_BLOCK, &[FIRST, FIRST - 1, SIGUSR1, SIGUSR2, SIGCHLD]);
    queueing();
    waiting();
    errors();
    ktap::finish()
}

rt::main!(main);

//! signalfd: signals that are read from a file, as messages.
//!
//! Linux: signalfd(2).
//! Red without: the set; the sleep of a reader; the reader's own signals; the fields of a message.
#![no_std]
#![no_main]

use rt::{
    Errno, WaitStatus, child,
    clock::comes_true,
    eq,
    gates::syscall,
    job::{change_blocked, is_pending, sleeps},
    ktap, ok,
    poll::{POLLIN, poll},
    process::getpid,
    signals::{SIGUSR1, Sigcontext, kill, set_handler},
};

const READ: u32 = 3;
const WRITE: u32 = 4;
const SIGQUEUEINFO: u32 = 178;
const GETUID32: u32 = 199;
const SIGNALFD: u32 = 321;
const SIGNALFD4: u32 = 327;
const NONBLOCK: u32 = 0o4000;
const NEW: u32 = u32::MAX;
const SIGUSR2: u32 = 12;
const SIGALRM: u32 = 14;
const SIGCHLD: u32 = 17;
const RT: u32 = 40;
const SIG_BLOCK: u32 = 0;

extern "C" fn nothing(_: u32, _: Sigcontext) {}

/// A signal as a signalfd gives it.
type Message = [u32; 32];

fn signals(fd: u32, set: u64, flags: u32) -> Result<u32, Errno> {
    syscall(SIGNALFD4, [fd, &raw const set as u32, 8, flags])
}

fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

/// Reads up to two signals; returns the number of bytes.
fn messages(fd: u32, to: &mut [Message; 2]) -> Result<u32, Errno> {
    *to = [[0x5555_5555; 32]; 2];
    syscall(READ, [fd, to.as_mut_ptr() as u32, 256 + 100])
}

fn messages_of_signals() {
    for signal in [SIGUSR1, SIGUSR2, RT, SIGCHLD] {
        change_blocked(SIG_BLOCK, signal);
    }
    let me = getpid();
    let mut got = [[0; 32]; 2];
    let fd = signals(NEW, bit(SIGUSR1) | bit(RT), NONBLOCK).expect("signalfd4");
    eq!(
        (messages(fd, &mut got), poll(fd)),
        (Err(Errno::EAGAIN), 0),
        "no signal: EAGAIN"
    );
    kill(me, SIGUSR2).expect("kill");
    eq!(
        (messages(fd, &mut got), poll(fd)),
        (Err(Errno::EAGAIN), 0),
        "a signal outside of the set: EAGAIN"
    );
    kill(me, SIGUSR1).expect("kill");
    eq!(poll(fd), POLLIN, "a signal of the set makes it readable");
    eq!(messages(fd, &mut got), Ok(128), "it is read, 128 bytes");
    let uid = syscall(GETUID32, []).unwrap_or(0);
    let wanted: [u32; 5] = [SIGUSR1, 0, 0, me, uid];
    ok!(
        got[0][..5] == wanted && got[0][5..].iter().all(|word| *word == 0),
        "kill: number, sender, user"
    );
    ok!(!is_pending(SIGUSR1), "it is pending no longer");
    let mut info = [0u32; 32];
    (info[2], info[3], info[4], info[5]) = (-1i32 as u32, me, 77, -9i32 as u32);
    for _ in 0..3 {
        syscall(SIGQUEUEINFO, [me, RT, info.as_ptr() as u32]).expect("rt_sigqueueinfo");
    }
    eq!(
        messages(fd, &mut got),
        Ok(256),
        "as many as there is room for, 256 bytes"
    );
    eq!(messages(fd, &mut got), Ok(128), "the rest later");
    eq!(
        &got[0][..5],
        &[RT, 0, -1i32 as u32, me, 77],
        "sigqueue: all that the sender says"
    );
    eq!(
        (got[0][11], got[0][12]),
        (-9i32 as u32, -9i32 as u32),
        "and its value"
    );
    eq!(
        signals(fd, bit(SIGUSR2) | bit(9), 0),
        Ok(fd),
        "the set of a file can be changed"
    );
    eq!(poll(fd), POLLIN, "then another signal makes it readable");
    eq!(
        (messages(fd, &mut got), got[0][0]),
        (Ok(128), SIGUSR2),
        "and is read"
    );
    signals(fd, bit(SIGCHLD), 0).expect("signalfd4");
    let ended = child(|| 5);
    ok!(
        comes_true(|| poll(fd) == POLLIN),
        "the end of a child makes it readable"
    );
    eq!(messages(fd, &mut got), Ok(128), "a child's end is read");
    eq!(
        (got[0][0], got[0][2], got[0][3], got[0][10]),
        (SIGCHLD, 1, ended.pid, 5),
        "with its number and status"
    );
    ended.wait();
    let _another = messages(fd, &mut got);
    kill(me, SIGUSR1).expect("kill");
    signals(fd, bit(SIGUSR1), 0).expect("signalfd4");
    eq!(
        syscall(READ, [fd, 0, 128]),
        Err(Errno::EFAULT),
        "a signal that cannot be stored: EFAULT"
    );
    eq!(messages(fd, &mut got), Err(Errno::EAGAIN), "and it is lost");
}

fn messages_wait() {
    let fd = signals(NEW, bit(SIGUSR1), 0).expect("signalfd4");
    let read = |fd| {
        let mut got = [0u32; 32];
        let read = syscall(READ, [fd, got.as_mut_ptr() as u32, 128]);
        read.map(|_| got[0])
    };
    let sleeper = sleeps(child(|| i32::from(read(fd) != Ok(SIGUSR1))));
    kill(sleeper.pid, SIGUSR1).expect("kill");
    eq!(
        sleeper.wait(),
        WaitStatus::exited(0),
        "a reader sleeps until a signal of its own comes"
    );
    set_handler(SIGALRM, nothing).expect("rt_sigaction");
    let sleeper = sleeps(child(|| i32::from(read(fd) != Err(Errno::EINTR))));
    kill(sleeper.pid, SIGALRM).expect("kill");
    eq!(
        sleeper.wait(),
        WaitStatus::exited(0),
        "a handler ends the read: EINTR"
    );
    let word = bit(SIGUSR1);
    let at = &raw const word as u32;
    eq!(
        syscall(SIGNALFD4, [NEW, 0, 4, 1]),
        Err(Errno::EINVAL),
        "a set of 4 bytes: EINVAL"
    );
    eq!(
        syscall(SIGNALFD4, [999, at, 8, 1]),
        Err(Errno::EINVAL),
        "signalfd4, an unknown flag: EINVAL"
    );
    eq!(
        syscall(SIGNALFD, [999, at, 8]),
        Err(Errno::EBADF),
        "no descriptor: EBADF"
    );
    eq!(
        syscall(SIGNALFD, [0, at, 8]),
        Err(Errno::EINVAL),
        "no signalfd: EINVAL"
    );
    eq!(
        syscall(READ, [fd, at, 127]),
        Err(Errno::EINVAL),
        "less room than one signal needs: EINVAL"
    );
    eq!(
        syscall(WRITE, [fd, at, 8]),
        Err(Errno::EINVAL),
        "signals cannot be written: EINVAL"
    );
    ok!(
        syscall(SIGNALFD, [NEW, at, 8]).is_ok(),
        "signalfd makes a file too"
    );
}

fn main() -> i32 {
    ktap::plan(27);
    messages_of_signals();
    messages_wait();
    ktap::finish()
}

rt::main!(main);

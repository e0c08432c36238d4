//! Rights over other processes: signals to a parent and to init, and access to another process.
//!
//! Book: ch. 11, "Generating a Signal"; ch. 20, "Process Credentials and Capabilities".
//! Linux: clone(2), kill(2) (init), ptrace(2) ("Ptrace access mode checking"), getauxval(3).
//! Red without: the caller's own exit signal for a sibling (CLONE_PARENT); the count of executed
//! programs (`self_exec_id`); SIGNAL_UNKILLABLE on each way to init; `not_dumpable`; the identities
//! that AT_SECURE compares.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering::SeqCst;
use rt::{
    Errno, WaitStatus, child,
    clock::{comes_true, sleep_ms},
    eq, expect_exit,
    gates::syscall,
    job::{SIGCONT, SIGKILL, SIGSTOP, hears, send, state_of, wait_for},
    ktap,
    memory::{SharedPage, shared_page},
    ok, proc,
    process::{NOBODY, WNOHANG, exec_self, fork, getpid, getppid, setuid, wait4},
    signal::SIGSEGV,
    signals::{SIGUSR1, kill},
    skip, start,
    thread::{CLONE_PARENT, SYS_CLONE},
};

const SYS_SETRESUID32: u32 = 208;
const SYS_RT_SIGQUEUEINFO: u32 = 178;
const SYS_TKILL: u32 = 238;
const SYS_TGKILL: u32 = 270;
const SYS_GET_ROBUST_LIST: u32 = 312;
const SYS_RT_TGSIGQUEUEINFO: u32 = 335;
const SIGTERM: u32 = 15;
const SI_QUEUE: i32 = -1;
const SI_TKILL: i32 = -6;
const INIT: u32 = 1;

fn setresuid(real: u32, effective: u32, saved: u32) -> Result<(), Errno> {
    syscall(SYS_SETRESUID32, [real, effective, saved]).map(drop)
}

/// Starts a root process that waits, with an unprivileged child that calls `attack`; returns how
/// the root process stands afterwards: it sleeps on, or was killed.
fn attacked(attack: impl Fn()) -> Result<(u32, WaitStatus), Errno> {
    let page = shared_page();
    let root = child(|| {
        let user = child(|| {
            setuid(NOBODY).expect("root may");
            attack();
            0
        });
        let _ended = wait4(user.pid as i32, 0);
        page[0].store(1, SeqCst);
        loop {
            sleep_ms(100);
        }
    });
    for _ in 0..100 {
        let seen = wait4(root.pid as i32, WNOHANG);
        if seen != Ok((0, WaitStatus(0))) {
            return seen;
        }
        if page[0].load(SeqCst) == 1 {
            break;
        }
        sleep_ms(20);
    }
    sleep_ms(50);
    let seen = wait4(root.pid as i32, WNOHANG);
    send(root, SIGKILL);
    let _killed = root.wait();
    seen
}

/// A sibling whose end is reported with a signal that its maker chose would send that signal to the
/// maker's parent, from a process without the right to.
fn siblings() {
    let lives = Ok((0, WaitStatus(0)));
    for signal in [SIGKILL, SIGUSR1, SIGSTOP] {
        let seen = attacked(|| {
            if syscall(SYS_CLONE, [CLONE_PARENT | signal, 0, 0, 0, 0]) == Ok(0) {
                rt::process::exit(0);
            }
            sleep_ms(60);
        });
        eq!(
            seen,
            lives,
            "clone(CLONE_PARENT | {signal}) by a user: its parent lives"
        );
    }
    expect_exit("nor does kill reach it: EPERM", 0, || {
        let user = child(|| {
            setuid(NOBODY).expect("root may");
            i32::from(kill(getppid(), SIGKILL) != Err(Errno::EPERM))
        });
        i32::from(user.wait() != WaitStatus::exited(0))
    });
}

/// A parent that executes another program gets SIGCHLD, whatever signal it had asked for.
fn exit_signal_after_exec(page: SharedPage) {
    let parent = child(|| match syscall(SYS_CLONE, [SIGUSR1, 0, 0, 0, 0]) {
        Ok(0) => {
            wait_for(&page[0], 1);
            0
        }
        Ok(_) => exec_self(c"wait"),
        Err(_) => 1,
    });
    let mut buffer = [0; 128];
    let executed = comes_true(|| {
        let words = proc::read(&mut buffer, format_args!("/proc/{}/cmdline", parent.pid));
        words.is_ok_and(|words| words.contains("\0wait"))
    });
    page[0].store(u32::from(executed), SeqCst);
    eq!(
        parent.wait(),
        WaitStatus::exited(0),
        "a signal chosen for the end of a child does not reach the program executed since"
    );

    let parent = child(|| {
        let kid = syscall(SYS_CLONE, [SIGUSR1, 0, 0, 0, 0]);
        if kid == Ok(0) {
            exec_self(c"nothing");
        }
        sleep_ms(200);
        0
    });
    eq!(
        parent.wait(),
        WaitStatus::exited(0),
        "nor is it sent for a child that has executed another program"
    );

    let parent = child(|| {
        if syscall(SYS_CLONE, [SIGUSR1, 0, 0, 0, 0]) == Ok(0) {
            return 0;
        }
        sleep_ms(2000);
        0
    });
    eq!(
        parent.wait(),
        WaitStatus::signaled(SIGUSR1),
        "otherwise it is sent"
    );
}

/// Sends init a signal.
type Send = fn(u32) -> Result<u32, Errno>;

/// Init gets only the signals that it handles, whichever way they are sent.
fn init() {
    if getppid() != INIT {
        for number in 1..=12 {
            skip!("not a child of init", "signals to init, case {number}");
        }
        return;
    }
    let by: [(&str, Send); 4] = [
        ("kill", |signal| syscall(37, [INIT, signal])),
        ("tkill", |signal| syscall(SYS_TKILL, [INIT, signal])),
        ("tgkill", |signal| syscall(SYS_TGKILL, [INIT, INIT, signal])),
        ("rt_sigqueueinfo", |signal| {
            let info = [signal, 0, SI_QUEUE as u32, getpid(), 0, 0, 0, 0];
            let mut bytes = [0u32; 32];
            bytes[..8].copy_from_slice(&info);
            syscall(SYS_RT_SIGQUEUEINFO, [INIT, signal, bytes.as_ptr() as u32])?;
            syscall(
                SYS_RT_TGSIGQUEUEINFO,
                [INIT, INIT, signal, bytes.as_ptr() as u32],
            )
        }),
    ];
    for (name, send) in by {
        for (signal, called) in [(SIGTERM, "SIGTERM"), (SIGSEGV, "SIGSEGV")] {
            let sent = send(signal);
            sleep_ms(10);
            ok!(
                sent == Ok(0) && kill(INIT, 0) == Ok(()),
                "{called} to init by {name}: sent, and init lives"
            );
        }
        let sent = [SIGKILL, SIGSTOP].map(send);
        sleep_ms(10);
        ok!(
            sent == [Ok(0); 2] && matches!(state_of(INIT), 'S' | 'R'),
            "SIGKILL and SIGSTOP by {name}: init neither ends nor stops"
        );
    }
    let _goes_on = kill(INIT, SIGCONT);
}

/// A siginfo that claims to come from tkill must be the sender's own.
fn forged() {
    let sleeper = child(|| {
        sleep_ms(5000);
        0
    });
    for (code, name) in [(0, "SI_USER"), (0x80, "SI_KERNEL"), (SI_TKILL, "SI_TKILL")] {
        let mut info = [0u32; 32];
        (info[0], info[2]) = (SIGTERM, code as u32);
        let at = info.as_ptr() as u32;
        eq!(
            syscall(
                SYS_RT_TGSIGQUEUEINFO,
                [sleeper.pid, sleeper.pid, SIGTERM, at]
            ),
            Err(Errno::EPERM),
            "a siginfo for another that says {name}: EPERM"
        );
    }
    send(sleeper, SIGKILL);
    let _killed = hears(sleeper, 0);
}

/// Only its user may see the memory of a process, and not if the process acts or has acted as
/// another user.
fn looks() {
    let page = shared_page();
    let once_root = child(|| {
        setresuid(NOBODY, NOBODY, NOBODY).expect("root may");
        page[0].store(1, SeqCst);
        sleep_ms(60_000);
        0
    });
    let still_root = child(|| {
        setresuid(NOBODY, NOBODY, 0).expect("root may");
        page[1].store(1, SeqCst);
        sleep_ms(60_000);
        0
    });
    wait_for(&page[0], 1);
    wait_for(&page[1], 1);
    for (whose, of) in [
        (once_root, "has been root"),
        (still_root, "may become root"),
    ] {
        expect_exit(of, 0, || {
            setuid(NOBODY).expect("root may");
            let mut words = [0u32; 2];
            let at = words.as_mut_ptr() as u32;
            let list = syscall(SYS_GET_ROBUST_LIST, [whose.pid, at, at + 4]);
            let exe = proc::link(format_args!("/proc/{}/exe", whose.pid));
            i32::from(list != Err(Errno::EPERM)) + 2 * i32::from(exe.err() != Some(Errno::EACCES))
        });
    }
    for victim in [once_root, still_root] {
        send(victim, SIGKILL);
        let _killed = victim.wait();
    }
    expect_exit("a program of the user's own", 0, || {
        setuid(NOBODY).expect("root may");
        let Ok(pid) = fork() else { return 9 };
        if pid == 0 {
            exec_self(c"sleep");
        }
        let mine = rt::process::Child { pid };
        let seen = (0..200).any(|_| {
            sleep_ms(20);
            proc::link(format_args!("/proc/{pid}/exe")).is_ok()
        });
        let mut words = [0u32; 2];
        let at = words.as_mut_ptr() as u32;
        let list = syscall(SYS_GET_ROBUST_LIST, [pid, at, at + 4]);
        send(mine, SIGKILL);
        let _killed = mine.wait();
        i32::from(!seen) + 2 * i32::from(list.is_err())
    });
}

/// AT_SECURE is set when a program has rights that whoever started it lacks.
fn secure() {
    expect_exit("AT_SECURE of root's program is 0", 0, || {
        exec_self(c"secure")
    });
    expect_exit(
        "of one with another's rights 1, though exec changes none",
        1,
        || {
            setresuid(NOBODY, 0, 0).expect("root may");
            exec_self(c"secure")
        },
    );
    expect_exit("of a user's 0", 0, || {
        setuid(NOBODY).expect("root may");
        exec_self(c"secure")
    });
}

fn main() -> i32 {
    match start::arg(1) {
        Some("wait") => {
            let ended = wait4(-1, 0x4000_0000); // __WALL
            return i32::from(ended.is_err());
        }
        Some("nothing") => return 0,
        Some("sleep") => {
            sleep_ms(60_000);
            return 0;
        }
        Some("secure") => {
            return start::getauxval(start::at::SECURE).map_or(9, |value| value as i32);
        }
        _ => {}
    }
    ktap::plan(4 + 3 + 12 + 3 + 3 + 3);
    siblings();
    exit_signal_after_exec(shared_page());
    init();
    forged();
    looks();
    secure();
    ktap::finish()
}

rt::main!(main);

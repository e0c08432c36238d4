//! waitid, and who adopts orphans.
//!
//! Linux: waitid(2), prctl(2) (PR_SET_CHILD_SUBREAPER).
//! Red without: each way to wait; WNOWAIT; the reaper among the ancestors.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child,
    clock::{PATIENCE_NS, monotonic_ns},
    eq, expect_exit,
    gates::syscall,
    job::{CONTINUED, SIGCONT, SIGKILL, SIGSTOP, WCONTINUED, WUNTRACED, send, stopped},
    ktap,
    memory::shared_page,
    process::{Child, WNOHANG, exec_self, exit, fork, getpid, getppid, wait4},
    signals::{Action, Sigcontext, set_handler},
    start,
};

const SYS_PAUSE: u32 = 29;
const SYS_SETPGID: u32 = 57;
const SYS_PRCTL: u32 = 172;
const SYS_WAITID: u32 = 284;
const PR_SET_CHILD_SUBREAPER: u32 = 36;
const PR_GET_CHILD_SUBREAPER: u32 = 37;

const P_ALL: u32 = 0;
const P_PID: u32 = 1;
const P_PGID: u32 = 2;
const WSTOPPED: u32 = WUNTRACED;
const WEXITED: u32 = 4;
const WNOWAIT: u32 = 0x0100_0000;
const SIGCHLD: u32 = 17;

/// What a child did (`CLD_*`), the child, and the exit code or the signal.
type Facts = [u32; 3];

fn waitid(kind: u32, id: u32, options: u32) -> Result<Facts, Errno> {
    let mut info = [0x77u32; 32];
    let at = info.as_mut_ptr() as u32;
    syscall(SYS_WAITID, [kind, id, at, options, 0])?;
    let [signal, errno, code, pid, uid, status, rest @ ..] = info;
    let is_whole = errno == 0 && uid == 0 && rest == [0x77; 26];
    let is_signal = signal == if pid == 0 { 0 } else { SIGCHLD };
    assert!(is_whole && is_signal, "{info:x?}");
    Ok([code, pid, status])
}

fn pause() -> ! {
    loop {
        let _slept = syscall(SYS_PAUSE, []);
    }
}

fn sleeper() -> Child {
    child(|| pause())
}

fn ways() {
    let one = child(|| 42);
    eq!(
        waitid(P_PID, one.pid, WEXITED | WNOWAIT),
        Ok([1, one.pid, 42]),
        "WNOWAIT: the end of a child is reported"
    );
    eq!(
        waitid(P_ALL, 0, WEXITED),
        Ok([1, one.pid, 42]),
        "and again, the last time"
    );
    eq!(
        waitid(P_PID, one.pid, WEXITED),
        Err(Errno::ECHILD),
        "then it is gone: ECHILD"
    );
    let two = sleeper();
    eq!(
        waitid(P_PID, two.pid, WEXITED | WNOHANG),
        Ok([0, 0, 0]),
        "WNOHANG, and nothing to report: zeroes"
    );
    send(two, SIGSTOP);
    eq!(
        [WNOWAIT, WNOWAIT, 0].map(|stays| waitid(P_PID, two.pid, WSTOPPED | stays)),
        [Ok([5, two.pid, SIGSTOP]); 3],
        "a stop"
    );
    eq!(
        waitid(P_PID, two.pid, WSTOPPED | WNOHANG),
        Ok([0, 0, 0]),
        "is reported once"
    );
    send(two, SIGCONT);
    eq!(
        waitid(P_ALL, 0, WCONTINUED | WNOWAIT),
        Ok([6, two.pid, SIGCONT]),
        "that it continues"
    );
    eq!(
        wait4(two.pid as i32, WCONTINUED),
        Ok((two.pid, CONTINUED)),
        "which wait4 still reports"
    );
    send(two, SIGSTOP);
    eq!(
        wait4(two.pid as i32, WUNTRACED),
        Ok((two.pid, stopped(SIGSTOP))),
        "wait4 takes a stop"
    );
    send(two, SIGKILL);
    eq!(
        waitid(P_PID, two.pid, WEXITED),
        Ok([2, two.pid, SIGKILL]),
        "the signal that ended a child"
    );
}

fn groups() {
    let mine = child(|| {
        let _own = syscall(SYS_SETPGID, [0, 0]);
        let [one, two] = [3, 4].map(|code| child(move || code));
        let _moved = syscall(SYS_SETPGID, [two.pid, two.pid]);
        let good = [
            waitid(P_PGID, getpid(), WEXITED) == Ok([1, one.pid, 3]),
            waitid(P_PGID, getpid(), WEXITED) == Err(Errno::ECHILD),
            // Group 1 is not "any child".
            waitid(P_PGID, 1, WEXITED) == Err(Errno::ECHILD),
            waitid(P_PGID, two.pid, WEXITED) == Ok([1, two.pid, 4]),
        ];
        good.iter().position(|it| !it).map_or(0, |at| at as i32 + 1)
    });
    eq!(
        mine.wait(),
        WaitStatus::exited(0),
        "P_PGID: a process group"
    );
}

fn errors() {
    let einval = Err(Errno::EINVAL);
    eq!(
        [
            waitid(P_ALL, 0, 0),
            waitid(P_ALL, 0, WNOHANG),
            waitid(P_ALL, 0, WEXITED | 0x10),
            waitid(P_PID, 0, WEXITED),
            waitid(P_PID, u32::MAX, WEXITED),
            waitid(P_PGID, u32::MAX, WEXITED),
            waitid(9, 0, WEXITED),
        ],
        [einval; 7],
        "no way to change, unknown options, kinds and numbers: EINVAL"
    );
    eq!(
        waitid(P_ALL, 0, WEXITED),
        Err(Errno::ECHILD),
        "no child: ECHILD"
    );
    let one = child(|| 0);
    eq!(
        syscall(SYS_WAITID, [P_ALL, 0, 8, WEXITED, 0]),
        Err(Errno::EFAULT),
        "a bad address: EFAULT, and the child is gone"
    );
    eq!(
        wait4(one.pid as i32, 0),
        Err(Errno::ECHILD),
        "which wait4 says too"
    );
    expect_exit("a zombie does not stop any more: ECHILD", 0, || {
        let one = child(|| 0);
        let seen = waitid(P_PID, one.pid, WEXITED | WNOWAIT);
        let stops = waitid(P_PID, one.pid, WSTOPPED);
        let any = waitid(P_ALL, 0, WCONTINUED);
        i32::from(seen.is_err() || [stops, any] != [Err(Errno::ECHILD); 2])
    });
}

static HEARD: AtomicU32 = AtomicU32::new(0);

extern "C" fn hear(_: u32, _: Sigcontext) {
    HEARD.fetch_add(1, SeqCst);
}

fn subreaper(on: u32) -> Result<u32, Errno> {
    syscall(SYS_PRCTL, [PR_SET_CHILD_SUBREAPER, on])
}

fn is_subreaper() -> Option<bool> {
    let mut word = 77u32;
    syscall(SYS_PRCTL, [PR_GET_CHILD_SUBREAPER, &raw mut word as u32]).ok()?;
    match word {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// Forks a child that forks `grandchild` and ends at once. Returns the grandchild's number.
fn orphan(grandchild: impl FnOnce() -> i32) -> u32 {
    let page = shared_page();
    let parent = child(|| {
        if fork() == Ok(0) {
            page[0].store(getpid(), SeqCst);
            let parent = page[1].load(SeqCst);
            while parent != 0 && getppid() == parent {
                rt::sched::sched_yield();
            }
            exit(grandchild());
        }
        while page[0].load(SeqCst) == 0 {
            rt::sched::sched_yield();
        }
        0
    });
    assert!(parent.wait() == WaitStatus::exited(0));
    page[0].load(SeqCst)
}

fn reapers() {
    expect_exit("PR_SET_CHILD_SUBREAPER, and back", 0, || {
        let was = is_subreaper();
        let good = was == Some(false)
            && subreaper(9) == Ok(0)
            && is_subreaper() == Some(true)
            && subreaper(0) == Ok(0)
            && is_subreaper() == Some(false);
        i32::from(!good)
    });
    expect_exit(
        "an orphan goes to the nearest of its ancestors that asks",
        0,
        || {
            subreaper(1).expect("prctl");
            let orphan = orphan(|| 5);
            i32::from(wait4(orphan as i32, 0) != Ok((orphan, WaitStatus::exited(5))))
        },
    );
    expect_exit("past a parent that does not", 0, || {
        subreaper(1).expect("prctl");
        let page = shared_page();
        let middle = child(|| {
            page[0].store(orphan(|| 6), SeqCst);
            // It is not ours.
            i32::from(wait4(-1, 0) != Err(Errno::ECHILD))
        });
        let ended = middle.wait();
        let orphan = page[0].load(SeqCst);
        let good = ended == WaitStatus::exited(0)
            && wait4(orphan as i32, 0) == Ok((orphan, WaitStatus::exited(6)));
        i32::from(!good)
    });
    expect_exit(
        "a child does not inherit the wish, exec keeps it",
        0,
        || {
            subreaper(1).expect("prctl");
            let one = child(|| i32::from(is_subreaper() != Some(false)));
            i32::from(one.wait() != WaitStatus::exited(0)) + exec_and_ask()
        },
    );
    expect_exit("SIGCHLD tells of a zombie that is adopted", 0, told);
    expect_exit(
        "a reaper that ignores its children has none to wait for",
        0,
        || {
            subreaper(1).expect("prctl");
            let page = shared_page();
            let ignored = Action {
                handler: 1,
                ..Action::default()
            };
            ignored.set(SIGCHLD).expect("sigaction");
            let middle = child(|| {
                Action::default().set(SIGCHLD).expect("sigaction");
                let zombie = child(|| 7);
                page[0].store(zombie.pid, SeqCst);
                i32::from(waitid(P_PID, zombie.pid, WEXITED | WNOWAIT).is_err())
            });
            let _ended = wait4(middle.pid as i32, 0);
            i32::from(wait4(-1, WNOHANG) != Err(Errno::ECHILD))
        },
    );
}

/// The parent of the process that ends is another than the reaper, which therefore hears of the zombie
/// alone.
fn told() -> i32 {
    subreaper(1).expect("prctl");
    set_handler(SIGCHLD, hear).expect("sigaction");
    let page = shared_page();
    let parent = child(|| {
        let ends = child(|| {
            let zombie = child(|| 7);
            page[0].store(zombie.pid, SeqCst);
            // It has ended when it is given away.
            i32::from(waitid(P_PID, zombie.pid, WEXITED | WNOWAIT).is_err())
        });
        let ended = ends.wait();
        while page[1].load(SeqCst) == 0 {
            rt::sched::sched_yield();
        }
        i32::from(ended != WaitStatus::exited(0))
    });
    let end = monotonic_ns() + PATIENCE_NS;
    while HEARD.load(SeqCst) == 0 && monotonic_ns() < end {
        rt::sched::sched_yield();
    }
    let heard = HEARD.load(SeqCst);
    page[1].store(1, SeqCst);
    let zombie = page[0].load(SeqCst);
    let good = heard == 1
        && wait4(zombie as i32, 0) == Ok((zombie, WaitStatus::exited(7)))
        && parent.wait() == WaitStatus::exited(0);
    i32::from(!good)
}

/// 0 if a program that this process executes is still a subreaper.
fn exec_and_ask() -> i32 {
    exec_self(c"is-subreaper")
}

fn main() -> i32 {
    if start::arg(1) == Some("is-subreaper") {
        return i32::from(is_subreaper() != Some(true));
    }
    ktap::plan(22);
    ways();
    groups();
    errors();
    reapers();
    ktap::finish()
}

rt::main!(main);

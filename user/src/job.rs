//! Jobs: processes that signals stop and continue.
//!
//! Linux: wait(2), setpgid(2), signal(7).

use crate::{
    Errno, WaitStatus, child,
    clock::{NS_PER_MS, PATIENCE_NS, comes_true, monotonic_ns},
    gates::syscall,
    process::{Child, getpid, wait4},
    sched::sched_yield,
    signals::{Sigcontext, kill, set_handler},
};
use core::sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Relaxed, SeqCst},
};

const SYS_READ: u32 = 3;
const SYS_OPEN: u32 = 5;
const SYS_CLOSE: u32 = 6;
const SYS_SETPGID: u32 = 57;
const SYS_SETITIMER: u32 = 104;
const SYS_RT_SIGPROCMASK: u32 = 175;
const SYS_RT_SIGPENDING: u32 = 176;

const SIGALRM: u32 = 14;

/// Flag of `wait4`: report children that have stopped, too.
pub const WUNTRACED: u32 = 2;
/// Flag of `wait4`: report children that have continued, too.
pub const WCONTINUED: u32 = 8;
pub const SIGHUP: u32 = 1;
pub const SIGKILL: u32 = 9;
pub const SIGCONT: u32 = 18;
pub const SIGSTOP: u32 = 19;
pub const SIG_BLOCK: u32 = 0;
pub const SIG_UNBLOCK: u32 = 1;

/// The wait status of a process that has continued; without bit 7, which `wait4` leaves out.
pub const CONTINUED: WaitStatus = WaitStatus(0xff7f);

/// The wait status of a process that `signal` has stopped.
pub const fn stopped(signal: u32) -> WaitStatus {
    WaitStatus(signal << 8 | 0x7f)
}

static IS_OVER: AtomicBool = AtomicBool::new(false);

extern "C" fn give_up(_: u32, _: Sigcontext) {
    IS_OVER.store(true, SeqCst);
}

/// Asks for SIGALRM after a time in which every awaited event should have come; it repeats, in case
/// the caller was not waiting just then. 0 turns it off.
fn alarm_in(seconds: u32) {
    let again = u32::from(seconds != 0);
    let times = [again, 0, seconds, 0];
    syscall(SYS_SETITIMER, [0, times.as_ptr() as u32, 0]).expect("setitimer");
}

/// Returns the status of `child` from `wait4`; ETIMEDOUT if no report comes.
pub fn hears(child: Child, options: u32) -> Result<WaitStatus, Errno> {
    IS_OVER.store(false, SeqCst);
    set_handler(SIGALRM, give_up).expect("sigaction");
    alarm_in((PATIENCE_NS / 1_000_000_000) as u32);
    let said = loop {
        match wait4(child.pid as i32, options) {
            Err(Errno::EINTR) if IS_OVER.load(SeqCst) => break Err(Errno::ETIMEDOUT),
            // A handler took a SIGCHLD.
            Err(Errno::EINTR) => (),
            Ok((0, _)) => break Err(Errno::EAGAIN),
            Ok((pid, status)) if pid == child.pid => break Ok(status),
            Ok(_) => break Err(Errno::ESRCH),
            Err(errno) => break Err(errno),
        }
    };
    alarm_in(0);
    said
}

/// Stops `sleeper` each time it sleeps again, until it ends; returns its status. After a minute,
/// far longer than it sleeps in all, it is killed.
pub fn stop_until_it_ends(sleeper: Child) -> Result<WaitStatus, Errno> {
    let give_up = monotonic_ns() + 60_000 * NS_PER_MS;
    loop {
        while !matches!(state_of(sleeper.pid), 'S' | 'Z') {
            sched_yield();
        }
        send(sleeper, SIGSTOP);
        let status = hears(sleeper, WUNTRACED);
        if status != Ok(stopped(SIGSTOP)) {
            return status;
        }
        let goes_on = monotonic_ns() < give_up;
        send(sleeper, if goes_on { SIGCONT } else { SIGKILL });
    }
}

/// Yields until `word` is at least `at_least`.
pub fn wait_for(word: &AtomicU32, at_least: u32) {
    while word.load(SeqCst) < at_least {
        sched_yield();
    }
}

/// Sends a signal to a child, which cannot fail here.
pub fn send(child: Child, signal: u32) {
    kill(child.pid, signal).expect("kill");
}

/// Sends a signal to the caller.
pub fn send_self(signal: u32) {
    kill(getpid(), signal).expect("kill");
}

/// Makes a child in a process group of its own, as a shell would. Without a member outside, a group
/// is orphaned, so the group must exist before any signal is sent.
pub fn job(body: impl FnOnce() -> i32) -> Child {
    let job = child(|| {
        syscall(SYS_SETPGID, [0, 0]).expect("setpgid");
        body()
    });
    syscall(SYS_SETPGID, [job.pid, job.pid]).expect("setpgid");
    job
}

/// Blocks a signal ([`SIG_BLOCK`]) or lets it through ([`SIG_UNBLOCK`]).
pub fn change_blocked(how: u32, signal: u32) {
    let set = 1u64 << (signal - 1);
    syscall(SYS_RT_SIGPROCMASK, [how, &raw const set as u32, 0, 8]).expect("sigprocmask");
}

/// Returns whether a blocked signal is pending for the caller.
pub fn is_pending(signal: u32) -> bool {
    let mut set = [0u32; 2];
    syscall(SYS_RT_SIGPENDING, [set.as_mut_ptr() as u32, 8]).expect("sigpending");
    set[0] & 1 << (signal - 1) != 0
}

/// Returns the state letter from /proc/PID/stat.
pub fn state_of(pid: u32) -> char {
    let mut path = *b"/proc/0000000000/stat\0";
    let mut rest = pid;
    for digit in path[6..16].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    // A number with leading zeros is not the name of a directory there.
    let zeroes = path[6..16]
        .iter()
        .take_while(|digit| **digit == b'0')
        .count();
    path.copy_within(6 + zeroes.., 6);
    let Ok(fd) = syscall(SYS_OPEN, [path.as_ptr() as u32, 0]) else {
        return '?';
    };
    let mut text = [0u8; 64];
    let _ = syscall(SYS_READ, [fd, text.as_mut_ptr() as u32, 64]);
    let _ = syscall(SYS_CLOSE, [fd]);
    let end = text.iter().position(|byte| *byte == b')').unwrap_or(0);
    char::from(text[end + 2])
}

/// Waits until a child sleeps.
pub fn sleeps(child: Child) -> Child {
    comes_true(|| state_of(child.pid) == 'S');
    child
}

/// Returns whether a child that sleeps in `body` ends after `wake`, and well.
pub fn is_woken(body: impl FnOnce() -> bool, wake: impl FnOnce()) -> bool {
    let sleeper = sleeps(child(|| i32::from(!body())));
    wake();
    if !comes_true(|| state_of(sleeper.pid) == 'Z') {
        kill(sleeper.pid, 9).expect("kill");
    }
    sleeper.wait() == WaitStatus::exited(0)
}

/// Counts `word` up for ever.
pub fn count(word: &AtomicU32) -> ! {
    loop {
        word.fetch_add(1, Relaxed);
        sched_yield();
    }
}

/// As [`count`], for a thread: counts in the word at this address of a page that stays.
pub extern "C" fn count_in(word: u32) -> i32 {
    // SAFETY: the caller's word, which is only counted up.
    count(unsafe { &*(word as *const AtomicU32) })
}

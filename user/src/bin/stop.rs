//! Processes that signals stop and continue, and what their parents learn of it.
//!
//! Nothing here waits for time to pass: a parent waits for a status of its child, and a child for a
//! word that its parent writes in a common page.
//!
//! Linux: signal(7), wait(2), sigaction(2) (SA_NOCLDSTOP), proc(5).
//! Book: ch. 11, "Executing the Default Action for the Signal".
//! Red without: the wait statuses of stops; the end of a stop by SIGCONT; that SIGKILL wakes; that
//! the two kinds of signals remove each other; the stop of all threads.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child,
    clock::{NS_PER_MS, monotonic_ns, nanosleep},
    eq,
    gates::syscall,
    job::{
        CONTINUED, SIG_BLOCK, SIG_UNBLOCK, SIGCONT, SIGKILL, SIGSTOP, WCONTINUED, WUNTRACED,
        change_blocked, count, count_in, hears, is_pending, job, send, send_self, state_of,
        stop_until_it_ends, stopped, wait_for,
    },
    ktap,
    machine::kernel_version,
    memory::{SharedPage, shared_page},
    ok,
    process::{Child, WNOHANG},
    sched::sched_yield,
    signals::{SIGUSR1, Sigcontext, set_handler},
    skip,
    thread::{SIGCHLD, gettid, spawn},
};

const SYS_READ: u32 = 3;
const SYS_WRITE: u32 = 4;
const SYS_PAUSE: u32 = 29;
const SYS_PIPE: u32 = 42;
const SYS_SETSID: u32 = 66;
const SYS_RT_SIGACTION: u32 = 174;
const SYS_TKILL: u32 = 238;
const SIGTERM: u32 = 15;
const SIGTSTP: u32 = 20;
const SIGTTIN: u32 = 21;
const SIGTTOU: u32 = 22;

const SA_NOCLDSTOP: u32 = 1;
const SA_SIGINFO: u32 = 4;
const CLD_STOPPED: u32 = 5;
const CLD_CONTINUED: u32 = 6;

fn statuses(page: SharedPage) {
    let runs = &page[0];
    let runner = job(|| count(runs));
    wait_for(runs, 1);
    eq!(
        hears(runner, WNOHANG | WUNTRACED | WCONTINUED),
        Err(Errno::EAGAIN),
        "a running child has nothing to report"
    );
    for signal in [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU] {
        send(runner, signal);
        eq!(
            hears(runner, WUNTRACED),
            Ok(stopped(signal)),
            "signal {signal} stops"
        );
        let before = runs.load(SeqCst);
        eq!(state_of(runner.pid), 'T', "signal {signal}: its state is T");
        let (again, plain) = (
            hears(runner, WNOHANG | WUNTRACED),
            hears(runner, WNOHANG | WCONTINUED),
        );
        eq!(
            (again, plain),
            (Err(Errno::EAGAIN), Err(Errno::EAGAIN)),
            "signal {signal}: the stop is reported once"
        );
        eq!(
            runs.load(SeqCst),
            before,
            "signal {signal}: it does not run"
        );
        send(runner, SIGCONT);
        eq!(
            hears(runner, WCONTINUED),
            Ok(CONTINUED),
            "signal {signal}: SIGCONT lets it go on"
        );
        wait_for(runs, before + 1);
    }
    send(runner, SIGSTOP);
    eq!(hears(runner, WUNTRACED), Ok(stopped(SIGSTOP)), "again");
    send(runner, SIGTERM);
    send(runner, SIGUSR1);
    eq!(
        (hears(runner, WNOHANG), state_of(runner.pid)),
        (Err(Errno::EAGAIN), 'T'),
        "other signals wait while a process is stopped"
    );
    send(runner, SIGCONT);
    eq!(
        hears(runner, 0),
        Ok(WaitStatus::signaled(SIGUSR1)),
        "until SIGCONT, and end it then"
    );
    let before = runs.load(SeqCst);
    let runner = job(|| count(runs));
    wait_for(runs, before + 1);
    send(runner, SIGSTOP);
    while state_of(runner.pid) != 'T' {
        sched_yield();
    }
    send(runner, SIGCONT);
    eq!(
        (
            hears(runner, WNOHANG | WUNTRACED),
            hears(runner, WCONTINUED)
        ),
        (Err(Errno::EAGAIN), Ok(CONTINUED)),
        "a stop that is over is not reported"
    );
    send(runner, SIGSTOP);
    eq!(hears(runner, WUNTRACED), Ok(stopped(SIGSTOP)), "stopped");
    send(runner, SIGKILL);
    eq!(
        hears(runner, WUNTRACED),
        Ok(WaitStatus::signaled(SIGKILL)),
        "SIGKILL ends a stopped process"
    );
    let runner = job(|| {
        send_self(SIGSTOP);
        7
    });
    eq!(
        hears(runner, WUNTRACED),
        Ok(stopped(SIGSTOP)),
        "a process stops itself"
    );
    send(runner, SIGCONT);
    eq!(
        hears(runner, WUNTRACED),
        Ok(WaitStatus::exited(7)),
        "a wait for stops reports ends too"
    );
}

/// How often a handler ran, and what the last one was told: code, process, status.
static TOLD: AtomicU32 = AtomicU32::new(0);
static INFO: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

extern "C" fn note(_signal: u32, _context: Sigcontext) {
    TOLD.fetch_add(1, SeqCst);
}

extern "C" fn told(_signal: u32, siginfo: *const [u32; 6], _context: u32) {
    // SAFETY: with SA_SIGINFO the kernel passes a siginfo.
    let [_, _, code, pid, _, status] = unsafe { *siginfo };
    for (word, value) in INFO.iter().zip([code, pid, status]) {
        word.store(value, SeqCst);
    }
    TOLD.fetch_add(1, SeqCst);
}

/// Installs a handler of SIGCHLD that notes what it is told, with more flags.
fn note_children(flags: u32) {
    let action = [told as *const () as u32, SA_SIGINFO | flags, 0, 0, 0];
    syscall(SYS_RT_SIGACTION, [SIGCHLD, action.as_ptr() as u32, 0, 8]).expect("sigaction");
}

fn parents(page: SharedPage) {
    let runs = &page[1];
    // Unblocked, it would interrupt a wait, and might come before or after the awaited change.
    change_blocked(SIG_BLOCK, SIGCHLD);
    note_children(0);
    let runner = job(|| count(runs));
    let told_of = |signal: u32, options: u32| {
        send(runner, signal);
        let heard = hears(runner, options).is_ok();
        while !is_pending(SIGCHLD) {
            sched_yield();
        }
        change_blocked(SIG_UNBLOCK, SIGCHLD);
        change_blocked(SIG_BLOCK, SIGCHLD);
        let [code, pid, status] = INFO.each_ref().map(|word| word.load(SeqCst));
        (heard, code, pid == runner.pid, status)
    };
    eq!(
        told_of(SIGTSTP, WUNTRACED),
        (true, CLD_STOPPED, true, SIGTSTP),
        "SIGCHLD reports a stop"
    );
    eq!(
        told_of(SIGCONT, WCONTINUED),
        (true, CLD_CONTINUED, true, SIGCONT),
        "and a continuation"
    );
    note_children(SA_NOCLDSTOP);
    send(runner, SIGSTOP);
    let stop = hears(runner, WUNTRACED);
    let before = runs.load(SeqCst);
    send(runner, SIGCONT);
    let goes_on = hears(runner, WCONTINUED);
    // The child stores what it tells before it runs on.
    wait_for(runs, before + 1);
    eq!(
        (stop, goes_on, is_pending(SIGCHLD)),
        (Ok(stopped(SIGSTOP)), Ok(CONTINUED), false),
        "with SA_NOCLDSTOP only wait4 reports them"
    );
    send(runner, SIGKILL);
    let end = hears(runner, 0);
    eq!(
        (end, is_pending(SIGCHLD)),
        (Ok(WaitStatus::signaled(SIGKILL)), true),
        "but SIGCHLD reports the end"
    );
    change_blocked(SIG_UNBLOCK, SIGCHLD);
    let action = [0u32; 5];
    syscall(SYS_RT_SIGACTION, [SIGCHLD, action.as_ptr() as u32, 0, 8]).expect("sigaction");
}

/// What SIGCONT and the stop signals do to each other, by the exit statuses of the receivers.
fn signals() {
    let stop_once = |runner: Child| {
        let stop = hears(runner, WUNTRACED);
        send(runner, SIGCONT);
        (stop, hears(runner, 0))
    };
    let outcome = |status: u32| (Ok(stopped(SIGSTOP)), Ok(WaitStatus::exited(status)));
    let handles = job(|| {
        set_handler(SIGCONT, note).expect("sigaction");
        send_self(SIGSTOP);
        TOLD.swap(0, SeqCst) as i32
    });
    eq!(
        stop_once(handles),
        outcome(TOLD.load(SeqCst) + 1),
        "a handler of SIGCONT runs before all else"
    );
    let ignores = job(|| {
        let action = [1u32, 0, 0, 0, 0];
        syscall(SYS_RT_SIGACTION, [SIGCONT, action.as_ptr() as u32, 0, 8]).expect("sigaction");
        send_self(SIGSTOP);
        3
    });
    eq!(
        stop_once(ignores),
        outcome(3),
        "a process that ignores SIGCONT continues"
    );
    let blocks = job(|| {
        change_blocked(SIG_BLOCK, SIGCONT);
        send_self(SIGSTOP);
        i32::from(is_pending(SIGCONT))
    });
    eq!(
        stop_once(blocks),
        outcome(1),
        "so does one that blocks it, and it is pending"
    );
    let has_both_blocked = job(|| {
        change_blocked(SIG_BLOCK, SIGCONT);
        change_blocked(SIG_BLOCK, SIGTSTP);
        let pending = || i32::from(is_pending(SIGCONT)) + 2 * i32::from(is_pending(SIGTSTP));
        send_self(SIGCONT);
        let first = pending();
        send_self(SIGTSTP);
        let second = pending();
        send_self(SIGCONT);
        first | second << 2 | pending() << 4
    });
    eq!(
        hears(has_both_blocked, WUNTRACED),
        Ok(WaitStatus::exited(0b01_10_01)),
        "SIGCONT removes a pending stop signal, which removes a pending SIGCONT"
    );
    let handles_stop = job(|| {
        set_handler(SIGTSTP, note).expect("sigaction");
        send_self(SIGTSTP);
        TOLD.load(SeqCst) as i32
    });
    eq!(
        hears(handles_stop, WUNTRACED),
        Ok(WaitStatus::exited(TOLD.load(SeqCst) + 1)),
        "a process that handles SIGTSTP is not stopped"
    );
}

/// System calls that a stop interrupts.
fn calls(page: SharedPage) {
    let mut ends = [0u32; 2];
    syscall(SYS_PIPE, [ends.as_mut_ptr() as u32]).expect("pipe");
    let interrupt = |sleeper: Child| {
        while state_of(sleeper.pid) != 'S' {
            sched_yield();
        }
        send(sleeper, SIGSTOP);
        let stop = hears(sleeper, WUNTRACED);
        send(sleeper, SIGCONT);
        (stop, hears(sleeper, WCONTINUED)) == (Ok(stopped(SIGSTOP)), Ok(CONTINUED))
    };
    let reader = job(|| {
        let mut byte = 0u8;
        match syscall(SYS_READ, [ends[0], &raw mut byte as u32, 1]) {
            Ok(1) => i32::from(byte),
            _ => 0,
        }
    });
    let was_stopped = interrupt(reader);
    syscall(SYS_WRITE, [ends[1], [42u8].as_ptr() as u32, 1]).expect("write");
    eq!(
        (was_stopped, hears(reader, 0)),
        (true, Ok(WaitStatus::exited(42))),
        "a read goes on after a stop"
    );
    let handled = &page[2];
    let pauser = job(|| {
        set_handler(SIGUSR1, note).expect("sigaction");
        let answer = syscall(SYS_PAUSE, []);
        handled.store(1, SeqCst);
        i32::from(answer == Err(Errno::EINTR))
    });
    let was_stopped = interrupt(pauser) && interrupt(pauser);
    let early = handled.load(SeqCst);
    send(pauser, SIGUSR1);
    eq!(
        (was_stopped, early, hears(pauser, 0)),
        (true, 0, Ok(WaitStatus::exited(1))),
        "pause goes on, until a handler has run"
    );
    let sleeper = job(|| {
        let begin = monotonic_ns();
        let answer = nanosleep(0, 400 * NS_PER_MS as u32);
        i32::from(answer.is_ok() && monotonic_ns() - begin >= 400 * NS_PER_MS)
    });
    eq!(
        stop_until_it_ends(sleeper),
        Ok(WaitStatus::exited(1)),
        "a sleep ends at its time, however often it was stopped"
    );
}

/// Makes threads and waits for their ends, for ever.
fn make_threads(word: &AtomicU32) -> ! {
    extern "C" fn nothing(_: u32) -> i32 {
        0
    }
    loop {
        spawn(nothing, 0, None).expect("clone").join();
        word.fetch_add(1, SeqCst);
    }
}

fn threads(page: SharedPage) {
    let runs = &page[8..12];
    let process = |leads: bool| {
        runs.iter().for_each(|word| word.store(0, SeqCst));
        page[12].store(0, SeqCst);
        let process = job(|| {
            for word in &runs[1..] {
                spawn(count_in, word.as_ptr() as u32, None).expect("clone");
            }
            page[12].store(gettid(), SeqCst);
            match leads {
                true => count(&runs[0]),
                false => 0,
            }
        });
        let first = usize::from(!leads);
        runs[first..].iter().for_each(|word| wait_for(word, 1));
        wait_for(&page[12], 1);
        process
    };
    let counts = || [0, 1, 2, 3].map(|at| runs[at].load(SeqCst));
    for leads in [true, false] {
        let several = process(leads);
        send(several, SIGSTOP);
        let stop = hears(several, WUNTRACED);
        let before = counts();
        // Gives a task that still runs the time to show it.
        (0..200).for_each(|_| sched_yield());
        eq!(
            (stop, counts() == before),
            (Ok(stopped(SIGSTOP)), true),
            "a stop stops all threads, leader {leads}"
        );
        send(several, SIGCONT);
        let first = usize::from(!leads);
        for (word, count) in runs.iter().zip(before).skip(first) {
            wait_for(word, count + 1);
        }
        eq!(
            hears(several, WCONTINUED),
            Ok(CONTINUED),
            "SIGCONT lets all go on, leader {leads}"
        );
        send(several, SIGSTOP);
        let stop = hears(several, WUNTRACED);
        send(several, SIGKILL);
        eq!(
            (stop, hears(several, 0)),
            (Ok(stopped(SIGSTOP)), Ok(WaitStatus::signaled(SIGKILL))),
            "SIGKILL ends all, leader {leads}"
        );
    }
    let one_of_several = process(true);
    syscall(SYS_TKILL, [page[12].load(SeqCst), SIGTTIN]).expect("tkill");
    eq!(
        hears(one_of_several, WUNTRACED),
        Ok(stopped(SIGTTIN)),
        "a signal to one thread stops all"
    );
    send(one_of_several, SIGKILL);
    hears(one_of_several, 0).expect("wait4");

    let made = &page[13];
    let maker = job(|| make_threads(made));
    let all = (0..40).all(|_| {
        wait_for(made, made.load(SeqCst) + 1);
        send(maker, SIGSTOP);
        let stop = hears(maker, WUNTRACED) == Ok(stopped(SIGSTOP));
        send(maker, SIGCONT);
        stop && hears(maker, WCONTINUED) == Ok(CONTINUED)
    });
    send(maker, SIGKILL);
    eq!(
        (all, hears(maker, 0)),
        (true, Ok(WaitStatus::signaled(SIGKILL))),
        "also those that begin or end just then"
    );
}

fn who_is_not_stopped() {
    let orphan = child(|| {
        syscall(SYS_SETSID, []).expect("setsid");
        [SIGTSTP, SIGTTIN, SIGTTOU].into_iter().for_each(send_self);
        send_self(SIGSTOP);
        5
    });
    eq!(
        hears(orphan, WUNTRACED),
        Ok(stopped(SIGSTOP)),
        "an orphaned group is stopped by SIGSTOP only"
    );
    send(orphan, SIGCONT);
    eq!(hears(orphan, 0), Ok(WaitStatus::exited(5)), "and goes on");
    match kernel_version() {
        (3.., _) => skip!("not tried on somebody's machine", "init cannot be stopped"),
        _ => {
            let init = Child { pid: 1 };
            send(init, SIGSTOP);
            send(init, SIGTSTP);
            syscall(SYS_TKILL, [1, SIGSTOP]).expect("tkill");
            // If init were stopped, no process would ever report the end of this program.
            ok!(state_of(1) != 'T', "init cannot be stopped");
        }
    }
}

/// Runs all cases below a parent that is not init, in another group of the same session.
fn all() -> i32 {
    ktap::plan(52);
    let page = shared_page();
    statuses(page);
    parents(page);
    signals();
    calls(page);
    threads(page);
    who_is_not_stopped();
    ktap::finish()
}

fn main() -> i32 {
    i32::from(child(all).wait() != WaitStatus::exited(0))
}

rt::main!(main);

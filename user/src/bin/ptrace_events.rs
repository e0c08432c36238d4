//! What a tracer learns of its tasks: events, group stops, the end; and what becomes of them when it
//! ends itself.
//!
//! Linux: ptrace(2). Book: ch. 20, "Execution Tracing".
//! Red without: the events of fork, exec and exit; PTRACE_O_EXITKILL; the debug registers that go
//! with one thread.
#![no_std]
#![no_main]

use core::sync::atomic::{
    AtomicU32,
    Ordering::{Relaxed, SeqCst},
};
use rt::{
    Errno, WaitStatus, eq,
    gates::syscall,
    job::{SIGCONT, state_of},
    ktap,
    memory::{SharedPage, shared_page},
    ok,
    process::{child, exec_self, exit, exit_group, getpid, wait4},
    sched::sched_yield,
    signals::{SIGUSR1, kill},
    start,
    thread::{gettid, spawn},
    trace::{
        ATTACH, CONT, DETACH, EVENT_CLONE, EVENT_EXEC, EVENT_EXIT, EVENT_FORK, EVENT_STOP,
        EVENT_VFORK, EVENT_VFORK_DONE, INTERRUPT, LISTEN, O_EXITKILL, O_TRACECLONE, O_TRACEEXEC,
        O_TRACEEXIT, O_TRACEFORK, O_TRACEVFORK, O_TRACEVFORKDONE, PEEKUSR, POKEUSR, SEIZE,
        SETOPTIONS, SIGSTOP, SIGTRAP, SINGLESTEP, TRACEME, at_event, debugreg, end, event_message,
        go, peek, ptrace, siginfo, stopped_by, traced, wait_for, wait_raw,
    },
};

const SYS_VFORK: u32 = 190;
const SYS_TGKILL: u32 = 270;

fn forks() {
    let options = O_TRACEFORK | O_TRACEVFORK | O_TRACEVFORKDONE | O_TRACECLONE | O_TRACEEXIT;
    let tracee = traced(|| match child(|| 3).wait() {
        status if status == WaitStatus::exited(3) => 4,
        _ => 5,
    });
    let pid = tracee.pid;
    ptrace(SETOPTIONS, pid, 0, options).expect("SETOPTIONS");
    go(CONT, pid, 0);
    eq!(wait_for(pid), Ok(at_event(EVENT_FORK)), "fork is an event");
    let new = event_message(pid);
    ok!(new > pid, "whose message is the child's number");
    eq!(
        wait_for(new),
        Ok(stopped_by(SIGSTOP)),
        "the child is traced, and stops"
    );
    go(CONT, new, 0);
    go(CONT, pid, 0);
    eq!(
        wait_for(new),
        Ok(at_event(EVENT_EXIT)),
        "the end is an event"
    );
    eq!(event_message(new), 3 << 8, "whose message is the status");
    go(CONT, new, 0);
    eq!(
        wait_for(new),
        Ok(3 << 8),
        "the tracer is the first to learn of the end"
    );
    eq!(wait_for(pid), Ok(stopped_by(17)), "then the parent is told");
    go(CONT, pid, 17);
    eq!(wait_for(pid), Ok(at_event(EVENT_EXIT)), "its own end");
    go(CONT, pid, 0);
    eq!(wait_for(pid), Ok(4 << 8), "it had waited for the child");
    let tracee = traced(|| {
        // SAFETY: the child ends at once, and touches nothing.
        match syscall(SYS_VFORK, []) {
            Ok(0) => exit(0),
            _ => 6,
        }
    });
    let pid = tracee.pid;
    ptrace(SETOPTIONS, pid, 0, O_TRACEVFORK | O_TRACEVFORKDONE).expect("SETOPTIONS");
    go(CONT, pid, 0);
    eq!(
        wait_for(pid),
        Ok(at_event(EVENT_VFORK)),
        "vfork is an event"
    );
    let new = event_message(pid);
    eq!(
        wait_for(new),
        Ok(stopped_by(SIGSTOP)),
        "its child stops too"
    );
    go(CONT, pid, 0);
    go(CONT, new, 0);
    eq!(wait_for(new), Ok(0), "the child ends");
    eq!(
        wait_for(pid),
        Ok(at_event(EVENT_VFORK_DONE)),
        "and so does the vfork"
    );
    end(tracee);
}

fn execs() {
    let tracee = traced(|| exec_self(c"exit-9"));
    let pid = tracee.pid;
    ptrace(SETOPTIONS, pid, 0, O_TRACEEXEC).expect("SETOPTIONS");
    go(CONT, pid, 0);
    eq!(wait_for(pid), Ok(at_event(EVENT_EXEC)), "exec is an event");
    eq!(
        event_message(pid),
        pid,
        "whose message is the former number"
    );
    go(CONT, pid, 0);
    eq!(wait_for(pid), Ok(9 << 8), "the program runs");
    let tracee = traced(|| exec_self(c"exit-9"));
    go(CONT, tracee.pid, 0);
    eq!(
        wait_for(tracee.pid),
        Ok(stopped_by(SIGTRAP)),
        "without the option: SIGTRAP"
    );
    go(CONT, tracee.pid, 0);
    eq!(wait_for(tracee.pid), Ok(9 << 8), "and the program runs");
}

static WATCHED: AtomicU32 = AtomicU32::new(0);
static BEGIN: AtomicU32 = AtomicU32::new(0);

/// Writes to the watched word 200 times.
///
/// With a store and not with a locked instruction: of those QEMU, with several processors, lets
/// one hit in a thousand go by.
fn write_watched() {
    for _ in 0..200 {
        WATCHED.store(1, Relaxed);
        sched_yield();
    }
}

extern "C" fn writer(page: u32) -> i32 {
    // SAFETY: a shared page, which stays.
    let page = unsafe { &*(page as *const [AtomicU32; 1024]) };
    page[1].store(gettid(), SeqCst);
    while page[0].load(SeqCst) == 0 {
        sched_yield();
    }
    write_watched();
    0
}

fn watchpoint(page: SharedPage) {
    let tracee = traced(|| {
        let other = spawn(writer, page.as_ptr() as u32, None).expect("clone");
        while page[0].load(SeqCst) == 0 {
            sched_yield();
        }
        write_watched();
        other.join() as i32
    });
    let pid = tracee.pid;
    ptrace(SETOPTIONS, pid, 0, O_TRACECLONE).expect("SETOPTIONS");
    go(CONT, pid, 0);
    eq!(
        wait_for(pid),
        Ok(at_event(EVENT_CLONE)),
        "a thread is an event"
    );
    let thread = event_message(pid);
    eq!(
        wait_for(thread),
        Ok(stopped_by(SIGSTOP)),
        "the thread stops"
    );
    ptrace(POKEUSR, thread, debugreg(0), WATCHED.as_ptr() as u32).expect("DR0");
    ptrace(POKEUSR, thread, debugreg(7), 0x000d_0001).expect("DR7");
    eq!(
        peek(PEEKUSR, pid, debugreg(7)),
        Ok(0),
        "the leader's DR7 is its own"
    );
    go(CONT, thread, 0);
    go(CONT, pid, 0);
    page[0].store(1, SeqCst);
    let (mut hits, mut others, mut ended) = (0, 0, 0);
    while ended < 2 {
        match wait_raw(-1, 0) {
            Ok((who, status)) if status == stopped_by(SIGTRAP) => {
                if who == thread {
                    hits += 1
                } else {
                    others += 1
                }
                go(CONT, who, 0);
            }
            Ok((_, 0)) | Ok((_, 0x100)) => ended += 1,
            other => {
                ok!(false, "an unexpected answer: {other:?}");
                break;
            }
        }
    }
    eq!(
        (hits, others),
        (200, 0),
        "a watchpoint hits in its thread alone, each time"
    );
}

fn dies(page: SharedPage) {
    for (options, lives) in [(0, true), (O_EXITKILL, false)] {
        page[2].store(0, SeqCst);
        page[3].store(0, SeqCst);
        let tracer = child(|| {
            let tracee = traced(|| {
                loop {
                    page[3].fetch_add(1, SeqCst);
                    if page[4].load(SeqCst) == 1 {
                        exit(0);
                    }
                    sched_yield();
                }
            });
            ptrace(SETOPTIONS, tracee.pid, 0, options).expect("SETOPTIONS");
            page[2].store(tracee.pid, SeqCst);
            go(CONT, tracee.pid, 0);
            0
        });
        eq!(
            tracer.wait(),
            WaitStatus::exited(0),
            "a tracer with options {options:#x} ends"
        );
        let pid = page[2].load(SeqCst);
        if lives {
            let before = page[3].load(SeqCst);
            while page[3].load(SeqCst) < before + 3 {
                sched_yield();
            }
            ok!(true, "its task goes on");
            page[4].store(1, SeqCst);
        }
        while kill(pid, 0).is_ok() && state_of(pid) != 'Z' {
            sched_yield();
        }
        ok!(true, "options {options:#x}: its task is gone");
        page[4].store(0, SeqCst);
    }
}

fn seized() {
    let worker = child(|| {
        loop {
            sched_yield();
        }
    });
    let pid = worker.pid;
    eq!(
        ptrace(SEIZE, pid, 1, 0),
        Err(Errno::EIO),
        "SEIZE with an address: EIO"
    );
    eq!(ptrace(SEIZE, pid, 0, O_TRACEEXIT), Ok(0), "SEIZE");
    eq!(ptrace(CONT, pid, 0, 0), Err(Errno::ESRCH), "does not stop");
    eq!(ptrace(INTERRUPT, pid, 0, 0), Ok(0), "INTERRUPT");
    eq!(wait_for(pid), Ok(at_event(EVENT_STOP)), "does");
    eq!(ptrace(LISTEN, pid, 0, 0).is_ok(), true, "LISTEN");
    eq!(
        ptrace(CONT, pid, 0, 0),
        Err(Errno::ESRCH),
        "a listening task does not go on"
    );
    eq!(ptrace(INTERRUPT, pid, 0, 0), Ok(0), "INTERRUPT again");
    eq!(wait_for(pid), Ok(at_event(EVENT_STOP)), "ends that");
    go(CONT, pid, 0);
    kill(pid, SIGSTOP).expect("kill");
    eq!(
        wait_for(pid),
        Ok(stopped_by(SIGSTOP)),
        "a stop signal is seen first"
    );
    go(CONT, pid, SIGSTOP);
    eq!(
        wait_for(pid),
        Ok(stopped_by(SIGSTOP | EVENT_STOP << 8)),
        "then it stops with its process"
    );
    eq!(
        siginfo(pid).map(|info| info[2]),
        Ok(SIGSTOP | EVENT_STOP << 8),
        "its si_code is the event"
    );
    eq!(ptrace(LISTEN, pid, 0, 0), Ok(0), "LISTEN in a group stop");
    kill(pid, SIGCONT).expect("kill");
    eq!(
        wait_for(pid),
        Ok(at_event(EVENT_STOP)),
        "SIGCONT is told of"
    );
    go(CONT, pid, 0);
    eq!(
        wait_for(pid),
        Ok(stopped_by(SIGCONT)),
        "and the signal itself"
    );
    go(CONT, pid, SIGCONT);
    kill(pid, 9).expect("kill");
    let mut status = wait_for(pid);
    if status == Ok(at_event(EVENT_EXIT)) {
        go(CONT, pid, 0);
        status = wait_for(pid);
    }
    eq!(status, Ok(9), "SIGKILL works");
    let worker = child(|| {
        loop {
            sched_yield();
        }
    });
    ptrace(ATTACH, worker.pid, 0, 0).expect("ATTACH");
    eq!(
        wait_for(worker.pid),
        Ok(stopped_by(SIGSTOP)),
        "ATTACH stops"
    );
    eq!(
        ptrace(INTERRUPT, worker.pid, 0, 0),
        Err(Errno::EIO),
        "INTERRUPT without SEIZE: EIO"
    );
    go(CONT, worker.pid, SIGSTOP);
    eq!(
        wait_for(worker.pid),
        Ok(stopped_by(SIGSTOP)),
        "SIGSTOP, left to it, stops it again"
    );
    eq!(
        siginfo(worker.pid).map(drop),
        Err(Errno::EINVAL),
        "with its process: no siginfo"
    );
    kill(worker.pid, 9).expect("kill");
    eq!(wait_for(worker.pid), Ok(9), "SIGKILL ends a stopped task");
}

extern "C" fn spin(_: u32) -> i32 {
    loop {
        sched_yield();
    }
}

fn groups() {
    let tracee = traced(|| {
        let _thread = spawn(spin, 0, None).expect("clone");
        BEGIN.store(1, SeqCst);
        exit_group(8)
    });
    let pid = tracee.pid;
    ptrace(SETOPTIONS, pid, 0, O_TRACECLONE | O_TRACEEXIT).expect("SETOPTIONS");
    go(CONT, pid, 0);
    eq!(wait_for(pid), Ok(at_event(EVENT_CLONE)), "a thread");
    let thread = event_message(pid);
    eq!(wait_for(thread), Ok(stopped_by(SIGSTOP)), "stops");
    go(CONT, thread, 0);
    go(CONT, pid, 0);
    let (mut exits, mut ends) = (0, [0; 2]);
    let mut order = 0;
    while order < 2 {
        match wait_raw(-1, 0) {
            Ok((who, status)) if status == at_event(EVENT_EXIT) => {
                exits += 1;
                go(CONT, who, 0);
            }
            Ok((who, 0x800)) => {
                ends[order] = who;
                order += 1;
            }
            // As init this program is also told of the orphans of earlier cases.
            Ok((who, _)) if who != pid && who != thread => {}
            other => {
                ok!(false, "an unexpected answer: {other:?}");
                break;
            }
        }
    }
    eq!(exits, 2, "exit_group: an event for each thread");
    eq!(ends, [thread, pid], "the leader is reported last");
    eq!(
        wait4(pid as i32, 1),
        Err(Errno::ECHILD),
        "and then nobody is left"
    );
}

/// Tracers and traced tasks end, execute and are killed at any moment.
fn races() {
    let rounds = if start::arg(1) == Some("long") {
        400
    } else {
        25
    };
    let racers: [_; 4] = core::array::from_fn(|n| {
        child(move || {
            for round in 0..rounds {
                let tracee = child(move || {
                    if round % 3 == 0 {
                        let _ = ptrace(TRACEME, 0, 0, 0);
                    }
                    let _thread = spawn(spin, 0, None);
                    for _ in 0..(n * 7 + round) % 40 {
                        let _ = kill(getpid(), SIGCONT);
                        sched_yield();
                    }
                    match round % 4 {
                        0 => exec_self(c"exit-9"),
                        1 => exit(1),
                        _ => exit_group(2),
                    }
                });
                let pid = tracee.pid;
                let _ = ptrace(SEIZE, pid, 0, 0x7f | O_EXITKILL);
                for step in 0..40u32 {
                    let _ = ptrace(INTERRUPT, pid, 0, 0);
                    let _ = ptrace(if step % 3 == 0 { SINGLESTEP } else { 24 }, pid, 0, 0);
                    let _ = peek(PEEKUSR, pid, 48);
                    let _ = ptrace(POKEUSR, pid, debugreg(step % 8), step);
                    if step == 20 + n as u32 {
                        let _ = match round % 3 {
                            0 => kill(pid, 9),
                            1 => ptrace(DETACH, pid, 0, 0).map(drop),
                            _ => syscall(SYS_TGKILL, [pid, pid, SIGUSR1]).map(drop),
                        };
                    }
                }
                let _ = kill(pid, 9);
                loop {
                    match wait_raw(-1, 0) {
                        Ok((who, status)) if status & 0x7f == 0x7f => {
                            let _ = ptrace(CONT, who, 0, 9);
                        }
                        Ok((who, _)) if who == pid => break,
                        Ok(_) => (),
                        Err(Errno::ECHILD) => break,
                        Err(_) => return 1,
                    }
                }
            }
            0
        })
    });
    let mut good = 0;
    for racer in racers {
        good += (racer.wait() == WaitStatus::exited(0)) as u32;
    }
    eq!(good, 4, "no race leaves a task behind");
}

fn main() -> i32 {
    if start::arg(1) == Some("exit-9") {
        return 9;
    }
    ktap::plan(54);
    let page = shared_page();
    forks();
    execs();
    watchpoint(page);
    dies(page);
    seized();
    groups();
    races();
    ktap::finish()
}

rt::main!(main);

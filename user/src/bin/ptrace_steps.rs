//! A tracer sees its child's signals and system calls, steps it, and sets breakpoints.
//!
//! Linux: ptrace(2). Book: ch. 20, "Execution Tracing"; ch. 3, `__switch_to`, the debug registers.
//! Red without: the stop before a signal; the slow path of system calls; the stop behind a call that
//! is stepped over; the checks of what a debug register may hold.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, eq,
    gates::{raw_vdso, syscall},
    ktap,
    machine::is_i386_kernel,
    memory::KERNEL_ADDRESS,
    ok,
    process::getpid,
    signals::{SIGUSR1, Sigcontext, kill, set_handler},
    skip,
    trace::{
        CONT, EAX, EFLAGS, EIP, GETSIGINFO, GETSIGMASK, KILL, O_TRACESYSGOOD, ORIG_EAX, PEEKDATA,
        PEEKUSR, POKEDATA, POKEUSR, SETOPTIONS, SIGSTOP, SIGTRAP, SINGLESTEP, SYSCALL, SYSEMU,
        debugreg, end, getregs, go, peek, ptrace, setregs, siginfo, stopped_by, traced, wait_for,
    },
};

const SYS_GETPID: u32 = 20;
const SYS_GETPPID: u32 = 64;
const TF: u32 = 0x100;

static WORD: AtomicU32 = AtomicU32::new(0);
static HANDLED: AtomicU32 = AtomicU32::new(0);

extern "C" fn note(_signal: u32, _context: Sigcontext) {
    HANDLED.fetch_add(1, SeqCst);
}

fn signals() {
    let tracee = traced(|| {
        set_handler(SIGUSR1, note).expect("sigaction");
        kill(getpid(), SIGUSR1).expect("kill");
        kill(getpid(), 17).expect("kill");
        HANDLED.load(SeqCst) as i32
    });
    let pid = tracee.pid;
    eq!(
        siginfo(pid).map(|info| (info[0], info[3])),
        Ok((SIGSTOP, pid)),
        "GETSIGINFO: the signal and its sender"
    );
    go(CONT, pid, 0);
    eq!(
        wait_for(pid),
        Ok(stopped_by(SIGUSR1)),
        "it stops before a handler"
    );
    let mut set = [0u32; 2];
    eq!(
        ptrace(GETSIGMASK, pid, 8, set.as_mut_ptr() as u32),
        Ok(0),
        "GETSIGMASK"
    );
    eq!(
        ptrace(GETSIGMASK, pid, 4, set.as_mut_ptr() as u32),
        Err(Errno::EINVAL),
        "of another size: EINVAL"
    );
    go(CONT, pid, SIGUSR1);
    eq!(
        wait_for(pid),
        Ok(stopped_by(17)),
        "and for a signal that it ignores"
    );
    eq!(
        ptrace(GETSIGINFO, pid, 0, 8),
        Err(Errno::EFAULT),
        "GETSIGINFO nowhere: EFAULT"
    );
    go(CONT, pid, 0);
    eq!(wait_for(pid), Ok(1 << 8), "the handler ran once");
    let tracee = traced(|| {
        kill(getpid(), SIGUSR1).expect("kill");
        5
    });
    go(CONT, tracee.pid, 0);
    eq!(
        wait_for(tracee.pid),
        Ok(stopped_by(SIGUSR1)),
        "a deadly signal stops it"
    );
    go(CONT, tracee.pid, 0);
    eq!(
        wait_for(tracee.pid),
        Ok(5 << 8),
        "and is gone if the tracer keeps it"
    );
    let tracee = traced(|| 5);
    go(CONT, tracee.pid, SIGUSR1);
    eq!(
        wait_for(tracee.pid),
        Ok(SIGUSR1),
        "a signal that the tracer leaves kills"
    );
    let tracee = traced(|| 5);
    eq!(ptrace(KILL, tracee.pid, 0, 0), Ok(0), "KILL");
    eq!(wait_for(tracee.pid), Ok(9), "ends it");
}

fn calls() {
    let tracee = traced(|| {
        let first = syscall(SYS_GETPPID, []).unwrap_or(0);
        let second = raw_vdso(SYS_GETPPID, []);
        (first == 4711 && second == 4712) as i32
    });
    let pid = tracee.pid;
    ptrace(SETOPTIONS, pid, 0, O_TRACESYSGOOD).expect("SETOPTIONS");
    for (gate, answer) in [("int 0x80", 4711), ("the vDSO", 4712)] {
        go(SYSCALL, pid, 0);
        eq!(
            wait_for(pid),
            Ok(stopped_by(SIGTRAP | 0x80)),
            "{gate}: a stop at the entry"
        );
        let regs = getregs(pid);
        eq!(
            (regs[ORIG_EAX], regs[EAX] as i32),
            (SYS_GETPPID, -38),
            "{gate}: number, and -ENOSYS"
        );
        eq!(
            siginfo(pid).map(|info| (info[0], info[2])),
            Ok((SIGTRAP, 0x85)),
            "{gate}: si_code"
        );
        go(SYSCALL, pid, 0);
        eq!(
            wait_for(pid),
            Ok(stopped_by(SIGTRAP | 0x80)),
            "{gate}: a stop at the exit"
        );
        eq!(getregs(pid)[EAX], getpid(), "{gate}: the result");
        ptrace(POKEUSR, pid, 4 * EAX as u32, answer).expect("POKEUSR");
    }
    go(SYSCALL, pid, 0);
    eq!(
        wait_for(pid),
        Ok(stopped_by(SIGTRAP | 0x80)),
        "the next call is exit"
    );
    go(CONT, pid, 0);
    eq!(
        wait_for(pid),
        Ok(1 << 8),
        "the child saw the tracer's results"
    );
    let tracee = traced(|| (syscall(SYS_GETPPID, []) == Ok(getpid())) as i32);
    let pid = tracee.pid;
    go(SYSCALL, pid, 0);
    eq!(
        wait_for(pid),
        Ok(stopped_by(SIGTRAP)),
        "without TRACESYSGOOD: SIGTRAP"
    );
    ptrace(POKEUSR, pid, 4 * ORIG_EAX as u32, SYS_GETPID).expect("POKEUSR");
    go(CONT, pid, 0);
    eq!(
        wait_for(pid),
        Ok(1 << 8),
        "another call is made than asked for"
    );
    let tracee = traced(|| (syscall(SYS_GETPPID, []) == Ok(77)) as i32);
    let pid = tracee.pid;
    go(SYSEMU, pid, 0);
    eq!(
        wait_for(pid),
        Ok(stopped_by(SIGTRAP)),
        "SYSEMU stops at the entry"
    );
    ptrace(POKEUSR, pid, 4 * EAX as u32, 77).expect("POKEUSR");
    go(CONT, pid, 0);
    eq!(wait_for(pid), Ok(1 << 8), "and no call is made");
}

/// Steps a child until it has made call `number`; returns how many stops were at most 2 bytes behind
/// an `int 0x80`, and whether every stop was SIGTRAP.
fn step_over(pid: u32, steps: u32) -> (u32, bool) {
    let (mut calls, mut clean) = (0, true);
    for _ in 0..steps {
        let at = getregs(pid)[EIP];
        let word = peek(PEEKDATA, pid, at).unwrap_or(0);
        go(SINGLESTEP, pid, 0);
        if wait_for(pid) != Ok(stopped_by(SIGTRAP)) {
            return (calls, false);
        }
        let regs = getregs(pid);
        clean &= regs[EFLAGS] & TF == 0;
        if word & 0xffff == 0x80cd {
            calls += 1;
            clean &= regs[EIP] == at + 2;
        }
    }
    (calls, clean)
}

fn steps() {
    let tracee = traced(|| {
        for _ in 0..100_000 {
            let _ = syscall(SYS_GETPID, []);
        }
        0
    });
    let (calls, clean) = step_over(tracee.pid, 400);
    ok!(calls >= 2, "steps lead over int 0x80");
    ok!(clean, "each ends at the next instruction, and TF is hidden");
    go(SINGLESTEP, tracee.pid, 0);
    eq!(
        wait_for(tracee.pid),
        Ok(stopped_by(SIGTRAP)),
        "a single step stops"
    );
    let code = siginfo(tracee.pid).map(|info| (info[0], info[2]));
    ok!(
        matches!(code, Ok((SIGTRAP, 1 | 2))),
        "its si_code is TRAP_TRACE or TRAP_BRKPT"
    );
    end(tracee);
    let tracee = traced(|| {
        let mut good = 0;
        for _ in 0..3 {
            good += (raw_vdso(SYS_GETPID, []) == getpid() as i32) as i32;
        }
        good
    });
    let mut stops = 0;
    let status = loop {
        go(SINGLESTEP, tracee.pid, 0);
        match wait_for(tracee.pid) {
            Ok(status) if status == stopped_by(SIGTRAP) => stops += 1,
            other => break other,
        }
    };
    eq!(status, Ok(3 << 8), "steps lead over sysenter, to the end");
    ok!(stops > 100, "with a stop after each instruction");
    let tracee = traced(|| {
        set_handler(SIGUSR1, note).expect("sigaction");
        kill(getpid(), SIGUSR1).expect("kill");
        HANDLED.load(SeqCst) as i32
    });
    go(CONT, tracee.pid, 0);
    eq!(
        wait_for(tracee.pid),
        Ok(stopped_by(SIGUSR1)),
        "before a handler"
    );
    go(SINGLESTEP, tracee.pid, SIGUSR1);
    eq!(
        wait_for(tracee.pid),
        Ok(stopped_by(SIGTRAP)),
        "a step into it"
    );
    eq!(
        getregs(tracee.pid)[EIP],
        note as *const () as u32,
        "ends at the handler's first instruction"
    );
    go(CONT, tracee.pid, 0);
    eq!(
        wait_for(tracee.pid),
        Ok(1 << 8),
        "the handler returns without TF"
    );
}

/// A function of its own, in which the tracer sets a breakpoint.
#[inline(never)]
extern "C" fn landmark(value: u32) -> u32 {
    core::hint::black_box(value) + 1
}

fn breakpoints() {
    let at = landmark as *const () as u32;
    let tracee = traced(|| core::hint::black_box(landmark)(41) as i32);
    let pid = tracee.pid;
    let word = peek(PEEKDATA, pid, at).expect("PEEKDATA");
    ptrace(POKEDATA, pid, at, word & !0xff | 0xcc).expect("POKEDATA");
    go(CONT, pid, 0);
    eq!(
        wait_for(pid),
        Ok(stopped_by(SIGTRAP)),
        "int3 in the text stops"
    );
    let mut regs = getregs(pid);
    eq!(regs[EIP], at + 1, "behind itself");
    ptrace(POKEDATA, pid, at, word).expect("POKEDATA");
    regs[EIP] = at;
    setregs(pid, &regs).expect("SETREGS");
    go(CONT, pid, 0);
    eq!(
        wait_for(pid),
        Ok(42 << 8),
        "and the program goes on without it"
    );
    for (n, value, error) in [
        (0, KERNEL_ADDRESS, Errno::EINVAL),
        (3, u32::MAX, Errno::EINVAL),
        (4, 0, Errno::EIO),
        (5, 0, Errno::EIO),
        (7, 0x000a_0001, Errno::EINVAL),
    ] {
        if n < 4 && !is_i386_kernel() {
            skip!(
                "all of it is ring 3's here",
                "DR{n} = {value:#x}: {error:?}"
            );
            continue;
        }
        let tracee = traced(|| 0);
        eq!(
            ptrace(POKEUSR, tracee.pid, debugreg(n), value),
            Err(error),
            "DR{n} = {value:#x}: {error:?}"
        );
        end(tracee);
    }
    let tracee = traced(|| {
        core::hint::black_box(landmark)(1);
        WORD.store(1, SeqCst);
        WORD.store(2, SeqCst);
        0
    });
    let pid = tracee.pid;
    ptrace(POKEUSR, pid, debugreg(0), at).expect("DR0");
    ptrace(POKEUSR, pid, debugreg(1), WORD.as_ptr() as u32).expect("DR1");
    ptrace(POKEUSR, pid, debugreg(7), 0x00d0_0005).expect("DR7");
    eq!(
        peek(PEEKUSR, pid, debugreg(7)),
        Ok(0x00d0_0005),
        "DR7 reads as written"
    );
    eq!(
        ptrace(POKEUSR, pid, debugreg(1), WORD.as_ptr() as u32 + 1),
        Err(Errno::EINVAL),
        "a watchpoint off its length: EINVAL"
    );
    go(CONT, pid, 0);
    eq!(
        wait_for(pid),
        Ok(stopped_by(SIGTRAP)),
        "a breakpoint in DR0 stops"
    );
    eq!(
        (
            getregs(pid)[EIP],
            peek(PEEKUSR, pid, debugreg(6)).map(|dr6| dr6 & 0xf)
        ),
        (at, Ok(1)),
        "at its instruction, and DR6 names it"
    );
    eq!(
        siginfo(pid).map(|info| info[2]),
        Ok(4),
        "its si_code is TRAP_HWBKPT"
    );
    ptrace(POKEUSR, pid, debugreg(6), 0).expect("DR6");
    for value in [1, 2] {
        go(CONT, pid, 0);
        eq!(
            wait_for(pid),
            Ok(stopped_by(SIGTRAP)),
            "a watchpoint in DR1 stops at the write of {value}"
        );
        eq!(
            (
                peek(PEEKDATA, pid, WORD.as_ptr() as u32),
                peek(PEEKUSR, pid, debugreg(6)).map(|dr6| dr6 & 0xf)
            ),
            (Ok(value), Ok(2)),
            "after the write of {value}"
        );
    }
    go(CONT, pid, 0);
    eq!(wait_for(pid), Ok(0), "the end");
}

fn main() -> i32 {
    ktap::plan(56);
    signals();
    calls();
    steps();
    breakpoints();
    ktap::finish()
}

rt::main!(main);

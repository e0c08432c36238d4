//! ptrace: requests, and the stops of a traced task.
//!
//! Linux: ptrace(2), wait(2). Book: ch. 20, "Execution Tracing".

use crate::{
    Errno,
    clock::{PATIENCE_NS, monotonic_ns},
    gates::syscall,
    process::{Child, WNOHANG, child},
    sched::sched_yield,
    signals::kill,
};

const SYS_PTRACE: u32 = 26;
const SYS_WAIT4: u32 = 114;
/// `wait4` option: all children, whatever their exit signal.
pub const WALL: u32 = 0x4000_0000;

pub const TRACEME: u32 = 0;
pub const PEEKDATA: u32 = 2;
pub const PEEKUSR: u32 = 3;
pub const POKEDATA: u32 = 5;
pub const POKEUSR: u32 = 6;
pub const CONT: u32 = 7;
pub const KILL: u32 = 8;
pub const SINGLESTEP: u32 = 9;
pub const GETREGS: u32 = 12;
pub const SETREGS: u32 = 13;
pub const GETFPREGS: u32 = 14;
pub const SETFPREGS: u32 = 15;
pub const ATTACH: u32 = 16;
pub const DETACH: u32 = 17;
pub const GETFPXREGS: u32 = 18;
pub const SETFPXREGS: u32 = 19;
pub const SYSCALL: u32 = 24;
pub const GET_THREAD_AREA: u32 = 25;
pub const SYSEMU: u32 = 31;
pub const SETOPTIONS: u32 = 0x4200;
pub const GETEVENTMSG: u32 = 0x4201;
pub const GETSIGINFO: u32 = 0x4202;
pub const SETSIGINFO: u32 = 0x4203;
pub const GETREGSET: u32 = 0x4204;
pub const SETREGSET: u32 = 0x4205;
pub const SEIZE: u32 = 0x4206;
pub const INTERRUPT: u32 = 0x4207;
pub const LISTEN: u32 = 0x4208;
pub const GETSIGMASK: u32 = 0x420a;

pub const O_TRACESYSGOOD: u32 = 1;
pub const O_TRACEFORK: u32 = 2;
pub const O_TRACEVFORK: u32 = 4;
pub const O_TRACECLONE: u32 = 8;
pub const O_TRACEEXEC: u32 = 0x10;
pub const O_TRACEVFORKDONE: u32 = 0x20;
pub const O_TRACEEXIT: u32 = 0x40;
pub const O_EXITKILL: u32 = 0x10_0000;

pub const EVENT_FORK: u32 = 1;
pub const EVENT_VFORK: u32 = 2;
pub const EVENT_CLONE: u32 = 3;
pub const EVENT_EXEC: u32 = 4;
pub const EVENT_VFORK_DONE: u32 = 5;
pub const EVENT_EXIT: u32 = 6;
pub const EVENT_STOP: u32 = 128;

/// Offset of debug register `n` in the user area.
pub const fn debugreg(n: u32) -> u32 {
    252 + 4 * n
}

// Places of registers in GETREGS.
pub const EBX: usize = 0;
pub const EAX: usize = 6;
pub const DS: usize = 7;
pub const GS: usize = 10;
pub const ORIG_EAX: usize = 11;
pub const EIP: usize = 12;
pub const CS: usize = 13;
pub const EFLAGS: usize = 14;
pub const ESP: usize = 15;

/// The registers of GETREGS.
pub type Regs = [u32; 17];

/// Makes a request.
pub fn ptrace(request: u32, pid: u32, address: u32, data: u32) -> Result<u32, Errno> {
    syscall(SYS_PTRACE, [request, pid, address, data])
}

/// Reads a word of memory (PEEKDATA) or of the user area (PEEKUSR).
pub fn peek(request: u32, pid: u32, address: u32) -> Result<u32, Errno> {
    let mut word = 0u32;
    ptrace(request, pid, address, &raw mut word as u32)?;
    Ok(word)
}

pub fn getregs(pid: u32) -> Regs {
    let mut regs = [0; 17];
    ptrace(GETREGS, pid, 0, regs.as_mut_ptr() as u32).expect("GETREGS");
    regs
}

pub fn setregs(pid: u32, regs: &Regs) -> Result<(), Errno> {
    ptrace(SETREGS, pid, 0, regs.as_ptr() as u32).map(drop)
}

/// Lets a task go on, with a signal or 0.
pub fn go(request: u32, pid: u32, signal: u32) {
    ptrace(request, pid, 0, signal).expect("the task goes on");
}

/// Returns the siginfo of the stop.
pub fn siginfo(pid: u32) -> Result<[u32; 32], Errno> {
    let mut info = [0; 32];
    ptrace(GETSIGINFO, pid, 0, info.as_mut_ptr() as u32)?;
    Ok(info)
}

pub fn event_message(pid: u32) -> u32 {
    let mut word = 0u32;
    ptrace(GETEVENTMSG, pid, 0, &raw mut word as u32).expect("GETEVENTMSG");
    word
}

/// Returns the raw status that `wait4` stores, with the task's number; ETIMEDOUT after a while.
pub fn wait_raw(pid: i32, options: u32) -> Result<(u32, u32), Errno> {
    let end = monotonic_ns() + PATIENCE_NS;
    let mut status = 0u32;
    loop {
        let options = options | WALL | WNOHANG;
        match syscall(SYS_WAIT4, [pid as u32, &raw mut status as u32, options, 0])? {
            0 if monotonic_ns() > end => return Err(Errno::ETIMEDOUT),
            0 => sched_yield(),
            pid => return Ok((pid, status)),
        }
    }
}

/// Returns the status of one task: see [`wait_raw`].
pub fn wait_for(pid: u32) -> Result<u32, Errno> {
    wait_raw(pid as i32, 0).map(|(_, status)| status)
}

/// The raw status of a task that has stopped by `signal`.
pub const fn stopped_by(signal: u32) -> u32 {
    signal << 8 | 0x7f
}

/// The raw status of a task that has stopped at `event`.
pub const fn at_event(event: u32) -> u32 {
    stopped_by(5 | event << 8)
}

pub const SIGTRAP: u32 = 5;
pub const SIGSTOP: u32 = 19;

/// Forks a child that is traced and stops before it runs `body`.
pub fn traced(body: impl FnOnce() -> i32) -> Child {
    let tracee = child(|| {
        ptrace(TRACEME, 0, 0, 0).expect("TRACEME");
        kill(crate::process::getpid(), SIGSTOP).expect("kill");
        body()
    });
    assert!(
        wait_for(tracee.pid) == Ok(stopped_by(SIGSTOP)),
        "the child stops first"
    );
    tracee
}

/// Kills a traced child, wherever it is, and waits for its end.
pub fn end(tracee: Child) {
    let _ = kill(tracee.pid, 9);
    loop {
        match wait_raw(tracee.pid as i32, 0) {
            Ok((_, status)) if status & 0x7f == 0x7f => {
                let _ = ptrace(CONT, tracee.pid, 0, 0);
            }
            _ => return,
        }
    }
}

//! fork, execve, exit and wait4, and the two test helpers built on them.

use crate::{Errno, eq, gates::syscall, println, start};
use core::{ffi::CStr, fmt, ptr::null};

pub(crate) const SYS_EXIT: u32 = 1;
const SYS_FORK: u32 = 2;
const SYS_EXECVE: u32 = 11;
const SYS_GETPID: u32 = 20;
const SYS_GETPPID: u32 = 64;
const SYS_WAIT4: u32 = 114;
const SYS_SETUID32: u32 = 213;
const SYS_EXIT_GROUP: u32 = 252;

pub const WNOHANG: u32 = 1;

/// A user without privileges, "nobody" by custom.
pub const NOBODY: u32 = 65534;

/// The signals by which a faulting program dies.
pub mod signal {
    pub const SIGILL: u32 = 4;
    pub const SIGTRAP: u32 = 5;
    pub const SIGBUS: u32 = 7;
    pub const SIGFPE: u32 = 8;
    pub const SIGSEGV: u32 = 11;
}

/// Ends the calling task.
pub fn exit(status: i32) -> ! {
    // `exit` has no way to fail.
    let _ = syscall(SYS_EXIT, [status as u32]);
    loop {
        crate::insn::ud2();
    }
}

/// Ends all threads of the process.
pub fn exit_group(status: i32) -> ! {
    // `exit_group` has no way to fail.
    let _ = syscall(SYS_EXIT_GROUP, [status as u32]);
    exit(status)
}

pub fn getpid() -> u32 {
    syscall(SYS_GETPID, []).expect("getpid cannot fail")
}

pub fn getppid() -> u32 {
    syscall(SYS_GETPPID, []).expect("getppid cannot fail")
}

pub fn setuid(uid: u32) -> Result<(), Errno> {
    syscall(SYS_SETUID32, [uid]).map(drop)
}

/// Forks: returns 0 in the child and the child's number in the parent.
pub fn fork() -> Result<u32, Errno> {
    syscall(SYS_FORK, [])
}

/// Executes a program, passing the environment on; returns only with an error.
pub fn execve(path: &CStr, arguments: &[&CStr]) -> Errno {
    execve_with(path, arguments, None)
}

/// As [`execve`], with one variable more, `NAME=value`.
pub fn execve_with(path: &CStr, arguments: &[&CStr], variable: Option<&'static CStr>) -> Errno {
    let mut argv = [null(); 16];
    let mut envp = [null(); 16];
    for (slot, argument) in argv[..15].iter_mut().zip(arguments) {
        *slot = argument.as_ptr();
    }
    for (slot, entry) in envp[..15]
        .iter_mut()
        .zip(variable.into_iter().chain(start::envp()))
    {
        *slot = entry.as_ptr();
    }
    let pointers = [
        path.as_ptr() as u32,
        argv.as_ptr() as u32,
        envp.as_ptr() as u32,
    ];
    match syscall(SYS_EXECVE, pointers) {
        Ok(_) => unreachable!("execve came back without an error"),
        Err(errno) => errno,
    }
}

/// Executes this program again with one argument.
pub fn exec_self(argument: &CStr) -> ! {
    let path = start::arg_cstr(0).expect("a program is told its path");
    let errno = execve(path, &[path, argument]);
    println!("# exec of {path:?}: {errno:?}");
    exit(102)
}

/// The status of a dead child, from `wait4`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WaitStatus(pub u32);

impl WaitStatus {
    pub const fn exited(status: u32) -> Self {
        Self(status << 8)
    }

    pub const fn signaled(signal: u32) -> Self {
        Self(signal)
    }

    /// Returns the status without bit 7, which says only whether a core was dumped.
    pub const fn without_core(self) -> Self {
        Self(self.0 & !0x80)
    }
}

impl fmt::Debug for WaitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 & 0x7f {
            0 => write!(f, "exit status {}", self.0 >> 8 & 0xff),
            signal => write!(f, "signal {signal}"),
        }
    }
}

/// Returns (pid, status), or pid 0 with WNOHANG if no child has died yet.
pub fn wait4(pid: i32, options: u32) -> Result<(u32, WaitStatus), Errno> {
    let mut status = 0u32;
    let pid = syscall(SYS_WAIT4, [pid as u32, &raw mut status as u32, options, 0])?;
    Ok((pid, WaitStatus(status).without_core()))
}

/// A forked child. It must be waited for.
#[must_use = "a child has to be waited for"]
#[derive(Clone, Copy)]
pub struct Child {
    pub pid: u32,
}

impl Child {
    pub fn wait(self) -> WaitStatus {
        match wait4(self.pid as i32, 0) {
            Ok((pid, status)) if pid == self.pid => status,
            other => panic!("wait4({}): {other:?}", self.pid),
        }
    }
}

/// Forks a child that runs `body` and exits with its result.
pub fn child(body: impl FnOnce() -> i32) -> Child {
    match fork() {
        Ok(0) => exit(body()),
        Ok(pid) => Child { pid },
        Err(errno) => panic!("fork: {errno:?}"),
    }
}

/// One case: `body` in a child returns `status`.
pub fn expect_exit(name: &str, status: u32, body: impl FnOnce() -> i32) {
    eq!(child(body).wait(), WaitStatus::exited(status), "{name}");
}

/// Returns whether SIGSEGV kills `body` in a child.
pub fn segfaults<T>(body: impl FnOnce() -> T) -> bool {
    let status = child(|| {
        body();
        0
    })
    .wait();
    status == WaitStatus::signaled(signal::SIGSEGV)
}

/// One case: `body` in a child is killed by `signal`.
pub fn expect_signal<T>(name: &str, signal: u32, body: impl FnOnce() -> T) {
    let status = child(|| {
        body();
        0
    })
    .wait();
    eq!(status, WaitStatus::signaled(signal), "{name}");
}

//! fork, vfork, clone, exit, wait4: births and deaths.
//!
//! Book: ch. 3. Linux: 2.6.38 `arch/x86/kernel/process_32.c`, `kernel/exit.c`.

use super::SysResult;
use crate::arch::x86::current::{current, current_pt_regs};
use crate::arch::x86::entry::uaccess::put_user;
use crate::base::errno::Errno;
use crate::process::exit::{do_exit, do_group_exit};
use crate::process::fork::{CloneArgs, do_fork};
use crate::process::usage::Usage;
use crate::process::wait4::{
    WAIT_KINDS, WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WUNTRACED, Which, do_wait,
};
use crate::provides_upward;
use crate::sched::timer::HZ;
use crate::task::clone_flags::{CLONE_VFORK, CLONE_VM};
use core::sync::atomic::Ordering;

const SIGCHLD: u32 = 17;
const P_ALL: u32 = 0;
const P_PID: u32 = 1;
const P_PGID: u32 = 2;

fn fork(args: CloneArgs) -> SysResult {
    // SAFETY: the frame of the system call that we are in; only read.
    let regs = unsafe { *current_pt_regs() };
    do_fork(&args, &regs).map(|pid| pid as u32)
}

/// Makes a copy of the calling process.
pub fn sys_fork() -> SysResult {
    fork(CloneArgs {
        flags: SIGCHLD,
        ..CloneArgs::default()
    })
}

/// Makes a child as fork does, but in the same memory; the caller waits until the child executes a
/// program or exits.
pub fn sys_vfork() -> SysResult {
    fork(CloneArgs {
        flags: CLONE_VFORK | CLONE_VM | SIGCHLD,
        ..CloneArgs::default()
    })
}

/// Makes a task as clone(2) does, with i386's order of arguments: `tls` before `child_tid`.
pub fn sys_clone(flags: u32, stack: u32, parent_tid: u32, tls: u32, child_tid: u32) -> SysResult {
    fork(CloneArgs {
        flags,
        stack,
        parent_tid,
        tls,
        child_tid,
    })
}

/// Ends the calling thread.
pub fn sys_exit(code: u32) -> SysResult {
    do_exit((code as i32 & 0xff) << 8)
}

/// Ends the calling process.
pub fn sys_exit_group(code: u32) -> SysResult {
    do_group_exit((code as i32 & 0xff) << 8)
}

/// Waits for a child, and stores its status and its usage (see [`put_rusage`]): with `pid` > 0 for the
/// child of that number, with -1 for any child, with 0 for a child in the caller's process group,
/// below -1 for a child in group -`pid`.
///
/// # Errors
/// ECHILD without such a child, EINVAL for unknown options, ESRCH for an impossible group, EFAULT,
/// ERESTARTSYS.
pub fn sys_wait4(pid: u32, status: u32, options: u32, rusage: u32) -> SysResult {
    if options & !(WNOHANG | WUNTRACED | WCONTINUED | WAIT_KINDS) != 0 {
        return Err(Errno::EINVAL);
    }
    let which = match pid as i32 {
        i32::MIN => return Err(Errno::ESRCH),
        -1 => Which::Any,
        0 => Which::Group(current().signal.pgrp.load(Ordering::Relaxed)),
        pid if pid > 0 => Which::One(pid),
        group => Which::Group(group.saturating_neg()),
    };
    let Some(child) = do_wait(which, options | WEXITED)? else {
        return Ok(0);
    };
    if status != 0 {
        put_user(status, child.status as u32)?;
    }
    if rusage != 0 {
        put_rusage(rusage, child.usage)?;
    }
    Ok(child.pid as u32)
}

/// Waits for a child that `kind` and `id` name to change in a way of `options`, and stores the facts at
/// `info` and its usage at `rusage`, unless these are null. Nothing to report with WNOHANG stores
/// zeroes.
///
/// # Errors
/// EINVAL for unknown kinds, numbers and options, or no way to change; ECHILD, EFAULT, ERESTARTSYS.
pub fn sys_waitid(kind: u32, id: u32, info: u32, options: u32, rusage: u32) -> SysResult {
    const WAYS: u32 = WEXITED | WUNTRACED | WCONTINUED;
    if options & !(WNOHANG | WNOWAIT | WAYS | WAIT_KINDS) != 0 || options & WAYS == 0 {
        return Err(Errno::EINVAL);
    }
    let which = match (kind, id as i32) {
        (P_ALL, _) => Which::Any,
        (P_PID, pid @ 1..) => Which::One(pid),
        (P_PGID, pgrp @ 1..) => Which::Group(pgrp),
        // Linux: since 5.4.
        (P_PGID, 0) => Which::Group(current().signal.pgrp.load(Ordering::Relaxed)),
        _ => return Err(Errno::EINVAL),
    };
    let child = do_wait(which, options)?;
    if let Some(child) = &child
        && rusage != 0
    {
        put_rusage(rusage, child.usage)?;
    }
    if info != 0 {
        let facts = child.as_ref().map_or([0; 6], |child| {
            let (code, value) = child.code_and_value();
            let uid = child.task.cred().uid.real;
            [SIGCHLD, 0, code as u32, child.pid as u32, uid, value]
        });
        put_user(info, facts)?;
    }
    Ok(0)
}

/// Size of `struct rusage` on i386: two timevals and fourteen longs.
const RUSAGE_WORDS: usize = 18;

/// Stores a `struct rusage`: times, page faults, voluntary and involuntary switches. The other
/// fields are 0.
pub fn put_rusage(address: u32, usage: Usage) -> Result<(), Errno> {
    let time = |ticks: u32| [ticks / HZ, (ticks % HZ).saturating_mul(1_000_000 / HZ)];
    let mut words = [0u32; RUSAGE_WORDS];
    [words[0], words[1]] = time(usage.utime);
    [words[2], words[3]] = time(usage.stime);
    words[8] = usage.min_flt;
    words[16] = usage.nvcsw;
    words[17] = usage.nivcsw;
    for (at, word) in (0..).step_by(4).zip(words) {
        put_user(address.wrapping_add(at), word)?;
    }
    Ok(())
}

/// Waits for a child as wait4 does, without its usage.
pub fn sys_waitpid(pid: u32, status: u32, options: u32) -> SysResult {
    sys_wait4(pid, status, options, 0)
}

/// Returns the number of the calling thread; saves the address at which exit clears it.
pub fn sys_set_tid_address(address: u32) -> SysResult {
    let me = current();
    me.clear_child_tid.store(address, Ordering::Relaxed);
    Ok(me.pid() as u32)
}

/// Stores a new task's number at a user address. Called by `schedule_tail`.
#[unsafe(no_mangle)]
fn put_child_tid(address: u32, pid: i32) {
    // As in Linux, a bad pointer is ignored.
    let _stored: Result<(), Errno> = put_user(address, pid as u32);
}

provides_upward!(put_child_tid);

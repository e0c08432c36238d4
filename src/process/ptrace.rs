//! `ptrace_may_access`: whether a task may look into another process.
//!
//! Called by `/proc` and by the system calls that look into another task.
//!
//! A process that acts, or has acted, with other rights than its user's may hold secrets of others:
//! from then on only root may look into it, until it executes another program.
//!
//! Linux: 2.6.38 `kernel/ptrace.c`, `commit_creds`, `set_dumpable`.

use core::sync::atomic::Ordering;

use crate::arch::x86::current::{Current, current};
use crate::task::cred::Cred;
use crate::task::task_struct::TaskStruct;

/// The IDs of the caller that are compared with those of the task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PtraceMode {
    /// The filesystem IDs: for `/proc`.
    FsCreds,
    /// The real IDs: for system calls.
    RealCreds,
}

/// Returns whether the running task may look into `task`: its own process may, root may, and so may
/// its user if the program neither has nor had other rights.
///
/// Linux: 2.6.38 `__ptrace_may_access`; the modes since 4.4.
pub fn ptrace_may_access(task: &TaskStruct, mode: PtraceMode) -> bool {
    let me = current();
    if me.tgid == task.tgid {
        return true;
    }
    let target = task.cred();
    let mine = me.cred();
    let (uid, gid) = match mode {
        PtraceMode::FsCreds => (mine.uid.fs, mine.gid.fs),
        PtraceMode::RealCreds => (mine.uid.real, mine.gid.real),
    };
    mine.capable() || Cred::is_only(&target, uid, gid) && is_dumpable(task)
}

/// Returns whether the program of `task` has only ever had the rights of its user. True for a
/// kernel thread, which has no memory to look into.
pub fn is_dumpable(task: &TaskStruct) -> bool {
    let _locked = task.alloc_lock.lock();
    let mm = task.mm.load(Ordering::Relaxed);
    // SAFETY: the task gives its user back only after it has changed `mm` under the lock.
    unsafe { mm.as_ref() }.is_none_or(|mm| !mm.not_dumpable.load(Ordering::Relaxed))
}

/// Lets only root look into the running task's memory from now on, and into that of processes it
/// forks: the task has come to act with other rights.
pub fn set_not_dumpable(me: Current) {
    // SAFETY: the running task's own address space, if it has one: it stays while the task runs in
    // it.
    let mm = unsafe { me.mm.load(Ordering::Relaxed).as_ref() };
    mm.inspect(|mm| mm.not_dumpable.store(true, Ordering::Relaxed));
}

//! `ptrace_may_access`: whether a task may look into another process.
//!
//! Asked by `/proc` and by the system calls that look into another task.
//!
//! A process that acts, or has acted, with other rights than its user's may hold secrets of others: from
//! then on until it executes another program only root looks into it.
//!
//! Linux: 2.6.38 `kernel/ptrace.c`, `commit_creds`, `set_dumpable`.

use core::sync::atomic::Ordering;

use crate::arch::x86::current::{Current, current};
use crate::task::cred::Cred;
use crate::task::task_struct::TaskStruct;

/// By which of its numbers the caller is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PtraceMode {
    /// Those that open files: for `/proc`.
    FsCreds,
    /// The real ones: for system calls.
    RealCreds,
}

/// Whether the running task may look into `task`: its own process may, root may, and its user if the
/// program neither has nor had other rights.
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

/// Whether the program of `task` has had the rights of its user alone. A kernel thread has no memory to
/// look into.
pub fn is_dumpable(task: &TaskStruct) -> bool {
    let _locked = task.alloc_lock.lock();
    let mm = task.mm.load(Ordering::Relaxed);
    // SAFETY: the task gives its user back only after it has changed `mm`, under the lock.
    unsafe { mm.as_ref() }.is_none_or(|mm| !mm.not_dumpable.load(Ordering::Relaxed))
}

/// The running task has come to act with other rights: its memory is for root to see, and so is that of
/// the processes that it forks.
pub fn set_not_dumpable(me: Current) {
    // SAFETY: the running task's own, if it has one: it stays while the task runs in it.
    let mm = unsafe { me.mm.load(Ordering::Relaxed).as_ref() };
    mm.inspect(|mm| mm.not_dumpable.store(true, Ordering::Relaxed));
}

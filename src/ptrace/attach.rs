//! ATTACH, SEIZE, INTERRUPT, LISTEN, DETACH: the beginning and the end of tracing, and the stops that
//! a tracer wants.
//!
//! Linux: 2.6.38 `ptrace_attach`, `ptrace_detach`; 3.4 `ptrace_request`.

use super::SysResult;
use super::held::Held;
use super::resume::user_disable_single_step;
use crate::arch::x86::current::Current;
use crate::base::errno::Errno;
use crate::process::ptrace::{PtraceMode, ptrace_may_access};
use crate::process::release::News;
use crate::process::signal::{send_sigstop, signal_wake_up};
use crate::process::sigset::NSIG;
use crate::process::tasklist::TASKLIST;
use crate::process::trace_link::{detach, link};
use crate::process::trace_stop::PTRACE_EVENT_STOP;
use crate::sched::wake_up::try_to_wake_up;
use crate::task::state::{PF_KTHREAD, TASK_TRACED};
use crate::task::task_struct::TaskRef;
use crate::task::traced::{
    PT_LISTENING, PT_OPTIONS, PT_SEIZED, PT_TRAP_NOTIFY, PT_TRAP_STOP, PtraceFlags,
};

/// Returns the options of a request.
///
/// # Errors
/// EINVAL for one that does not exist.
pub fn options(bits: u32) -> Result<PtraceFlags, Errno> {
    let options = PtraceFlags::from_bits_retain(bits);
    match PT_OPTIONS.contains(options) {
        true => Ok(options),
        false => Err(Errno::EINVAL),
    }
}

/// Makes the running task the tracer of `task`. PTRACE_ATTACH stops it by SIGSTOP; PTRACE_SEIZE,
/// with `seize` its options, does not stop it.
///
/// # Errors
/// EPERM: a kernel thread, a thread of the caller's process, a task of another user or with other
/// rights, one that is traced already or ends.
pub fn attach(me: Current, task: &TaskRef, seize: Option<PtraceFlags>) -> SysResult {
    if task.has_flags(PF_KTHREAD) || task.tgid == me.tgid {
        return Err(Errno::EPERM);
    }
    if !ptrace_may_access(task, PtraceMode::RealCreds) {
        return Err(Errno::EPERM);
    }
    {
        let mut list = TASKLIST.lock();
        let flags = seize.map_or(PtraceFlags::empty(), |options| options.union(PT_SEIZED));
        link(&mut list, task, &me, flags)?;
        if seize.is_none() {
            send_sigstop(&list, task);
        }
    }
    // It may have gained rights by exec since the first look; an exec that looks later sees us.
    if !ptrace_may_access(task, PtraceMode::RealCreds) {
        let mut news = News::default();
        detach(&mut TASKLIST.lock(), task, 0, &mut news);
        news.tell();
        return Err(Errno::EPERM);
    }
    Ok(0)
}

/// Stops a seized task, running or not, for its tracer.
///
/// # Errors
/// EIO if it was not seized.
pub fn interrupt(task: &TaskRef) -> SysResult {
    let _list = TASKLIST.lock();
    if !task.ptrace.has(PT_SEIZED) {
        return Err(Errno::EIO);
    }
    task.ptrace.flags.insert(PT_TRAP_STOP);
    signal_wake_up(task, false);
    if task.ptrace.has(PT_LISTENING) {
        try_to_wake_up(task, TASK_TRACED);
    }
    Ok(0)
}

/// Lets a seized task, which has stopped with its process, stay stopped until that changes.
///
/// # Errors
/// EIO if it was not seized, or has stopped otherwise.
pub fn listen(held: Held) -> SysResult {
    let task = held.task().clone();
    let code = task.ptrace.siginfo.lock().map_or(0, |info| info.code);
    if !task.ptrace.has(PT_SEIZED) || code as u32 >> 8 != PTRACE_EVENT_STOP {
        return Err(Errno::EIO);
    }
    let _list = TASKLIST.lock();
    task.ptrace.flags.insert(PT_LISTENING);
    drop(held);
    if task.ptrace.has(PT_TRAP_NOTIFY) {
        // It has changed already.
        try_to_wake_up(&task, TASK_TRACED);
    }
    Ok(0)
}

/// Ends the tracing of a stopped task, which goes on with `signal`.
///
/// # Errors
/// EIO if there is no such signal.
pub fn detach_request(mut held: Held, signal: u32) -> SysResult {
    if signal > NSIG {
        return Err(Errno::EIO);
    }
    user_disable_single_step(&mut held);
    let task = held.task().clone();
    drop(held);
    let mut news = News::default();
    detach(&mut TASKLIST.lock(), &task, signal as i32, &mut news);
    news.tell();
    Ok(0)
}

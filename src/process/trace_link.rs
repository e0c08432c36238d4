//! Who traces a task: the beginning and the end of tracing.
//!
//! A thread traces; the tasks that the threads of its process trace form a list under the number of
//! its leader, so that `wait4` and the end of a tracer find them.
//!
//! The requests call [`link`] and [`detach`], fork [`ptrace_init_task`], exit [`exit_ptrace`].
//!
//! Linux: 2.6.38 `__ptrace_link`, `__ptrace_unlink`, `__ptrace_detach`, `exit_ptrace`.

use core::ops::ControlFlow;
use core::sync::atomic::Ordering;

use super::pid::PidType;
use super::release::{News, release_zombie};
use super::signal::{kill_thread, send_sigstop, signal_wake_up};
use super::tasklist::{TASKLIST, TaskList, do_each_task_pid};
use crate::arch::x86::current::Current;
use crate::base::errno::Errno;
use crate::base::thread_info::{TIF_SIGPENDING, set_flag};
use crate::sched::wake_up::try_to_wake_up;
use crate::task::state::{EXIT_ZOMBIE, PF_EXITING, TASK_STOPPED, TASK_TRACED};
use crate::task::task_struct::{TaskRef, TaskStruct};
use crate::task::traced::{
    PT_EXITKILL, PT_LISTENING, PT_OPTIONS, PT_PTRACE_CAP, PT_PTRACED, PT_SEIZED, PT_STOP_TAKEN,
    PT_TRAP_NOTIFY, PT_TRAP_STOP, PtraceFlags, is_traced,
};

/// Makes `tracer` the tracer of `task`, with `flags` beside PT_PTRACED.
///
/// # Errors
/// EPERM if the task is traced already, or ends.
pub fn link(
    list: &mut TaskList,
    task: &TaskStruct,
    tracer: &TaskStruct,
    flags: PtraceFlags,
) -> Result<(), Errno> {
    if is_traced(task) || task.exit_state.load(Ordering::Relaxed) != 0 {
        return Err(Errno::EPERM);
    }
    task.ptrace.set_tracer(tracer);
    let pid = tracer.pid();
    task.ptrace.tracer_pid.store(pid, Ordering::Relaxed);
    let uid = tracer.cred().uid.real;
    task.ptrace.tracer_uid.store(uid, Ordering::Relaxed);
    let cap = match tracer.cred().capable() {
        true => PT_PTRACE_CAP,
        false => PtraceFlags::empty(),
    };
    let all = flags.union(cap).union(PT_PTRACED);
    task.ptrace.flags.store(all, Ordering::Release);
    list.pids
        .attach_pid(PidType::Tracee, task.pid(), tracer.tgid);
    // A thread that is stopped with its process stops for its tracer instead.
    try_to_wake_up(task, TASK_STOPPED);
    Ok(())
}

/// Makes the running task's parent its tracer, as PTRACE_TRACEME asks. A parent that is ending does
/// not become one, which is no error.
///
/// # Errors
/// EPERM if the task is traced already.
pub fn traceme(me: Current) -> Result<(), Errno> {
    let mut list = TASKLIST.lock();
    if is_traced(&me) {
        return Err(Errno::EPERM);
    }
    let parent = me.ppid.load(Ordering::Relaxed);
    let forker = list.find_task_by_pid(me.ptrace.forker.load(Ordering::Relaxed));
    let tracer = forker
        .filter(|thread| thread.tgid == parent && !thread.has_flags(PF_EXITING))
        .or_else(|| list.find_task_by_pid(parent))
        .filter(|thread| !thread.has_flags(PF_EXITING))
        .cloned();
    let Some(tracer) = tracer else {
        return Ok(());
    };
    let result = link(&mut list, &me, &tracer, PtraceFlags::empty());
    drop(list);
    drop(tracer);
    result
}

/// Gives a new task the tracer of its parent, if the tracer wants to trace it. The task is on the
/// list and has not run.
pub fn ptrace_init_task(list: &mut TaskList, me: Current, child: &TaskStruct) {
    let mine = &me.ptrace;
    let kept = PT_OPTIONS.union(PT_SEIZED).union(PT_PTRACE_CAP);
    let flags = mine.flags.load(Ordering::Relaxed).intersection(kept);
    let Some(tracer) = list.pids.head_of(PidType::Tracee, me.pid()) else {
        return;
    };
    let theirs = &child.ptrace;
    theirs.set_tracer(mine.tracer());
    let copy = |from: &core::sync::atomic::AtomicI32, to: &core::sync::atomic::AtomicI32| {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    };
    copy(&mine.tracer_pid, &theirs.tracer_pid);
    let uid = mine.tracer_uid.load(Ordering::Relaxed);
    theirs.tracer_uid.store(uid, Ordering::Relaxed);
    let seized = flags.contains(PT_SEIZED);
    let first = if seized {
        PT_TRAP_STOP
    } else {
        PtraceFlags::empty()
    };
    let all = flags.union(PT_PTRACED).union(first);
    theirs.flags.store(all, Ordering::Release);
    list.pids.attach_pid(PidType::Tracee, child.pid(), tracer);
    if seized {
        set_flag(child.thread_info(), TIF_SIGPENDING);
    } else {
        send_sigstop(list, child);
    }
}

/// Takes the tracer away from `task`: it is as if it had never been traced.
fn unlink(list: &mut TaskList, task: &TaskStruct) {
    list.pids.detach_pid(PidType::Tracee, task.pid());
    task.ptrace.set_tracer(core::ptr::null());
    task.ptrace.tracer_pid.store(0, Ordering::Relaxed);
    task.ptrace
        .flags
        .store(PtraceFlags::empty(), Ordering::Release);
    task.thread_info().trace_syscalls(false);
}

/// Ends the tracing of `task`, which goes on with `signal` if it has stopped for its tracer. A task
/// that has ended is released, or its parent is told of it: see `news`.
pub fn detach(list: &mut TaskList, task: &TaskRef, signal: i32, news: &mut News) {
    unlink(list, task);
    if task.exit_state.load(Ordering::Relaxed) == EXIT_ZOMBIE {
        release_zombie(list, task, news);
        return;
    }
    task.ptrace.code.store(signal, Ordering::Relaxed);
    if task.signal.stop.is_under_way() {
        // It stops with its process.
        signal_wake_up(task, false);
    }
    try_to_wake_up(task, TASK_TRACED);
}

/// Ends the tracing of all tasks that the running task traces; those with PTRACE_O_EXITKILL are
/// killed. Called when it ends, after `exit_signals`.
pub fn exit_ptrace(me: Current) {
    if { TASKLIST.lock().pids.first(PidType::Tracee, me.tgid) }.is_none() {
        return;
    }
    loop {
        let mut news = News::default();
        let found = do_each_task_pid(PidType::Tracee, me.tgid, |list, task| {
            if !task.ptrace.is_tracer(me.as_ptr()) {
                return ControlFlow::Continue(());
            }
            if task.ptrace.has(PT_EXITKILL) {
                kill_thread(task);
            }
            detach(list, task, 0, &mut news);
            // The news are told with the list unlocked.
            ControlFlow::Break(())
        });
        news.tell();
        if found.is_none() {
            return;
        }
    }
}

/// Notes that a stop of the process of `thread` has begun or ended, of which its tracer is told.
/// The task list is locked.
#[doc(alias = "ptrace_trap_notify")]
pub fn trap_notify(thread: &TaskStruct) {
    if !is_traced(thread) {
        return;
    }
    thread.ptrace.flags.remove(PT_STOP_TAKEN);
    if thread.ptrace.has(PT_SEIZED) {
        thread.ptrace.flags.insert(PT_TRAP_NOTIFY);
        signal_wake_up(thread, false);
        if thread.ptrace.has(PT_LISTENING) {
            try_to_wake_up(thread, TASK_TRACED);
        }
    }
}

//! The stops of a traced task: it sleeps until its tracer lets it go on.
//!
//! The task stops on its own stack, in process context with no lock held: before it takes a signal,
//! with its process, at an event, at a system call. It tells the tracer as a child tells its parent,
//! and sleeps as TASK_TRACED. The tracer may look into it and change it, leaves it a signal, and
//! wakes it; so does SIGKILL, and the end of the tracer.
//!
//! Linux: 2.6.38 `ptrace_stop`, `ptrace_signal`, `ptrace_notify`, `ptrace_event`; 3.4
//! `do_jobctl_trap`.

use core::sync::atomic::Ordering;

use super::pid::PidType;
use super::release::send_sigchld;
use super::signal::{recalc_sigpending, send_to_thread};
use super::sigset::{NSIG, SIGCHLD, SIGTRAP};
use super::stop::{SA_NOCLDSTOP, allow_stop, is_killed, stop_signal};
use super::tasklist::TASKLIST;
use super::usage::Usage;
use crate::arch::x86::current::Current;
use crate::sched::schedule::schedule;
use crate::sync::preempt::{preempt_disable, preempt_enable_no_resched};
use crate::task::siginfo::{CLD_STOPPED, CLD_TRAPPED, SI_USER, SigInfo};
use crate::task::state::TASK_TRACED;
use crate::task::task_struct::TaskStruct;
use crate::task::traced::{
    PT_LISTENING, PT_PTRACED, PT_SEIZED, PT_TRACE_EXEC, PT_TRACESYSGOOD, PT_TRAP_NOTIFY,
    PT_TRAP_STOP, PtraceFlags, is_traced,
};

/// Event: a child was made by fork.
pub const PTRACE_EVENT_FORK: u32 = 1;
/// Event: a child was made by vfork.
pub const PTRACE_EVENT_VFORK: u32 = 2;
/// Event: a child was made by clone.
pub const PTRACE_EVENT_CLONE: u32 = 3;
/// Event: a program was executed.
pub const PTRACE_EVENT_EXEC: u32 = 4;
/// Event: the child of a vfork has executed a program or ended.
pub const PTRACE_EVENT_VFORK_DONE: u32 = 5;
/// Event: the task is about to end.
pub const PTRACE_EVENT_EXIT: u32 = 6;
/// Event: the task has stopped because its tracer or its process wanted it.
pub const PTRACE_EVENT_STOP: u32 = 128;

/// Stops for the tracer; `code` is a signal with an event above it, `why` the tracer's `si_code`.
/// Returns the signal that the tracer leaves, and the facts, which it may have changed; `None` if
/// there is no tracer any more.
fn ptrace_stop(
    me: Current,
    code: u32,
    why: i32,
    info: Option<SigInfo>,
) -> Option<(u32, Option<SigInfo>)> {
    let mine = &me.ptrace;
    {
        let _list = TASKLIST.lock();
        if !is_traced(&me) {
            return None;
        }
        *mine.siginfo.lock() = info;
        mine.flags.remove(PT_TRAP_STOP);
        if code >> 8 == PTRACE_EVENT_STOP {
            mine.flags.remove(PT_TRAP_NOTIFY);
        }
        mine.code.store(code as i32, Ordering::Relaxed);
        // Set first: whoever sends SIGKILL from now on sees that this task is stopped, and wakes it.
        me.set_special_state(TASK_TRACED);
        if is_killed(&me) {
            me.state.set_running();
            *mine.siginfo.lock() = None;
            return Some((0, None));
        }
        // The tracer should find us asleep.
        preempt_disable();
    }
    tell_tracer(&me, why);
    preempt_enable_no_resched();
    schedule();
    mine.flags.remove(PT_LISTENING);
    let info = mine.siginfo.lock().take();
    let signal = mine.code.swap(0, Ordering::Relaxed);
    recalc_sigpending(me);
    match is_killed(&me) {
        true => Some((0, None)),
        false => Some((signal as u32, info)),
    }
}

/// Sends SIGCHLD to the tracer of `task`, which has stopped, and wakes a wait for it.
fn tell_tracer(task: &TaskStruct, why: i32) {
    let tracer = {
        let list = TASKLIST.lock();
        let head = list.pids.head_of(PidType::Tracee, task.pid());
        head.and_then(|head| list.find_task_by_pid(head)).cloned()
    };
    let Some(tracer) = tracer else { return };
    let action = tracer.signal.action(SIGCHLD);
    if action.flags & SA_NOCLDSTOP == 0 {
        let uid = task.cred().uid.real;
        let status = task.ptrace.code.load(Ordering::Relaxed) as u32 & 0x7f;
        let times = Usage::of(task).clock_ticks();
        let info = SigInfo::child(SIGCHLD, why, task.pid(), uid, status, times);
        send_sigchld(&tracer, info);
    }
    tracer.wait_chldexit.wake_up();
}

/// Lets the tracer of the running task see a signal before it is delivered. Returns the signal that
/// the tracer leaves, if it leaves one.
pub fn ptrace_signal(me: Current, info: SigInfo) -> Option<SigInfo> {
    let Some((signal, seen)) = ptrace_stop(me, info.signal, CLD_TRAPPED, Some(info)) else {
        return Some(info);
    };
    if signal == 0 || signal > NSIG {
        return None;
    }
    let info = match seen {
        Some(info) if info.signal == signal => info,
        // The tracer wants another signal.
        _ => {
            let pid = me.ptrace.tracer_pid.load(Ordering::Relaxed);
            let uid = me.ptrace.tracer_uid.load(Ordering::Relaxed);
            SigInfo::sent(signal, SI_USER, pid, uid)
        }
    };
    allow_stop(me, signal);
    if me.signals.lock().blocked.contains(signal) {
        // Only real-time signals are refused.
        let _queued = send_to_thread(info, &me);
        return None;
    }
    Some(info)
}

/// Returns the facts of a stop that is no signal: `code` is in `si_code`.
fn of_stop(me: Current, signal: u32, code: u32) -> SigInfo {
    let uid = me.cred().uid.real;
    SigInfo::sent(signal, code as i32, me.pid(), uid)
}

/// Stops for the tracer with `code`, which is SIGTRAP and more; returns the signal that it leaves.
pub fn ptrace_notify(me: Current, code: u32) -> u32 {
    let info = of_stop(me, SIGTRAP, code);
    ptrace_stop(me, code, CLD_TRAPPED, Some(info)).map_or(0, |(signal, _)| signal)
}

/// Stops with `event` if the tracer has asked for it by `option`; `message` is told. Returns whether
/// it was asked for.
pub fn ptrace_event(me: Current, option: PtraceFlags, event: u32, message: u32) -> bool {
    let wanted = me.ptrace.has(PT_PTRACED.union(option));
    if wanted {
        me.ptrace.message.store(message, Ordering::Relaxed);
        let _signal = ptrace_notify(me, SIGTRAP | event << 8);
    }
    wanted
}

/// Tells the tracer that the running task, whose number was `old_pid`, has executed a program: by an
/// event, or else by SIGTRAP.
#[doc(alias = "tracehook_report_exec")]
pub fn ptrace_exec(me: Current, old_pid: i32) {
    let told = ptrace_event(me, PT_TRACE_EXEC, PTRACE_EVENT_EXEC, old_pid as u32);
    if !told && is_traced(&me) && !me.ptrace.has(PT_SEIZED) {
        let info = SigInfo::sent(SIGTRAP, SI_USER, me.tgid, me.cred().uid.real);
        // Only real-time signals are refused.
        let _queued = send_to_thread(info, &me);
    }
}

/// Stops at the begin or end of a system call. A signal that the tracer leaves is sent.
pub fn ptrace_report_syscall(me: Current, message: u32) {
    let good = match me.ptrace.has(PT_TRACESYSGOOD) {
        true => 0x80,
        false => 0,
    };
    me.ptrace.message.store(message, Ordering::Relaxed);
    let signal = ptrace_notify(me, SIGTRAP | good);
    if (1..=NSIG).contains(&signal) {
        let info = SigInfo::kernel(signal);
        let _queued = send_to_thread(info, &me);
    }
}

/// Returns whether the tracer of `task` waits for it to stop, other than by a signal.
pub fn trap_is_due(task: &TaskStruct) -> bool {
    let due = PT_TRAP_STOP.union(PT_TRAP_NOTIFY);
    task.ptrace.flags.load(Ordering::Relaxed).intersects(due)
}

/// Stops because the tracer wants it, or to tell that a stop of the process has begun or ended.
#[doc(alias = "do_jobctl_trap")]
pub fn trap(me: Current) {
    let signal = match stop_signal(&me) {
        0 => SIGTRAP,
        signal => signal,
    };
    let code = signal | PTRACE_EVENT_STOP << 8;
    let info = of_stop(me, signal, code);
    let _left = ptrace_stop(me, code, CLD_STOPPED, Some(info));
}

/// Stops the running task, which is traced, together with its process, which `signal` stops.
pub fn stop_with_group(me: Current, signal: u32) {
    if me.ptrace.has(PT_SEIZED) {
        return trap(me);
    }
    let _left = ptrace_stop(me, signal, CLD_STOPPED, None);
}

//! Stopping a process, and resuming it.
//!
//! A thread that takes a stop signal on its way to ring 3 starts a stop of its whole process: each
//! of its threads goes to sleep as TASK_STOPPED on its own way to ring 3, and the last one tells
//! the parent. SIGCONT ends the stop as soon as it is sent, even if it is blocked or ignored;
//! SIGKILL wakes a stopped thread and ends it.
//!
//! Signal sending calls [`prepare_signal`]; delivery calls [`do_signal_stop`] and
//! [`join_group_stop`]; `exit` calls [`group_stop_is_complete`] and [`kill_orphaned_pgrps`];
//! `wait4` calls [`GroupStop::take_news`].
//!
//! Book: ch. 11, "Executing the Default Action for the Signal".
//! Linux: 2.6.38 `prepare_signal`, `do_signal_stop`, `do_notify_parent_cldstop`.

use core::ops::ControlFlow;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use super::kill::kill_pgrp;
use super::pid::{PidType, Pids};
use super::signal::{SIG_IGN, is_being_ended, is_group_exiting, send_to_process, signal_wake_up};
use super::signal_group::threads;
use super::sigset::{
    DefaultAction, SIGCHLD, SIGCONT, SIGHUP, SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SigSet,
    default_action,
};
use super::tasklist::{Entry, INIT_PID, TASKLIST, TaskList, do_each_task_pid};
use super::trace_link::trap_notify;
use super::trace_stop::{stop_with_group, trap_is_due};
use super::usage::Usage;
use crate::arch::x86::current::Current;
use crate::sched::schedule::schedule;
use crate::sched::wake_up::try_to_wake_up;
use crate::task::siginfo::{CLD_CONTINUED, CLD_STOPPED, SigInfo};
use crate::task::state::TASK_STOPPED;
use crate::task::task_struct::TaskStruct;
use crate::task::traced::{PT_PTRACED, PT_STOP_TAKEN, is_traced};

/// `sa_flags` of SIGCHLD: no signal for children that stop or resume.
pub const SA_NOCLDSTOP: u32 = 1;
/// Wait status of a child that has resumed.
pub const CONTINUED: i32 = 0xffff;

const STOP_SIGNALS: SigSet = SigSet::of(SIGSTOP)
    .union(SigSet::of(SIGTSTP))
    .union(SigSet::of(SIGTTIN))
    .union(SigSet::of(SIGTTOU));

/// The stop state of a process. Written under the task-list lock.
#[derive(Default)]
pub struct GroupStop {
    /// Signal that stops the process; 0 if it is not stopped.
    signal: AtomicU32,
    /// Whether all threads have stopped and the parent was told.
    complete: AtomicBool,
    /// Whether a stop signal was sent since the last SIGCONT: one that was taken before the SIGCONT
    /// must not stop after it.
    wanted: AtomicBool,
    /// A thread that was still running at the last check, and is checked first; 0 if there is none.
    laggard: AtomicI32,
    /// Wait status not yet reported to the parent; 0 if there is none.
    news: AtomicI32,
    /// CLD_* code that the first thread to resume reports to the parent; 0 if there is nothing to
    /// report.
    to_tell: AtomicI32,
}

impl GroupStop {
    /// Returns whether each thread must stop on its way to ring 3.
    pub fn is_under_way(&self) -> bool {
        self.signal.load(Ordering::Acquire) != 0
    }

    /// Takes the wait status not yet reported to the parent, if it is a stop and the caller wants
    /// `stops`, or a resumption and it wants `continues`. With `stays` the status is not yet reported
    /// afterwards either.
    pub fn take_news(&self, stops: bool, continues: bool, stays: bool) -> Option<i32> {
        let status = self.news.load(Ordering::Relaxed);
        let is_wanted = match status {
            0 => false,
            CONTINUED => continues,
            _ => stops,
        };
        is_wanted.then(|| match stays {
            true => status,
            false => self.news.swap(0, Ordering::Relaxed),
        })
    }
}

/// Performs the effects that a signal has on stops as soon as it is sent to the process of `task`,
/// even if it is blocked or ignored. The caller keeps the list locked until the signal is pending:
/// a thread woken here looks for it once it gets the lock.
pub fn prepare_signal(list: &TaskList, signal: u32, task: &TaskStruct) {
    let stop = &task.signal.stop;
    match default_action(signal) {
        DefaultAction::Stop => {
            discard_pending(list, task, SigSet::of(SIGCONT));
            stop.wanted.store(true, Ordering::Relaxed);
        }
        DefaultAction::Continue => {
            discard_pending(list, task, STOP_SIGNALS);
            stop.wanted.store(false, Ordering::Relaxed);
            if stop.signal.swap(0, Ordering::AcqRel) != 0 {
                let why = match stop.complete.swap(false, Ordering::Relaxed) {
                    true => CLD_CONTINUED,
                    false => CLD_STOPPED,
                };
                stop.news.store(CONTINUED, Ordering::Relaxed);
                stop.to_tell.store(why, Ordering::Relaxed);
                for thread in threads(list, task.tgid) {
                    trap_notify(thread);
                    try_to_wake_up(thread, TASK_STOPPED);
                }
            }
        }
        _ if signal == SIGKILL => stop.news.store(0, Ordering::Relaxed),
        _ => {}
    }
}

fn discard_pending(list: &TaskList, task: &TaskStruct, set: SigSet) {
    task.signal.shared_pending.lock().forget(set);
    for thread in threads(list, task.tgid) {
        thread.signals.lock().pending.forget(set);
    }
}

/// Performs the default action of a stop signal that the running thread has taken: its process
/// stops. Init never stops, and a terminal signal does not stop a process that has no shell to
/// resume it.
pub fn do_signal_stop(me: Current, signal: u32) {
    let mut list = TASKLIST.lock();
    let stop = &me.signal.stop;
    let is_wanted = stop.wanted.load(Ordering::Relaxed) && !is_being_ended(me);
    // A tracer may have let this thread go on while its process is stopped.
    me.ptrace.flags.remove(PT_STOP_TAKEN);
    if me.signal.is_unkillable()
        || !is_wanted
        || stop.is_under_way()
        || signal != SIGSTOP && is_orphaned_pgrp(&mut list, pgrp(&me))
    {
        return;
    }
    stop.signal.store(signal, Ordering::Release);
    for thread in threads(&list, me.tgid).filter(|thread| thread.pid() != me.pid()) {
        trap_notify(thread);
        signal_wake_up(thread, false);
    }
}

/// Lets a stop signal that the tracer of the running task leaves it stop the process.
pub fn allow_stop(me: Current, signal: u32) {
    if default_action(signal) == DefaultAction::Stop {
        let _list = TASKLIST.lock();
        me.signal.stop.wanted.store(true, Ordering::Relaxed);
    }
}

/// Returns whether `task` has to stop with its process, on its way to ring 3 or for its tracer.
pub fn has_to_stop(task: &TaskStruct) -> bool {
    task.signal.stop.is_under_way() && !has_taken_stop(task) || trap_is_due(task)
}

/// Returns whether a traced task has stopped with its process already.
fn has_taken_stop(task: &TaskStruct) -> bool {
    task.ptrace.has(PT_PTRACED.union(PT_STOP_TAKEN))
}

/// Returns the signal that has stopped the process of `task`, or 0.
pub fn stop_signal(task: &TaskStruct) -> u32 {
    task.signal.stop.signal.load(Ordering::Acquire)
}

/// Sleeps while the running thread's process is stopped. Returns whether it slept: other signals
/// may then be pending.
pub fn join_group_stop(me: Current) -> bool {
    let stop = &me.signal.stop;
    let mut was_stopped = false;
    loop {
        // The sender of SIGCONT has stored the code to report.
        let why = stop.to_tell.swap(0, Ordering::Relaxed);
        if why != 0 {
            notify_parent_cldstop(&me, why, SIGCONT);
        }
        if !stop.is_under_way() || has_taken_stop(&me) {
            return was_stopped;
        }
        let completes = {
            let list = TASKLIST.lock();
            if !stop.is_under_way() {
                continue;
            }
            if is_traced(&me) {
                me.ptrace.flags.insert(PT_STOP_TAKEN);
                let signal = stop_signal(&me);
                let completes = group_stop_is_complete(&list, &me);
                drop(list);
                stop_for_tracer(me, signal, completes);
                was_stopped = true;
                continue;
            }
            // Set first: whoever sends SIGKILL from now on sees that this thread is stopped, and
            // wakes it.
            me.set_special_state(TASK_STOPPED);
            if is_killed(&me) {
                me.state.set_running();
                return false;
            }
            group_stop_is_complete(&list, &me)
        };
        if let Some(signal) = completes {
            notify_parent_cldstop(&me, CLD_STOPPED, signal);
        }
        schedule();
        was_stopped = true;
    }
}

/// Stops the running task, which is traced, with its process, which `signal` stops. `completes` is the
/// same signal if it is the last thread to stop: a parent that is not the tracer is told.
fn stop_for_tracer(me: Current, signal: u32, completes: Option<u32>) {
    let tracer = TASKLIST.lock().pids.head_of(PidType::Tracee, me.pid());
    if completes.is_some() && tracer != Some(me.ppid.load(Ordering::Relaxed)) {
        notify_parent_cldstop(&me, CLD_STOPPED, signal);
    }
    stop_with_group(me, signal);
}

/// Returns the stop signal if all live threads of the process of `task` have stopped, once for each
/// stop: the caller then tells the parent.
pub fn group_stop_is_complete(list: &TaskList, task: &TaskStruct) -> Option<u32> {
    let stop = &task.signal.stop;
    let signal = stop.signal.load(Ordering::Relaxed);
    if signal == 0 || is_group_exiting(task) || stop.complete.load(Ordering::Relaxed) {
        return None;
    }
    fn is_live(thread: &TaskStruct) -> bool {
        thread.exit_state.load(Ordering::Relaxed) == 0
    }
    fn runs(thread: &TaskStruct) -> bool {
        is_live(thread) && thread.state.get() != TASK_STOPPED && !has_taken_stop(thread)
    }
    // Each thread that stops asks. One check is mostly enough: in total the threads are checked
    // about once each.
    let laggard = list.find_task_by_pid(stop.laggard.load(Ordering::Relaxed));
    if laggard.is_some_and(|thread| thread.tgid == task.tgid && runs(thread)) {
        return None;
    }
    if let Some(thread) = threads(list, task.tgid).find(|thread| runs(thread)) {
        stop.laggard.store(thread.pid(), Ordering::Relaxed);
        return None;
    }
    threads(list, task.tgid).find(|thread| is_live(thread))?;
    stop.complete.store(true, Ordering::Relaxed);
    let status = (signal as i32) << 8 | 0x7f;
    stop.news.store(status, Ordering::Relaxed);
    Some(signal)
}

/// Tells the parent of the process of `task` that it has stopped or resumed, by `signal`.
pub fn notify_parent_cldstop(task: &TaskStruct, code: i32, signal: u32) {
    let parent = {
        let list = TASKLIST.lock();
        list.parent_of(task.tgid).cloned()
    };
    let Some(parent) = parent else { return };
    let action = parent.signal.action(SIGCHLD);
    if action.handler != SIG_IGN && action.flags & SA_NOCLDSTOP == 0 {
        let uid = task.cred().uid.real;
        let times = Usage::of(task).clock_ticks();
        let info = SigInfo::child(SIGCHLD, code, task.tgid, uid, signal, times);
        // Only real-time signals are refused.
        let _queued = send_to_process(info, &parent);
    }
    parent.wait_chldexit.wake_up();
}

/// Returns whether process `tgid` and its parent are in different groups of one session: the
/// parent's group can then resume the process's group.
fn connects(list: &TaskList, tgid: i32) -> bool {
    let pair = list.find_task_by_pid(tgid).zip(list.parent_of(tgid));
    pair.is_some_and(|(task, parent)| {
        pgrp(parent) != pgrp(task) && session(parent) == session(task)
    })
}

/// Queues the group of process `tgid` for [`kill_orphaned_pgrps`] if the process connects it with
/// another group. Called before the process loses its parent or ends.
pub fn disconnects(list: &mut TaskList, tgid: i32) {
    if connects(list, tgid)
        && let Some(group) = list.pids.head_of(PidType::Pgid, tgid)
    {
        list.pids.queue_pgrp(group);
    }
}

/// Checks the groups that have lost a connection: if no process is left that could resume the
/// stopped members of a group, its members get SIGHUP and SIGCONT. For process context, with no
/// lock held.
///
/// Linux: `kill_orphaned_pgrp`.
pub fn kill_orphaned_pgrps() {
    while let Some(group) = next_orphaned_pgrp() {
        let has_stopped = do_each_task_pid(PidType::Pgid, group, |_, task| {
            match task.signal.stop.complete.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        if has_stopped.is_some() {
            kill_pgrp(group, SIGHUP);
            kill_pgrp(group, SIGCONT);
        }
    }
}

fn next_orphaned_pgrp() -> Option<i32> {
    loop {
        let mut list = TASKLIST.lock();
        let group = list.pids.next_queued_pgrp()?;
        if is_orphaned_pgrp(&mut list, group) {
            return Some(group);
        }
    }
}

/// Returns whether no member's parent is in another group of the same session: no process would
/// ever resume the group.
///
/// Linux: `will_become_orphaned_pgrp`.
fn is_orphaned_pgrp(list: &mut TaskList, group: i32) -> bool {
    let is_connection = |pids: &Pids<Entry>, tgid: i32, entry: &Entry| {
        let parent = pids.head_of(PidType::Child, tgid).unwrap_or(INIT_PID);
        entry.live_threads != 0
            && parent != INIT_PID
            && pids.get(parent).is_some_and(|parent| {
                pgrp(&parent.task) != group && session(&parent.task) == session(&entry.task)
            })
    };
    !list.pids.any_in_pgrp(group, is_connection)
}

fn pgrp(task: &TaskStruct) -> i32 {
    task.signal.pgrp.load(Ordering::Relaxed)
}

fn session(task: &TaskStruct) -> i32 {
    task.signal.session.load(Ordering::Relaxed)
}

/// Returns whether SIGKILL is pending for `task`.
pub fn is_killed(task: &TaskStruct) -> bool {
    let shared = task.signal.shared_pending.lock().set();
    let own = task.signals.lock().pending.set();
    own.union(shared).contains(SIGKILL)
}

//! Stopping a process, and letting it go on.
//!
//! A thread that takes a stop signal on its way to ring 3 gives the whole process a stop: each of
//! its threads then sleeps as TASK_STOPPED when it comes that way itself, and the last one tells
//! the parent. SIGCONT ends the stop as soon as it is sent, whatever becomes of the signal;
//! SIGKILL wakes who is stopped, and ends him.
//!
//! Sending calls [`prepare_signal`], delivery [`do_signal_stop`] and [`join_group_stop`], `exit`
//! [`group_stop_is_complete`] and [`kill_orphaned_pgrps`], `wait4` [`GroupStop::take_news`].
//!
//! Book: chapter 11, "Executing the Default Action for the Signal".
//! Linux: 2.6.38 `prepare_signal`, `do_signal_stop`, `do_notify_parent_cldstop`.

use core::ops::ControlFlow;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use super::kill::kill_pgrp;
use super::pid::{PidType, Pids};
use super::siginfo::SigInfo;
use super::signal::{SIG_IGN, is_being_ended, is_group_exiting, send_to_process, signal_wake_up};
use super::signal_group::threads;
use super::sigset::{
    DefaultAction, SIGCHLD, SIGCONT, SIGHUP, SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SigSet,
    default_action,
};
use super::tasklist::{Entry, INIT_PID, TASKLIST, TaskList, do_each_task_pid};
use super::usage::Usage;
use crate::arch::x86::current::Current;
use crate::sched::schedule::schedule;
use crate::sched::wake_up::try_to_wake_up;
use crate::task::state::TASK_STOPPED;
use crate::task::task_struct::TaskStruct;

/// `si_code` of SIGCHLD: a child has stopped.
pub const CLD_STOPPED: i32 = 5;
/// A child goes on.
const CLD_CONTINUED: i32 = 6;
/// `sa_flags` of SIGCHLD: not for children that stop or go on.
const SA_NOCLDSTOP: u32 = 1;
/// Wait status of a child that goes on.
const CONTINUED: i32 = 0xffff;

const STOP_SIGNALS: SigSet = SigSet::of(SIGSTOP)
    .union(SigSet::of(SIGTSTP))
    .union(SigSet::of(SIGTTIN))
    .union(SigSet::of(SIGTTOU));

/// How a process stands with stopping. Written under the task-list lock.
#[derive(Default)]
pub struct GroupStop {
    /// What stops it; 0: nothing.
    signal: AtomicU32,
    /// Whether all threads have stopped, which the parent was told.
    complete: AtomicBool,
    /// Whether a stop signal was sent since the last SIGCONT: one that was taken before the SIGCONT
    /// must not stop after it.
    wanted: AtomicBool,
    /// A thread that had not stopped at the last look, which is the first to be looked at; 0: none.
    laggard: AtomicI32,
    /// Wait status that the parent has not heard yet; 0: none.
    news: AtomicI32,
    /// CLD_* that the first thread to go on tells the parent; 0: nothing.
    to_tell: AtomicI32,
}

impl GroupStop {
    /// Whether each thread is to stop when it comes by.
    pub fn is_under_way(&self) -> bool {
        self.signal.load(Ordering::Acquire) != 0
    }

    /// Wait status that the parent has not heard yet, if it wants to: of stops, of going on.
    pub fn take_news(&self, stops: bool, continues: bool) -> Option<i32> {
        let status = self.news.load(Ordering::Relaxed);
        let is_wanted = match status {
            0 => false,
            CONTINUED => continues,
            _ => stops,
        };
        is_wanted.then(|| self.news.swap(0, Ordering::Relaxed))
    }
}

/// What a signal does as soon as it is sent to the process of `task`, even to who blocks or ignores
/// it. The caller keeps the list locked until the signal is pending: who is woken here looks for it
/// when he gets the lock.
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

/// The default action of a stop signal that the running thread has taken: from now on its process
/// stops. Init does not, nor, by a signal of the terminal, who has no shell that could let him go on.
pub fn do_signal_stop(me: Current, signal: u32) {
    let mut list = TASKLIST.lock();
    let stop = &me.signal.stop;
    let is_wanted = stop.wanted.load(Ordering::Relaxed) && !is_being_ended(me);
    if me.signal.is_unkillable()
        || !is_wanted
        || stop.is_under_way()
        || signal != SIGSTOP && is_orphaned_pgrp(&mut list, pgrp(&me))
    {
        return;
    }
    stop.signal.store(signal, Ordering::Release);
    for thread in threads(&list, me.tgid).filter(|thread| thread.pid() != me.pid()) {
        signal_wake_up(thread, false);
    }
}

/// Sleeps as long as the running thread's process is stopped. Says whether it was: then there may
/// be other signals now.
pub fn join_group_stop(me: Current) -> bool {
    let stop = &me.signal.stop;
    let mut was_stopped = false;
    loop {
        // Who sent SIGCONT has said what to tell.
        let why = stop.to_tell.swap(0, Ordering::Relaxed);
        if why != 0 {
            notify_parent_cldstop(&me, why, SIGCONT);
        }
        if !stop.is_under_way() {
            return was_stopped;
        }
        let completes = {
            let list = TASKLIST.lock();
            if !stop.is_under_way() {
                continue;
            }
            // First: who sends SIGKILL from now on finds us stopped, and wakes us.
            me.set_special_state(TASK_STOPPED);
            if is_killed(me) {
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

/// The stop signal, if now, and not before, all threads of the process of `task` have stopped that
/// still live: the parent is to be told.
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
        is_live(thread) && thread.state.get() != TASK_STOPPED
    }
    // Each thread that stops asks: mostly one look is enough, so that all together look at each other once.
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

/// Tells the parent of the process of `task` that it has stopped or goes on, by `signal`.
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

/// Whether process `tgid` and its parent are in different groups of one session: the parent's group can
/// let the process's go on.
fn connects(list: &TaskList, tgid: i32) -> bool {
    let pair = list.find_task_by_pid(tgid).zip(list.parent_of(tgid));
    pair.is_some_and(|(task, parent)| {
        pgrp(parent) != pgrp(task) && session(parent) == session(task)
    })
}

/// Process `tgid` is about to lose its parent, or to end: if it connected its group with another, the group
/// is to be looked at by [`kill_orphaned_pgrps`].
pub fn disconnects(list: &mut TaskList, tgid: i32) {
    if connects(list, tgid)
        && let Some(group) = list.pids.head_of(PidType::Pgid, tgid)
    {
        list.pids.queue_pgrp(group);
    }
}

/// Looks at the groups that have lost a connection: if nobody is left who could let the stopped members of
/// one go on, they are told, and go on. Process context, no lock held.
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

/// Whether no member's parent is in another group of the same session: nobody would ever let them
/// go on.
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

fn is_killed(me: Current) -> bool {
    let shared = me.signal.shared_pending.lock().set();
    let own = me.signals.lock().pending.set();
    own.union(shared).contains(SIGKILL)
}

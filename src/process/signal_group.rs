//! The choice of the thread that takes a signal sent to its process.
//!
//! A signal pending in the process is taken by the first thread that checks and does not block it,
//! so some thread must be told to check. It must not be a thread that has ended or is about to.
//! When the thread that was told can no longer take the signal, because it blocks it or ends, it
//! tells another.
//!
//! No signal is lost between the two sides. The sender makes the signal pending and then looks at
//! the threads' blocked sets; a thread changes its blocked set, or marks itself as ending, and then
//! looks at the pending signals.
//!
//! Linux: 2.6.38 `kernel/signal.c` (`wants_signal`, `retarget_shared_pending`, `exit_signals`,
//! `rm_from_queue_full`).

use core::sync::atomic::Ordering;

use super::pid::PidType;
use super::signal::{signal_wake_up, without_effect};
use super::sigset::{SIGKILL, SigSet};
use super::tasklist::{TASKLIST, TaskList};
use crate::arch::x86::current::Current;
use crate::task::state::PF_EXITING;
use crate::task::task_struct::{TaskRef, TaskStruct};

/// Returns the threads of process `tgid`.
pub fn threads(list: &TaskList, tgid: i32) -> impl Iterator<Item = &TaskRef> {
    list.each(PidType::Tgid, tgid)
}

/// Tells threads of process `tgid` to check, until each of `signals` has a thread that takes it.
fn complete_signals(
    list: &TaskList,
    tgid: i32,
    mut signals: SigSet,
    wanted: impl Fn(&TaskStruct) -> bool,
) {
    for thread in threads(list, tgid) {
        if signals.is_empty() {
            return;
        }
        if thread.has_flags(PF_EXITING) || !wanted(thread) {
            continue;
        }
        let left = SigSet(signals.0 & thread.signals.lock().blocked.0);
        if left != signals {
            signal_wake_up(thread, signals.contains(SIGKILL));
            signals = left;
        }
    }
}

/// Finds a thread for `signal`, which is pending in the process of `task`.
pub fn complete_signal(list: &TaskList, task: &TaskStruct, signal: u32) {
    complete_signals(list, task.tgid, SigSet::of(signal), |_| true);
}

/// Tells other threads to check for `signals`, which the running task no longer takes.
pub fn retarget_shared_pending(me: Current, signals: SigSet) {
    let waiting = SigSet(me.signal.shared_pending.lock().set().0 & signals.0);
    if !waiting.is_empty() {
        complete_signals(&TASKLIST.lock(), me.tgid, waiting, |task| {
            task.pid() != me.pid()
        });
    }
}

/// Marks the running task as ending: it takes no signals from now on.
pub fn exit_signals(me: Current) {
    me.flags.fetch_or(PF_EXITING, Ordering::SeqCst);
    retarget_shared_pending(me, SigSet(u64::MAX));
}

/// Discards a pending `signal`, blocked or not, if the process now ignores it.
pub fn flush_ignored(me: Current, signal: u32) {
    if !without_effect(signal, me.signal.action(signal).handler) {
        return;
    }
    let signal = SigSet::of(signal);
    let list = TASKLIST.lock();
    me.signal.shared_pending.lock().forget(signal);
    for thread in threads(&list, me.tgid) {
        thread.signals.lock().pending.forget(signal);
    }
}

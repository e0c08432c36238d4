//! Which thread takes a signal that was sent to its process.
//!
//! A signal that waits in the process is taken by the first thread that comes by and does not block
//! it; somebody has to be told to come by. That must not be a thread that has ended, or is about to:
//! and when the one that was told changes its mind, by blocking the signal or by ending, it tells
//! another.
//!
//! No signal is lost between the two sides. The sender puts the signal where it waits and then looks
//! at what the threads block; a thread changes what it blocks, or says that it ends, and then looks
//! at what waits.
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

/// The threads of process `tgid`.
pub fn threads(list: &TaskList, tgid: i32) -> impl Iterator<Item = &TaskRef> {
    list.each(PidType::Tgid, tgid)
}

/// Tells threads of process `tgid` to come by, until each of `signals` has one that takes it.
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

/// `signal` waits in the process of `task`.
pub fn complete_signal(list: &TaskList, task: &TaskStruct, signal: u32) {
    complete_signals(list, task.tgid, SigSet::of(signal), |_| true);
}

/// The running task does not take `signals` any more.
pub fn retarget_shared_pending(me: Current, signals: SigSet) {
    let waiting = SigSet(me.signal.shared_pending.lock().set().0 & signals.0);
    if !waiting.is_empty() {
        complete_signals(&TASKLIST.lock(), me.tgid, waiting, |task| {
            task.pid() != me.pid()
        });
    }
}

/// The running task ends: it takes no signals from now on.
pub fn exit_signals(me: Current) {
    me.flags.fetch_or(PF_EXITING, Ordering::SeqCst);
    retarget_shared_pending(me, SigSet(u64::MAX));
}

/// What waits of `signal` is forgotten if the process has come to ignore it, blocked or not.
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

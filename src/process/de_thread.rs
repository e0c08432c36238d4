//! `de_thread`: makes the thread that executes a program the only one of its process, and its
//! leader.
//!
//! The others are killed. If the leader is among them, it stays behind as a zombie that no parent
//! can wait for yet. The thread takes over the leader's number, its place among its parent's
//! children, its age and its timer; then the old leader goes. The thread's former number becomes
//! free.
//!
//! Linux: 2.6.38 `fs/exec.c` (`de_thread`).

use core::sync::atomic::Ordering;

use super::itimer::move_itimer;
use super::signal::{is_group_exiting, zap_other_threads};
use super::signal_group::threads;
use super::stop::is_killed;
use super::tasklist::{TASKLIST, TaskList};
use super::usage::Usage;
use crate::arch::x86::current::Current;
use crate::base::errno::Errno;
use crate::sched::timer::schedule_timeout;
use crate::task::state::{EXIT_DEAD, EXIT_ZOMBIE, TASK_UNINTERRUPTIBLE};
use crate::task::task_struct::{TaskRef, TaskStruct};

/// Ends all other threads of the process, waits until they are gone, and makes the running one its
/// leader.
///
/// # Errors
/// EAGAIN when another thread is already doing this, or when the whole process is being ended. No
/// program sees this error: the caller ends before it returns to its program.
pub fn de_thread(me: Current) -> Result<(), Errno> {
    let is_leader = me.pid() == me.tgid;
    if is_leader && is_last(&TASKLIST.lock(), &me) {
        return Ok(());
    }
    let exec_pid = &me.signal.exec_pid;
    exec_pid
        .compare_exchange(0, me.pid(), Ordering::AcqRel, Ordering::Relaxed)
        .map_err(|_| Errno::EAGAIN)?;
    zap_other_threads(me);
    while !is_last(&TASKLIST.lock(), &me) {
        if is_killed(&me) {
            // The others may wait for a tracer that does not care.
            exec_pid.store(0, Ordering::Release);
            return Err(Errno::EAGAIN);
        }
        me.state.set_current_state(TASK_UNINTERRUPTIBLE);
        schedule_timeout(1);
    }
    // One of them may have been ending the whole group.
    let outcome = match is_group_exiting(&me) {
        true => Err(Errno::EAGAIN),
        false => Ok(()),
    };
    if outcome.is_ok() && !is_leader {
        become_leader(me);
    }
    exec_pid.store(0, Ordering::Release);
    outcome
}

/// Returns whether all other threads have gone, except for a leader that has nothing left to do.
fn is_last(list: &TaskList, me: &TaskStruct) -> bool {
    let is_over = |leader: &TaskStruct| {
        leader.exit_state.load(Ordering::Relaxed) == EXIT_ZOMBIE
            // It must not run under a number that belongs to another task.
            && leader.on_cpu.load(Ordering::Acquire) == 0
    };
    threads(list, me.tgid)
        .filter(|thread| thread.pid() != me.pid())
        .all(|thread| thread.pid() == me.tgid && is_over(thread))
}

/// Takes the old leader's place: its number, its age, its accounted times and its timer.
fn become_leader(me: Current) {
    let old: Option<TaskRef> = {
        let mut list = TASKLIST.lock();
        let old = list.replace_leader(&me);
        if let Some(old) = &old {
            old.exit_state.store(EXIT_DEAD, Ordering::Relaxed);
            let born = old.start_time.load(Ordering::Relaxed);
            me.start_time.store(born, Ordering::Relaxed);
            let mut others = me.signal.usage.lock();
            others.threads = others.threads.plus(Usage::of(old));
        }
        old
    };
    move_itimer(me);
    drop(old);
}

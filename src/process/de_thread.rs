//! `de_thread`: the thread that executes a program becomes the only one of its process, and its leader.
//!
//! The others are killed. If the leader is among them, it stays behind as a zombie that nobody can
//! wait for yet; the thread takes its number, its place among the children of its parent, its age
//! and its timer, and the old leader goes. The thread's own number is free from then on.
//!
//! Linux: 2.6.38 `fs/exec.c` (`de_thread`).

use core::sync::atomic::Ordering;

use super::itimer::move_itimer;
use super::signal::{is_group_exiting, zap_other_threads};
use super::signal_group::threads;
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
/// EAGAIN when another thread does so, or the whole process is being ended: nobody sees it, since the
/// caller ends before it is back in its program.
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
        me.state.set_current_state(TASK_UNINTERRUPTIBLE);
        schedule_timeout(1);
    }
    // One of them may have been on its way to end us all.
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

/// Whether all other threads have gone, but for a leader who has nothing more to do.
fn is_last(list: &TaskList, me: &TaskStruct) -> bool {
    let is_over = |leader: &TaskStruct| {
        leader.exit_state.load(Ordering::Relaxed) == EXIT_ZOMBIE
            // Nobody runs under a number that is another's.
            && leader.on_cpu.load(Ordering::Acquire) == 0
    };
    threads(list, me.tgid)
        .filter(|thread| thread.pid() != me.pid())
        .all(|thread| thread.pid() == me.tgid && is_over(thread))
}

/// Takes over what the old leader was.
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

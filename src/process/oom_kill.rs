//! `out_of_memory`: when a page fault finds no memory, one process ends so that the others go on.
//!
//! The process with the most memory is chosen, but never init, and it ends as if by SIGKILL. Until
//! it has given its memory back, whoever needs memory sleeps and tries again. A chosen process must
//! therefore end without new memory: its own faults fail once it has the signal. When no process is
//! left to choose, the machine stops with a message, because init would fault for ever.
//!
//! Called by page faults, in process context, with no lock held.
//!
//! Book: ch. 17, "The Out of Memory Killer". Linux: 2.6.38 `mm/oom_kill.c` (`out_of_memory`,
//! `select_bad_process`, `oom_badness`, `oom_kill_process`).

use core::sync::atomic::{AtomicU64, Ordering};

use super::signal::{fatal_signal_pending, kill_thread};
use super::signal_group::threads;
use super::tasklist::{INIT_PID, TASKLIST};
use crate::arch::x86::current::current;
use crate::base::exit_value::ExitValue;
use crate::drivers;
use crate::mm::frame::may_alloc;
use crate::mm::pgtable::nr_pgtables;
use crate::mm::quicklist;
use crate::provides_upward;
use crate::sched::timer::{HZ, jiffies, schedule_timeout};
use crate::sync::{LockClass, SpinLock};
use crate::task::state::{PF_EXITING, TASK_UNINTERRUPTIBLE};
use crate::task::task_struct::{TaskRef, TaskStruct};

/// Ticks that a chosen process may take to end. After that it may be waiting for another process,
/// and the next one is chosen.
const PATIENCE: u64 = 3 * HZ as u64;

/// Held while a process is chosen: two tasks that fault at once must not choose two.
static CHOOSING: SpinLock<()> = SpinLock::new(LockClass::OutOfMemory, ());
/// Time of the last choice, in ticks.
static CHOSEN_AT: AtomicU64 = AtomicU64::new(0);

/// Finds memory for a page fault of the running task. Returns true when the access should be tried
/// again, false when the running task itself must end.
#[unsafe(no_mangle)]
fn pagefault_out_of_memory() -> bool {
    if is_dying(&current()) {
        return false;
    }
    // Cached clean page tables are memory too, and another task may have freed some since.
    if quicklist::drain() || may_alloc(1) {
        return true;
    }
    out_of_memory();
    if is_dying(&current()) {
        return false;
    }
    current().state.set_current_state(TASK_UNINTERRUPTIBLE);
    schedule_timeout(1);
    true
}

provides_upward!(pagefault_out_of_memory);

/// Returns whether `task` is ending or has been told to end.
fn is_dying(task: &TaskStruct) -> bool {
    task.has_flags(PF_EXITING) || fatal_signal_pending(task)
}

/// Chooses a process and ends it, unless one is already ending.
fn out_of_memory() {
    let _one = CHOOSING.lock();
    let waited = jiffies().saturating_sub(CHOSEN_AT.load(Ordering::Relaxed));
    match select_bad_process(waited > PATIENCE) {
        Choice::Wait => {}
        Choice::Kill(victim, points) => {
            CHOSEN_AT.store(jiffies(), Ordering::Relaxed);
            oom_kill_process(&victim, points);
        }
        Choice::Nobody => {
            log::error!("Out of memory: Attempted to kill init!");
            drivers::exit(ExitValue::Failure);
        }
    }
}

enum Choice {
    /// A process is already ending.
    Wait,
    /// The process of this thread, and the number of pages in its address space.
    Kill(TaskRef, u32),
    /// Only init is left, or processes that have long been ending.
    Nobody,
}

/// Returns the process with the most memory. Waits for one that is ending, unless `impatient`.
fn select_bad_process(impatient: bool) -> Choice {
    let mut worst = None;
    let mut pid = 0;
    while let Some(process) = next_process(pid) {
        pid = process;
        // It may have given up its address space, but not yet the memory.
        if !impatient && is_exiting(pid) {
            return Choice::Wait;
        }
        let Some(thread) = find_task_mm(pid) else {
            continue;
        };
        if is_dying(&thread) {
            match impatient {
                true => continue,
                false => return Choice::Wait,
            }
        }
        let Some(points) = oom_badness(&thread) else {
            continue;
        };
        if pid != INIT_PID && worst.as_ref().is_none_or(|(_, most)| points > *most) {
            worst = Some((thread, points));
        }
    }
    worst.map_or(Choice::Nobody, |(thread, points)| {
        Choice::Kill(thread, points)
    })
}

/// Returns whether a thread of process `pid` has begun its end and not yet come to it.
fn is_exiting(pid: i32) -> bool {
    let list = TASKLIST.lock();
    threads(&list, pid)
        .any(|task| task.has_flags(PF_EXITING) && task.exit_state.load(Ordering::Relaxed) == 0)
}

/// Returns the first process whose number is above `after`.
fn next_process(after: i32) -> Option<i32> {
    super::proc::ops::next_process(after)
}

/// Returns a thread of process `pid` that has an address space: the leader may have ended before
/// the others.
fn find_task_mm(pid: i32) -> Option<TaskRef> {
    let list = TASKLIST.lock();
    let thread = threads(&list, pid).find(|task| !task.mm.load(Ordering::Relaxed).is_null());
    thread.cloned()
}

/// Returns the number of pages and page tables in the task's address space; `None` if the task has
/// given it up.
fn oom_badness(task: &TaskStruct) -> Option<u32> {
    let _locked = task.alloc_lock.lock();
    // SAFETY: the task gives its address space up only under the lock.
    let mm = unsafe { task.mm.load(Ordering::Relaxed).as_ref() }?;
    let tables = nr_pgtables(mm.pgd.load(Ordering::Relaxed));
    Some(mm.rss().saturating_add(tables))
}

/// Ends the process of `victim`, and every other process that shares its memory.
fn oom_kill_process(victim: &TaskRef, points: u32) {
    let (pid, mm) = (victim.tgid, victim.mm.load(Ordering::Relaxed));
    log::error!(
        "Out of memory: Kill process {pid} ({}) score {points}",
        victim.comm.get()
    );
    let mut process = 0;
    while let Some(next) = next_process(process) {
        process = next;
        let list = TASKLIST.lock();
        let is_in = |task: &TaskStruct| task.mm.load(Ordering::Relaxed) == mm && !mm.is_null();
        let shares = next == pid || next != INIT_PID && threads(&list, next).any(|it| is_in(it));
        if shares {
            threads(&list, next).for_each(|thread| kill_thread(thread));
        }
    }
}

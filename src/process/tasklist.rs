//! The task list: every task by its number, with its threads, groups and children.
//!
//! One lock guards the whole list: births, deaths and waits are rare compared with switches.
//! Interrupts are off while it is held, since timers send signals; so it is only held for a few
//! tasks at a time. Work on all tasks of a list goes through [`do_each_task_pid`], which releases
//! the lock in between. The parent's number is also in the child, as an atomic, for `getppid`.
//!
//! Book: ch. 3, "Relationships Among Processes". Linux: 2.6.38 `tasklist_lock`.

use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU32, Ordering};

use super::kill::send_pdeath_signal;
use super::pid::{PidType, Pids, Walk};
use super::sigset::SIGCHLD;
use crate::arch::x86::current::current;
use crate::sched::timer::schedule_timeout;
use crate::sync::{IrqSpinLock, LockClass};
use crate::task::state::TASK_UNINTERRUPTIBLE;
use crate::task::task_struct::{TaskRef, TaskStruct};

/// Number of init, which adopts orphans.
pub const INIT_PID: i32 = 1;
/// How far up a dying process looks for a reaper.
const GENERATIONS: usize = 256;
/// Most tasks that are handled under one hold of the lock.
pub const BATCH: usize = 32;

/// The list's entry for one task.
pub struct Entry {
    /// The reaper's reference.
    pub task: TaskRef,
    /// Threads of the group that have not exited; kept in the leader's entry.
    pub live_threads: u32,
}

/// All tasks except the idle tasks.
pub struct TaskList {
    /// The tasks by number, and the lists that connect them.
    pub pids: Pids<Entry>,
    /// Number of tasks ever made; wraps to 0 after 2³², as in Linux on i386.
    pub total_forks: u32,
}

/// Children that have ended, whose reaper is to learn of it.
pub type Zombies = arrayvec::ArrayVec<TaskRef, BATCH>;

/// The task list. Timers read it too, so its lock turns interrupts off.
pub static TASKLIST: IrqSpinLock<TaskList> = IrqSpinLock::new(
    LockClass::Tasklist,
    TaskList {
        pids: Pids::new(),
        total_forks: 0,
    },
);

impl TaskList {
    /// Returns the task with number `pid`.
    #[inline(always)]
    pub fn find_task_by_pid(&self, pid: i32) -> Option<&TaskRef> {
        self.pids.get(pid).map(|entry| &entry.task)
    }

    /// Returns the leader of the parent of process `tgid`; `None` for children of the kernel.
    pub fn parent_of(&self, tgid: i32) -> Option<&TaskRef> {
        self.find_task_by_pid(self.pids.head_of(PidType::Child, tgid)?)
    }

    /// Returns the tasks on a list of `head`. For short lists and short searches; others use
    /// [`do_each_task_pid`].
    pub fn each(&self, kind: PidType, head: i32) -> impl Iterator<Item = &TaskRef> {
        self.pids.each(kind, head).map(|(_, entry)| &entry.task)
    }

    /// Adds a task whose number comes from [`alloc_pid`](Pids::alloc_pid): a child process of group
    /// `parent`, or a thread of its own group.
    pub fn link(&mut self, task: TaskRef, parent: i32) {
        let (pid, tgid) = (task.pid(), task.tgid);
        let pgrp = task.signal.pgrp.load(Ordering::Relaxed);
        let session = task.signal.session.load(Ordering::Relaxed);
        self.total_forks = self.total_forks.wrapping_add(1);
        if pid != tgid
            && let Some(leader) = self.pids.get_mut(tgid)
        {
            leader.live_threads = leader.live_threads.wrapping_add(1);
            // The process's parent may have changed since the thread was made.
            let parent = leader.task.ppid.load(Ordering::Relaxed);
            task.ppid.store(parent, Ordering::Relaxed);
        }
        self.pids.insert(
            pid,
            Entry {
                task,
                live_threads: 1,
            },
        );
        self.pids.attach_pid(PidType::Tgid, pid, tgid);
        if pid == tgid {
            self.pids.attach_pid(PidType::Child, pid, parent);
            self.pids.attach_pid(PidType::Pgid, pid, pgrp);
            self.pids.attach_pid(PidType::Sid, pid, session);
            self.pids.attach_pid(PidType::Process, pid, 0);
        }
    }

    /// Removes a task that nobody will wait for any more (`release_task`); the caller drops the
    /// reference after it has released the lock.
    pub fn release(&mut self, pid: i32) -> Option<TaskRef> {
        self.pids.remove(pid).map(|entry| entry.task)
    }

    /// Gives the last thread of a process the number and the place of its leader, which has ended;
    /// returns the old leader. The caller drops the reference after it has released the lock.
    pub fn replace_leader(&mut self, thread: &TaskStruct) -> Option<TaskRef> {
        let tracer = self.pids.head_of(PidType::Tracee, thread.pid());
        let own = self.pids.remove(thread.pid())?;
        // Whoever traces the thread traces it under its new number.
        self.pids.detach_pid(PidType::Tracee, thread.tgid);
        if let Some(tracer) = tracer {
            self.pids.attach_pid(PidType::Tracee, thread.tgid, tracer);
        }
        let place = self.pids.get_mut(thread.tgid)?;
        thread.set_pid(thread.tgid);
        Some(core::mem::replace(&mut place.task, own.task))
    }

    /// Moves the process of `leader` to process group `pgrp` of `session`. The group must exist,
    /// unless its number is the leader's own.
    pub fn change_pgrp(&mut self, leader: &TaskStruct, pgrp: i32, session: i32) {
        let pid = leader.pid();
        let signal = &leader.signal;
        if signal.pgrp.swap(pgrp, Ordering::Relaxed) != pgrp {
            self.pids.detach_pid(PidType::Pgid, pid);
            self.pids.attach_pid(PidType::Pgid, pid, pgrp);
        }
        if signal.session.swap(session, Ordering::Relaxed) != session {
            self.pids.detach_pid(PidType::Sid, pid);
            self.pids.attach_pid(PidType::Sid, pid, session);
        }
    }

    /// Records that process `tgid` has ended and its parent can wait for it.
    pub fn becomes_zombie(&mut self, tgid: i32) {
        if let Some(parent) = self.pids.head_of(PidType::Child, tgid) {
            self.pids.attach_pid(PidType::Zombie, tgid, parent);
        }
    }

    /// Returns the process that adopts the children of process `pid`: the nearest of its ancestors that
    /// has asked for them (`PR_SET_CHILD_SUBREAPER`), up to [`GENERATIONS`] above it, else init.
    fn find_new_reaper(&self, pid: i32) -> i32 {
        let mut ancestor = pid;
        for _ in 0..GENERATIONS {
            match self.pids.head_of(PidType::Child, ancestor) {
                Some(parent) if parent != 0 => ancestor = parent,
                _ => break,
            }
            let reaps = |it: &Entry| {
                let signal = &it.task.signal;
                it.live_threads > 0 && signal.is_child_subreaper.load(Ordering::Relaxed)
            };
            if self.pids.get(ancestor).is_some_and(reaps) {
                return ancestor;
            }
        }
        match self.pids.get(INIT_PID) {
            Some(_) => INIT_PID,
            None => 0,
        }
    }

    /// Gives a child of a dying process to `reaper`; returns the child if it is a zombie.
    fn reparent(&mut self, child: i32, reaper: i32) -> Option<TaskRef> {
        let is_zombie = self.pids.head_of(PidType::Zombie, child).is_some();
        for kind in [PidType::Child, PidType::Zombie] {
            if kind == PidType::Child || is_zombie {
                self.pids.detach_pid(kind, child);
                self.pids.attach_pid(kind, child, reaper);
            }
        }
        // All threads of the child get the new parent.
        for thread in self.each(PidType::Tgid, child) {
            thread.ppid.store(reaper, Ordering::Relaxed);
            send_pdeath_signal(self, thread);
        }
        let leader = self.find_task_by_pid(child)?;
        // A reaper waits for all its children in the same way.
        leader.exit_signal.store(SIGCHLD, Ordering::Relaxed);
        is_zombie.then(|| leader.clone())
    }

    /// Gives some of the children of a dying process to their reaper, and calls `before` with each
    /// first. Returns the reaper, and those that are zombies; `None` when the process has no children.
    pub fn reparent_children(
        &mut self,
        pid: i32,
        mut before: impl FnMut(&mut Self, i32),
    ) -> Option<(i32, Zombies)> {
        self.pids.first(PidType::Child, pid)?;
        let reaper = self.find_new_reaper(pid);
        let mut zombies = Zombies::new();
        for _ in 0..BATCH {
            let Some(child) = self.pids.first(PidType::Child, pid) else {
                break;
            };
            before(self, child);
            zombies.extend(self.reparent(child, reaper));
        }
        Some((reaper, zombies))
    }
}

/// Returns the task with number `pid`.
pub fn find_task_by_pid(pid: i32) -> Option<TaskRef> {
    TASKLIST.lock().find_task_by_pid(pid).cloned()
}

/// Number of times that the lock was retaken in the middle of a list, for tests.
pub static BREAKS: AtomicU32 = AtomicU32::new(0);

/// Calls `visit` with each task of a list, first to last, until it breaks off; it may release the
/// task. The list is locked during each call, and unlocked, with interrupts on, between one batch
/// of tasks and the next. A task added meanwhile is visited last; a task removed meanwhile is not
/// visited.
///
/// For process context, with no lock held.
pub fn do_each_task_pid<R>(
    kind: PidType,
    head: i32,
    mut visit: impl FnMut(&mut TaskList, &TaskRef) -> ControlFlow<R>,
) -> Option<R> {
    let mut passed = Passed::new();
    let (mut list, walk) = begin_walk(kind, head);
    let result = loop {
        match walk_batch(&mut list, &walk, &mut passed, &mut visit) {
            ControlFlow::Break(result) => break result,
            ControlFlow::Continue(()) => {
                drop(list);
                passed.clear();
                BREAKS.fetch_add(1, Ordering::Relaxed);
                list = TASKLIST.lock();
            }
        }
    };
    list.pids.end_walk(walk);
    result
}

type ListGuard = crate::sync::spinlock::IrqSpinLockGuard<'static, TaskList>;

fn begin_walk(kind: PidType, head: i32) -> (ListGuard, Walk) {
    loop {
        let mut list = TASKLIST.lock();
        match list.pids.walk(kind, head) {
            Some(walk) => return (list, walk),
            // All cursors are in use: one will be free soon.
            None => drop(list),
        }
        current().state.set_current_state(TASK_UNINTERRUPTIBLE);
        schedule_timeout(1);
    }
}

/// References that must be dropped with the list unlocked.
type Passed = arrayvec::ArrayVec<TaskRef, BATCH>;

/// Visits one batch of tasks. Returns `Break` with the result, or with `None` at the end of the
/// list.
fn walk_batch<R>(
    list: &mut TaskList,
    walk: &Walk,
    passed: &mut Passed,
    visit: &mut impl FnMut(&mut TaskList, &TaskRef) -> ControlFlow<R>,
) -> ControlFlow<Option<R>> {
    while !passed.is_full() {
        let Some(pid) = list.pids.walk_next(walk) else {
            return ControlFlow::Break(None);
        };
        let Some(task) = list.find_task_by_pid(pid).cloned() else {
            continue;
        };
        let seen = visit(list, &task);
        passed.push(task);
        if let ControlFlow::Break(result) = seen {
            return ControlFlow::Break(Some(result));
        }
    }
    ControlFlow::Continue(())
}

/// Returns the task with the lowest number from `pid` on.
pub fn find_ge_pid(pid: i32) -> Option<TaskRef> {
    let mut at = pid;
    while at < super::pid::PID_MAX {
        let list = TASKLIST.lock();
        match list.pids.find_ge_pid(at, BATCH) {
            Ok((_, entry)) => return Some(entry.task.clone()),
            Err(next) => at = next,
        }
    }
    None
}

/// Calls `visit` with each task in the order of numbers, with the list locked but released now and
/// then. A task added meanwhile may be missed.
pub fn for_each_task(mut visit: impl FnMut(&TaskRef)) {
    let mut at = 0;
    while at < super::pid::PID_MAX {
        let list = TASKLIST.lock();
        for _ in 0..BATCH {
            match list.pids.find_ge_pid(at, BATCH) {
                Ok((pid, entry)) => {
                    visit(&entry.task);
                    at = pid.wrapping_add(1);
                }
                Err(next) => at = next,
            }
        }
    }
}

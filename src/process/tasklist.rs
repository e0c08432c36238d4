//! The task list: every task by its number, and who is whose child.
//!
//! One lock guards it all: births, deaths and waits are rare beside switches. The number of the
//! parent is also in the child, as an atomic, for `getppid`.
//!
//! Book: ch. 3, "Relationships Among Processes". Linux: 2.6.38 `tasklist_lock`.

extern crate alloc;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::sigset::SIGCHLD;
use crate::sync::IrqSpinLock;
use crate::syscall::errno::Errno;
use crate::task::task_struct::{TaskRef, TaskStruct};

/// Highest task number plus one (Linux: PID_MAX_DEFAULT).
pub const PID_MAX: i32 = 0x8000;
/// Number of init, which adopts orphans.
pub const INIT_PID: i32 = 1;

/// What the list knows of one task.
pub struct Entry {
    /// The reaper's reference.
    pub task: TaskRef,
    /// Thread group of the parent; 0 for kernel threads and for init.
    pub parent: i32,
    /// Leaders of the child processes; kept by thread-group leaders.
    pub children: Vec<i32>,
    /// Threads of the group that have not exited; kept by leaders.
    pub live_threads: u32,
}

/// All tasks but the idle ones.
pub struct TaskList {
    /// By number.
    pub tasks: BTreeMap<i32, Entry>,
    last_pid: i32,
    /// Tasks that were ever made; goes on at 0 after 2³², as Linux's on i386.
    pub total_forks: u32,
}

/// The list. Read by timers too, hence the interrupts.
pub static TASKLIST: IrqSpinLock<TaskList> = IrqSpinLock::new(TaskList {
    tasks: BTreeMap::new(),
    last_pid: 0,
    total_forks: 0,
});

impl TaskList {
    /// A number that no task has, upwards from the last one given out.
    ///
    /// # Errors
    /// EAGAIN when all are taken.
    pub fn alloc_pid(&mut self) -> Result<i32, Errno> {
        for _ in 1..PID_MAX {
            self.last_pid = match self.last_pid.wrapping_add(1) {
                next @ 1..PID_MAX => next,
                _ => 300,
            };
            if !self.tasks.contains_key(&self.last_pid) {
                return Ok(self.last_pid);
            }
        }
        Err(Errno::EAGAIN)
    }

    /// The number given out last.
    pub fn last_pid(&self) -> i32 {
        self.last_pid
    }

    /// Adds a task: a child process of group `parent`, or a thread of its own group.
    pub fn link(&mut self, task: TaskRef, parent: i32) {
        let (pid, tgid) = (task.pid(), task.tgid);
        self.total_forks = self.total_forks.wrapping_add(1);
        if pid == tgid {
            if let Some(p) = self.tasks.get_mut(&parent) {
                p.children.push(pid);
            }
        } else if let Some(leader) = self.tasks.get_mut(&tgid) {
            leader.live_threads = leader.live_threads.wrapping_add(1);
            // Whose child the process is may have changed since the thread was made.
            let parent = leader.task.ppid.load(Ordering::Relaxed);
            task.ppid.store(parent, Ordering::Relaxed);
        }
        self.tasks.insert(
            pid,
            Entry {
                task,
                parent,
                children: Vec::new(),
                live_threads: 1,
            },
        );
    }

    /// Removes a task that nobody will wait for any more (`release_task`); the caller drops the
    /// reference after it has released the lock.
    pub fn release(&mut self, pid: i32) -> Option<TaskRef> {
        let entry = self.tasks.remove(&pid)?;
        if let Some(p) = self.tasks.get_mut(&entry.parent) {
            p.children.retain(|&c| c != pid);
        }
        Some(entry.task)
    }

    /// The last thread of a process takes the number and the place of its leader, who has ended; returns
    /// the old leader. The caller drops the reference after it has released the lock.
    pub fn replace_leader(&mut self, thread: &TaskStruct) -> Option<TaskRef> {
        let own = self.tasks.remove(&thread.pid())?;
        let place = self.tasks.get_mut(&thread.tgid)?;
        thread.set_pid(thread.tgid);
        Some(core::mem::replace(&mut place.task, own.task))
    }

    /// Gives the children of a dying process to init; returns whether one of them is a zombie.
    pub fn reparent_children(&mut self, pid: i32) -> bool {
        let Some(entry) = self.tasks.get_mut(&pid) else {
            return false;
        };
        let orphans = core::mem::take(&mut entry.children);
        if orphans.is_empty() {
            return false;
        }
        let mut zombie = false;
        // All threads of each.
        for c in self.tasks.values_mut() {
            if !orphans.contains(&c.task.tgid) {
                continue;
            }
            c.parent = INIT_PID;
            c.task.ppid.store(INIT_PID, Ordering::Relaxed);
            if c.task.pid() == c.task.tgid {
                // Init waits for all that it has in one way.
                c.task.exit_signal.store(SIGCHLD, Ordering::Relaxed);
                zombie |= c.task.exit_state.load(Ordering::Relaxed) != 0;
            }
        }
        if let Some(init) = self.tasks.get_mut(&INIT_PID) {
            init.children.extend(orphans);
        }
        zombie
    }
}

/// The task with number `pid`.
pub fn find_task_by_pid(pid: i32) -> Option<TaskRef> {
    TASKLIST.lock().tasks.get(&pid).map(|e| e.task.clone())
}

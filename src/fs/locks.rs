//! Locks on files, which programs heed or not: of fcntl on ranges, of flock on the whole.
//!
//! A lock on a range belongs to a table of open files, or (F_OFD_*) to one open file; flock's
//! belongs to an open file. Both kinds know nothing of each other. A task that meets a conflict
//! sleeps on the file's queue, and tries again whenever a lock there has gone or become weaker.
//!
//! The sleeping owners are in one table, in which a circle of them is found: the last of them
//! gets EDEADLK, if its locks are those of a table of open files.
//!
//! Called by `syscall::locks`, and by closing files, in process context with no lock held.
//!
//! Book: ch. 12, "File Locking". Linux: 2.6.38 `fs/locks.c`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::file::{File, Object};
use super::range_lock::{FileLock, LockList};
use super::rootfs::Inode;
use super::tmpfs::node::Node;
use crate::arch::x86::current::current;
use crate::base::errno::Errno;
use crate::mm::fallible::TryVec;
use crate::sched::wait_queue::WaitQueue;
use crate::sync::{LockClass, SpinLock};

/// Longest chain of owners that is searched for a circle (`MAX_DEADLK_ITERATIONS`).
const MAX_CHAIN: u32 = 10;

/// The owner of a lock, by its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// A table of open files: the locks of a process.
    Files(usize),
    /// An open file.
    File(usize),
}

/// The two kinds of lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// fcntl's.
    Range,
    /// flock's, which covers all bytes.
    Whole,
}

struct Lists {
    ranges: LockList<Owner>,
    wholes: LockList<Owner>,
}

impl Lists {
    fn of(&mut self, kind: Kind) -> &mut LockList<Owner> {
        match kind {
            Kind::Range => &mut self.ranges,
            Kind::Whole => &mut self.wholes,
        }
    }
}

/// The locks of one file, and the tasks that wait for them.
pub struct FileLocks {
    lists: SpinLock<Lists>,
    waiters: WaitQueue,
}

/// A task that waits for a lock.
struct Wait {
    pid: i32,
    waiter: Owner,
    blocker: Owner,
    /// Address of the file's locks.
    file: usize,
}

static WAITS: SpinLock<Vec<Wait>> = SpinLock::new(LockClass::FileLockWaits, Vec::new());

impl FileLocks {
    /// Returns those of a file without locks.
    pub const fn new() -> Self {
        let lists = Lists {
            ranges: LockList::new(),
            wholes: LockList::new(),
        };
        Self {
            lists: SpinLock::new(LockClass::FileLocks, lists),
            waiters: WaitQueue::new(),
        }
    }

    fn address(&self) -> usize {
        core::ptr::from_ref(self) as usize
    }

    /// Returns a lock on a range that conflicts with `lock` (F_GETLK).
    pub fn test(&self, lock: &FileLock<Owner>) -> Option<FileLock<Owner>> {
        self.lists.lock().ranges.conflict(lock)
    }

    /// Sets a lock; while others conflict with it, waits if `waits`.
    ///
    /// # Errors
    /// EAGAIN for a conflict, EDEADLK, ERESTARTSYS, ENOLCK.
    pub fn set(&self, kind: Kind, lock: FileLock<Owner>, waits: bool) -> Result<(), Errno> {
        if kind == Kind::Whole {
            self.give_up_other(lock)?;
        }
        let mut outcome = None;
        let slept = self.waiters.wait_until(|| {
            outcome = self.attempt(kind, lock, waits);
            outcome.is_some()
        });
        if waits {
            let pid = current().pid();
            WAITS.lock().retain(|wait| wait.pid != pid);
        }
        match (outcome, slept) {
            (Some(outcome), _) => outcome?,
            (None, _) => return Err(Errno::ERESTARTSYS),
        }
        // A weaker lock of the same owner may be all that others waited for.
        self.wake_up();
        Ok(())
    }

    /// Gives up flock's lock of the other kind before the new one is tried, as Linux does: a
    /// change of kind can lose the lock.
    fn give_up_other(&self, lock: FileLock<Owner>) -> Result<(), Errno> {
        let held = self.lists.lock().wholes.first_of(lock.owner);
        match held.is_some_and(|held| held.is_exclusive != lock.is_exclusive) {
            true => self.unset(Kind::Whole, lock.owner, 0, u64::MAX),
            false => Ok(()),
        }
    }

    /// Sets the lock, or fails; `None` if the task has to wait.
    fn attempt(&self, kind: Kind, lock: FileLock<Owner>, waits: bool) -> Option<Result<(), Errno>> {
        let mut lists = self.lists.lock();
        let list = lists.of(kind);
        let Some(other) = list.conflict(&lock) else {
            return Some(list.set(lock));
        };
        if !waits {
            return Some(Err(Errno::EAGAIN));
        }
        let wait = Wait {
            pid: current().pid(),
            waiter: lock.owner,
            blocker: other.owner,
            file: self.address(),
        };
        begin_wait(wait).err().map(Err)
    }

    /// Takes the bytes `start..=end` out of the locks of `owner`.
    ///
    /// # Errors
    /// ENOLCK.
    pub fn unset(&self, kind: Kind, owner: Owner, start: u64, end: u64) -> Result<(), Errno> {
        self.lists.lock().of(kind).unset(owner, start, end)?;
        self.wake_up();
        Ok(())
    }

    /// Takes away all locks of `owner`.
    pub fn release(&self, owner: Owner) {
        let (ranges, wholes) = {
            let mut lists = self.lists.lock();
            (lists.ranges.release(owner), lists.wholes.release(owner))
        };
        if ranges || wholes {
            self.wake_up();
        }
    }

    /// Makes all that wait for this file try again. Until they have, they wait for nobody.
    fn wake_up(&self) {
        let file = self.address();
        WAITS.lock().retain(|wait| wait.file != file);
        self.waiters.wake_up();
    }
}

impl Default for FileLocks {
    fn default() -> Self {
        Self::new()
    }
}

/// Notes that a task waits. EDEADLK if its owner would wait for itself, ENOLCK.
fn begin_wait(wait: Wait) -> Result<(), Errno> {
    let mut waits = WAITS.lock();
    waits.retain(|other| other.pid != wait.pid);
    if let Owner::Files(_) = wait.waiter {
        let mut at = wait.blocker;
        for _ in 0..MAX_CHAIN {
            let Some(next) = waits.iter().find(|other| other.waiter == at) else {
                break;
            };
            at = next.blocker;
            if at == wait.waiter {
                return Err(Errno::EDEADLK);
            }
        }
    }
    waits.try_push(wait).map_err(|_| Errno::ENOLCK)
}

/// Returns the locks of the file that is open.
///
/// # Errors
/// ENOLCK for a file without a node: of `/proc`, a pipe, an epoll list and the like.
pub fn locks_of(file: &File) -> Result<&FileLocks, Errno> {
    node_of(file).map(|node| &node.locks).ok_or(Errno::ENOLCK)
}

fn node_of(file: &File) -> Option<&Arc<Node>> {
    let inode = match &file.object {
        Object::Inode(inode) | Object::Null(inode) | Object::Zero(inode) => inode,
        Object::Full(inode) | Object::Random(inode) | Object::Tty(inode) => inode,
        Object::Kcov(inode, _) | Object::TraceMarker(inode) => inode,
        _ => return None,
    };
    match inode {
        Inode::File(node) => Some(node),
        Inode::Proc(_) => None,
    }
}

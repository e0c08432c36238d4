#![forbid(unsafe_code)]
//! Task numbers, and the lists of tasks that share one: from a number they lead to its task,
//! threads, process group, session and children without a look at any other task.
//!
//! A number is in use while a task has it or heads a list with it: a group outlives its leader.
//! Numbers lie in leaves of 32, made with their first number and freed with their last; one freed
//! leaf is kept. A list is a chain of numbers: adding and removing cost the same at any length.
//!
//! A long list is walked in pieces, and the table's lock is released in between. A cursor keeps the
//! place, and moves on when its task leaves the list. Used by `tasklist` under its lock.
//!
//! Book: ch. 3, "Relationships Among Processes" (the pidhash tables, PIDTYPE_*, the pidmap).
//! Linux: 2.6.38 `struct pid`, `attach_pid`, `do_each_pid_task`.

use alloc::vec::Vec;

use crate::base::errno::Errno;
use crate::mm::fallible::TryVec;

/// Highest task number plus one (Linux: PID_MAX_DEFAULT).
pub const PID_MAX: i32 = 0x8000;
/// First number given out after a wrap; lower ones are reserved for tasks started at boot.
const RESERVED_PIDS: i32 = 300;
/// Numbers in a leaf: one word of the map of numbers in use.
const LEAF: usize = 32;
const LEAVES: usize = PID_MAX as usize / LEAF;
/// Most walks that can be under way at once.
const CURSORS: usize = 8;

/// A kind of list that a task can be on; a number heads each list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum PidType {
    /// The threads of a process, by its leader's number.
    Tgid,
    /// The processes of a process group.
    Pgid,
    /// The processes of a session.
    Sid,
    /// The child processes of a process, by its leader's number; those of the kernel, by 0.
    Child,
    /// The children that have ended and can be waited for.
    Zombie,
    /// All processes, by 0.
    Process,
    /// The threads that threads of a process trace, by the leader's number.
    Tracee,
}

use PidType::{Child, Pgid, Process, Sid, Tgid, Tracee, Zombie};
const TYPES: [PidType; 7] = [Tgid, Pgid, Sid, Child, Zombie, Process, Tracee];

/// Returns the bit of a number in its word of the map.
fn bit(number: usize) -> u32 {
    1u32.wrapping_shl((number % LEAF) as u32)
}

/// Returns the first number of the leaf after the one that holds `number`.
fn next_leaf(number: usize) -> usize {
    (number | (LEAF - 1)).wrapping_add(1)
}

/// The head of a link that is on no list.
const NOWHERE: u16 = u16::MAX;

/// First and last task of a list; 0 means that it is empty.
#[derive(Clone, Copy, Default)]
struct Head {
    first: u16,
    last: u16,
}

/// The neighbours of a task on a list, 0 at either end, and the number at its head.
#[derive(Clone, Copy)]
struct Link {
    next: u16,
    prev: u16,
    head: u16,
}

/// A task number, with the lists that it heads and those that its task is on.
struct Pid<T> {
    task: Option<T>,
    heads: [Head; TYPES.len()],
    links: [Link; TYPES.len()],
    /// For a process group: the member that the last search found.
    found: u16,
    /// For a process group: whether it is queued for a check, and the next in the queue.
    is_queued: bool,
    queue_next: u16,
}

impl<T> Pid<T> {
    const fn new() -> Self {
        const OFF: Link = Link {
            next: 0,
            prev: 0,
            head: NOWHERE,
        };
        Self {
            task: None,
            heads: [Head { first: 0, last: 0 }; TYPES.len()],
            links: [OFF; TYPES.len()],
            found: 0,
            is_queued: false,
            queue_next: 0,
        }
    }

    fn is_free(&self) -> bool {
        self.task.is_none() && !self.is_queued && self.heads.iter().all(|head| head.first == 0)
    }
}

/// The place of a walk: the next task that it visits.
#[derive(Clone, Copy)]
struct Cursor {
    kind: PidType,
    next: u16,
}

/// A walk under way: an index into the table of cursors.
#[derive(Debug, PartialEq, Eq)]
pub struct Walk(usize);

/// All task numbers. `T` is the table's entry for a task.
pub struct Pids<T> {
    /// A bit for each number in use (Linux: `pidmap`).
    pidmap: [u32; LEAVES],
    leaves: [Vec<Pid<T>>; LEAVES],
    /// An unused leaf, or nothing: a loop that forks and waits then allocates no leaf.
    spare: Vec<Pid<T>>,
    last_pid: i32,
    tasks: usize,
    /// First and last process group queued for a check; 0 if the queue is empty.
    queue: Head,
    cursors: [Option<Cursor>; CURSORS],
    walks: usize,
}

impl<T> Pids<T> {
    /// Returns a table in which only number 0 is in use, which no task has.
    pub const fn new() -> Self {
        let mut pidmap = [0; LEAVES];
        pidmap[0] = 1;
        Self {
            pidmap,
            leaves: [const { Vec::new() }; LEAVES],
            spare: Vec::new(),
            last_pid: 0,
            tasks: 0,
            queue: Head { first: 0, last: 0 },
            cursors: [None; CURSORS],
            walks: 0,
        }
    }

    /// Returns a free number, searching upwards from the last one given out. No task has it before
    /// [`insert`](Self::insert).
    ///
    /// # Errors
    /// EAGAIN when all numbers are taken, ENOMEM when there is no memory for a leaf.
    pub fn alloc_pid(&mut self) -> Result<i32, Errno> {
        let from = self.last_pid.wrapping_add(1) as usize;
        let pid = self
            .free_in(from..PID_MAX as usize)
            .or_else(|| self.free_in(RESERVED_PIDS as usize..from.min(PID_MAX as usize)))
            .ok_or(Errno::EAGAIN)?;
        // Number 0 stands at the head of lists.
        self.make_leaf(0)?;
        self.make_leaf(pid / LEAF)?;
        self.last_pid = pid as i32;
        Ok(pid as i32)
    }

    fn free_in(&self, numbers: core::ops::Range<usize>) -> Option<usize> {
        let mut at = numbers.start;
        while at < numbers.end {
            let free = (!self.pidmap[at / LEAF]).wrapping_shr((at % LEAF) as u32);
            match free {
                0 => at = next_leaf(at),
                _ => {
                    let found = at.wrapping_add(free.trailing_zeros() as usize);
                    return (found < numbers.end).then_some(found);
                }
            }
        }
        None
    }

    fn make_leaf(&mut self, leaf: usize) -> Result<(), Errno> {
        let leaf = &mut self.leaves[leaf];
        if leaf.is_empty() {
            core::mem::swap(leaf, &mut self.spare);
        }
        if leaf.is_empty() {
            leaf.try_resize_with(LEAF, Pid::new)?;
        }
        Ok(())
    }

    /// Returns the number given out last.
    pub fn last_pid(&self) -> i32 {
        self.last_pid
    }

    /// Returns the number of tasks.
    pub fn len(&self) -> usize {
        self.tasks
    }

    /// Returns whether there is no task.
    pub fn is_empty(&self) -> bool {
        self.tasks == 0
    }

    #[inline(always)]
    fn pid(&self, number: usize) -> Option<&Pid<T>> {
        self.leaves.get(number / LEAF)?.get(number % LEAF)
    }

    /// Returns the entry of a number that is in use.
    ///
    /// # Panics
    /// When the number is not in use.
    fn pid_mut(&mut self, number: u16) -> &mut Pid<T> {
        let number = usize::from(number);
        match self.leaves[number / LEAF].get_mut(number % LEAF) {
            Some(pid) => pid,
            None => panic!("BUG: number {number} is not in use"),
        }
    }

    /// Returns the entry of the task with this number.
    #[inline(always)]
    pub fn get(&self, pid: i32) -> Option<&T> {
        self.pid(pid as usize)?.task.as_ref()
    }

    /// Returns the entry of the task with this number, for changing it.
    pub fn get_mut(&mut self, pid: i32) -> Option<&mut T> {
        let number = u16::try_from(pid)
            .ok()
            .filter(|&pid| pid < PID_MAX as u16)?;
        let leaf = &mut self.leaves[usize::from(number) / LEAF];
        leaf.get_mut(usize::from(number) % LEAF)?.task.as_mut()
    }

    /// Gives a number found by [`alloc_pid`](Self::alloc_pid) to a task, which is on no list yet.
    ///
    /// # Panics
    /// When another task has the number.
    pub fn insert(&mut self, pid: i32, task: T) {
        let pid = pid as u16;
        self.pidmap[usize::from(pid) / LEAF] |= bit(pid.into());
        let old = self.pid_mut(pid).task.replace(task);
        assert!(old.is_none(), "BUG: two tasks have the number {pid}");
        self.tasks = self.tasks.wrapping_add(1);
    }

    /// Takes a task off all lists, takes its number away and returns its entry.
    pub fn remove(&mut self, pid: i32) -> Option<T> {
        self.get(pid)?;
        for kind in TYPES {
            self.detach_pid(kind, pid);
        }
        let task = self.pid_mut(pid as u16).task.take();
        self.tasks = self.tasks.wrapping_sub(1);
        self.free_pid(pid as u16);
        task
    }

    /// Frees the number if it is no longer in use, and its leaf if no number of it is.
    fn free_pid(&mut self, number: u16) {
        if number == 0 || !self.pid_mut(number).is_free() {
            return;
        }
        let number = usize::from(number);
        let used = &mut self.pidmap[number / LEAF];
        *used &= !bit(number);
        if *used == 0 {
            self.spare = core::mem::take(&mut self.leaves[number / LEAF]);
        }
    }

    /// Puts the task `pid` last on the list of `head`.
    ///
    /// # Panics
    /// When the task is on such a list already, or `head` is not in use.
    pub fn attach_pid(&mut self, kind: PidType, pid: i32, head: i32) {
        let (pid, head, at) = (pid as u16, head as u16, kind as usize);
        let last = self.pid_mut(head).heads[at].last;
        let link = &mut self.pid_mut(pid).links[at];
        assert!(
            link.head == NOWHERE,
            "BUG: {pid} is on two lists of {kind:?}"
        );
        *link = Link {
            next: 0,
            prev: last,
            head,
        };
        match last {
            0 => self.pid_mut(head).heads[at].first = pid,
            last => self.pid_mut(last).links[at].next = pid,
        }
        self.pid_mut(head).heads[at].last = pid;
    }

    /// Takes the task `pid` off the list of this kind that it is on, if any.
    pub fn detach_pid(&mut self, kind: PidType, pid: i32) {
        let (number, at) = (pid as u16, kind as usize);
        let link = &mut self.pid_mut(number).links[at];
        let Link { next, prev, head } = *link;
        if head == NOWHERE {
            return;
        }
        link.head = NOWHERE;
        match prev {
            0 => self.pid_mut(head).heads[at].first = next,
            prev => self.pid_mut(prev).links[at].next = next,
        }
        match next {
            0 => self.pid_mut(head).heads[at].last = prev,
            next => self.pid_mut(next).links[at].prev = prev,
        }
        if kind == PidType::Pgid && self.pid_mut(head).found == number {
            self.pid_mut(head).found = next;
        }
        if self.walks != 0 {
            for cursor in self.cursors.iter_mut().flatten() {
                if cursor.kind == kind && cursor.next == number {
                    cursor.next = next;
                }
            }
        }
        if (next, prev) == (0, 0) {
            self.free_pid(head);
        }
    }

    /// Returns the number at the head of the list of this kind that the task is on.
    pub fn head_of(&self, kind: PidType, pid: i32) -> Option<i32> {
        let link = self.pid(pid as usize)?.links[kind as usize];
        (link.head != NOWHERE).then_some(i32::from(link.head))
    }

    /// Returns the first task on the list of `head`.
    pub fn first(&self, kind: PidType, head: i32) -> Option<i32> {
        let first = self.pid(head as usize)?.heads[kind as usize].first;
        (first != 0).then_some(i32::from(first))
    }

    /// Returns all tasks on the list of `head` in order, with their numbers (Linux:
    /// `do_each_pid_task`). For short lists and short searches; others use [`walk`](Self::walk).
    pub fn each(&self, kind: PidType, head: i32) -> impl Iterator<Item = (i32, &T)> {
        let next = move |pid: i32| {
            let next = self.pid(pid as usize)?.links[kind as usize].next;
            (next != 0).then_some(i32::from(next))
        };
        let numbers = core::iter::successors(self.first(kind, head), move |&pid| next(pid));
        numbers.filter_map(|pid| Some((pid, self.get(pid)?)))
    }

    /// Returns the task with the lowest number from `pid` on, among the first `most` numbers in
    /// use; or the number at which it stopped.
    pub fn find_ge_pid(&self, pid: i32, most: usize) -> Result<(i32, &T), i32> {
        let mut at = pid.max(0) as usize;
        for _ in 0..most {
            let Some(used) = self
                .pidmap
                .get(at / LEAF)
                .map(|word| word.wrapping_shr((at % LEAF) as u32))
            else {
                return Err(PID_MAX);
            };
            if used == 0 {
                at = next_leaf(at);
                continue;
            }
            at = at.wrapping_add(used.trailing_zeros() as usize);
            if let Some(task) = self.get(at as i32) {
                return Ok((at as i32, task));
            }
            at = at.wrapping_add(1);
        }
        Err(at as i32)
    }

    /// Returns all tasks by number: for reports, where the time does not matter.
    pub fn all(&self) -> impl Iterator<Item = (i32, &T)> {
        (0..PID_MAX).filter_map(|pid| Some((pid, self.get(pid)?)))
    }

    /// Returns whether `is_it` holds for a member of process group `pgrp`. Begins with the member
    /// found last, and so ends at once while `is_it` still holds for it.
    pub fn any_in_pgrp(&mut self, pgrp: i32, is_it: impl Fn(&Self, i32, &T) -> bool) -> bool {
        let Some(first) = self.first(PidType::Pgid, pgrp) else {
            return false;
        };
        let begin = match self.pid_mut(pgrp as u16).found {
            0 => first,
            found => i32::from(found),
        };
        let mut at = begin;
        loop {
            let Some(pid) = self.pid(at as usize) else {
                return false;
            };
            let next = match pid.links[PidType::Pgid as usize].next {
                0 => first,
                next => i32::from(next),
            };
            if pid.task.as_ref().is_some_and(|task| is_it(self, at, task)) {
                self.pid_mut(pgrp as u16).found = at as u16;
                return true;
            }
            at = next;
            if at == begin {
                return false;
            }
        }
    }

    /// Queues process group `pgrp` for a check, unless it is queued already.
    pub fn queue_pgrp(&mut self, pgrp: i32) {
        let number = pgrp as u16;
        let pid = self.pid_mut(number);
        if pid.is_queued || pid.is_free() || number == 0 {
            return;
        }
        pid.is_queued = true;
        pid.queue_next = 0;
        match self.queue.last {
            0 => self.queue.first = number,
            last => self.pid_mut(last).queue_next = number,
        }
        self.queue.last = number;
    }

    /// Takes the next process group off the queue.
    pub fn next_queued_pgrp(&mut self) -> Option<i32> {
        let number = self.queue.first;
        if number == 0 {
            return None;
        }
        let pid = self.pid_mut(number);
        pid.is_queued = false;
        let next = pid.queue_next;
        self.queue.first = next;
        if next == 0 {
            self.queue.last = 0;
        }
        self.free_pid(number);
        Some(i32::from(number))
    }

    /// Begins a walk of the list of `head`; `None` when too many walks are under way.
    pub fn walk(&mut self, kind: PidType, head: i32) -> Option<Walk> {
        let free = self.cursors.iter().position(Option::is_none)?;
        let next = self.first(kind, head).unwrap_or(0) as u16;
        self.cursors[free] = Some(Cursor { kind, next });
        self.walks = self.walks.wrapping_add(1);
        Some(Walk(free))
    }

    /// Returns the next task of the walk; `None` at the end. That task and those after it may leave
    /// the list.
    pub fn walk_next(&mut self, walk: &Walk) -> Option<i32> {
        let Cursor { kind, next } = self.cursors[walk.0]?;
        if next == 0 {
            return None;
        }
        let after = self.pid_mut(next).links[kind as usize].next;
        self.cursors[walk.0] = Some(Cursor { kind, next: after });
        Some(i32::from(next))
    }

    /// Ends a walk.
    #[expect(clippy::needless_pass_by_value, reason = "nobody walks on")]
    pub fn end_walk(&mut self, walk: Walk) {
        if self.cursors[walk.0].take().is_some() {
            self.walks = self.walks.wrapping_sub(1);
        }
    }
}

impl<T> Default for Pids<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[path = "pid_tests.rs"]
mod tests;

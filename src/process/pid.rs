#![forbid(unsafe_code)]
//! Task numbers, and the lists of the tasks that share one: from a number to its task, its threads, its
//! process group, its session and its children, without a look at any other task.
//!
//! A number is in use as long as a task has it, or a list has it as its head: a process group and a session
//! outlive their leader. Numbers lie in leaves of 32 that come and go with their first and last number; the
//! leaf that went last is kept for the next. A list is a chain of numbers in the order in which their tasks
//! came: putting one on and taking one off costs the same however long the list is.
//!
//! A walk of a list that may be long is taken in pieces, with the lock of the table released in between. Its
//! place is kept here, as a cursor, and moves on when the task that it points at leaves the list.
//!
//! Used by `tasklist` under its lock.
//!
//! Book: ch. 3, "Relationships Among Processes" (the pidhash tables, PIDTYPE_*, the pidmap).
//! Linux: 2.6.38 `struct pid`, `attach_pid`, `do_each_pid_task`.

use alloc::vec::Vec;

use crate::base::errno::Errno;
use crate::mm::fallible::TryVec;

/// Highest task number plus one (Linux: PID_MAX_DEFAULT).
pub const PID_MAX: i32 = 0x8000;
/// Where numbers begin again once all were given out: the lower ones are for what starts at boot.
const RESERVED_PIDS: i32 = 300;
/// Numbers of a leaf: one word of the map of numbers in use.
const LEAF: usize = 32;
const LEAVES: usize = PID_MAX as usize / LEAF;
/// Walks that may be under way at a time.
const CURSORS: usize = 8;

/// A list that a task can be on, and whose number stands at its head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum PidType {
    /// The threads of a process, by its leader's number.
    Tgid,
    /// The processes of a process group.
    Pgid,
    /// The processes of a session.
    Sid,
    /// The child processes of a process, by its leader's number; of the kernel, by 0.
    Child,
    /// Those children that have ended and can be waited for.
    Zombie,
    /// All processes, by 0.
    Process,
}

const TYPES: [PidType; 6] = [
    PidType::Tgid,
    PidType::Pgid,
    PidType::Sid,
    PidType::Child,
    PidType::Zombie,
    PidType::Process,
];

/// The bit of a number in its word of the map.
fn bit(number: usize) -> u32 {
    1u32.wrapping_shl((number % LEAF) as u32)
}

/// The first number of the leaf after that of `number`.
fn next_leaf(number: usize) -> usize {
    (number | (LEAF - 1)).wrapping_add(1)
}

/// No list: of a link that is on none.
const NOWHERE: u16 = u16::MAX;

/// First and last of a list; 0: nobody.
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

/// A number.
struct Pid<T> {
    task: Option<T>,
    heads: [Head; TYPES.len()],
    links: [Link; TYPES.len()],
    /// Of the process group: the member that the last search found.
    found: u16,
    /// Of the process group: whether it waits to be looked at, and the next that does.
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

/// Where a walk is.
#[derive(Clone, Copy)]
struct Cursor {
    kind: PidType,
    next: u16,
}

/// A place in the table of walks.
#[derive(Debug, PartialEq, Eq)]
pub struct Walk(usize);

/// All numbers. `T` is what is known of a task.
pub struct Pids<T> {
    /// A bit for each number in use (Linux: `pidmap`).
    pidmap: [u32; LEAVES],
    leaves: [Vec<Pid<T>>; LEAVES],
    /// A leaf of which no number is in use, or nothing: whoever forks and waits in a loop makes none.
    spare: Vec<Pid<T>>,
    last_pid: i32,
    tasks: usize,
    /// Process groups to be looked at: the first and the last; 0: none.
    queue: Head,
    cursors: [Option<Cursor>; CURSORS],
    walks: usize,
}

impl<T> Pids<T> {
    /// No number in use but 0, which no task has.
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

    /// A number that is not in use, upwards from the last one given out. Nobody has it before
    /// [`insert`](Self::insert).
    ///
    /// # Errors
    /// EAGAIN when all are taken, ENOMEM when there is no memory for its leaf.
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

    /// The number given out last.
    pub fn last_pid(&self) -> i32 {
        self.last_pid
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.tasks
    }

    /// Whether there is no task.
    pub fn is_empty(&self) -> bool {
        self.tasks == 0
    }

    #[inline(always)]
    fn pid(&self, number: usize) -> Option<&Pid<T>> {
        self.leaves.get(number / LEAF)?.get(number % LEAF)
    }

    /// # Panics
    /// When no leaf is there: the number is not in use.
    fn pid_mut(&mut self, number: u16) -> &mut Pid<T> {
        let number = usize::from(number);
        match self.leaves[number / LEAF].get_mut(number % LEAF) {
            Some(pid) => pid,
            None => panic!("BUG: number {number} is not in use"),
        }
    }

    /// What is known of the task with this number.
    #[inline(always)]
    pub fn get(&self, pid: i32) -> Option<&T> {
        self.pid(pid as usize)?.task.as_ref()
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, pid: i32) -> Option<&mut T> {
        let number = u16::try_from(pid)
            .ok()
            .filter(|&pid| pid < PID_MAX as u16)?;
        let leaf = &mut self.leaves[usize::from(number) / LEAF];
        leaf.get_mut(usize::from(number) % LEAF)?.task.as_mut()
    }

    /// Gives a number that [`alloc_pid`](Self::alloc_pid) has found to a task, which is on no list yet.
    ///
    /// # Panics
    /// When another task has it.
    pub fn insert(&mut self, pid: i32, task: T) {
        let pid = pid as u16;
        self.pidmap[usize::from(pid) / LEAF] |= bit(pid.into());
        let old = self.pid_mut(pid).task.replace(task);
        assert!(old.is_none(), "BUG: two tasks have the number {pid}");
        self.tasks = self.tasks.wrapping_add(1);
    }

    /// Takes a task off all lists and its number from it.
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

    /// The number is free again if nobody has it any more; and its leaf if none of it is in use.
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
    /// When it is on such a list already, or `head` is not in use.
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

    /// The number at the head of the list of this kind that the task is on.
    pub fn head_of(&self, kind: PidType, pid: i32) -> Option<i32> {
        let link = self.pid(pid as usize)?.links[kind as usize];
        (link.head != NOWHERE).then_some(i32::from(link.head))
    }

    /// The first on the list of `head`.
    pub fn first(&self, kind: PidType, head: i32) -> Option<i32> {
        let first = self.pid(head as usize)?.heads[kind as usize].first;
        (first != 0).then_some(i32::from(first))
    }

    /// All on the list of `head`, first to last, with their numbers (Linux: `do_each_pid_task`). For lists
    /// that are short, and for looks that end soon; others [`walk`](Self::walk).
    pub fn each(&self, kind: PidType, head: i32) -> impl Iterator<Item = (i32, &T)> {
        let next = move |pid: i32| {
            let next = self.pid(pid as usize)?.links[kind as usize].next;
            (next != 0).then_some(i32::from(next))
        };
        let numbers = core::iter::successors(self.first(kind, head), move |&pid| next(pid));
        numbers.filter_map(|pid| Some((pid, self.get(pid)?)))
    }

    /// The task with the lowest number from `pid` on, among the first `most` numbers in use; or how far it
    /// has looked.
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

    /// All tasks by number: for reports, whoever waits for them.
    pub fn all(&self) -> impl Iterator<Item = (i32, &T)> {
        (0..PID_MAX).filter_map(|pid| Some((pid, self.get(pid)?)))
    }

    /// Whether a member of process group `pgrp` is such that `is_it`; begins with the one that it has found
    /// last, so that it finds it again at once as long as that one is still such.
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

    /// Process group `pgrp` is to be looked at, once.
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

    /// The next process group that is to be looked at.
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

    /// Begins a walk of the list of `head`; none when too many are under way.
    pub fn walk(&mut self, kind: PidType, head: i32) -> Option<Walk> {
        let free = self.cursors.iter().position(Option::is_none)?;
        let next = self.first(kind, head).unwrap_or(0) as u16;
        self.cursors[free] = Some(Cursor { kind, next });
        self.walks = self.walks.wrapping_add(1);
        Some(Walk(free))
    }

    /// The next of the list; none at its end. It may leave the list, and so may the one after it.
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

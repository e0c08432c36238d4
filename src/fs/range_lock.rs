#![forbid(unsafe_code)]
//! Locks on ranges of a file: conflicts, splitting and merging.
//!
//! The locks of one owner never overlap, and two of the same kind never touch: a new lock replaces
//! what it covers, splits what it cuts, and joins its neighbours.
//!
//! Used by `fs::locks`, which adds the files, the sleepers and the owners.
//!
//! Linux: 2.6.38 `fs/locks.c` (`posix_lock_inode`, `posix_test_lock`).

use alloc::vec::Vec;

use crate::base::errno::Errno;
use crate::mm::fallible::TryVec;

/// Largest number of locks on one file.
const MAX_LOCKS: usize = 4096;

/// A lock on the bytes `start..=end` of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileLock<O> {
    /// Whoever may change the lock, and does not conflict with it.
    pub owner: O,
    /// The first byte.
    pub start: u64,
    /// The last byte.
    pub end: u64,
    /// Whether it excludes every other lock (a write lock), or only those that do so.
    pub is_exclusive: bool,
    /// Number of the process that set it; -1 for a lock of an open file.
    pub pid: i32,
}

impl<O: PartialEq> FileLock<O> {
    fn overlaps(&self, start: u64, end: u64) -> bool {
        self.start <= end && start <= self.end
    }

    fn conflicts(&self, other: &Self) -> bool {
        self.owner != other.owner
            && (self.is_exclusive || other.is_exclusive)
            && self.overlaps(other.start, other.end)
    }

    /// Returns whether both are one lock: same owner and kind, with no byte in between.
    fn touches(&self, other: &Self) -> bool {
        self.owner == other.owner
            && self.is_exclusive == other.is_exclusive
            && (self.end.checked_add(1) == Some(other.start)
                || other.end.checked_add(1) == Some(self.start))
    }
}

/// The locks on one file.
#[derive(Debug)]
pub struct LockList<O>(Vec<FileLock<O>>);

impl<O: Copy + PartialEq> LockList<O> {
    /// Returns an empty list.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns a lock that conflicts with `lock`; among those of one owner, the first in the file.
    pub fn conflict(&self, lock: &FileLock<O>) -> Option<FileLock<O>> {
        let first = self.0.iter().find(|other| other.conflicts(lock))?;
        let of_owner = |other: &&FileLock<O>| other.owner == first.owner && other.conflicts(lock);
        let least = self.0.iter().filter(of_owner).min_by_key(|it| it.start);
        least.copied()
    }

    /// Makes room for `more` locks. Fails with ENOLCK when there is no memory, or there are too many.
    fn room(&mut self, more: usize) -> Result<(), Errno> {
        match self.0.len().saturating_add(more) <= MAX_LOCKS {
            true => self.0.try_room(more).map_err(|_| Errno::ENOLCK),
            false => Err(Errno::ENOLCK),
        }
    }

    /// Returns how many locks of `owner` leave a part on both sides of the bytes `start..=end`: 0 or 1.
    fn splits(&self, owner: O, start: u64, end: u64) -> usize {
        let is_split = |it: &FileLock<O>| it.owner == owner && it.start < start && it.end > end;
        usize::from(self.0.iter().any(is_split))
    }

    /// Sets a lock, which conflicts with no other.
    ///
    /// # Errors
    /// ENOLCK when there is no memory, or there are too many; nothing has changed then.
    pub fn set(&mut self, mut lock: FileLock<O>) -> Result<(), Errno> {
        let splits = self.splits(lock.owner, lock.start, lock.end);
        self.room(splits.saturating_add(1))?;
        self.unset(lock.owner, lock.start, lock.end)?;
        self.0.retain(|other| {
            let touches = other.touches(&lock);
            if touches {
                lock.start = lock.start.min(other.start);
                lock.end = lock.end.max(other.end);
            }
            !touches
        });
        self.0.try_push(lock).map_err(|_| Errno::ENOLCK)
    }

    /// Takes the bytes `start..=end` out of the locks of `owner`.
    ///
    /// # Errors
    /// ENOLCK when a lock has to be split and there is no memory, or there are too many; nothing has
    /// changed then.
    pub fn unset(&mut self, owner: O, start: u64, end: u64) -> Result<(), Errno> {
        self.room(self.splits(owner, start, end))?;
        let mut rest = None;
        self.0.retain_mut(|lock| {
            if lock.owner != owner || !lock.overlaps(start, end) {
                return true;
            }
            if lock.end > end {
                let start = end.saturating_add(1);
                rest = Some(FileLock { start, ..*lock });
            }
            lock.end = start.saturating_sub(1);
            lock.start < start
        });
        match rest {
            Some(rest) => self.0.try_push(rest).map_err(|_| Errno::ENOLCK),
            None => Ok(()),
        }
    }

    /// Returns the lock of `owner` that covers byte 0.
    pub fn first_of(&self, owner: O) -> Option<FileLock<O>> {
        let is_it = |lock: &&FileLock<O>| lock.owner == owner && lock.start == 0;
        self.0.iter().find(is_it).copied()
    }

    /// Takes away all locks of `owner`; returns whether there were any.
    pub fn release(&mut self, owner: O) -> bool {
        let before = self.0.len();
        self.0.retain(|lock| lock.owner != owner);
        self.0.len() != before
    }
}

impl<O: Copy + PartialEq> Default for LockList<O> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BYTES: u64 = 24;

    fn lock(owner: u8, start: u64, end: u64, is_exclusive: bool) -> FileLock<u8> {
        FileLock {
            owner,
            start,
            end,
            is_exclusive,
            pid: 1,
        }
    }

    #[test]
    fn a_lock_can_reach_the_end_of_all_numbers() {
        let mut list = LockList::new();
        list.set(lock(1, 0, u64::MAX, true)).unwrap();
        list.unset(1, 5, u64::MAX).unwrap();
        assert_eq!(list.0, [lock(1, 0, 4, true)]);
        list.set(lock(1, 5, u64::MAX, true)).unwrap();
        assert_eq!(list.0, [lock(1, 0, u64::MAX, true)]);
        list.unset(1, 0, 0).unwrap();
        assert_eq!(list.0, [lock(1, 1, u64::MAX, true)]);
        assert!(list.release(1) && !list.release(1));
    }

    #[test]
    fn there_is_a_largest_number_of_locks() {
        let mut list = LockList::new();
        for at in 0..MAX_LOCKS as u64 {
            list.set(lock(1, at * 2, at * 2, true)).unwrap();
        }
        let more = lock(1, 1 << 40, 1 << 40, true);
        assert_eq!(list.set(more), Err(Errno::ENOLCK));
        assert_eq!(list.unset(1, 0, 0), Ok(()), "a full list can be emptied");
        assert_eq!(list.first_of(1), None);
        assert_eq!(list.set(more), Ok(()));
        assert!(list.release(1) && !list.release(1));
    }

    proptest! {
        /// The model is a kind for each byte and owner.
        #[test]
        fn ranges_are_bytes(steps in prop::collection::vec(
            (0u8..3, 0..BYTES, 0..BYTES, 0u8..4), 0..60))
        {
            let mut list = LockList::new();
            let mut model = [[None; BYTES as usize]; 3];
            for (owner, a, b, what) in steps {
                let (start, end) = (a.min(b), a.max(b));
                let range = start as usize..=end as usize;
                let new = lock(owner, start, end, what == 1);
                let others = (0..3).filter(|other| *other != owner as usize);
                let clashes = others.clone().any(|other| {
                    model[other][range.clone()].iter().flatten().any(|held| *held || what == 1)
                });
                prop_assert_eq!(list.conflict(&new).is_some(), clashes);
                match what {
                    0 | 1 if !clashes => {
                        list.set(new).unwrap();
                        model[owner as usize][range].fill(Some(what == 1));
                    }
                    2 => {
                        list.unset(owner, start, end).unwrap();
                        model[owner as usize][range].fill(None);
                    }
                    3 if start == 0 => {
                        list.release(owner);
                        model[owner as usize] = [None; BYTES as usize];
                    }
                    _ => {}
                }
                for (owner, bytes) in model.iter().enumerate() {
                    // One lock for each run of bytes of one kind.
                    let mut wanted = Vec::new();
                    let mut at = 0;
                    for run in bytes.chunk_by(|a, b| a == b) {
                        if let Some(kind) = run[0] {
                            wanted.push(lock(owner as u8, at, at + run.len() as u64 - 1, kind));
                        }
                        at += run.len() as u64;
                    }
                    let mut held: Vec<_> = list.0.iter().copied()
                        .filter(|lock| lock.owner == owner as u8).collect();
                    held.sort_by_key(|lock| lock.start);
                    prop_assert_eq!(held, wanted);
                }
            }
        }
    }
}

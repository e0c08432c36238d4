//! The sleepers of all futexes: lists by a hash of their words, and a walk of a long list.
//!
//! Any number of tasks may sleep on other words in the same list. So a walk holds the list's lock
//! for only a [`BATCH`] of sleepers at a time; in between, its own marks on the list record its
//! place and its end. A mark is a sleeper on a word that does not exist: nothing wakes it.
//!
//! Used by `futex`.
//!
//! Linux: 2.6.38 `kernel/futex.c` (`futex_queues`, `hash_futex`, `futex_q`).

use core::cell::{Cell, UnsafeCell};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::arch::x86::current::Current;
use crate::sched::wake_up::{TASK_NORMAL, try_to_wake_up};
use crate::sync::list::{List, ListHead};
use crate::sync::{IrqSpinLock, LockClass};

/// Most sleepers that a walk visits under one hold of the lock.
pub const BATCH: u32 = 32;

/// The identity of a word: (address space, address), (0, physical address), or ([`OF_A_FILE`],
/// place in the file).
pub type Key = (u32, u32);

/// First half of a [`Key`] in a file: no address space has this address.
pub const OF_A_FILE: u32 = 1;
/// The key of no word: no address space has this address either.
const NO_WORD: Key = (2, 0);

/// A task that sleeps on a word. It lies on that task's stack, and stays there while it is queued.
#[repr(C)]
#[doc(alias = "futex_q")]
pub struct FutexQ {
    /// Guarded by the bucket's lock, like everything that changes here.
    link: UnsafeCell<ListHead>,
    /// The word it sleeps on; a requeue changes it.
    pub key: Cell<Key>,
    /// Bits of which a wake-up must have at least one.
    pub bitset: u32,
    /// The task that sleeps.
    pub task: Current,
    /// The bucket whose list it is on; null once a wake-up has taken it off and will not touch it
    /// again (Linux: `lock_ptr`).
    pub bucket: AtomicPtr<Bucket>,
}

impl FutexQ {
    /// Returns an entry for the running task, about to sleep on the word `key`.
    #[inline(always)]
    pub fn new(me: Current, key: Key, bitset: u32) -> Self {
        Self {
            link: UnsafeCell::new(ListHead::new()),
            key: Cell::new(key),
            bitset,
            task: me,
            bucket: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Returns the link that goes on the list.
    #[inline(always)]
    pub fn link(&self) -> NonNull<ListHead> {
        NonNull::from(self).cast()
    }
}

/// The sleepers of the words with one hash.
pub type Bucket = IrqSpinLock<List>;

const BUCKETS: usize = 64;
static QUEUES: [Bucket; BUCKETS] =
    [const { IrqSpinLock::new(LockClass::FutexBucket, List::new()) }; BUCKETS];

/// Returns the bucket of a word.
#[doc(alias = "hash_futex")]
#[inline(always)]
pub fn bucket(key: Key) -> &'static Bucket {
    let hash = ((key.0 >> 4) ^ (key.1 >> 2)).wrapping_mul(0x9e37_79b1) >> 26;
    &QUEUES[hash as usize % BUCKETS]
}

/// Returns the sleeper whose link is on a bucket.
///
/// # Safety
/// 1. The link is on the list of a bucket whose lock is held while the result is used.
#[inline(always)]
pub unsafe fn futex_q<'a>(link: NonNull<ListHead>) -> &'a FutexQ {
    // SAFETY: by 1: every link on a bucket is the first field of a `FutexQ`.
    unsafe { link.cast::<FutexQ>().as_ref() }
}

/// Wakes a sleeper.
///
/// # Safety
/// 1. `q` is on `list`, the list of a bucket whose lock is held, and is not used afterwards.
#[inline(always)]
pub unsafe fn wake_futex(list: &mut List, q: &FutexQ) {
    // SAFETY: by 1. The task waits for the lock, or for `bucket` to be null, before it goes on.
    unsafe { list.remove(q.link()) };
    try_to_wake_up(&q.task, TASK_NORMAL);
    q.bucket.store(ptr::null_mut(), Ordering::Release);
}

/// A walk of the sleepers that are on a bucket's list when it begins. Its marks lie in it, so it
/// must not move before its end.
pub struct Walk {
    /// Mark before the next sleeper, between two batches.
    place: FutexQ,
    /// Mark behind the last sleeper.
    end: FutexQ,
    is_between: Cell<bool>,
}

impl Walk {
    /// Returns a walk of the task `me` that has not begun.
    pub fn of(me: Current) -> Self {
        Self {
            place: FutexQ::new(me, NO_WORD, 0),
            end: FutexQ::new(me, NO_WORD, 0),
            is_between: Cell::new(false),
        }
    }

    /// Begins the walk. Sleepers that come later are not visited.
    ///
    /// # Safety
    /// 1. `list` is the list of a bucket whose lock is held.
    /// 2. [`batch`](Self::batch) is called for it until it returns false; until then `self` does
    ///    not move.
    pub unsafe fn begin(&self, list: &mut List) {
        // SAFETY: it is new, so it is on no list; by 2 it does not move.
        unsafe { list.push_back(self.end.link()) };
    }

    /// Calls `visit` with the next batch of sleepers, until it returns true; returns false when the
    /// walk has ended. `visit` may take its sleeper off the list and put it last.
    ///
    /// # Safety
    /// 1. `list` is the list that the walk began with, and its lock is held.
    pub unsafe fn batch(
        &self,
        list: &mut List,
        visit: &mut dyn FnMut(&mut List, &FutexQ) -> bool,
    ) -> bool {
        let next = match self.is_between.take() {
            false => list.first(),
            true => {
                // SAFETY: put there at the end of the last batch.
                unsafe {
                    let next = list.next(self.place.link());
                    list.remove(self.place.link());
                    Some(next)
                }
            }
        };
        // The end mark is on the list, if nothing else.
        let mut link = next.unwrap_or(self.end.link());
        for looked_at in 0u32.. {
            if link == self.end.link() {
                break;
            }
            if looked_at == BATCH {
                // SAFETY: taken off above, or new; it stays in place.
                unsafe { list.insert_before(link, self.place.link()) };
                self.is_between.set(true);
                return true;
            }
            // SAFETY: it is on the list, whose lock is held.
            let (next, q) = unsafe { (list.next(link), futex_q(link)) };
            if q.key.get() != NO_WORD && visit(list, q) {
                break;
            }
            link = next;
        }
        // SAFETY: on the list since `begin`.
        unsafe { list.remove(self.end.link()) };
        false
    }
}

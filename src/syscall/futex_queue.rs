//! The sleepers of all futexes: lists of them, by a hash of their words, and a walk of a long list.
//!
//! Others may sleep on other words in the same list, as many as they like. So a walk has the list's lock for
//! a [`BATCH`] of sleepers at a time; in between, marks of its own on the list say where it is and where it
//! ends. A mark is a sleeper on a word that there is not: nobody wakes it.
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

/// Sleepers that a walk looks at while it has the lock once, at most.
pub const BATCH: u32 = 32;

/// Which word: (address space, address), (0, physical address), or ([`OF_A_FILE`], where it lies in the
/// file).
pub type Key = (u32, u32);

/// In a [`Key`]: where no address space is.
pub const OF_A_FILE: u32 = 1;
/// The key of no word: no address space is there either.
const NO_WORD: Key = (2, 0);

/// A task that sleeps on a word. Lies on that task's stack, and stays there while it is queued.
#[repr(C)]
#[doc(alias = "futex_q")]
pub struct FutexQ {
    /// Guarded by the bucket's lock, as all that changes here.
    link: UnsafeCell<ListHead>,
    /// Its word; another one after a requeue.
    pub key: Cell<Key>,
    /// Bits of which a wake-up has to have one.
    pub bitset: u32,
    /// The task that sleeps.
    pub task: Current,
    /// The bucket that it is on; null from the moment on in which a wake-up has taken it off and
    /// does not touch it any more (Linux: `lock_ptr`).
    pub bucket: AtomicPtr<Bucket>,
}

impl FutexQ {
    /// The running task, about to sleep on the word `key`.
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

    /// What is on the list.
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

/// The bucket of a word.
#[doc(alias = "hash_futex")]
#[inline(always)]
pub fn bucket(key: Key) -> &'static Bucket {
    let hash = ((key.0 >> 4) ^ (key.1 >> 2)).wrapping_mul(0x9e37_79b1) >> 26;
    &QUEUES[hash as usize % BUCKETS]
}

/// The sleeper whose link is on a bucket.
///
/// # Safety
/// 1. The link is on the list of a bucket, whose lock is held as long as the result is used.
#[inline(always)]
pub unsafe fn futex_q<'a>(link: NonNull<ListHead>) -> &'a FutexQ {
    // SAFETY: by 1: all on a bucket are links of `FutexQ`, in which they come first.
    unsafe { link.cast::<FutexQ>().as_ref() }
}

/// Wakes a sleeper.
///
/// # Safety
/// 1. `q` is on `list`, that of a bucket whose lock is held, and is not used any more.
#[inline(always)]
pub unsafe fn wake_futex(list: &mut List, q: &FutexQ) {
    // SAFETY: by 1. The task waits for the lock, or for `bucket` to be null, before it goes on.
    unsafe { list.remove(q.link()) };
    try_to_wake_up(&q.task, TASK_NORMAL);
    q.bucket.store(ptr::null_mut(), Ordering::Release);
}

/// A walk of a bucket's list, of the sleepers that are on it when the walk begins. Its marks lie in it, so it
/// stays where it is until its end.
pub struct Walk {
    /// Before the next sleeper, between two batches.
    place: FutexQ,
    /// Behind the last.
    end: FutexQ,
    is_between: Cell<bool>,
}

impl Walk {
    /// A walk that has not begun, of the running task.
    pub fn of(me: Current) -> Self {
        Self {
            place: FutexQ::new(me, NO_WORD, 0),
            end: FutexQ::new(me, NO_WORD, 0),
            is_between: Cell::new(false),
        }
    }

    /// Sleepers that come from now on are not walked.
    ///
    /// # Safety
    /// 1. `list` is that of a bucket, whose lock is held. 2. [`batch`](Self::batch) is called for it until it
    ///    says that the walk has ended; till then `self` stays in place.
    pub unsafe fn begin(&self, list: &mut List) {
        // SAFETY: new, so on no list; by 2.
        unsafe { list.push_back(self.end.link()) };
    }

    /// Calls `visit` with the next sleepers, a batch of them, until it has seen enough; false when the walk has
    /// ended. It may take off the one that it is called with, and put it last.
    ///
    /// # Safety
    /// 1. `list` is what the walk has begun with, and its lock is held.
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
        // At the end of the walk there is our mark, if nothing else.
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
        // SAFETY: there since `begin`.
        unsafe { list.remove(self.end.link()) };
        false
    }
}

//! `prio_array`: runnable tasks by priority; finds the best in constant time.
//!
//! There is one list per priority, a bitmap of the lists that are not empty, and the number of the
//! best of these, so picking a task needs no search. A list is a ring, and the array points at its
//! first link: to move the first to the end, only that pointer advances. All costs are independent
//! of the number of tasks.
//!
//! Book: ch. 7, "Data Structures Used by the Scheduler", `prio_array_t`.
//! Linux: 2.6.11 `kernel/sched.c`; 2.6.38 `rt_prio_array`, `highest_prio`.

use core::ptr::{self, NonNull};

use crate::task::sched_entity::{MAX_PRIO, RunList};

const WORDS: usize = MAX_PRIO.div_ceil(32) as usize;

/// Rings of links, one per priority.
pub struct PrioArray {
    /// Number of links on all lists together.
    pub nr_active: u32,
    /// The best priority whose list is not empty; MAX_PRIO if all are empty.
    highest_prio: u32,
    bitmap: [u32; WORDS],
    /// First link of each list; null if it is empty, as the list of MAX_PRIO always is.
    queue: [*mut RunList; MAX_PRIO as usize + 1],
}

impl PrioArray {
    /// Returns an array with empty lists.
    pub const fn new() -> Self {
        Self {
            nr_active: 0,
            highest_prio: MAX_PRIO,
            bitmap: [0; WORDS],
            queue: [ptr::null_mut(); MAX_PRIO as usize + 1],
        }
    }

    /// Appends `link` to the list of `prio`.
    ///
    /// # Safety
    /// 1. `link` stays where it is and is on no list; `prio < MAX_PRIO`.
    #[inline(always)]
    pub unsafe fn enqueue_task(&mut self, link: *mut RunList, prio: u32) {
        debug_assert!(prio < MAX_PRIO);
        self.nr_active = self.nr_active.wrapping_add(1);
        // SAFETY: by 1.
        let head = unsafe { self.queue.get_unchecked_mut(prio as usize) };
        if !head.is_null() {
            // SAFETY: `link` by 1; the head is on this list, so it is in place.
            unsafe { insert_before(link, *head) };
            return;
        }
        *head = link;
        // SAFETY: `link` and `prio` by 1.
        unsafe {
            (*link).next = link;
            (*link).prev = link;
            *self.bitmap.get_unchecked_mut((prio / 32) as usize) |= 1 << (prio % 32);
        }
        self.highest_prio = self.highest_prio.min(prio);
    }

    /// Takes `link` off the list of `prio`.
    ///
    /// # Safety
    /// 1. `link` is on this array's list of `prio`.
    #[inline(always)]
    pub unsafe fn dequeue_task(&mut self, link: *mut RunList, prio: u32) {
        debug_assert!(self.nr_active > 0 && prio < MAX_PRIO);
        self.nr_active = self.nr_active.wrapping_sub(1);
        // SAFETY: `link` and its neighbours are on the list of `prio` by 1.
        unsafe {
            let head = self.queue.get_unchecked_mut(prio as usize);
            let next = (*link).next;
            if next != link {
                if *head == link {
                    *head = next;
                }
                unlink(link);
                return;
            }
            *head = ptr::null_mut();
            forget(link);
            *self.bitmap.get_unchecked_mut((prio / 32) as usize) &= !(1 << (prio % 32));
        }
        if self.highest_prio == prio {
            self.highest_prio = self.find_first_bit();
        }
    }

    /// Moves `link` to the end of its list, for `sched_yield` of a real-time task. The task is the
    /// first of its list unless the scheduler is about to run another.
    ///
    /// # Safety
    /// 1. `link` is on this array's list of `prio`.
    #[inline(always)]
    pub unsafe fn requeue_task(&mut self, link: *mut RunList, prio: u32) {
        debug_assert!(prio < MAX_PRIO);
        // SAFETY: `link` and its neighbours are on the list of `prio` by 1.
        unsafe {
            let head = self.queue.get_unchecked_mut(prio as usize);
            if *head == link {
                *head = (*link).next;
            } else {
                move_tail(link, *head);
            }
        }
    }

    /// Returns the first link that `wanted` accepts, best list first.
    pub fn find(
        &self,
        mut wanted: impl FnMut(NonNull<RunList>) -> bool,
    ) -> Option<NonNull<RunList>> {
        for head in self.queue.iter().filter_map(|&head| NonNull::new(head)) {
            let mut link = head;
            loop {
                if wanted(link) {
                    return Some(link);
                }
                // SAFETY: links on a list stay in place; it is a ring.
                link = unsafe { NonNull::new_unchecked((*link.as_ptr()).next) };
                if link == head {
                    break;
                }
            }
        }
        None
    }

    /// Returns the first link of the best list that is not empty; null if all are empty.
    #[inline(always)]
    pub fn first(&self) -> *mut RunList {
        // SAFETY: `highest_prio` is at most MAX_PRIO, and there is a head for each up to that.
        unsafe { *self.queue.get_unchecked(self.highest_prio as usize) }
    }

    /// Returns the best priority whose list is not empty (the book's `sched_find_first_bit`).
    fn find_first_bit(&self) -> u32 {
        let word = self.bitmap.iter().position(|&word| word != 0);
        word.map_or(MAX_PRIO, |at| {
            (at as u32) << 5 | self.bitmap[at].trailing_zeros()
        })
    }
}

/// Moves `link` behind all others of the ring of `head`, which is not `link`.
///
/// # Safety
/// 1. Both are on one ring.
#[cold]
#[inline(never)]
unsafe fn move_tail(link: *mut RunList, head: *mut RunList) {
    // SAFETY: by 1.
    unsafe {
        unlink(link);
        insert_before(link, head);
    }
}

/// Puts `link` on the ring of `head`, behind all others.
///
/// # Safety
/// 1. `head` is on a ring; `link` is on none.
#[inline(always)]
unsafe fn insert_before(link: *mut RunList, head: *mut RunList) {
    // SAFETY: by 1.
    unsafe {
        let last = (*head).prev;
        (*link).next = head;
        (*link).prev = last;
        (*last).next = link;
        (*head).prev = link;
    }
}

/// Takes `link` off its ring, on which there are others.
///
/// # Safety
/// 1. `link` is on a ring.
#[inline(always)]
unsafe fn unlink(link: *mut RunList) {
    // SAFETY: by 1; its neighbours are on the ring too.
    unsafe {
        let (next, prev) = ((*link).next, (*link).prev);
        (*prev).next = next;
        (*next).prev = prev;
        forget(link);
    }
}

/// Resets a link that is on no list, so that code which follows it is noticed; only in kernels with
/// checks.
///
/// # Safety
/// 1. `link` is live and on no list.
#[inline(always)]
unsafe fn forget(link: *mut RunList) {
    if cfg!(debug_assertions) {
        // SAFETY: by 1.
        unsafe { link.write(RunList::new()) };
    }
}

impl Default for PrioArray {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::boxed::Box;
    use std::collections::VecDeque;
    use std::vec::Vec;

    proptest! {
        /// Compares the array with 140 plain queues, under any sequence of operations.
        #[test]
        fn is_a_queue_per_priority(ops in proptest::collection::vec((0u8..3, 0usize..12, 0u32..140), 0..300)) {
            let links: Vec<*mut RunList> = (0..12).map(|_| Box::into_raw(Box::new(RunList::new()))).collect();
            let mut on: Vec<Option<u32>> = std::vec![None; 12];
            let mut model: Vec<VecDeque<usize>> = (0..140).map(|_| VecDeque::new()).collect();
            let mut a = PrioArray::new();
            for (op, i, prio) in ops {
                match (op, on[i]) {
                    (0, None) => {
                        // SAFETY: the model says that the link is on no list.
                        unsafe { a.enqueue_task(links[i], prio) };
                        model[prio as usize].push_back(i);
                        on[i] = Some(prio);
                    }
                    (1, Some(p)) => {
                        // SAFETY: the model says that it is on the list of p.
                        unsafe { a.dequeue_task(links[i], p) };
                        model[p as usize].retain(|&j| j != i);
                        on[i] = None;
                    }
                    (2, Some(p)) => {
                        // SAFETY: as above.
                        unsafe { a.requeue_task(links[i], p) };
                        model[p as usize].retain(|&j| j != i);
                        model[p as usize].push_back(i);
                    }
                    _ => {}
                }
                let best = model.iter().find_map(|q| q.front().copied());
                let got = a.first();
                prop_assert_eq!(best.map(|i| links[i]), (!got.is_null()).then_some(got));
                prop_assert_eq!(a.nr_active as usize, on.iter().flatten().count());
            }
            for l in links {
                // SAFETY: made by `Box::into_raw` above, and the array is not used again.
                drop(unsafe { Box::from_raw(l) });
            }
        }
    }
}

//! `prio_array`: runnable tasks by priority, the best found in constant time.
//!
//! One list per priority and a bitmap of the lists that are not empty; above the bitmap one
//! word that says which of its words are not 0. All costs are independent of the number of
//! tasks.
//!
//! Book: ch. 7, "Data Structures Used by the Scheduler", `prio_array_t`.
//! Linux: 2.6.11 `kernel/sched.c`; 2.6.38 `rt_prio_array`.

use core::ptr;

use crate::task::sched_entity::{MAX_PRIO, RunList};

const WORDS: usize = MAX_PRIO.div_ceil(32) as usize;

struct Queue {
    first: *mut RunList,
    last: *mut RunList,
}

/// Lists of links, one list per priority.
pub struct PrioArray {
    /// Links on all lists together.
    pub nr_active: u32,
    summary: u32,
    bitmap: [u32; WORDS],
    queue: [Queue; MAX_PRIO as usize],
}

impl PrioArray {
    /// An array with nothing on it.
    pub const fn new() -> Self {
        Self {
            nr_active: 0,
            summary: 0,
            bitmap: [0; WORDS],
            queue: [const {
                Queue {
                    first: ptr::null_mut(),
                    last: ptr::null_mut(),
                }
            }; MAX_PRIO as usize],
        }
    }

    /// Appends `link` to the list of `prio`.
    ///
    /// # Safety
    /// 1. `link` stays where it is and is on no list; `prio < MAX_PRIO`.
    #[inline]
    pub unsafe fn enqueue_task(&mut self, link: *mut RunList, prio: u32) {
        debug_assert!(prio < MAX_PRIO);
        let q = &mut self.queue[prio as usize];
        let last = q.last;
        q.last = link;
        // SAFETY: `link` by 1; `last`, when there is one, is on this list and so still in place.
        unsafe {
            (*link).next = ptr::null_mut();
            (*link).prev = last;
            if last.is_null() {
                q.first = link;
                let word = (prio / 32) as usize;
                self.bitmap[word] |= 1 << (prio % 32);
                self.summary |= 1 << word;
            } else {
                (*last).next = link;
            }
        }
        self.nr_active += 1;
    }

    /// Takes `link` off the list of `prio`.
    ///
    /// # Safety
    /// 1. `link` is on this array's list of `prio`.
    #[inline]
    pub unsafe fn dequeue_task(&mut self, link: *mut RunList, prio: u32) {
        debug_assert!(self.nr_active > 0 && prio < MAX_PRIO);
        let q = &mut self.queue[prio as usize];
        // SAFETY: `link` and its neighbours are on the list by 1.
        unsafe {
            let (next, prev) = ((*link).next, (*link).prev);
            if prev.is_null() {
                q.first = next
            } else {
                (*prev).next = next
            }
            if next.is_null() {
                q.last = prev
            } else {
                (*next).prev = prev
            }
            (*link).next = ptr::null_mut();
            (*link).prev = ptr::null_mut();
        }
        if q.first.is_null() {
            let word = (prio / 32) as usize;
            self.bitmap[word] &= !(1 << (prio % 32));
            if self.bitmap[word] == 0 {
                self.summary &= !(1 << word);
            }
        }
        self.nr_active -= 1;
    }

    /// Moves `link` to the end of its list: `sched_yield` of a real-time task.
    ///
    /// # Safety
    /// 1. `link` is on this array's list of `prio`.
    #[inline]
    pub unsafe fn requeue_task(&mut self, link: *mut RunList, prio: u32) {
        debug_assert!(prio < MAX_PRIO);
        let q = &mut self.queue[prio as usize];
        // SAFETY: `link` and its neighbours are on the list by 1; a link with a next one is not
        // the last.
        unsafe {
            let (next, prev) = ((*link).next, (*link).prev);
            if next.is_null() {
                return;
            }
            if prev.is_null() {
                q.first = next
            } else {
                (*prev).next = next
            }
            (*next).prev = prev;
            let last = q.last;
            (*last).next = link;
            (*link).prev = last;
            (*link).next = ptr::null_mut();
            q.last = link;
        }
    }

    /// First link, best list first, of which `wanted` says so.
    pub fn find(&self, mut wanted: impl FnMut(*mut RunList) -> bool) -> Option<*mut RunList> {
        let mut left = self.nr_active;
        for queue in &self.queue {
            let mut link = queue.first;
            while !link.is_null() {
                if wanted(link) {
                    return Some(link);
                }
                left -= 1;
                // SAFETY: links on a list stay in place.
                link = unsafe { (*link).next };
            }
            if left == 0 {
                break;
            }
        }
        None
    }

    /// First link of the best list that is not empty; null when all are.
    #[inline]
    pub fn first(&self) -> *mut RunList {
        if self.summary == 0 {
            return ptr::null_mut();
        }
        let word = self.summary.trailing_zeros();
        let prio = word * 32 + self.bitmap[word as usize].trailing_zeros();
        self.queue[prio as usize].first
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
        /// Against 140 plain queues, under any sequence of operations.
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

//! Lists whose links lie inside the listed objects, so nothing is allocated.
//!
//! A list is a ring of links, and the list itself points at the first. A waiting task adds a link
//! that lies on its own stack, so code that takes a link off must not touch it after its owner may
//! continue.
//!
//! Callers hold the lock that guards the list.
//!
//! Book: ch. 3, "Doubly linked lists". Linux: `list_head` (there the head is part of the ring).

use core::ptr::{self, NonNull};

/// A link: its neighbours on a list. With debug assertions both are null while it is on no list.
#[repr(C)]
#[derive(Debug)]
pub struct ListHead {
    next: *mut ListHead,
    prev: *mut ListHead,
}

impl ListHead {
    /// Returns a link that is on no list.
    pub const fn new() -> Self {
        Self {
            next: ptr::null_mut(),
            prev: ptr::null_mut(),
        }
    }
}

impl Default for ListHead {
    fn default() -> Self {
        Self::new()
    }
}

/// A list of links.
#[derive(Debug)]
pub struct List {
    first: *mut ListHead,
}

// SAFETY: only code with exclusive access to the list touches its links.
unsafe impl Send for List {}

impl List {
    /// Returns an empty list.
    pub const fn new() -> Self {
        Self {
            first: ptr::null_mut(),
        }
    }

    /// Returns the first link.
    #[inline(always)]
    pub fn first(&self) -> Option<NonNull<ListHead>> {
        NonNull::new(self.first)
    }

    /// Appends `link`.
    ///
    /// # Safety
    /// 1. `link` is on no list, and stays where it is until it is taken off.
    #[inline(always)]
    pub unsafe fn push_back(&mut self, link: NonNull<ListHead>) {
        let link = link.as_ptr();
        // SAFETY: `link` by 1; those on the list are in place.
        unsafe {
            if self.first.is_null() {
                (*link).next = link;
                (*link).prev = link;
                self.first = link;
            } else {
                let last = (*self.first).prev;
                (*link).next = self.first;
                (*link).prev = last;
                (*last).next = link;
                (*self.first).prev = link;
            }
        }
    }

    /// The link after `link`; after the last comes the first.
    ///
    /// # Safety
    /// 1. `link` is on this list.
    #[inline(always)]
    pub unsafe fn next(&self, link: NonNull<ListHead>) -> NonNull<ListHead> {
        // SAFETY: by 1, and neighbours of links are links.
        unsafe { NonNull::new_unchecked((*link.as_ptr()).next) }
    }

    /// Puts `link` before `at`.
    ///
    /// # Safety
    /// 1. `link` is on no list, and stays where it is until it is taken off. 2. `at` is on this list.
    pub unsafe fn insert_before(&mut self, at: NonNull<ListHead>, link: NonNull<ListHead>) {
        let (at, link) = (at.as_ptr(), link.as_ptr());
        // SAFETY: by 1 and 2.
        unsafe {
            let prev = (*at).prev;
            (*link).next = at;
            (*link).prev = prev;
            (*prev).next = link;
            (*at).prev = link;
        }
        if self.first == at {
            self.first = link;
        }
    }

    /// Takes `link` off the list.
    ///
    /// # Safety
    /// 1. `link` is on this list.
    #[inline(always)]
    pub unsafe fn remove(&mut self, link: NonNull<ListHead>) {
        let link = link.as_ptr();
        // SAFETY: by 1, so its neighbours are on the list too.
        unsafe {
            let (next, prev) = ((*link).next, (*link).prev);
            if next == link {
                self.first = ptr::null_mut();
            } else {
                (*prev).next = next;
                (*next).prev = prev;
                if self.first == link {
                    self.first = next;
                }
            }
            if cfg!(debug_assertions) {
                // Code that follows the link from now on then notices.
                link.write(ListHead::new());
            }
        }
    }

    /// Calls `visit` with each link on the list, first to last, until it returns that it has seen
    /// enough. `visit` may take its link off the list.
    #[inline(always)]
    pub fn visit(&mut self, mut visit: impl FnMut(&mut Self, NonNull<ListHead>) -> bool) {
        let Some(first) = self.first() else { return };
        // SAFETY: links on the list are in place.
        let last = unsafe { (*first.as_ptr()).prev };
        let mut link = first;
        loop {
            // SAFETY: as above; `next` is read before `visit`, which may take the link off.
            let next = unsafe { (*link.as_ptr()).next };
            let enough = visit(self, link) || link.as_ptr() == last;
            match NonNull::new(next) {
                Some(next) if !enough => link = next,
                _ => return,
            }
        }
    }
}

impl Default for List {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    fn order(list: &mut List, links: &[NonNull<ListHead>]) -> Vec<usize> {
        let mut seen = Vec::new();
        list.visit(|_, link| {
            seen.push(links.iter().position(|l| *l == link).unwrap());
            false
        });
        seen
    }

    proptest! {
        /// Compares the list with a plain queue; a visit that takes links off misses none.
        #[test]
        fn is_a_queue(steps in proptest::collection::vec((0u8..4, 0usize..6, 0usize..6), 0..200)) {
            let links: Vec<NonNull<ListHead>> = (0..6)
                .map(|_| NonNull::from(std::boxed::Box::leak(std::boxed::Box::new(ListHead::new()))))
                .collect();
            let mut list = List::new();
            let mut model: VecDeque<usize> = VecDeque::new();
            for (what, i, at) in steps {
                match what {
                    // SAFETY: the model says that the link is on no list; links are never freed.
                    0 if !model.contains(&i) => { unsafe { list.push_back(links[i]) }; model.push_back(i); }
                    // SAFETY: the model says that the link is on the list.
                    1 if model.contains(&i) => { unsafe { list.remove(links[i]) }; model.retain(|&j| j != i); }
                    3 if !model.contains(&i) && model.contains(&at) => {
                        // SAFETY: as above, of both.
                        unsafe { list.insert_before(links[at], links[i]) };
                        let place = model.iter().position(|&j| j == at).unwrap();
                        model.insert(place, i);
                        // SAFETY: it is on the list now.
                        prop_assert_eq!(unsafe { list.next(links[i]) }, links[at]);
                    }
                    2 => {
                        let even = |link| links.iter().position(|l| *l == link).unwrap() % 2 == 0;
                        list.visit(|list, link| {
                            if even(link) {
                                // SAFETY: `visit` gets links that are on the list.
                                unsafe { list.remove(link) };
                            }
                            false
                        });
                        model.retain(|&j| j % 2 != 0);
                    }
                    _ => {}
                }
                prop_assert_eq!(order(&mut list, &links), model.iter().copied().collect::<Vec<_>>());
            }
        }
    }
}

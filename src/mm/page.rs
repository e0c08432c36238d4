#![forbid(unsafe_code)]
//! A page frame: its number of holders, and its place in a list.
//!
//! `mem_map` has one [`Page`] for each frame of memory, indexed by frame number (physical address
//! divided by the page size). A [`PageList`] links some of them in both directions, so that any of
//! them can be removed. A frame is in at most one list: of free blocks, of ready frames, or of an
//! object size of the heap.
//!
//! Used by [`super::zone`] and [`super::slab`], each under its own lock.
//!
//! Book: ch. 8, "Page Descriptors". Linux: 2.6.38 `struct page` (`_count`, `private`, `lru`).

use core::sync::atomic::{AtomicU32, Ordering};

/// Marks the end of a list of frames.
const NONE: u32 = u32::MAX;

/// The descriptor of a page frame.
#[derive(Debug)]
pub struct Page {
    /// Number of holders of the frame: page-table entries, shared objects, the kernel. 0: free.
    count: AtomicU32,
    /// A word for the allocator that has the frame, protected by that allocator's lock.
    private: AtomicU32,
    /// The neighbouring frames in its list, protected by the lock of the list.
    next: AtomicU32,
    prev: AtomicU32,
}

impl Page {
    /// Returns the descriptor of a frame that nobody may use: a hole, or reserved at boot. Its
    /// single reference is never dropped.
    pub const fn reserved() -> Self {
        Self {
            count: AtomicU32::new(1),
            private: AtomicU32::new(0),
            next: AtomicU32::new(NONE),
            prev: AtomicU32::new(NONE),
        }
    }

    /// Returns the current number of holders.
    #[doc(alias = "page_count")]
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Adds a holder. The caller already holds the frame, or the lock that keeps it.
    pub fn get(&self) {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        assert!(before != 0, "BUG: reference to a free page frame");
    }

    /// Removes a holder; returns true if it was the last and the caller must free the frame.
    #[must_use]
    pub fn put_testzero(&self) -> bool {
        let before = self.count.fetch_sub(1, Ordering::AcqRel);
        assert!(before != 0, "BUG: page frame freed twice");
        before == 1
    }

    /// Sets the count when the allocator hands the frame out (1) or gets it back (0).
    pub(super) fn set_count(&self, count: u32) {
        self.count.store(count, Ordering::Relaxed);
    }

    /// Returns the word of the allocator that has the frame.
    pub(super) fn private(&self) -> u32 {
        self.private.load(Ordering::Relaxed)
    }

    /// Stores the word of the allocator that has the frame.
    pub(super) fn set_private(&self, value: u32) {
        self.private.store(value, Ordering::Relaxed);
    }
}

/// A list of frames; the one pushed last comes first.
#[derive(Clone, Copy, Debug)]
pub struct PageList {
    head: u32,
}

impl PageList {
    /// Returns an empty list.
    pub const fn new() -> Self {
        Self { head: NONE }
    }

    /// Returns the first frame.
    pub fn first(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    /// Puts `frame`, which is in no list, at the front.
    pub fn push(&mut self, mem_map: &[Page], frame: u32) {
        let page = &mem_map[frame as usize];
        page.next.store(self.head, Ordering::Relaxed);
        page.prev.store(NONE, Ordering::Relaxed);
        if let Some(second) = self.first() {
            mem_map[second as usize]
                .prev
                .store(frame, Ordering::Relaxed);
        }
        self.head = frame;
    }

    /// Removes `frame`, which is in this list.
    pub fn remove(&mut self, mem_map: &[Page], frame: u32) {
        let page = &mem_map[frame as usize];
        let next = page.next.load(Ordering::Relaxed);
        let prev = page.prev.load(Ordering::Relaxed);
        match prev {
            NONE => {
                assert!(self.head == frame, "BUG: page frame is not in this list");
                self.head = next;
            }
            prev => mem_map[prev as usize].next.store(next, Ordering::Relaxed),
        }
        if next != NONE {
            mem_map[next as usize].prev.store(prev, Ordering::Relaxed);
        }
    }

    /// Removes and returns the first frame.
    pub fn pop(&mut self, mem_map: &[Page]) -> Option<u32> {
        let first = self.first()?;
        self.remove(mem_map, first);
        Some(first)
    }

    /// Iterates over the frames, front to back.
    #[cfg(test)]
    pub fn iter<'a>(&self, mem_map: &'a [Page]) -> impl Iterator<Item = u32> + use<'a> {
        let known = |frame: u32| (frame != NONE).then_some(frame);
        core::iter::successors(self.first(), move |frame| {
            known(mem_map[*frame as usize].next.load(Ordering::Relaxed))
        })
    }
}

impl Default for PageList {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "BUG: page frame freed twice")]
    fn a_double_free_is_noticed() {
        let page = Page::reserved();
        let _ = page.put_testzero();
        let _ = page.put_testzero();
    }

    #[test]
    #[should_panic(expected = "BUG: reference to a free page frame")]
    fn a_free_frame_cannot_be_taken_hold_of() {
        let page = Page::reserved();
        let _ = page.put_testzero();
        page.get();
    }

    #[test]
    fn frames_leave_a_list_from_everywhere() {
        let mem_map: Vec<Page> = (0..5).map(|_| Page::reserved()).collect();
        let order = |list: PageList| list.iter(&mem_map).collect::<Vec<_>>();
        let mut list = PageList::new();
        (0..5).for_each(|frame| list.push(&mem_map, frame));
        assert_eq!(order(list), [4, 3, 2, 1, 0]);
        list.remove(&mem_map, 2);
        list.remove(&mem_map, 0);
        assert_eq!(order(list), [4, 3, 1]);
        assert_eq!(list.pop(&mem_map), Some(4));
        list.remove(&mem_map, 1);
        assert_eq!(order(list), [3]);
        assert_eq!((list.pop(&mem_map), list.pop(&mem_map)), (Some(3), None));
    }
}

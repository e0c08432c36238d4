#![forbid(unsafe_code)]
//! Page frames: who holds each, and which are free.
//!
//! `mem_map` has one [`Page`] for each frame of memory. Free frames are of two sorts: ranges
//! that were never handed out, and a list of returned ones, linked through their [`Page`].
//! So boot need not touch every frame, and contiguous frames can be had as long as there are
//! untouched ones.
//!
//! Used by `mm::frame`, which puts a lock around the [`Zone`].
//!
//! Book: chapter 8, "Page Descriptors", "Memory Zones".
//! Linux: 2.6.38 `mm/page_alloc.c`, `struct page`, `struct zone`.

use core::sync::atomic::{AtomicU32, Ordering};

use arrayvec::ArrayVec;

use super::memblock::MAX_RANGES;

/// Ends the list of returned frames.
const NONE: u32 = u32::MAX;

/// One page frame.
#[derive(Debug)]
pub struct Page {
    /// How many hold the frame: page-table entries, shared objects, the kernel. 0: free.
    count: AtomicU32,
    /// The next free frame; meaningful only for a free frame, under the zone's lock.
    next_free: AtomicU32,
}

impl Page {
    /// A frame nobody may have: a hole, or reserved at boot. Its one reference is never given back.
    pub const fn reserved() -> Self {
        Self {
            count: AtomicU32::new(1),
            next_free: AtomicU32::new(NONE),
        }
    }

    /// How many hold it just now.
    #[doc(alias = "page_count")]
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// One more holder. The caller holds the frame already, or the lock that keeps it.
    pub fn get(&self) {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        assert!(before != 0, "BUG: reference to a free page frame");
    }

    /// One holder less; true if that was the last, and the frame must be freed.
    #[must_use]
    pub fn put_testzero(&self) -> bool {
        let before = self.count.fetch_sub(1, Ordering::AcqRel);
        assert!(before != 0, "BUG: page frame freed twice");
        before == 1
    }
}

/// The free frames. Frame numbers are physical addresses divided by the page size.
#[derive(Debug)]
pub struct Zone {
    mem_map: &'static [Page],
    /// Never handed out: first frame and first frame after.
    untouched: ArrayVec<(u32, u32), { 2 * MAX_RANGES }>,
    /// Head of the list of returned frames.
    free_list: u32,
    nr_free: u32,
}

impl Zone {
    /// No frames at all.
    pub const fn empty() -> Self {
        Self {
            mem_map: &[],
            untouched: ArrayVec::new_const(),
            free_list: NONE,
            nr_free: 0,
        }
    }

    /// Frames described by `mem_map`, all of them [`Page::reserved`] so far.
    pub fn new(mem_map: &'static [Page]) -> Self {
        Self {
            mem_map,
            ..Self::empty()
        }
    }

    /// Declares frames `first..end` free. They must be reserved ones of `mem_map`.
    pub fn add_range(&mut self, first: u32, end: u32) {
        assert!(
            first <= end && end as usize <= self.mem_map.len(),
            "BUG: free range without mem_map"
        );
        if first < end {
            self.untouched.push((first, end));
            self.nr_free += end - first;
        }
    }

    /// Free frames.
    pub fn nr_free(&self) -> u32 {
        self.nr_free
    }

    /// A frame with one holder; what it contains is anything.
    pub fn alloc(&mut self) -> Option<u32> {
        let frame = match self.free_list {
            NONE => {
                let range = self.untouched.last_mut()?;
                let frame = range.0;
                range.0 += 1;
                if range.0 == range.1 {
                    self.untouched.pop();
                }
                frame
            }
            frame => {
                let page = &self.mem_map[frame as usize];
                assert!(
                    page.count() == 0,
                    "BUG: page frame in the free list is held"
                );
                self.free_list = page.next_free.load(Ordering::Relaxed);
                page.count.store(1, Ordering::Relaxed);
                frame
            }
        };
        self.nr_free -= 1;
        Some(frame)
    }

    /// `frames` frames side by side, one holder each, out of those never handed out.
    pub fn alloc_contiguous(&mut self, frames: u32) -> Option<u32> {
        let index = self
            .untouched
            .iter()
            .position(|(first, end)| end - first >= frames)?;
        let range = &mut self.untouched[index];
        range.1 -= frames;
        let frame = range.1;
        if range.0 == range.1 {
            self.untouched.remove(index);
        }
        self.nr_free -= frames;
        Some(frame)
    }

    /// Takes back a frame whose last holder has gone.
    pub fn free(&mut self, frame: u32) {
        let page = &self.mem_map[frame as usize];
        assert!(page.count() == 0, "BUG: page frame freed while held");
        page.next_free.store(self.free_list, Ordering::Relaxed);
        self.free_list = frame;
        self.nr_free += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn zone(frames: usize) -> Zone {
        let mem_map: Vec<Page> = (0..frames).map(|_| Page::reserved()).collect();
        Zone::new(mem_map.leak())
    }

    #[test]
    fn the_last_holder_frees() {
        let mut zone = zone(4);
        zone.add_range(2, 3);
        let frame = zone.alloc().unwrap();
        assert_eq!((frame, zone.alloc()), (2, None));
        let page = &zone.mem_map[2];
        page.get();
        assert!(!page.put_testzero());
        assert!(page.put_testzero());
        zone.free(2);
        assert_eq!(zone.alloc(), Some(2));
    }

    #[test]
    #[should_panic(expected = "BUG: page frame freed twice")]
    fn a_double_free_is_noticed() {
        let mut zone = zone(1);
        zone.add_range(0, 1);
        zone.alloc().unwrap();
        let _ = zone.mem_map[0].put_testzero();
        let _ = zone.mem_map[0].put_testzero();
    }

    #[test]
    #[should_panic(expected = "BUG: reference to a free page frame")]
    fn a_free_frame_cannot_be_taken_hold_of() {
        let zone = zone(1);
        let _ = zone.mem_map[0].put_testzero();
        zone.mem_map[0].get();
    }

    proptest! {
        /// No frame is handed out twice, and none is lost.
        #[test]
        fn every_frame_has_one_owner(steps in prop::collection::vec((0u8..3, 0u32..9), 0..200)) {
            let mut zone = zone(64);
            zone.add_range(3, 20);
            zone.add_range(30, 61);
            let mut held = BTreeSet::new();
            for (what, n) in steps {
                match what {
                    0 => if let Some(frame) = zone.alloc() {
                        prop_assert!(held.insert(frame));
                    },
                    1 => if let Some(first) = zone.alloc_contiguous(n + 1) {
                        for frame in first..=first + n {
                            prop_assert!((3..20).contains(&frame) || (30..61).contains(&frame));
                            prop_assert!(held.insert(frame));
                        }
                    },
                    _ => if let Some(&frame) = held.iter().nth(n as usize) {
                        held.remove(&frame);
                        prop_assert!(zone.mem_map[frame as usize].put_testzero());
                        zone.free(frame);
                    },
                }
                prop_assert_eq!(zone.nr_free() as usize + held.len(), 17 + 31);
            }
            while let Some(frame) = zone.alloc() {
                prop_assert!(held.insert(frame));
            }
            prop_assert_eq!(held.len(), 48);
        }
    }
}

#![forbid(unsafe_code)]
//! The free page frames: blocks of 2^order that join again (the buddy system), and ready frames.
//!
//! A block of order `n` is `2^n` frames that begin at a multiple of `2^n`. Its buddy is the other
//! half of the block of order `n + 1`; when both are free they become that block. Single
//! frames come and go far more often than blocks: up to [`HOT_HIGH`] freed ones wait in a list of
//! their own, which join only when there are more, or when a block is wanted and there is none.
//!
//! Used by `mm::frame`, which puts a lock around the [`Zone`].
//!
//! Book: chapter 8, "The Buddy System Algorithm", "The Per-CPU Page Frame Cache".
//! Linux: 2.6.38 `mm/page_alloc.c` (`__rmqueue`, `__free_one_page`, `alloc_pages_exact`).

use super::page::{Page, PageList};

/// Orders there are: the largest block has 2^17 frames, 512 MiB.
const ORDERS: usize = 18;
/// Ready frames that are kept at most.
const HOT_HIGH: u32 = 256;
/// Ready frames that join their buddies when there are more.
const HOT_BATCH: u32 = 32;
/// Order of the block that is cut up when no frame is ready.
const REFILL_ORDER: usize = 3;
/// In the `private` word of a free block's first frame, beside the order.
const BUDDY: u32 = 1 << 31;

/// The free frames. Frame numbers are physical addresses divided by the page size.
#[derive(Debug)]
pub struct Zone {
    mem_map: &'static [Page],
    /// Free blocks of each order, by their first frame.
    free_area: [PageList; ORDERS],
    /// Ready frames; they count as free but are no blocks.
    hot: PageList,
    nr_hot: u32,
    nr_free: u32,
}

impl Zone {
    /// No frames at all.
    pub const fn empty() -> Self {
        Self {
            mem_map: &[],
            free_area: [PageList::new(); ORDERS],
            hot: PageList::new(),
            nr_hot: 0,
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
        for page in &self.mem_map[first as usize..end as usize] {
            page.set_count(0);
        }
        self.free_range(first, end);
    }

    /// Free frames.
    pub fn nr_free(&self) -> u32 {
        self.nr_free
    }

    /// A frame with one holder; what it contains is anything.
    pub fn alloc(&mut self) -> Option<u32> {
        if self.nr_hot == 0 {
            self.refill()?;
        }
        let frame = self.hot.pop(self.mem_map)?;
        self.nr_hot -= 1;
        self.hand_out(frame);
        Some(frame)
    }

    /// `frames` frames side by side, one holder each, the first a multiple of the power of two that
    /// holds them all. They are freed one by one or together.
    pub fn alloc_contiguous(&mut self, frames: u32) -> Option<u32> {
        let order = frames.checked_next_power_of_two()?.trailing_zeros() as usize;
        let first = self.take_block(order).or_else(|| {
            self.drain_hot(self.nr_hot);
            self.take_block(order)
        })?;
        let end = first + frames;
        (first..end).for_each(|frame| self.hand_out(frame));
        self.nr_free -= first + (1 << order) - end;
        self.free_range(end, first + (1 << order));
        Some(first)
    }

    /// Takes back a frame whose last holder has gone.
    pub fn free(&mut self, frame: u32) {
        let page = &self.mem_map[frame as usize];
        assert!(page.count() == 0, "BUG: page frame freed while held");
        page.set_private(0);
        self.hot.push(self.mem_map, frame);
        self.nr_hot += 1;
        self.nr_free += 1;
        if self.nr_hot > HOT_HIGH {
            self.drain_hot(HOT_BATCH);
        }
    }

    /// Takes back frames `first..end`, whose last holders have gone.
    pub fn free_range(&mut self, first: u32, end: u32) {
        let mut frame = first;
        while frame < end {
            let fits = (end - frame).ilog2();
            let order = frame.trailing_zeros().min(fits).min(ORDERS as u32 - 1);
            self.nr_free += 1 << order;
            self.free_block(frame, order as usize);
            frame += 1 << order;
        }
    }

    /// Lets up to `frames` ready frames join their buddies.
    fn drain_hot(&mut self, frames: u32) {
        for _ in 0..frames {
            let Some(frame) = self.hot.pop(self.mem_map) else {
                return;
            };
            self.nr_hot -= 1;
            self.free_block(frame, 0);
        }
    }

    /// Makes a few frames ready out of a block.
    fn refill(&mut self) -> Option<()> {
        let (first, order) = match self.take_block(REFILL_ORDER) {
            Some(first) => (first, REFILL_ORDER),
            None => (self.take_block(0)?, 0),
        };
        for frame in (first..first + (1 << order)).rev() {
            self.hot.push(self.mem_map, frame);
            self.nr_hot += 1;
        }
        Some(())
    }

    /// One holder for a frame that is in no list any more.
    fn hand_out(&mut self, frame: u32) {
        let page = &self.mem_map[frame as usize];
        assert!(page.count() == 0, "BUG: free page frame is held");
        page.set_count(1);
        self.nr_free -= 1;
    }

    /// A block of `order` out of the lists, halved until it has the size.
    fn take_block(&mut self, order: usize) -> Option<u32> {
        let found = (order..ORDERS).find(|order| self.free_area[*order].first().is_some())?;
        let first = self.free_area[found].first()?;
        self.unlink(first, found);
        for half in (order..found).rev() {
            self.link(first + (1 << half), half);
        }
        Some(first)
    }

    /// Puts a block in its list, after it has joined with all buddies that are free.
    fn free_block(&mut self, mut first: u32, mut order: usize) {
        while order + 1 < ORDERS {
            let buddy = first ^ (1 << order);
            let joins = self
                .mem_map
                .get(buddy as usize)
                .is_some_and(|page| page.count() == 0 && page.private() == BUDDY | order as u32);
            if !joins {
                break;
            }
            self.unlink(buddy, order);
            first &= buddy;
            order += 1;
        }
        self.link(first, order);
    }

    fn link(&mut self, first: u32, order: usize) {
        self.mem_map[first as usize].set_private(BUDDY | order as u32);
        self.free_area[order].push(self.mem_map, first);
    }

    fn unlink(&mut self, first: u32, order: usize) {
        self.mem_map[first as usize].set_private(0);
        self.free_area[order].remove(self.mem_map, first);
    }
}

#[cfg(test)]
#[path = "zone_tests.rs"]
mod tests;

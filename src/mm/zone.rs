#![forbid(unsafe_code)]
//! The free page frames: blocks of 2^order that join again (the buddy system), and ready frames.
//!
//! A block of order `n` is `2^n` frames that begin at a multiple of `2^n`. Its buddy is the other
//! half of the block of order `n + 1`; when both are free they become that block. Single frames
//! come and go far more often than blocks: up to [`HOT_HIGH`] freed frames wait in a list. They
//! join their buddies only when there are more, or when a block is needed and none is free.
//!
//! Used by `mm::frame`, which puts a lock around the [`Zone`].
//!
//! Book: ch. 8, "The Buddy System Algorithm", "The Per-CPU Page Frame Cache".
//! Linux: 2.6.38 `mm/page_alloc.c` (`__rmqueue`, `__free_one_page`, `alloc_pages_exact`).

use super::page::{Page, PageList};

/// Number of orders: the largest block has 2^17 frames, 512 MiB.
const ORDERS: usize = 18;
/// Largest number of ready frames.
const HOT_HIGH: u32 = 256;
/// Number of ready frames that join their buddies when the list is full.
const HOT_BATCH: u32 = 32;
/// Order of the block that is split when no frame is ready.
const REFILL_ORDER: usize = 3;
/// Bit of `private` in a free block's first frame, beside the order.
const BUDDY: u32 = 1 << 31;

/// The free frames. A frame number is the physical address divided by the page size.
#[derive(Debug)]
pub struct Zone {
    mem_map: &'static [Page],
    /// Free blocks of each order, listed by their first frame.
    free_area: [PageList; ORDERS],
    /// Ready frames; they count as free but belong to no block.
    hot: PageList,
    nr_hot: u32,
    nr_free: u32,
}

impl Zone {
    /// Returns a zone without frames.
    pub const fn empty() -> Self {
        Self {
            mem_map: &[],
            free_area: [PageList::new(); ORDERS],
            hot: PageList::new(),
            nr_hot: 0,
            nr_free: 0,
        }
    }

    /// Returns a zone over `mem_map`, whose frames are all [`Page::reserved`] so far.
    pub fn new(mem_map: &'static [Page]) -> Self {
        Self {
            mem_map,
            ..Self::empty()
        }
    }

    /// Declares frames `first..end` free. They must be reserved frames of `mem_map`.
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

    /// Returns the number of free frames.
    pub fn nr_free(&self) -> u32 {
        self.nr_free
    }

    /// Allocates a frame with one holder; its contents are arbitrary.
    pub fn alloc(&mut self) -> Option<u32> {
        if self.nr_hot == 0 {
            self.refill()?;
        }
        let frame = self.hot.pop(self.mem_map)?;
        self.nr_hot -= 1;
        self.hand_out(frame);
        Some(frame)
    }

    /// Allocates `frames` adjacent frames with one holder each. The first is a multiple of `frames`
    /// rounded up to a power of two. They may be freed one by one or together.
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

    /// Frees a frame whose last holder has gone.
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

    /// Frees frames `first..end`, whose last holders have gone.
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

    /// Makes up to `frames` ready frames join their buddies.
    fn drain_hot(&mut self, frames: u32) {
        for _ in 0..frames {
            let Some(frame) = self.hot.pop(self.mem_map) else {
                return;
            };
            self.nr_hot -= 1;
            self.free_block(frame, 0);
        }
    }

    /// Splits a block into ready frames.
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

    /// Gives one holder to a frame that is no longer in a list.
    fn hand_out(&mut self, frame: u32) {
        let page = &self.mem_map[frame as usize];
        assert!(page.count() == 0, "BUG: free page frame is held");
        page.set_count(1);
        self.nr_free -= 1;
    }

    /// Takes a block of `order` out of the lists, halving a larger one if necessary.
    fn take_block(&mut self, order: usize) -> Option<u32> {
        let found = (order..ORDERS).find(|order| self.free_area[*order].first().is_some())?;
        let first = self.free_area[found].first()?;
        self.unlink(first, found);
        for half in (order..found).rev() {
            self.link(first + (1 << half), half);
        }
        Some(first)
    }

    /// Puts a block in its list, after joining it with all buddies that are free.
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

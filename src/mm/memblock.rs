#![forbid(unsafe_code)]
//! Which physical memory exists, and which of it is in use, before there is an allocator.
//!
//! The boot code adds the memory that the memory map calls available, and reserves the kernel
//! image, the modules and the Multiboot information. The page allocator carves its own tables out
//! of this, and the rest becomes its free ranges.
//!
//! `mm::frame` calls this once, on the boot stack, before any other processor runs.
//!
//! Book: ch. 2, "Physical Memory Layout"; ch. 8, "Memory Zones".
//! Linux: 2.6.38 `mm/memblock.c` (`memblock_add`, `memblock_reserve`).

use arrayvec::ArrayVec;

use crate::hw::pte::PAGE_SIZE;

/// Bytes of physical memory used at most: the reach of the direct map at 0xC0000000.
pub const MAXMEM: u32 = 768 << 20;
/// Largest number of ranges of each kind.
pub const MAX_RANGES: usize = 64;

/// Physical addresses `start..end`, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// First byte of the range.
    pub start: u32,
    /// First byte after the range.
    pub end: u32,
}

/// There are more than [`MAX_RANGES`] separate ranges of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyRanges;

type Ranges = ArrayVec<Range, MAX_RANGES>;

/// Usable and reserved memory; each list is sorted and has no overlaps.
#[derive(Clone, Debug, Default)]
pub struct Memblock {
    memory: Ranges,
    reserved: Ranges,
}

impl Memblock {
    /// Returns two empty lists.
    pub const fn new() -> Self {
        Self {
            memory: ArrayVec::new_const(),
            reserved: ArrayVec::new_const(),
        }
    }

    /// Adds usable memory. Drops the part above [`MAXMEM`], and the partial pages at both ends.
    pub fn add(&mut self, base: u64, length: u64) -> Result<(), TooManyRanges> {
        let start = base.saturating_add(u64::from(PAGE_SIZE - 1)) & !u64::from(PAGE_SIZE - 1);
        let end = base.saturating_add(length) & !u64::from(PAGE_SIZE - 1);
        insert(&mut self.memory, start, end)
    }

    /// Reserves memory: every page that the given bytes touch.
    pub fn reserve(&mut self, base: u64, length: u64) -> Result<(), TooManyRanges> {
        let start = base & !u64::from(PAGE_SIZE - 1);
        let end = base
            .saturating_add(length)
            .saturating_add(u64::from(PAGE_SIZE - 1))
            & !u64::from(PAGE_SIZE - 1);
        insert(&mut self.reserved, start, end)
    }

    /// Reserves `size` bytes (rounded up to pages), aligned to `align`, from the highest free
    /// memory and returns their address.
    pub fn alloc(&mut self, size: u32, align: u32) -> Option<u32> {
        let size = size.checked_next_multiple_of(PAGE_SIZE)?;
        let align = align.max(PAGE_SIZE);
        let free = self.free_ranges();
        let start = free.iter().rev().find_map(|range| {
            let start = range.end.checked_sub(size)? / align * align;
            (start >= range.start).then_some(start)
        })?;
        self.reserve(u64::from(start), u64::from(size)).ok()?;
        Some(start)
    }

    /// Returns the usable memory that is not reserved, lowest first.
    pub fn free_ranges(&self) -> ArrayVec<Range, { 2 * MAX_RANGES }> {
        let mut free = ArrayVec::new();
        for memory in &self.memory {
            let mut start = memory.start;
            for taken in self
                .reserved
                .iter()
                .filter(|r| r.end > memory.start && r.start < memory.end)
            {
                if taken.start > start {
                    free.push(Range {
                        start,
                        end: taken.start,
                    });
                }
                start = start.max(taken.end);
            }
            if start < memory.end {
                free.push(Range {
                    start,
                    end: memory.end,
                });
            }
        }
        free
    }

    /// Returns the amount of usable memory in bytes, reserved or not.
    pub fn total(&self) -> u32 {
        self.memory.iter().map(|r| r.end - r.start).sum()
    }

    /// Returns the first address after the highest usable memory.
    pub fn end_of_memory(&self) -> u32 {
        self.memory.last().map_or(0, |r| r.end)
    }
}

/// Adds `start..end`, clipped to [`MAXMEM`], and joins it with ranges that it touches.
fn insert(list: &mut Ranges, start: u64, end: u64) -> Result<(), TooManyRanges> {
    let end = end.min(u64::from(MAXMEM)) as u32;
    if start >= u64::from(end) {
        return Ok(());
    }
    let mut new = Range {
        start: start as u32,
        end,
    };
    let first = list.partition_point(|r| r.end < new.start);
    let last = list.partition_point(|r| r.start <= new.end);
    if first == last {
        return list.try_insert(first, new).map_err(|_| TooManyRanges);
    }
    new.start = new.start.min(list[first].start);
    new.end = new.end.max(list[last - 1].end);
    list[first] = new;
    list.drain(first + 1..last);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_of_pages_are_not_memory_and_memory_ends_at_the_direct_map() {
        let mut blocks = Memblock::new();
        blocks.add(0, 0x9_fc00).unwrap();
        blocks.add(0x10_0000, 0x1_0000_0000).unwrap();
        blocks.add(0x1_0000_0000, 0x4000_0000).unwrap();
        assert_eq!(blocks.end_of_memory(), MAXMEM);
        assert_eq!(blocks.total(), 0x9_f000 + MAXMEM - 0x10_0000);
        blocks.reserve(0x10_0001, 1).unwrap();
        assert_eq!(blocks.free_ranges()[1].start, 0x10_1000);
    }

    #[test]
    fn the_65th_hole_is_an_error() {
        let mut blocks = Memblock::new();
        for i in 0..MAX_RANGES as u64 {
            blocks.reserve(i * 0x2000, 1).unwrap();
        }
        assert_eq!(blocks.reserve(0x100_0000, 1), Err(TooManyRanges));
        blocks.reserve(0x1000, 1).unwrap();
    }

    #[test]
    fn carving_takes_the_highest_that_fits() {
        let mut blocks = Memblock::new();
        blocks.add(0x1000, 0x9000).unwrap();
        blocks.reserve(0x8000, 0x1000).unwrap();
        assert_eq!(blocks.alloc(0x2000, 0x2000), Some(0x6000));
        assert_eq!(blocks.alloc(1, 1), Some(0x9000));
        assert_eq!(blocks.alloc(0x8000, 1), None);
        assert_eq!(blocks.alloc(u32::MAX, 1), None);
    }

    proptest! {
        /// Compares with a model that keeps one bit per page.
        #[test]
        fn free_is_memory_minus_reserved(
            memory in prop::collection::vec((0u64..128, 0u64..40), 0..12),
            reserved in prop::collection::vec((0u64..128 * 4096, 0u64..20 * 4096), 0..12),
        ) {
            let mut blocks = Memblock::new();
            let mut model = [false; 256];
            for &(page, pages) in &memory {
                blocks.add(page * 4096, pages * 4096).unwrap();
                model[page as usize..(page + pages) as usize].fill(true);
            }
            for &(base, length) in &reserved {
                blocks.reserve(base, length).unwrap();
                let first = base as usize / 4096;
                let end = (base as usize + length as usize).div_ceil(4096);
                model[first..end.max(first)].fill(false);
            }
            let mut got = [false; 256];
            for range in blocks.free_ranges() {
                prop_assert!(range.start < range.end);
                for page in range.start / 4096..range.end / 4096 {
                    prop_assert!(!got[page as usize]);
                    got[page as usize] = true;
                }
            }
            prop_assert_eq!(got, model);
        }
    }
}

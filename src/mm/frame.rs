//! Allocates, shares and frees page frames for the whole kernel.
//!
//! Addresses are physical and page-aligned. All frames lie in the direct map, so
//! [`phys_to_virt`] reaches each of them at any time.
//!
//! Called from anywhere, interrupt handlers included; the zone's lock turns interrupts off.
//!
//! Book: ch. 8, "The Zoned Page Frame Allocator".
//! Linux: 2.6.38 `mm/page_alloc.c` (`alloc_page`, `get_page`, `put_page`, `nr_free_pages`).

use core::sync::atomic::{AtomicU32, Ordering};

use spin::Once;

use super::fail_alloc::should_fail;
use super::memblock::Memblock;
use super::page::Page;
use super::quicklist;
use super::zone::Zone;
use crate::base::layout::PAGE_OFFSET;
use crate::hw::pte::{PAGE_SHIFT, PAGE_SIZE};
use crate::sync::{IrqSpinLock, LockClass};

static MEM_MAP: Once<&'static [Page]> = Once::new();
static ZONE: IrqSpinLock<Zone> = IrqSpinLock::new(LockClass::Zone, Zone::empty());
static ZERO_PAGE: AtomicU32 = AtomicU32::new(0);
static TOTAL: AtomicU32 = AtomicU32::new(0);
/// Number of frames reserved for the kernel, so that allocations it cannot refuse still succeed.
static PAGES_MIN: AtomicU32 = AtomicU32::new(0);

/// Returns the linear address of physical address `phys` (`__va`).
#[inline(always)]
pub fn phys_to_virt(phys: u32) -> *mut u8 {
    (phys + PAGE_OFFSET) as *mut u8
}

/// Returns the physical address of a pointer into the direct map (`__pa`).
#[inline(always)]
pub fn virt_to_phys<T: ?Sized>(pointer: *const T) -> u32 {
    pointer.cast::<u8>() as u32 - PAGE_OFFSET
}

/// Hands all memory that `blocks` leaves free to the page allocator; returns whether that worked.
/// Called once, at boot.
///
/// All memory of `blocks` must already be in the direct map.
pub fn init(blocks: &mut Memblock) -> bool {
    let frames = blocks.end_of_memory() >> PAGE_SHIFT;
    let size = frames * size_of::<Page>() as u32;
    let Some(table) = blocks.alloc(size, PAGE_SIZE) else {
        return false;
    };
    let first: *mut Page = phys_to_virt(table).cast();
    for frame in 0..frames as usize {
        // SAFETY: `alloc` gave us `size` bytes of page-aligned memory that nothing else uses.
        unsafe { first.add(frame).write(Page::reserved()) };
    }
    // SAFETY: just initialised, never given back.
    let mem_map: &'static [Page] = unsafe { core::slice::from_raw_parts(first, frames as usize) };
    MEM_MAP.call_once(|| mem_map);
    let mut zone = ZONE.lock();
    *zone = Zone::new(mem_map);
    for range in blocks.free_ranges() {
        zone.add_range(range.start >> PAGE_SHIFT, range.end >> PAGE_SHIFT);
    }
    TOTAL.store(zone.nr_free(), Ordering::Relaxed);
    PAGES_MIN.store((zone.nr_free() / 64).clamp(32, 512), Ordering::Relaxed);
    drop(zone);
    match alloc_zeroed_page() {
        Some(page) => ZERO_PAGE.store(page, Ordering::Relaxed),
        None => return false,
    }
    true
}

/// Allocates a frame for the kernel. Its contents are arbitrary, and the caller is its only holder.
pub fn alloc_page() -> Option<u32> {
    if should_fail() {
        return None;
    }
    let frame = ZONE.lock().alloc();
    frame
        .map(|frame| frame << PAGE_SHIFT)
        .or_else(quicklist::take_any)
}

/// Allocates a frame as [`alloc_page`] does, and clears it.
#[doc(alias = "get_zeroed_page")]
pub fn alloc_zeroed_page() -> Option<u32> {
    let page = alloc_page()?;
    clear_page(page);
    Some(page)
}

/// Clears a frame. The caller must be its only holder.
pub fn clear_page(phys: u32) {
    // SAFETY: a frame in the direct map that nobody else uses.
    unsafe { phys_to_virt(phys).write_bytes(0, PAGE_SIZE as usize) };
}

/// Copies frame `from` to frame `to`. The caller must be the only holder of `to`, and nobody may
/// write `from` meanwhile.
pub fn copy_page(to: u32, from: u32) {
    assert!(to != from, "BUG: page copied onto itself");
    // SAFETY: two frames in the direct map; the caller alone holds the new one.
    unsafe { phys_to_virt(to).copy_from_nonoverlapping(phys_to_virt(from), PAGE_SIZE as usize) };
}

/// Allocates a frame for user data, its contents arbitrary. Returns `None` if only the kernel's
/// reserve is left.
pub fn alloc_user_page() -> Option<u32> {
    may_alloc(1).then(alloc_page).flatten()
}

/// Returns whether taking `pages` frames for a user would leave the kernel its reserve. The answer
/// may be outdated a moment later; system calls ask before they make the kernel allocate for them.
pub fn may_alloc(pages: u32) -> bool {
    nr_free_pages() >= PAGES_MIN.load(Ordering::Relaxed).saturating_add(pages)
}

/// Allocates `pages` adjacent frames for the kernel; see [`Zone::alloc_contiguous`].
#[doc(alias = "alloc_pages_exact")]
pub fn alloc_contiguous(pages: u32) -> Option<u32> {
    if should_fail() {
        return None;
    }
    ZONE.lock()
        .alloc_contiguous(pages)
        .map(|frame| frame << PAGE_SHIFT)
}

/// Frees frames from [`alloc_contiguous`]; the caller must be the only holder of all of them.
#[doc(alias = "free_pages_exact")]
pub fn free_contiguous(phys: u32, pages: u32) {
    let first = phys >> PAGE_SHIFT;
    for frame in first..first + pages {
        let last = mem_map()[frame as usize].put_testzero();
        assert!(last, "BUG: page frame {frame:#x} freed while held");
    }
    ZONE.lock().free_range(first, first + pages);
}

/// Adds a holder to a frame.
#[inline]
pub fn get_page(phys: u32) {
    page(phys).get();
}

/// Drops a holder of a frame and frees the frame with the last one.
#[inline]
pub fn put_page(phys: u32) {
    if page(phys).put_testzero() {
        ZONE.lock().free(phys >> PAGE_SHIFT);
    }
}

/// Returns the number of holders of a frame.
pub fn page_count(phys: u32) -> u32 {
    page(phys).count()
}

/// Returns the frame of zeroes that is mapped read-only where a process reads before it writes.
pub fn zero_page() -> u32 {
    ZERO_PAGE.load(Ordering::Relaxed)
}

/// Returns the number of free frames.
pub fn nr_free_pages() -> u32 {
    ZONE.lock().nr_free()
}

/// Returns the number of frames that were free after boot.
pub fn totalram_pages() -> u32 {
    TOTAL.load(Ordering::Relaxed)
}

/// Returns the descriptors of all frames, indexed by frame number; empty before [`init`].
pub(super) fn mem_map() -> &'static [Page] {
    MEM_MAP.get().copied().unwrap_or_default()
}

fn page(phys: u32) -> &'static Page {
    &mem_map()[(phys >> PAGE_SHIFT) as usize]
}

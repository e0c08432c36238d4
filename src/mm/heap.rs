//! The kernel heap: what `alloc` (`Box`, `Vec`, `Arc`) stands on.
//!
//! The `talc` crate manages the bytes; they come from page frames, a first part at boot and
//! more when it runs short. Frames do not come back from the heap. A request that cannot be
//! met returns null: code that acts for a user asks by `try_reserve`, or asks
//! [`super::frame::may_alloc`] first, and answers ENOMEM.
//!
//! Called from anywhere, interrupt handlers too; the lock turns interrupts off.
//!
//! Linux: 2.6.38 `mm/slub.c` (`kmalloc`, `kfree`).

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};

use talc::base::{Talc, binning::Binning};
use talc::{DefaultBinning, source::Source};

use super::frame::{self, phys_to_virt};
use crate::hw::pte::PAGE_SIZE;
use crate::sync::{IrqSpinLock, LockClass};

/// Frames the heap grows by when it must grow.
const GROW_PAGES: u32 = 16;
/// What the allocator needs beside an allocation in a fresh region, in bytes.
const OVERHEAD: usize = 64;

#[global_allocator]
static HEAP: KernelHeap = KernelHeap(IrqSpinLock::new(LockClass::Heap, Heap(Talc::new(Frames))));

struct KernelHeap(IrqSpinLock<Heap>);

struct Heap(Talc<Frames, DefaultBinning>);

// SAFETY: the raw pointers inside lead to memory that only the holder of the lock touches.
unsafe impl Send for Heap {}

/// Takes a first region of `bytes`; true if there were that many side by side. Once, at boot.
pub fn init(bytes: u32) -> bool {
    HEAP.0.lock().0.claim_frames(bytes / PAGE_SIZE)
}

trait ClaimFrames {
    fn claim_frames(&mut self, pages: u32) -> bool;
}

impl<B: Binning> ClaimFrames for Talc<Frames, B> {
    /// Adds `pages` frames side by side to the heap.
    fn claim_frames(&mut self, pages: u32) -> bool {
        let frames = match pages {
            1 => frame::alloc_page(),
            _ => frame::alloc_contiguous(pages),
        };
        let Some(phys) = frames else { return false };
        // SAFETY: the frames are in the direct map, nobody else holds them, and they are never
        // given back.
        unsafe { self.claim(phys_to_virt(phys), (pages * PAGE_SIZE) as usize) }.is_some()
    }
}

/// More memory for the heap, by page frames.
#[derive(Debug)]
struct Frames;

// SAFETY: `acquire` takes page frames, which never come from the heap.
unsafe impl Source for Frames {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let bytes = layout
            .size()
            .checked_add(layout.align() + OVERHEAD)
            .ok_or(())?;
        let pages = u32::try_from(bytes.div_ceil(PAGE_SIZE as usize)).map_err(|_| ())?;
        let grown = talc.claim_frames(pages.max(GROW_PAGES)) || talc.claim_frames(pages);
        grown.then_some(()).ok_or(())
    }
}

// SAFETY: `Talc` hands out each byte once until it is given back; the lock makes that hold
// between CPUs, and against interrupt handlers of this one.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: `GlobalAlloc` promises a size that is not 0.
        let block = unsafe { self.0.lock().0.allocate(layout) };
        block.map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `GlobalAlloc` promises that this came from `alloc` with the same layout.
        unsafe { self.0.lock().0.deallocate(pointer, layout) };
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as for `dealloc`, and the new size is not 0.
        if unsafe {
            self.0
                .lock()
                .0
                .try_realloc_in_place(pointer, layout, new_size)
        } {
            return pointer;
        }
        // SAFETY: the new size, rounded up to the alignment, does not overflow, as promised.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the size is not 0.
        let new = unsafe { self.alloc(new_layout) };
        if !new.is_null() {
            // SAFETY: both blocks are live, apart, and at least this long; then the old one goes.
            unsafe {
                new.copy_from_nonoverlapping(pointer, layout.size().min(new_size));
                self.dealloc(pointer, layout);
            }
        }
        new
    }
}

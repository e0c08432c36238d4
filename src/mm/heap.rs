//! The kernel heap: the allocator behind `Box`, `Vec` and `Arc`.
//!
//! Small objects are pieces of page frames ([`super::slab`]); each larger object gets adjacent
//! frames to itself. Frames without an object go back to the page allocator at once. A request that
//! cannot be met returns null.
//!
//! Called from anywhere, interrupt handlers included; the lock turns interrupts off.
//!
//! Book: ch. 8, "The Slab Allocator". Linux: 2.6.38 `kmalloc`, `kfree`.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};

use super::fail_alloc::should_fail;
use super::frame::{self, phys_to_virt, virt_to_phys};
use super::page::Page;
use super::slab::{Memory, Slabs, size_for};
use crate::hw::pte::{PAGE_MASK, PAGE_SHIFT, PAGE_SIZE};
use crate::sync::{IrqSpinLock, LockClass};

#[global_allocator]
static HEAP: KernelHeap = KernelHeap(IrqSpinLock::new(LockClass::Heap, Slabs::new(Frames)));

struct KernelHeap(IrqSpinLock<Slabs<Frames>>);

/// The kernel's page frames, reached through the direct map.
#[derive(Debug)]
struct Frames;

impl Memory for Frames {
    fn take_frame(&mut self) -> Option<u32> {
        Some(frame::alloc_page()? >> PAGE_SHIFT)
    }

    fn give_frame(&mut self, frame: u32) {
        frame::put_page(frame << PAGE_SHIFT);
    }

    fn load(&self, frame: u32, offset: u32) -> u32 {
        // SAFETY: only `Slabs` has a value of this type. It took the frame, and `offset` is that of
        // a free object, so nothing else uses the bytes.
        unsafe {
            phys_to_virt((frame << PAGE_SHIFT) + offset)
                .cast::<u32>()
                .read()
        }
    }

    fn store(&mut self, frame: u32, offset: u32, value: u32) {
        // SAFETY: as for `load`.
        unsafe {
            phys_to_virt((frame << PAGE_SHIFT) + offset)
                .cast::<u32>()
                .write(value)
        };
    }

    fn mem_map(&self) -> &'static [Page] {
        frame::mem_map()
    }
}

/// Returns the number of frames for a request that is too large for any object size; more than
/// memory holds if the request is absurd. A block begins at a multiple of its size rounded up to a
/// power of two, so this also serves large alignments.
fn pages_for(layout: Layout) -> u32 {
    let bytes = layout.size().max(layout.align());
    bytes.div_ceil(PAGE_SIZE as usize) as u32
}

// SAFETY: `Slabs` and the page allocator hand out each byte once until it is given back, aligned as
// `size_for` and `pages_for` say; locks make that hold between CPUs and against interrupt handlers.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if should_fail() {
            return null_mut();
        }
        let phys = match size_for(layout.size(), layout.align()) {
            Some(size) => {
                let object = self.0.lock().alloc(size);
                object.map(|(frame, offset)| (frame << PAGE_SHIFT) + offset)
            }
            None => frame::alloc_contiguous(pages_for(layout)),
        };
        phys.map_or(null_mut(), phys_to_virt)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let phys = virt_to_phys(pointer);
        match size_for(layout.size(), layout.align()) {
            Some(_) => self.0.lock().free(phys >> PAGE_SHIFT, phys & !PAGE_MASK),
            None => frame::free_contiguous(phys, pages_for(layout)),
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the new size, rounded up to the alignment, does not
        // overflow.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        let sizes = [layout, new_layout].map(|layout| size_for(layout.size(), layout.align()));
        let fits = match sizes {
            [Some(old), Some(new)] => old == new,
            [None, None] => pages_for(layout) == pages_for(new_layout),
            _ => false,
        };
        if fits {
            return pointer;
        }
        // SAFETY: the caller promises that the size is not 0.
        let new = unsafe { self.alloc(new_layout) };
        if let Some(to) = NonNull::new(new) {
            // SAFETY: both blocks are live, disjoint, and at least this long; then the old one is
            // freed.
            unsafe {
                to.as_ptr()
                    .copy_from_nonoverlapping(pointer, layout.size().min(new_size));
                self.dealloc(pointer, layout);
            }
        }
        new
    }
}

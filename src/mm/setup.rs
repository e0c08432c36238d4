//! Turns the boot memory map into a working allocator, in one call.
//!
//! Called by `start_kernel` on the boot stack, interrupts off, before any other CPU runs.
//!
//! Linux: 2.6.38 `paging_init`, `mem_init`, `kmem_cache_init`.

use core::sync::atomic::Ordering;

use super::memblock::Memblock;
use super::mm_struct::INIT_MM;
use super::{frame, ioremap, pgtable, thread_stack};

/// There is too little memory for the kernel's own tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory;

/// Makes page frames usable, and with them the heap, kernel stacks and `INIT_MM`. In `blocks`, the
/// caller has reserved everything that is already in use: the kernel image, the modules, the
/// Multiboot information, and the first 64 KiB.
pub fn mem_init(blocks: &mut Memblock) -> Result<(), OutOfMemory> {
    pgtable::map_lowmem(blocks.end_of_memory());
    INIT_MM
        .pgd
        .store(pgtable::swapper_phys(), Ordering::Relaxed);
    let ok = frame::init(blocks) && thread_stack::init() && ioremap::init();
    ok.then_some(()).ok_or(OutOfMemory)
}

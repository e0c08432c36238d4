//! Device registers at kernel addresses: the local APIC, the I/O APIC, firmware tables.
//!
//! One page table at the top of the address space, used from its lowest entry upwards. A mapping
//! stays for ever. Called at boot.
//!
//! Linux: 2.6.38 `arch/x86/mm/ioremap.c`, `asm/fixmap.h`.

use core::ptr::NonNull;

use super::pgtable::{add_kernel_tables, set_kernel_pte};
use crate::hw::pte::{PAGE_MASK, PAGE_SIZE, Pte, PteFlags};
use crate::sync::{IrqSpinLock, LockClass};

const AREA: u32 = 0xffc0_0000;
const AREA_END: u32 = 0xffff_f000;

static NEXT: IrqSpinLock<u32> = IrqSpinLock::new(LockClass::Ioremap, AREA);

/// Makes the page table. Called once, at boot.
pub fn init() -> bool {
    add_kernel_tables(core::iter::once(AREA))
}

/// Maps `length` bytes from physical address `phys`, uncached. Returns `None` if there is no room
/// left.
pub fn ioremap(phys: u32, length: u32) -> Option<NonNull<u8>> {
    map(
        phys,
        length,
        PteFlags::KERNEL | PteFlags::PCD | PteFlags::PWT,
    )
}

/// Maps `length` bytes of memory beyond the direct map, from physical address `phys`, with caching.
pub fn ioremap_cache(phys: u32, length: u32) -> Option<NonNull<u8>> {
    map(phys, length, PteFlags::KERNEL)
}

fn map(phys: u32, length: u32, flags: PteFlags) -> Option<NonNull<u8>> {
    let first = phys & PAGE_MASK;
    let bytes = (phys - first)
        .checked_add(length)?
        .checked_next_multiple_of(PAGE_SIZE)?;
    let mut next = NEXT.lock();
    let start = *next;
    if bytes == 0 || bytes > AREA_END - start {
        return None;
    }
    for offset in (0..bytes).step_by(PAGE_SIZE as usize) {
        set_kernel_pte(start + offset, Pte::new(first + offset, flags));
    }
    *next = start + bytes;
    NonNull::new((start + (phys - first)) as *mut u8)
}

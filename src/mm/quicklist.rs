//! Free page tables kept clean, ready for reuse.
//!
//! A page table is all zero when its owner gives it back, and a page directory has the kernel's
//! entries and nothing else. Keeping them in that state saves the next fork or exec from clearing 4
//! KiB. Each frame's first word links it to the next; it is zeroed again when the frame is taken.
//!
//! Called by `mm::pgtable`, and by `mm::frame` when memory is short.
//!
//! Linux: 2.6.11 `pgtable_cache`, 2.6.38 `mm/quicklist.c`.

use super::frame::{phys_to_virt, put_page};
use crate::sync::{IrqSpinLock, LockClass};

/// Largest number of frames in a list; surplus ones go back to the zone.
const LIMIT: u32 = 64;

/// A list of clean frames of one kind.
pub struct Quicklist {
    list: IrqSpinLock<List>,
}

struct List {
    /// Physical address of the first frame; 0: the list is empty.
    head: u32,
    length: u32,
}

/// Page tables, all zero.
pub static PTE_TABLES: Quicklist = Quicklist::new();
/// Page directories with the kernel's entries; the user's entries are all zero.
pub static PAGE_DIRECTORIES: Quicklist = Quicklist::new();

impl Quicklist {
    const fn new() -> Self {
        Self {
            list: IrqSpinLock::new(LockClass::Quicklist, List { head: 0, length: 0 }),
        }
    }

    /// Takes a clean frame from the list, if there is one.
    pub fn take(&self) -> Option<u32> {
        let mut list = self.list.lock();
        if list.head == 0 {
            return None;
        }
        let frame = list.head;
        let link = phys_to_virt(frame).cast::<u32>();
        // SAFETY: frames in the list are in the direct map and nobody else uses them.
        list.head = unsafe { link.replace(0) };
        list.length -= 1;
        Some(frame)
    }

    /// Keeps `frame`, which is clean and held only by the caller.
    pub fn give(&self, frame: u32) {
        let mut list = self.list.lock();
        if list.length >= LIMIT {
            drop(list);
            return put_page(frame);
        }
        let link = phys_to_virt(frame).cast::<u32>();
        // SAFETY: the frame is in the direct map and the list owns it from now on.
        unsafe { link.write(list.head) };
        list.head = frame;
        list.length += 1;
    }
}

/// Takes a frame from any list, for use when the zone is empty. Its contents are arbitrary.
pub fn take_any() -> Option<u32> {
    PTE_TABLES.take().or_else(|| PAGE_DIRECTORIES.take())
}

/// Gives all kept frames back to the zone, because memory is short or to make counts of free frames
/// comparable. Returns whether there were any.
pub fn drain() -> bool {
    let mut any = false;
    while let Some(frame) = take_any() {
        put_page(frame);
        any = true;
    }
    any
}

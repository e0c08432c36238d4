//! Page tables that wait to be used again, clean already.
//!
//! A page table is all zero when its owner gives it back, and a page directory has the
//! kernel's entries and nothing else. Kept so, the next fork or exec need not clear 4 KiB.
//! The frames are linked through their first word, which is zero again when one is taken out.
//!
//! Called by `mm::pgtable`; by `mm::frame` when memory is short.
//!
//! Linux: 2.6.11 `pgtable_cache`, 2.6.38 `mm/quicklist.c`.

use super::frame::{phys_to_virt, put_page};
use crate::sync::{IrqSpinLock, LockClass};

/// Frames a list keeps at most; more go back to the zone.
const LIMIT: u32 = 64;

/// One kind of clean frames.
pub struct Quicklist {
    list: IrqSpinLock<List>,
}

struct List {
    /// Physical address of the first frame; 0: none.
    head: u32,
    length: u32,
}

/// Page tables, all zero.
pub static PTE_TABLES: Quicklist = Quicklist::new();
/// Page directories with the kernel's entries, the user's all zero.
pub static PAGE_DIRECTORIES: Quicklist = Quicklist::new();

impl Quicklist {
    const fn new() -> Self {
        Self {
            list: IrqSpinLock::new(LockClass::Quicklist, List { head: 0, length: 0 }),
        }
    }

    /// A clean frame, if there is one.
    pub fn take(&self) -> Option<u32> {
        let mut list = self.list.lock();
        if list.head == 0 {
            return None;
        }
        let frame = list.head;
        let link = phys_to_virt(frame).cast::<u32>();
        // SAFETY: frames in the list are in the direct map and nobody else's.
        list.head = unsafe { link.replace(0) };
        list.length -= 1;
        Some(frame)
    }

    /// Keeps `frame`, which is clean and of which the caller is the only holder.
    pub fn give(&self, frame: u32) {
        let mut list = self.list.lock();
        if list.length >= LIMIT {
            drop(list);
            return put_page(frame);
        }
        let link = phys_to_virt(frame).cast::<u32>();
        // SAFETY: the frame is in the direct map and ours from now on.
        unsafe { link.write(list.head) };
        list.head = frame;
        list.length += 1;
    }
}

/// A frame out of any list, for whoever finds the zone empty. Its bytes are anything.
pub fn take_any() -> Option<u32> {
    PTE_TABLES.take().or_else(|| PAGE_DIRECTORIES.take())
}

/// Gives all kept frames back to the zone, because memory is short, or so that counts of free frames
/// can be compared. Says whether there were any.
pub fn drain() -> bool {
    let mut any = false;
    while let Some(frame) = take_any() {
        put_page(frame);
        any = true;
    }
    any
}

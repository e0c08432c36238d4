//! Resolves page faults in user space by finding a frame for the page.
//!
//! | entry     | access | area      | what happens                                         |
//! |-----------|--------|-----------|------------------------------------------------------|
//! | none      | read   | anonymous | the zero page, read-only                             |
//! | none      | write  | anonymous | a fresh page of zeroes                               |
//! | none      | any    | archive   | a copy of the file's bytes                           |
//! | none      | any    | file      | the file's page; a copy where a private area writes  |
//! | none      | any    | shared    | the object's page, made if it is the first touch     |
//! | read-only | write  | private   | sole holder: made writable; else copied              |
//! | present   |        |           | another thread was faster: nothing                   |
//!
//! `do_page_fault` calls [`handle_mm_fault`] on the faulting task's stack with interrupts on; exec
//! calls it for an address space that is not in use yet.
//!
//! Book: ch. 9, "Page Fault Exception Handler", "Demand Paging", "Copy On Write".
//! Linux: 2.6.38 `mm/memory.c` (`handle_mm_fault`, `do_wp_page`, `do_anonymous_page`).

use core::sync::atomic::{AtomicU32, Ordering};

use super::frame::{
    alloc_user_page, clear_page, copy_page, get_page, page_count, phys_to_virt, put_page, zero_page,
};
use super::mm_struct::MmStruct;
use super::pgtable::{pte_alloc, walk_pte};
use super::rlimit::MmRlimits;
use super::vma::{Backing, MemoryMap, VmFlags, Vma};
use crate::arch::x86::tlb_flush::flush_tlb_page;
use crate::base::errno::Errno;
use crate::hw::pte::{PAGE_MASK, PAGE_SIZE, PageFaultError, Pte, PteFlags};

/// Why a fault could not be resolved, and hence which signal the process gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultSignal {
    /// SIGSEGV, `SEGV_MAPERR`: nothing is mapped there.
    NotMapped,
    /// SIGSEGV, `SEGV_ACCERR`: the area does not allow the access.
    NotAllowed,
    /// SIGBUS, `BUS_ADRERR`: beyond the end of the mapped file.
    BeyondFile,
    /// No memory: the process must be killed.
    OutOfMemory,
}

/// Resolves the fault at `address`, which `error` describes, or returns why that is impossible.
pub fn handle_mm_fault(
    mm: &MmStruct,
    address: u32,
    error: PageFaultError,
) -> Result<(), FaultSignal> {
    let write = error.contains(PageFaultError::WRITE);
    let mut map = mm.map.lock();
    let vma = find_or_grow(&mut map, address)?;
    let needed = if write { VmFlags::WRITE } else { VmFlags::PROT };
    if !vma.flags.intersects(needed) {
        return Err(FaultSignal::NotAllowed);
    }
    let page = address & PAGE_MASK;
    let slot = pte_alloc(mm.pgd.load(Ordering::Relaxed), page).ok_or(FaultSignal::OutOfMemory)?;
    let pte = Pte(slot.load(Ordering::Relaxed));
    if pte.is_none() {
        let new = do_no_page(vma, page, write)?;
        slot.store(new.0, Ordering::Release);
        mm.count_page(new.phys());
    } else if write && !pte.flags().contains(PteFlags::RW) {
        match vma.flags.contains(VmFlags::SHARED) {
            true => make_writable(slot),
            false => do_wp_page(mm, page, slot, pte)?,
        }
    }
    Ok(())
}

/// Writes `bytes` to user address `address` of an address space that need not be loaded here.
pub fn write_to_mm(mm: &MmStruct, address: u32, bytes: &[u8]) -> Result<(), FaultSignal> {
    let (mut address, mut rest) = (address, bytes);
    while !rest.is_empty() {
        handle_mm_fault(mm, address, PageFaultError::WRITE)?;
        let _map = mm.map.lock();
        let pgd = mm.pgd.load(Ordering::Relaxed);
        let pte =
            walk_pte(pgd, address).map_or(Pte::NONE, |slot| Pte(slot.load(Ordering::Relaxed)));
        if !pte.flags().contains(PteFlags::PRESENT | PteFlags::RW) {
            continue;
        }
        let offset = address & !PAGE_MASK;
        let room = PAGE_SIZE.saturating_sub(offset) as usize;
        let (now, later) = rest.split_at(rest.len().min(room));
        // SAFETY: this is the frame of a user page, in the direct map; it cannot be freed while the
        // lock is held. Anything else that writes there races with us as two writers of user memory
        // do.
        unsafe { phys_to_virt(pte.phys() | offset).copy_from(now.as_ptr(), now.len()) };
        address = address.wrapping_add(now.len() as u32);
        rest = later;
    }
    Ok(())
}

/// Fills `bytes` from user address `address` of an address space that need not be loaded here.
pub fn read_from_mm(mm: &MmStruct, address: u32, bytes: &mut [u8]) -> Result<(), FaultSignal> {
    let (mut address, mut rest) = (address, bytes);
    while !rest.is_empty() {
        handle_mm_fault(mm, address, PageFaultError::empty())?;
        let _map = mm.map.lock();
        let pgd = mm.pgd.load(Ordering::Relaxed);
        let pte =
            walk_pte(pgd, address).map_or(Pte::NONE, |slot| Pte(slot.load(Ordering::Relaxed)));
        if !pte.flags().contains(PteFlags::PRESENT) {
            continue;
        }
        let offset = address & !PAGE_MASK;
        let length = rest.len().min(PAGE_SIZE.saturating_sub(offset) as usize);
        let (now, later) = rest.split_at_mut(length);
        // SAFETY: as in `write_to_mm`.
        unsafe { phys_to_virt(pte.phys() | offset).copy_to(now.as_mut_ptr(), length) };
        address = address.wrapping_add(length as u32);
        rest = later;
    }
    Ok(())
}

/// Returns the area of `address`, after growing the stack down to it if that is allowed.
pub fn find_or_grow(map: &mut MemoryMap, address: u32) -> Result<&Vma, FaultSignal> {
    let above = map.find_vma(address).ok_or(FaultSignal::NotMapped)?;
    if above.start > address {
        let limits = MmRlimits::current();
        map.expand_stack(address, limits.stack, limits.total())
            .map_err(|_: Errno| FaultSignal::NotMapped)?;
    }
    map.find_containing(address).ok_or(FaultSignal::NotMapped)
}

/// Returns the page-table entry for a page that has no frame yet.
pub fn do_no_page(vma: &Vma, page: u32, write: bool) -> Result<Pte, FaultSignal> {
    let offset = page.saturating_sub(vma.start);
    let flags = match vma.flags.contains(VmFlags::WRITE) {
        true => PteFlags::SHARED,
        false => PteFlags::READONLY,
    };
    match &vma.backing {
        Backing::Anonymous if !write => {
            get_page(zero_page());
            Ok(Pte::new(zero_page(), PteFlags::READONLY))
        }
        Backing::Anonymous => Ok(Pte::new(zeroed_user_page()?, flags | PteFlags::DIRTY)),
        Backing::Special { frame } => {
            get_page(*frame);
            Ok(Pte::new(*frame, PteFlags::READONLY))
        }
        Backing::Shared { object, first } => {
            let index = first.saturating_add(offset / PAGE_SIZE) as usize;
            let frame = match object.get(index) {
                Some(frame) => frame,
                None => {
                    let new = zeroed_user_page()?;
                    object.set(index, new).map_or_else(
                        |theirs| {
                            put_page(new);
                            theirs
                        },
                        |()| new,
                    )
                }
            };
            get_page(frame);
            Ok(Pte::new(frame, flags))
        }
        Backing::Mapped { object, first } => {
            let index = first.saturating_add(offset / PAGE_SIZE);
            let frame = object.fault(index).map_err(|errno| match errno {
                Errno::ENOMEM => FaultSignal::OutOfMemory,
                _ => FaultSignal::BeyondFile,
            })?;
            if vma.flags.contains(VmFlags::SHARED) {
                return Ok(Pte::new(frame, flags));
            }
            if !write {
                return Ok(Pte::new(frame, PteFlags::READONLY));
            }
            let own = alloc_user_page().ok_or(FaultSignal::OutOfMemory);
            // Other processes may write the page meanwhile, as they may at a read.
            let copied = own.inspect(|own| copy_page(*own, frame));
            put_page(frame);
            Ok(Pte::new(copied?, flags | PteFlags::DIRTY))
        }
        Backing::File {
            data,
            offset: at_start,
        } => {
            let from = at_start
                .checked_add(offset)
                .and_then(|from| data.get(from as usize..));
            let bytes = from
                .filter(|bytes| !bytes.is_empty())
                .ok_or(FaultSignal::BeyondFile)?;
            let frame = alloc_user_page().ok_or(FaultSignal::OutOfMemory)?;
            fill_page(frame, bytes);
            // The copy belongs to this process alone, so it may be written at once.
            Ok(Pte::new(frame, flags))
        }
    }
}

/// Resolves a write to a private page that is mapped read-only. The page has been shared since a
/// fork, or is the zero page, or has a single holder left.
fn do_wp_page(mm: &MmStruct, page: u32, slot: &AtomicU32, pte: Pte) -> Result<(), FaultSignal> {
    let old = pte.phys();
    let new = alone(mm, old)?;
    if new == old {
        make_writable(slot);
        return Ok(());
    }
    let new = Pte::new(new, PteFlags::SHARED | PteFlags::DIRTY);
    replace_page(mm, page, slot, new);
    Ok(())
}

/// Puts `new` into the entry of `page`, and gives back the frame that was there. The address space is
/// locked.
pub fn replace_page(mm: &MmStruct, page: u32, slot: &AtomicU32, new: Pte) {
    let old = Pte(slot.swap(new.0, Ordering::AcqRel));
    // Other threads read the old frame until the TLBs have forgotten it.
    flush_tlb_page(mm, page);
    put_page(old.phys());
}

/// Returns a frame with the bytes of `old`, a private page's, that no other entry holds: `old` itself,
/// or a copy that takes its place. The address space is locked.
pub fn alone(mm: &MmStruct, old: u32) -> Result<u32, FaultSignal> {
    if old == zero_page() {
        let new = zeroed_user_page()?;
        mm.count_page(new);
        return Ok(new);
    }
    if page_count(old) == 1 {
        return Ok(old);
    }
    let new = alloc_user_page().ok_or(FaultSignal::OutOfMemory)?;
    // Nobody may write `old` while more than one entry holds it.
    copy_page(new, old);
    Ok(new)
}

fn make_writable(slot: &AtomicU32) {
    slot.fetch_or((PteFlags::RW | PteFlags::DIRTY).bits(), Ordering::Release);
}

fn zeroed_user_page() -> Result<u32, FaultSignal> {
    let frame = alloc_user_page().ok_or(FaultSignal::OutOfMemory)?;
    clear_page(frame);
    Ok(frame)
}

/// Fills a frame that only the caller holds with the first page of `bytes`, and zeroes after their
/// end.
fn fill_page(frame: u32, bytes: &[u8]) {
    let length = bytes.len().min(PAGE_SIZE as usize);
    let page = phys_to_virt(frame);
    // SAFETY: at most one page is copied and the rest of it cleared; only the caller holds the
    // frame.
    unsafe {
        page.copy_from_nonoverlapping(bytes.as_ptr(), length);
        page.add(length)
            .write_bytes(0, (PAGE_SIZE as usize).saturating_sub(length));
    }
}

//! `access_process_vm`: reads and writes memory for another task, against its protection.
//!
//! A tracer may read memory that the process may not. It may write to private memory that the process
//! may only read: the page becomes the process's own copy, and stays read-only. Shared memory that
//! is read-only stays as it is.
//!
//! Called in process context.
//!
//! Linux: 2.6.38 `mm/memory.c` (`access_process_vm`, `get_user_pages` with FOLL_FORCE).

use core::sync::atomic::Ordering;

use super::fault::{FaultSignal, alone, do_no_page, find_or_grow, handle_mm_fault, replace_page};
use super::frame::phys_to_virt;
use super::mm_struct::MmStruct;
use super::mmap::pte_flags_after_mprotect;
use super::pgtable::pte_alloc;
use super::vma::VmFlags;
use crate::hw::pte::{PAGE_MASK, PAGE_SIZE, PageFaultError, Pte};

/// The direction of an access, with the caller's bytes.
pub enum Access<'a> {
    /// Fill the bytes from memory.
    Read(&'a mut [u8]),
    /// Copy the bytes to memory.
    Write(&'a [u8]),
}

/// Reads or writes memory at user address `address` of `mm`. The parts before a page that cannot be
/// accessed are done.
///
/// # Errors
/// Why a page cannot be accessed.
pub fn access_process_vm(
    mm: &MmStruct,
    address: u32,
    access: Access<'_>,
) -> Result<(), FaultSignal> {
    let mut at = address;
    match access {
        Access::Read(mut bytes) => {
            while !bytes.is_empty() {
                let (now, later) = bytes.split_at_mut(in_page(at, bytes.len()));
                with_page(mm, at, false, |page| {
                    // SAFETY: the bytes of a user page, in the direct map, whose frame stays while
                    // the address space is locked; others may write there, as tasks that share
                    // memory do.
                    unsafe { page.copy_to(now.as_mut_ptr(), now.len()) }
                })?;
                at = at.wrapping_add(now.len() as u32);
                bytes = later;
            }
        }
        Access::Write(mut bytes) => {
            while !bytes.is_empty() {
                let (now, later) = bytes.split_at(in_page(at, bytes.len()));
                with_page(mm, at, true, |page| {
                    // SAFETY: as above; the page is the process's own, or it may write there.
                    unsafe { page.copy_from(now.as_ptr(), now.len()) }
                })?;
                at = at.wrapping_add(now.len() as u32);
                bytes = later;
            }
        }
    }
    Ok(())
}

/// Returns how many of `length` bytes from `address` lie in its page.
fn in_page(address: u32, length: usize) -> usize {
    length.min(PAGE_SIZE.saturating_sub(address & !PAGE_MASK) as usize)
}

/// Calls `body` with the place of `address` in the direct map; for a write, the page is one that the
/// process alone has, or may write.
fn with_page(
    mm: &MmStruct,
    address: u32,
    write: bool,
    body: impl FnOnce(*mut u8),
) -> Result<(), FaultSignal> {
    let error = match write {
        true => PageFaultError::WRITE,
        false => PageFaultError::empty(),
    };
    // What the process itself may do is done as for the process.
    match handle_mm_fault(mm, address, error) {
        Ok(()) | Err(FaultSignal::NotAllowed) => (),
        Err(other) => return Err(other),
    }
    let mut map = mm.map.lock();
    let vma = find_or_grow(&mut map, address)?;
    let may_write = vma.flags.contains(VmFlags::WRITE);
    if write && !may_write && vma.flags.contains(VmFlags::SHARED) {
        return Err(FaultSignal::NotAllowed);
    }
    let page = address & PAGE_MASK;
    let slot = pte_alloc(mm.pgd.load(Ordering::Relaxed), page).ok_or(FaultSignal::OutOfMemory)?;
    let mut pte = Pte(slot.load(Ordering::Relaxed));
    if pte.is_none() {
        let new = do_no_page(vma, page, write)?;
        // The process may do no more with it than the area allows.
        pte = Pte::new(new.phys(), pte_flags_after_mprotect(vma.flags));
        slot.store(pte.0, Ordering::Release);
        mm.count_page(pte.phys());
    }
    if write && !vma.flags.contains(VmFlags::SHARED) {
        let own = alone(mm, pte.phys())?;
        if own != pte.phys() {
            pte = Pte::new(own, pte_flags_after_mprotect(vma.flags));
            replace_page(mm, page, slot, pte);
        }
    }
    body(phys_to_virt(pte.phys() | (address & !PAGE_MASK)));
    Ok(())
}

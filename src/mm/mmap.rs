//! Changing an address space: map, unmap, protect, copy for fork, tear down.
//!
//! The areas say what should be mapped ([`super::vma`]), the page tables what is. Each function
//! here changes the areas first and then the entries that no longer agree. [`Gather`] gives a frame
//! back only after no CPU can have its translation.
//!
//! System calls, fork and exec call these functions in process context; they take the address
//! space's lock themselves. `exit_mmap` runs when the last user is gone.
//!
//! Book: ch. 9, "Allocating a Linear Address Interval", "Creating and Deleting a Process Address
//! Space". Linux: 2.6.38 `mm/mmap.c`, `mm/memory.c` (`copy_page_range`, `zap_page_range`),
//! `mm/mprotect.c`.

use core::sync::atomic::Ordering;

use alloc::sync::Arc;

use arrayvec::ArrayVec;
use bitflags::bitflags;

use super::fallible::try_arc;
use super::frame::{get_page, put_page, totalram_pages};
use super::mm_struct::MmStruct;
use super::pgtable::{for_each_used, free_pgtables, has_pgtables, pte_alloc};
use super::rlimit::MmRlimits;
use super::shared_pages::SharedPages;
use super::vma::{Backing, MMAP_MIN_ADDR, MemoryMap, TASK_SIZE, VmFlags, Vma};
use crate::arch::x86::switch::paravirt::{
    arch_enter_lazy_mmu_mode, arch_leave_lazy_mmu_mode, set_pte,
};
use crate::arch::x86::tlb_flush::flush_tlb_mm;
use crate::base::errno::Errno;
use crate::hw::pte::{PAGE_SHIFT, PAGE_SIZE, Pte, PteFlags};

/// A software bit in an entry that is not present: the page has a frame, but nobody may access it.
const PROTNONE: PteFlags = PteFlags::SOFTW1;

bitflags! {
    /// `MAP_*` flags of mmap(2) that the kernel heeds.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct MapFlags: u32 {
        /// All processes that share the mapping see its writes.
        const SHARED = 0x1;
        /// Writes stay private to the process.
        const PRIVATE = 0x2;
        /// Maps exactly at the address and replaces existing mappings.
        const FIXED = 0x10;
        /// The mapping shows no file.
        const ANONYMOUS = 0x20;
        /// The mapping grows downwards.
        const GROWSDOWN = 0x100;
        /// Skips the check whether that much memory exists.
        const NORESERVE = 0x4000;
        /// Maps exactly at the address; fails with EEXIST if anything is mapped there.
        const FIXED_NOREPLACE = 0x10_0000;
    }
}

/// Maps `length` bytes and returns their address. Without `backing` the memory is anonymous, of the
/// kind that `flags` ask for.
///
/// # Errors
/// EINVAL (length 0, neither or both of shared and private, unaligned fixed address, shared memory
/// that grows), ENOMEM, EPERM (below [`MMAP_MIN_ADDR`]), EEXIST.
pub fn do_mmap(
    mm: &MmStruct,
    address: u32,
    length: u32,
    prot: VmFlags,
    flags: MapFlags,
    backing: Option<Backing>,
) -> Result<u32, Errno> {
    let shared = flags.contains(MapFlags::SHARED);
    let grows = flags.contains(MapFlags::GROWSDOWN);
    if length == 0 || shared == flags.contains(MapFlags::PRIVATE) || shared && grows {
        return Err(Errno::EINVAL);
    }
    let length = length
        .checked_next_multiple_of(PAGE_SIZE)
        .ok_or(Errno::ENOMEM)?;
    let pages = length >> PAGE_SHIFT;
    if !flags.contains(MapFlags::NORESERVE)
        && prot.contains(VmFlags::WRITE)
        && pages > totalram_pages()
    {
        return Err(Errno::ENOMEM);
    }
    let backing = match backing {
        Some(backing) => backing,
        None if shared => {
            let object = SharedPages::new(pages as usize, put_page)?;
            Backing::Shared {
                object: try_arc(object)?,
                first: 0,
            }
        }
        None => Backing::Anonymous,
    };
    let mut vm_flags = prot & (VmFlags::PROT | VmFlags::NEVER_WRITE);
    vm_flags.set(VmFlags::SHARED, shared);
    vm_flags.set(VmFlags::GROWSDOWN, grows);

    let mut map = mm.map.lock();
    let start = if flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE) {
        let end = fixed_range(address, length)?;
        if address < MMAP_MIN_ADDR {
            return Err(Errno::EPERM);
        }
        if !map.is_free(address, end) {
            if flags.contains(MapFlags::FIXED_NOREPLACE) {
                return Err(Errno::EEXIST);
            }
            unmap_locked(mm, &mut map, address, end)?;
        }
        address
    } else {
        map.get_unmapped_area(address, length)?
    };
    if !MmRlimits::current().may_expand_vm(&map, length) {
        return Err(Errno::ENOMEM);
    }
    map.insert(Vma {
        start,
        end: start.checked_add(length).ok_or(Errno::ENOMEM)?,
        flags: vm_flags,
        backing,
    })?;
    Ok(start)
}

/// Unmaps everything in the range.
///
/// # Errors
/// EINVAL for an unaligned address or length 0, ENOMEM.
pub fn do_munmap(mm: &MmStruct, address: u32, length: u32) -> Result<(), Errno> {
    if length == 0 {
        return Err(Errno::EINVAL);
    }
    let end = user_range(address, length)?;
    unmap_locked(mm, &mut mm.map.lock(), address, end)
}

/// Changes the protection of a range to `prot`; `None` stands for an invalid protection. Pages
/// before the first one that is unmapped, or that may not have `prot`, are changed.
///
/// # Errors
/// EINVAL (unaligned address, invalid protection), ENOMEM (not mapped), EACCES.
pub fn do_mprotect(
    mm: &MmStruct,
    address: u32,
    length: u32,
    prot: Option<VmFlags>,
) -> Result<(), Errno> {
    if !address.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    if length == 0 {
        return Ok(());
    }
    let end = page_end(address, length).ok_or(Errno::ENOMEM)?;
    let prot = prot.ok_or(Errno::EINVAL)?;
    let mut map = mm.map.lock();
    let (end, result) = map.may_protect(address, end, prot);
    if address < end {
        map.protect(address, end, prot)?;
        protect_pages(mm, &map, address, end);
    }
    result
}

/// Gives each page of `start..end` that has a frame the flags of its area.
fn protect_pages(mm: &MmStruct, map: &MemoryMap, start: u32, end: u32) {
    let mut first = start;
    while let Some(vma) = map.find_vma(first).filter(|_| first < end) {
        let (last, flags) = (vma.end.min(end), vma.flags);
        for_each_used(mm.pgd.load(Ordering::Relaxed), first, last, |_, slot| {
            // Cleared first: another CPU may set the A and D bits until then.
            let pte = Pte(slot.swap(0, Ordering::AcqRel));
            // A dirty page stays dirty, whatever its new protection is.
            let flags = pte_flags_after_mprotect(flags) | pte.flags() & PteFlags::DIRTY;
            slot.store(pte.with_flags(flags).0, Ordering::Release);
        });
        first = last;
    }
    flush_tlb_mm(mm);
}

/// Returns the flags for a page that already has a frame. A private page stays read-only: the next
/// write fault finds out whether it may be written without a copy.
pub fn pte_flags_after_mprotect(flags: VmFlags) -> PteFlags {
    match flags & VmFlags::PROT {
        none if none.is_empty() => PteFlags::SHARED
            .difference(PteFlags::PRESENT | PteFlags::RW)
            .union(PROTNONE),
        prot if prot.contains(VmFlags::WRITE) && flags.contains(VmFlags::SHARED) => {
            PteFlags::SHARED
        }
        _ => PteFlags::READONLY,
    }
}

/// Moves the end of the heap and returns the end afterwards, changed or not, as brk(2) does. It does
/// not move beyond `RLIMIT_DATA` and `RLIMIT_AS`.
pub fn do_brk(mm: &MmStruct, brk: u32) -> u32 {
    let limits = MmRlimits::current();
    let mut map = mm.map.lock();
    let heap = brk.saturating_sub(map.start_brk);
    let data = heap.saturating_add(map.data.len() as u32);
    let more = brk
        .saturating_sub(map.brk)
        .checked_next_multiple_of(PAGE_SIZE);
    let is_allowed = data <= limits.data && limits.may_expand_vm(&map, more.unwrap_or(u32::MAX));
    if (heap >> PAGE_SHIFT) <= totalram_pages()
        && (is_allowed || brk <= map.brk)
        && let Ok(Some((start, end))) = map.set_brk(brk)
    {
        zap_page_range(mm, start, end);
    }
    map.brk
}

/// Advice of madvise(2), as far as this kernel acts on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// Nothing to do.
    Nothing,
    /// Drops the pages; the next touch makes new ones.
    DontNeed,
    /// Sets, among the flags of the second field, those of the first.
    Flags(VmFlags, VmFlags),
}

/// Follows advice about a range.
///
/// # Errors
/// EINVAL (unaligned address, range too long, memory that cannot be wiped at fork), ENOMEM if a
/// page is not mapped, after following the advice for the others, EAGAIN (too many areas).
pub fn do_madvise(mm: &MmStruct, address: u32, length: u32, advice: Advice) -> Result<(), Errno> {
    let end = page_end(address, length).filter(|_| address.is_multiple_of(PAGE_SIZE));
    let end = end.ok_or(Errno::EINVAL)?;
    let mut map = mm.map.lock();
    let (start, last) = (address.min(TASK_SIZE), end.min(TASK_SIZE));
    match advice {
        Advice::Nothing => {}
        Advice::DontNeed => zap_page_range(mm, start, last),
        Advice::Flags(flags, mask) => {
            let fits = |vma: &&Vma| {
                let own = matches!(vma.backing, Backing::Anonymous);
                own || !flags.contains(VmFlags::WIPEONFORK)
            };
            let in_range = map
                .areas()
                .iter()
                .filter(|vma| vma.end > start && vma.start < last);
            let unfit = in_range.clone().find(|vma| !fits(vma));
            let stop = unfit.map_or(last, |vma| vma.start.max(start));
            if start < stop {
                map.change_flags(start, stop, flags, mask)
                    .map_err(|_| Errno::EAGAIN)?;
            }
            if stop < last {
                return Err(Errno::EINVAL);
            }
        }
    }
    match map.is_covered(address, end) {
        true => Ok(()),
        false => Err(Errno::ENOMEM),
    }
}

/// Copies `old`'s areas and present pages into `new`, which is empty and not yet in use. Pages that
/// either may write become copy-on-write in both.
///
/// # Errors
/// ENOMEM. `new` then holds part of the copy, and the caller drops it with `mmput`.
#[doc(alias = "copy_page_range")]
pub fn dup_mmap(old: &MmStruct, new: &MmStruct) -> Result<(), Errno> {
    let map = old.map.lock();
    let copy = map.try_clone()?;
    let (old_pgd, new_pgd) = (
        old.pgd.load(Ordering::Relaxed),
        new.pgd.load(Ordering::Relaxed),
    );
    let (mut protected, mut result) = (false, Ok(()));
    arch_enter_lazy_mmu_mode();
    let not_copied = VmFlags::DONTCOPY | VmFlags::WIPEONFORK;
    for vma in map.areas() {
        if vma.flags.intersects(not_copied) {
            continue;
        }
        let private = !vma.flags.contains(VmFlags::SHARED);
        for_each_used(old_pgd, vma.start, vma.end, |address, slot| {
            let Some(copy) = result.is_ok().then(|| pte_alloc(new_pgd, address)) else {
                return;
            };
            let Some(copy) = copy else {
                result = Err(Errno::ENOMEM);
                return;
            };
            let mut pte = Pte(slot.load(Ordering::Relaxed));
            if private && pte.flags().contains(PteFlags::RW) {
                pte =
                    Pte(slot.fetch_and(!PteFlags::RW.bits(), Ordering::AcqRel)
                        & !PteFlags::RW.bits());
                protected = true;
            }
            get_page(pte.phys());
            new.count_page(pte.phys());
            // The contents of a private page are the process's own, and stay so in the copy.
            let clean = if private {
                pte.0
            } else {
                pte.0 & !PteFlags::DIRTY.bits()
            };
            set_pte(copy, clean);
        });
    }
    arch_leave_lazy_mmu_mode();
    if protected {
        flush_tlb_mm(old);
    }
    // Drops the first lock before the second is taken: nothing looks at the new one yet.
    drop(map);
    *new.map.lock() = copy;
    result
}

/// Removes everything from an address space that has no users left. Its page directory stays until
/// the last `mmdrop`: a CPU may still have it in CR3, lazily.
pub fn exit_mmap(mm: &MmStruct) {
    let map = core::mem::take(&mut *mm.map.lock());
    let pgd = mm.pgd.load(Ordering::Relaxed);
    if !has_pgtables(pgd) {
        return;
    }
    // A CPU that has the address space loaded borrows it, and leaves it now: after this no TLB
    // knows its pages, and no processor walks its tables.
    flush_tlb_mm(mm);
    for vma in map.areas() {
        for_each_used(pgd, vma.start, vma.end, |_, slot| {
            put_page(Pte(slot.swap(0, Ordering::AcqRel)).phys());
        });
    }
    free_pgtables(pgd);
}

/// Unmaps, in all areas that show the file at `object`, the pages `first..last` of the file.
pub fn unmap_mapping(mm: &MmStruct, object: *const (), first: u32, last: u32) {
    let map = mm.map.lock();
    for vma in map.areas() {
        if let Backing::Mapped {
            object: other,
            first: at_start,
        } = &vma.backing
            && core::ptr::addr_eq(Arc::as_ptr(other), object)
        {
            let address = |page: u32| {
                let pages = u64::from(page.saturating_sub(*at_start));
                let end = (pages << PAGE_SHIFT).saturating_add(vma.start.into());
                u32::try_from(end).map_or(vma.end, |end| end.min(vma.end))
            };
            let (start, end) = (address(first), address(last));
            if start < end {
                zap_page_range(mm, start, end);
            }
        }
    }
}

fn unmap_locked(mm: &MmStruct, map: &mut MemoryMap, start: u32, end: u32) -> Result<(), Errno> {
    map.remove(start, end)?;
    zap_page_range(mm, start, end);
    Ok(())
}

fn zap_page_range(mm: &MmStruct, start: u32, end: u32) {
    Gather::new(mm).zap(start, end);
}

/// Returns the address after `length` bytes, rounded up to pages, from `address`; `None` if it does
/// not exist.
fn page_end(address: u32, length: u32) -> Option<u32> {
    length
        .checked_next_multiple_of(PAGE_SIZE)
        .and_then(|length| address.checked_add(length))
}

/// Returns the end of the user range of `length` bytes, rounded up to pages, from `address`. Fails
/// with EINVAL if `address` is not page-aligned or the range leaves user space.
fn user_range(address: u32, length: u32) -> Result<u32, Errno> {
    page_end(address, length)
        .filter(|end| address.is_multiple_of(PAGE_SIZE) && *end <= TASK_SIZE)
        .ok_or(Errno::EINVAL)
}

/// As [`user_range`], for a fixed mapping: ENOMEM if it leaves user space, before EINVAL.
fn fixed_range(address: u32, length: u32) -> Result<u32, Errno> {
    let end = page_end(address, length).filter(|end| *end <= TASK_SIZE);
    match end.ok_or(Errno::ENOMEM)? {
        end if address.is_multiple_of(PAGE_SIZE) => Ok(end),
        _ => Err(Errno::EINVAL),
    }
}

/// Frames removed from the page tables that some TLB may still know. Its drop flushes the TLBs,
/// then frees the frames.
#[doc(alias = "mmu_gather")]
struct Gather<'a> {
    mm: &'a MmStruct,
    frames: ArrayVec<u32, 128>,
}

impl<'a> Gather<'a> {
    fn new(mm: &'a MmStruct) -> Self {
        Self {
            mm,
            frames: ArrayVec::new(),
        }
    }

    /// Clears the entries of `start..end`.
    fn zap(&mut self, start: u32, end: u32) {
        for_each_used(
            self.mm.pgd.load(Ordering::Relaxed),
            start,
            end,
            |_, slot| {
                let pte = Pte(slot.swap(0, Ordering::AcqRel));
                self.mm.uncount_page(pte.phys());
                self.frames.push(pte.phys());
                if self.frames.is_full() {
                    self.flush();
                }
            },
        );
    }

    fn flush(&mut self) {
        flush_tlb_mm(self.mm);
        self.frames.drain(..).for_each(put_page);
    }
}

impl Drop for Gather<'_> {
    fn drop(&mut self) {
        if !self.frames.is_empty() {
            self.flush();
        }
    }
}

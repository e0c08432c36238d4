#![forbid(unsafe_code)]
//! Memory areas: the contents of each page of a process, before the page has a frame.
//!
//! A [`MemoryMap`] is a list of areas, sorted by address and without overlaps. Neighbours that
//! continue each other are one area. The page tables follow from it: `mm::fault` fills them when
//! pages are touched, and callers that remove areas here clear the entries afterwards. An operation
//! that fails changes nothing.
//!
//! Used under the lock in `mm_struct`, by `mm::fault`, `mm::mmap`, exec and fork.
//!
//! Book: ch. 9, "Memory Regions" (`vm_area_struct`, `find_vma`, `get_unmapped_area`).
//! Linux: 2.6.38 `mm/mmap.c`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use bitflags::bitflags;

pub use super::backing::{Backing, Mapping};
use crate::base::errno::Errno;
use crate::base::layout::PAGE_OFFSET;
use crate::hw::pte::{PAGE_SHIFT, PAGE_SIZE};
use crate::mm::fallible::TryVec;

/// First address above user space.
pub const TASK_SIZE: u32 = PAGE_OFFSET;
/// Lowest address that may be mapped (`vm.mmap_min_addr`), so that a null pointer faults.
pub const MMAP_MIN_ADDR: u32 = 0x1_0000;
/// Largest size of the stack in bytes, unless `RLIMIT_STACK` says otherwise.
pub const STACK_LIMIT: u32 = 8 << 20;
/// Bytes below a stack that stay free, so that it cannot run into another area unseen.
pub const STACK_GUARD_GAP: u32 = 256 * PAGE_SIZE;
/// Areas are placed downwards from here, unless addresses are random: below the stack and 128 MiB
/// for it.
pub const MMAP_BASE: u32 = TASK_SIZE - (128 << 20);
/// Largest number of areas of a process (`vm.max_map_count`).
pub const MAX_MAP_COUNT: usize = 65530;

bitflags! {
    /// Permissions and behaviour of an area (`VM_*`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct VmFlags: u32 {
        /// Pages are readable. i386 page tables cannot tell this from executable.
        const READ = 1 << 0;
        /// Pages are writable.
        const WRITE = 1 << 1;
        /// Pages are executable.
        const EXEC = 1 << 2;
        /// All processes that share the area see its writes; fork does not copy it.
        const SHARED = 1 << 3;
        /// The area shows a file that nobody may write: `mprotect` cannot make it writable (Linux:
        /// no `VM_MAYWRITE`).
        const NEVER_WRITE = 1 << 5;
        /// The copy that fork makes lacks the area (`MADV_DONTFORK`).
        const DONTCOPY = 1 << 6;
        /// The copy that fork makes has zeroes in it (`MADV_WIPEONFORK`).
        const WIPEONFORK = 1 << 7;
        /// The area grows downwards by itself: the stack.
        const GROWSDOWN = 1 << 8;
    }
}

impl VmFlags {
    /// The bits that `mprotect` changes.
    pub const PROT: VmFlags = VmFlags::READ.union(VmFlags::WRITE).union(VmFlags::EXEC);
}

/// A memory area (`vm_area_struct`).
#[derive(Clone, Debug)]
pub struct Vma {
    /// First address; a multiple of the page size, like `end`.
    pub start: u32,
    /// First address after the area.
    pub end: u32,
    /// Permissions and behaviour.
    pub flags: VmFlags,
    /// Source of the bytes.
    pub backing: Backing,
}

impl Vma {
    /// Returns the length in bytes.
    pub fn length(&self) -> u32 {
        self.end.saturating_sub(self.start)
    }

    /// Returns the start of the area, less the gap that must stay free below it.
    fn start_with_gap(&self) -> u32 {
        match self.flags.contains(VmFlags::GROWSDOWN) {
            true => self.start.saturating_sub(STACK_GUARD_GAP),
            false => self.start,
        }
    }

    fn continues_in(&self, next: &Vma) -> bool {
        self.end == next.start
            && self.flags == next.flags
            && self.backing.continues_in(self.length(), &next.backing)
    }
}

/// The file of a program that runs.
pub trait Program: Send + Sync + core::fmt::Debug {
    /// Returns its path, without the leading slash.
    fn path(&self) -> &[u8];
}

/// All areas of an address space, and its heap's limits.
#[derive(Debug)]
pub struct MemoryMap {
    areas: Vec<Vma>,
    /// First address of the heap: the end of the program's data.
    pub start_brk: u32,
    /// Current end of the heap.
    pub brk: u32,
    /// Pages of all areas, and the largest number that there has been.
    total_vm: u32,
    hiwater_vm: u32,
    /// Addresses of the program's code.
    pub code: Range<u32>,
    /// Addresses of the program's initialised data.
    pub data: Range<u32>,
    /// First address of the arguments' strings.
    pub arg_start: u32,
    /// First address after the arguments' strings, where the environment's begin.
    pub arg_end: u32,
    /// First address after the environment's strings.
    pub env_end: u32,
    /// The stack pointer at the start of the program.
    pub start_stack: u32,
    /// Areas are placed downwards from here.
    pub mmap_base: u32,
    /// The program; `None` before the first exec.
    pub exe_file: Option<Arc<dyn Program>>,
}

impl Default for MemoryMap {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryMap {
    /// Returns a map without areas.
    pub const fn new() -> Self {
        Self {
            areas: Vec::new(),
            start_brk: 0,
            brk: 0,
            total_vm: 0,
            hiwater_vm: 0,
            code: 0..0,
            data: 0..0,
            arg_start: 0,
            arg_end: 0,
            env_end: 0,
            start_stack: 0,
            mmap_base: MMAP_BASE,
            exe_file: None,
        }
    }

    /// Returns the areas, lowest first.
    pub fn areas(&self) -> &[Vma] {
        &self.areas
    }

    /// Returns the areas that end after `addr`, lowest first.
    pub fn areas_after(&self, addr: u32) -> &[Vma] {
        &self.areas[self.index_after(addr)..]
    }

    /// Returns the bytes of all areas, and the largest number that there has been.
    pub fn size_and_peak(&self) -> (u64, u64) {
        let bytes = |pages: u32| u64::from(pages) << PAGE_SHIFT;
        (bytes(self.total_vm), bytes(self.hiwater_vm))
    }

    fn grow(&mut self, bytes: u32) {
        self.total_vm = self.total_vm.saturating_add(bytes / PAGE_SIZE);
        self.hiwater_vm = self.hiwater_vm.max(self.total_vm);
    }

    /// Copies the map for fork, without the areas marked DONTCOPY. The copy starts a peak of its
    /// own.
    pub fn try_clone(&self) -> Result<Self, Errno> {
        let mut areas = Vec::new();
        let copied = |vma: &&Vma| !vma.flags.contains(VmFlags::DONTCOPY);
        areas.try_room(self.areas.iter().filter(copied).count())?;
        areas.try_extend(self.areas.iter().filter(copied).cloned())?;
        let total_vm = areas.iter().fold(0_u32, |sum, vma: &Vma| {
            sum.saturating_add(vma.length() / PAGE_SIZE)
        });
        Ok(Self {
            areas,
            total_vm,
            hiwater_vm: total_vm,
            code: self.code.clone(),
            data: self.data.clone(),
            exe_file: self.exe_file.clone(),
            start_brk: self.start_brk,
            brk: self.brk,
            arg_start: self.arg_start,
            arg_end: self.arg_end,
            env_end: self.env_end,
            start_stack: self.start_stack,
            mmap_base: self.mmap_base,
        })
    }

    /// Returns the first area that ends after `addr`; it may begin after `addr`.
    pub fn find_vma(&self, addr: u32) -> Option<&Vma> {
        self.areas.get(self.index_after(addr))
    }

    /// Returns the area that contains `addr`.
    pub fn find_containing(&self, addr: u32) -> Option<&Vma> {
        self.find_vma(addr).filter(|vma| vma.start <= addr)
    }

    /// Returns whether no area touches `start..end`.
    pub fn is_free(&self, start: u32, end: u32) -> bool {
        self.find_vma(start).is_none_or(|vma| vma.start >= end)
    }

    /// Adds an area where there is none, and joins it with its neighbours.
    pub fn insert(&mut self, vma: Vma) -> Result<(), Errno> {
        assert!(
            vma.start < vma.end && vma.end <= TASK_SIZE,
            "BUG: area without pages or in the kernel"
        );
        assert!(self.is_free(vma.start, vma.end), "BUG: areas overlap");
        self.reserve(1)?;
        let index = self.index_after(vma.start);
        let length = vma.length();
        self.areas.try_insert(index, vma)?;
        self.grow(length);
        self.merge_around(index, index.saturating_add(1));
        Ok(())
    }

    /// Removes everything in `start..end`.
    pub fn remove(&mut self, start: u32, end: u32) -> Result<(), Errno> {
        self.reserve(2)?;
        self.split_at(start)?;
        self.split_at(end)?;
        let (first, last) = (self.index_after(start), self.index_from(end));
        for vma in self.areas.drain(first..last) {
            self.total_vm = self.total_vm.saturating_sub(vma.length() / PAGE_SIZE);
        }
        Ok(())
    }

    /// Gives all of `start..end` the protection `prot`. Fails with ENOMEM if a page of it is not
    /// mapped.
    pub fn protect(&mut self, start: u32, end: u32, prot: VmFlags) -> Result<(), Errno> {
        if !self.is_covered(start, end) {
            return Err(Errno::ENOMEM);
        }
        self.change_flags(start, end, prot & VmFlags::PROT, VmFlags::PROT)
    }

    /// Sets, in all areas in `start..end`, which may have holes, the flags of `mask` to `flags`.
    pub fn change_flags(
        &mut self,
        start: u32,
        end: u32,
        flags: VmFlags,
        mask: VmFlags,
    ) -> Result<(), Errno> {
        self.reserve(2)?;
        self.split_at(start)?;
        self.split_at(end)?;
        let (first, last) = (self.index_after(start), self.index_from(end));
        for vma in &mut self.areas[first..last] {
            vma.flags = vma.flags.difference(mask) | flags;
        }
        self.merge_around(first, last);
        Ok(())
    }

    /// Returns the end of the part of `start..end` that may have the protection `prot`, and the
    /// reason if that is not all: ENOMEM for a hole, EACCES for an area that must not be written.
    pub fn may_protect(&self, start: u32, end: u32, prot: VmFlags) -> (u32, Result<(), Errno>) {
        let mut at = start;
        for vma in &self.areas[self.index_after(start)..] {
            if at >= end || vma.start > at {
                break;
            }
            if prot.contains(VmFlags::WRITE) && vma.flags.contains(VmFlags::NEVER_WRITE) {
                return (at, Err(Errno::EACCES));
            }
            at = vma.end;
        }
        match at >= end {
            true => (end, Ok(())),
            false => (at, Err(Errno::ENOMEM)),
        }
    }

    /// Returns whether every page of `start..end` is in an area.
    pub fn is_covered(&self, start: u32, end: u32) -> bool {
        let mut at = start;
        for vma in &self.areas[self.index_after(start)..] {
            if at >= end || vma.start > at {
                break;
            }
            at = vma.end;
        }
        at >= end
    }

    /// Finds free addresses for `length` bytes (a multiple of the page size, not 0): at `hint` if
    /// that is free, else the highest below `mmap_base`, else the highest of all.
    pub fn get_unmapped_area(&self, hint: u32, length: u32) -> Result<u32, Errno> {
        if length > TASK_SIZE - MMAP_MIN_ADDR {
            return Err(Errno::ENOMEM);
        }
        let hint = match hint & !(PAGE_SIZE - 1) {
            0 => 0,
            hint => hint.max(MMAP_MIN_ADDR),
        };
        let end = hint.checked_add(length).filter(|end| *end <= TASK_SIZE);
        if let Some(end) = end.filter(|_| hint >= MMAP_MIN_ADDR) {
            let next = self.find_vma(hint);
            if next.is_none_or(|vma| vma.start_with_gap() >= end) {
                return Ok(hint);
            }
        }
        let place = self.highest_place(self.mmap_base, length);
        place.or_else(|_| self.highest_place(TASK_SIZE, length))
    }

    /// Returns the highest free addresses below `ceiling`.
    fn highest_place(&self, ceiling: u32, length: u32) -> Result<u32, Errno> {
        let mut ceiling = ceiling;
        for vma in self.areas.iter().rev() {
            if vma.end < ceiling && ceiling.saturating_sub(vma.end) >= length {
                break;
            }
            ceiling = ceiling.min(vma.start_with_gap());
        }
        match ceiling.checked_sub(length) {
            Some(start) if start >= MMAP_MIN_ADDR => Ok(start),
            _ => Err(Errno::ENOMEM),
        }
    }

    /// Grows the stack above `addr` down to the page of `addr`. Fails with EFAULT if the stack would
    /// be larger than `limit` bytes or there is no stack, with ENOMEM if the file it shows begins
    /// later, or all areas would be larger than `total` bytes.
    pub fn expand_stack(&mut self, addr: u32, limit: u32, total: u64) -> Result<(), Errno> {
        let page = addr & !(PAGE_SIZE - 1);
        let index = self.index_after(addr);
        let below = index.checked_sub(1).map_or(0, |i| self.areas[i].end);
        let vma = self.areas.get_mut(index).ok_or(Errno::EFAULT)?;
        let room =
            page >= MMAP_MIN_ADDR && (below == 0 || page.saturating_sub(below) >= STACK_GUARD_GAP);
        let length = vma.end.saturating_sub(page);
        if !vma.flags.contains(VmFlags::GROWSDOWN) || length > limit || !room {
            return Err(Errno::EFAULT);
        }
        let more = vma.start.saturating_sub(page);
        let all = u64::from(self.total_vm) << PAGE_SHIFT;
        if all.saturating_add(more.into()) > total {
            return Err(Errno::ENOMEM);
        }
        match &mut vma.backing {
            Backing::File { offset, .. } => {
                *offset = offset.checked_sub(more).ok_or(Errno::ENOMEM)?;
            }
            Backing::Mapped { first, .. } => {
                *first = first.checked_sub(more / PAGE_SIZE).ok_or(Errno::ENOMEM)?;
            }
            _ => {}
        }
        vma.start = vma.start.min(page);
        self.grow(more);
        Ok(())
    }

    /// Moves the end of the heap to `brk`. Returns the range that is no longer heap; the caller
    /// must clear its page-table entries. An error leaves the heap unchanged.
    pub fn set_brk(&mut self, brk: u32) -> Result<Option<(u32, u32)>, Errno> {
        if brk < self.start_brk || brk > TASK_SIZE {
            return Err(Errno::ENOMEM);
        }
        let page_up = |addr: u32| addr.saturating_add(PAGE_SIZE - 1) & !(PAGE_SIZE - 1);
        let (old_end, new_end) = (page_up(self.brk), page_up(brk));
        let mut removed = None;
        if new_end < old_end {
            self.remove(new_end, old_end)?;
            removed = Some((new_end, old_end));
        } else if new_end > old_end {
            let next = self.find_vma(old_end);
            if next.is_some_and(|vma| vma.start_with_gap() < new_end.saturating_add(PAGE_SIZE)) {
                return Err(Errno::ENOMEM);
            }
            let flags = VmFlags::READ | VmFlags::WRITE;
            self.insert(Vma {
                start: old_end,
                end: new_end,
                flags,
                backing: Backing::Anonymous,
            })?;
        }
        self.brk = brk;
        Ok(removed)
    }

    /// Returns the bytes of all areas that a process could fill with private frames.
    pub fn committed(&self) -> u64 {
        let own = |vma: &&Vma| !matches!(vma.backing, Backing::Special { .. });
        self.areas
            .iter()
            .filter(own)
            .fold(0, |sum, vma| sum.saturating_add(vma.length().into()))
    }

    /// Returns the index of the first area that ends after `addr`.
    fn index_after(&self, addr: u32) -> usize {
        self.areas.partition_point(|vma| vma.end <= addr)
    }

    /// Returns the index of the first area that begins at `addr` or after.
    fn index_from(&self, addr: u32) -> usize {
        self.areas.partition_point(|vma| vma.start < addr)
    }

    fn reserve(&mut self, more: usize) -> Result<(), Errno> {
        if self.areas.len().saturating_add(more) > MAX_MAP_COUNT {
            return Err(Errno::ENOMEM);
        }
        self.areas.try_reserve(more).map_err(|_| Errno::ENOMEM)
    }

    /// Makes `addr` a border of areas if it lies inside one. Fails with ENOMEM only if no room was
    /// reserved.
    fn split_at(&mut self, addr: u32) -> Result<(), Errno> {
        let index = self.index_after(addr);
        let Some(vma) = self.areas.get(index).filter(|vma| vma.start < addr) else {
            return Ok(());
        };
        let mut high = vma.clone();
        high.backing = vma.backing.advanced(addr.saturating_sub(vma.start));
        high.start = addr;
        // Only the highest part of a stack still grows through the fault handler. A lower part
        // keeps the flag, so that it can grow once the middle is unmapped, as in Linux.
        self.areas.try_insert(index.saturating_add(1), high)?;
        self.areas[index].end = addr;
        Ok(())
    }

    /// Joins compatible areas at the borders of `first..last` and inside.
    fn merge_around(&mut self, first: usize, last: usize) {
        let mut index = last.min(self.areas.len().saturating_sub(1));
        while index >= first
            && let Some(before) = index.checked_sub(1)
        {
            if let Ok([low, high]) = self.areas.get_disjoint_mut([before, index])
                && low.continues_in(high)
            {
                low.end = high.end;
                self.areas.remove(index);
            }
            index = before;
        }
    }
}

#[cfg(test)]
#[path = "vma_tests.rs"]
mod tests;

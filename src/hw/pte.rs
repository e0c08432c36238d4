#![forbid(unsafe_code)]
//! Page-directory and page-table entries, and the error code of a page fault.
//!
//! There are two levels of 1024 four-byte entries; an entry of the first covers 4 MiB, one of the
//! second 4 KiB. `mm` builds its tables from these; the page-fault handler reads
//! [`PageFaultError`].
//!
//! Book: ch. 2, "Regular Paging", "Extended Paging"; ch. 9, "Page Fault Exception Handler".
//! Linux: `asm/pgtable_types.h` (`_PAGE_*`), `asm/pgtable-2level_types.h`, `asm/traps.h` (`PF_*`).
//! SDM: vol. 3, 4.3 "32-Bit Paging", 4.7 "Page-Fault Exceptions".

use bitflags::bitflags;
use core::fmt;

/// Binary logarithm of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;
/// Size of a page in bytes.
pub const PAGE_SIZE: u32 = 1 << PAGE_SHIFT;
/// Mask that clears the offset within a page.
pub const PAGE_MASK: u32 = !(PAGE_SIZE - 1);
/// Binary logarithm of [`PGDIR_SIZE`].
pub const PGDIR_SHIFT: u32 = 22;
/// Bytes that one page-directory entry covers: 4 MiB.
pub const PGDIR_SIZE: u32 = 1 << PGDIR_SHIFT;
/// Number of entries in a page directory.
pub const PTRS_PER_PGD: usize = 1024;
/// Number of entries in a page table.
pub const PTRS_PER_PTE: usize = 1024;

/// Returns the index of the page-directory entry that covers linear address `addr`.
pub const fn pgd_index(addr: u32) -> usize {
    (addr >> PGDIR_SHIFT) as usize
}

/// Returns the index of the page-table entry that covers linear address `addr`.
pub const fn pte_index(addr: u32) -> usize {
    (addr >> PAGE_SHIFT) as usize & (PTRS_PER_PTE - 1)
}

bitflags! {
    /// The low twelve bits of an entry of either level.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
    #[repr(transparent)]
    pub struct PteFlags: u32 {
        /// The entry is in use; while this is clear, all other bits are free for software.
        const PRESENT = 1 << 0;
        /// The page is writable.
        const RW = 1 << 1;
        /// Ring 3 may access.
        const USER = 1 << 2;
        /// Caching is write-through.
        const PWT = 1 << 3;
        /// Caching is disabled.
        const PCD = 1 << 4;
        /// Set by the processor when it uses the entry.
        const ACCESSED = 1 << 5;
        /// Set by the processor when it writes the page.
        const DIRTY = 1 << 6;
        /// In the page directory: maps a 4 MiB page.
        const PSE = 1 << 7;
        /// Kept in the TLB over a CR3 write (with CR4.PGE).
        const GLOBAL = 1 << 8;
        /// A bit free for software.
        const SOFTW1 = 1 << 9;
        /// A bit free for software.
        const SOFTW2 = 1 << 10;
        /// A bit free for software.
        const SOFTW3 = 1 << 11;
    }
}

impl PteFlags {
    /// A page table that ring 3 may reach (`_PAGE_TABLE`).
    pub const TABLE: PteFlags = PteFlags::KERNEL_TABLE.union(PteFlags::USER);
    /// A page table for the kernel alone (`_KERNPG_TABLE`).
    pub const KERNEL_TABLE: PteFlags = PteFlags::PRESENT
        .union(PteFlags::RW)
        .union(PteFlags::ACCESSED)
        .union(PteFlags::DIRTY);
    /// Kernel data (`__PAGE_KERNEL`), in every address space.
    pub const KERNEL: PteFlags = PteFlags::KERNEL_TABLE.union(PteFlags::GLOBAL);
    /// User data (`PAGE_SHARED`).
    pub const SHARED: PteFlags = PteFlags::PRESENT
        .union(PteFlags::RW)
        .union(PteFlags::USER)
        .union(PteFlags::ACCESSED);
    /// User text, or a page to copy on write (`PAGE_READONLY`, `PAGE_COPY`).
    pub const READONLY: PteFlags = PteFlags::SHARED.difference(PteFlags::RW);
}

/// An entry of a page directory or of a page table: an address and flags.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
#[repr(transparent)]
pub struct Pte(pub u32);

impl Pte {
    /// The entry that maps nothing.
    #[doc(alias = "pte_none")]
    pub const NONE: Pte = Pte(0);

    /// Returns an entry for the page (or table) at physical address `phys`, whose offset within its
    /// page is dropped.
    pub const fn new(phys: u32, flags: PteFlags) -> Self {
        Pte(phys & PAGE_MASK | flags.bits())
    }

    /// Returns a page-directory entry for the 4 MiB page that holds physical address `phys`.
    pub const fn large(phys: u32, flags: PteFlags) -> Self {
        Pte(phys & !(PGDIR_SIZE - 1) | flags.bits() | PteFlags::PSE.bits())
    }

    /// Returns the physical address of the 4 KiB page or of the page table.
    pub const fn phys(self) -> u32 {
        self.0 & PAGE_MASK
    }

    /// Returns the number of the physical page.
    #[doc(alias = "pte_pfn")]
    pub const fn pfn(self) -> u32 {
        self.0 >> PAGE_SHIFT
    }

    /// Returns the low twelve bits.
    pub const fn flags(self) -> PteFlags {
        PteFlags::from_bits_truncate(self.0)
    }

    /// Returns an entry with the same address and other flags.
    pub const fn with_flags(self, flags: PteFlags) -> Self {
        Pte::new(self.phys(), flags)
    }

    /// Returns whether the entry is present.
    pub const fn present(self) -> bool {
        self.flags().contains(PteFlags::PRESENT)
    }

    /// Returns whether the whole entry is zero.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for Pte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

bitflags! {
    /// The error code of #PF.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
    #[repr(transparent)]
    pub struct PageFaultError: u32 {
        /// The page was present: the access broke its protection.
        const PROT = 1 << 0;
        /// The access was a write.
        const WRITE = 1 << 1;
        /// The access came from ring 3.
        const USER = 1 << 2;
        /// A reserved bit was set in an entry.
        const RSVD = 1 << 3;
        /// The access was an instruction fetch (with no-execute).
        const INSTR = 1 << 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn flags_are_linuxs_numbers() {
        assert_eq!(PteFlags::TABLE.bits(), 0x67);
        assert_eq!(PteFlags::KERNEL_TABLE.bits(), 0x63);
        assert_eq!(PteFlags::KERNEL.bits(), 0x163);
        assert_eq!(PteFlags::SHARED.bits(), 0x27);
        assert_eq!(PteFlags::READONLY.bits(), 0x25);
        assert_eq!(PteFlags::all().bits(), 0xfff);
    }

    #[test]
    fn the_kernel_begins_at_entry_768() {
        assert_eq!(pgd_index(0xc000_0000), 768);
        assert_eq!((pgd_index(u32::MAX), pte_index(u32::MAX)), (1023, 1023));
        assert_eq!(Pte::large(0x0040_1234, PteFlags::KERNEL).0, 0x0040_01e3);
    }

    proptest! {
        #[test]
        fn address_is_the_sum_of_its_indices(addr: u32) {
            let sum = (pgd_index(addr) as u32) << PGDIR_SHIFT
                | (pte_index(addr) as u32) << PAGE_SHIFT
                | addr & !PAGE_MASK;
            prop_assert_eq!(sum, addr);
        }

        #[test]
        fn entry_keeps_address_and_flags(phys: u32, bits in 0u32..0x1000) {
            let flags = PteFlags::from_bits_retain(bits);
            let pte = Pte::new(phys, flags);
            prop_assert_eq!(pte.phys(), phys & PAGE_MASK);
            prop_assert_eq!(pte.pfn(), phys >> 12);
            prop_assert_eq!(pte.flags(), flags);
            prop_assert_eq!(pte.with_flags(PteFlags::empty()).0, pte.phys());
            prop_assert_eq!(pte.present(), bits & 1 != 0);
        }
    }
}

//! Page tables: the kernel's, which every process has, and each process's own.
//!
//! ```text
//!   0x00000000 .. 0xC0000000   user: tables made by faults, freed at exit
//!   0xC0000000 .. 0xF0000000   direct map of memory: 4 KiB pages below 16 MiB (from the boot
//!                              code, text read-only), 4 MiB pages above
//!   0xF0000000 .. 0xF8000000   kernel stacks (see thread_stack)
//!   0xFFC00000 .. 0xFFFFF000   devices (see ioremap)
//! ```
//! All of the kernel's page-directory entries are made at boot and never change, so a new page
//! directory copies them once and no fault has to copy them later.
//!
//! Called in process context under the lock of the `mm_struct`, or at boot.
//!
//! Book: ch. 2, "Paging in Linux", "Kernel Page Tables".
//! Linux: 2.6.38 `arch/x86/mm/init_32.c`, `arch/x86/mm/pgtable.c`.
//! SDM: vol. 3, 4.3 "32-Bit Paging".

use core::sync::atomic::{AtomicU32, Ordering};

use super::frame::{self, phys_to_virt, virt_to_phys};
use super::quicklist::{PAGE_DIRECTORIES, PTE_TABLES};
use super::vma::TASK_SIZE;
use crate::base::insn;
use crate::base::layout::{BOOT_MAPPED_BYTES, PAGE_OFFSET};
use crate::hw::cr::Cr4;
use crate::hw::pte::{PAGE_SHIFT, PGDIR_SIZE, PTRS_PER_PGD, Pte, PteFlags, pgd_index, pte_index};

/// A page directory or a page table. The processor may set A and D bits at any time.
pub type Table = [AtomicU32; PTRS_PER_PGD];

/// Number of page-directory entries for user space.
const USER_PTRS_PER_PGD: usize = pgd_index(TASK_SIZE);

unsafe extern "C" {
    /// The kernel's own page directory, made by the boot code.
    static swapper_pg_dir: Table;
    /// The page tables of the first 16 MiB, made by the boot code.
    static boot_page_tables: [AtomicU32; (BOOT_MAPPED_BYTES / 4096) as usize];
}

/// Returns the kernel's own page directory.
pub fn swapper() -> &'static Table {
    // SAFETY: the boot code defines it, page-aligned and never freed; atomics may be shared.
    unsafe { &swapper_pg_dir }
}

/// Returns the physical address of [`swapper`]: CR3 of a CPU that runs no process.
pub fn swapper_phys() -> u32 {
    virt_to_phys(swapper())
}

/// Extends the boot code's mapping to all memory below `end` (physical), with 4 MiB pages.
/// Allocates nothing, so it can run before the page allocator. Requires PSE.
pub fn map_lowmem(end: u32) {
    let global = match raw_cpuid::CpuId::with_cpuid_fn(insn::cpuid).get_feature_info() {
        Some(features) if features.has_pge() => PteFlags::GLOBAL,
        _ => PteFlags::empty(),
    };
    let flags = PteFlags::KERNEL_TABLE | global;
    // SAFETY: the boot code has made sure that the CPU has PSE.
    unsafe { insn::write_cr4(insn::read_cr4() | Cr4::PSE.bits()) };
    for phys in (BOOT_MAPPED_BYTES..end).step_by(PGDIR_SIZE as usize) {
        let entry = &swapper()[pgd_index(PAGE_OFFSET.wrapping_add(phys))];
        entry.store(Pte::large(phys, flags).0, Ordering::Relaxed);
    }
    // SAFETY: as for `swapper_pg_dir`.
    for entry in unsafe { &boot_page_tables } {
        if entry.load(Ordering::Relaxed) & PteFlags::PRESENT.bits() != 0 {
            entry.fetch_or(global.bits(), Ordering::Relaxed);
        }
    }
    if !global.is_empty() {
        // SAFETY: the CPU has PGE, and global entries are the same in every page directory.
        unsafe { insn::write_cr4(insn::read_cr4() | Cr4::PGE.bits()) };
    }
}

/// Gives the kernel page tables for the 4 MiB at each of `areas`; returns whether there was enough
/// memory. Called at boot, before the first [`pgd_alloc`].
pub fn add_kernel_tables(areas: impl Iterator<Item = u32>) -> bool {
    for area in areas {
        let Some(table) = frame::alloc_zeroed_page() else {
            return false;
        };
        let entry = &swapper()[pgd_index(area)];
        assert!(
            area >= PAGE_OFFSET && entry.load(Ordering::Relaxed) == 0,
            "BUG: kernel area is mapped"
        );
        entry.store(Pte::new(table, PteFlags::KERNEL_TABLE).0, Ordering::Release);
    }
    true
}

/// Maps a kernel page at an address that [`add_kernel_tables`] prepared, where nothing is mapped
/// and that no TLB knows.
pub fn set_kernel_pte(address: u32, pte: Pte) {
    let slot = walk(swapper(), address)
        .unwrap_or_else(|| panic!("BUG: no kernel page table for {address:#x}"));
    let before = slot.swap(pte.0, Ordering::Release);
    assert!(before == 0, "BUG: kernel page {address:#x} mapped twice");
}

/// Unmaps a kernel page and returns its entry. A TLB may still know it.
pub fn clear_kernel_pte(address: u32) -> Pte {
    let slot = walk(swapper(), address)
        .unwrap_or_else(|| panic!("BUG: no kernel page table for {address:#x}"));
    let before = Pte(slot.swap(0, Ordering::Release));
    assert!(
        before.present(),
        "BUG: kernel page {address:#x} is not mapped"
    );
    before
}

/// Returns a page directory that maps only the kernel; `None` if memory is short.
pub fn pgd_alloc() -> Option<u32> {
    if let Some(pgd) = PAGE_DIRECTORIES.take() {
        return Some(pgd);
    }
    if !frame::may_alloc(1) {
        return None;
    }
    let pgd = frame::alloc_zeroed_page()?;
    for (new, kernel) in table(pgd).iter().zip(swapper()).skip(USER_PTRS_PER_PGD) {
        new.store(kernel.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    Some(pgd)
}

/// Frees a page directory whose user part is empty, after [`free_pgtables`]. No CPU has it in CR3.
pub fn pgd_free(pgd: u32) {
    debug_assert!(
        table(pgd)[..USER_PTRS_PER_PGD]
            .iter()
            .all(|entry| entry.load(Ordering::Relaxed) == 0),
        "BUG: page directory freed with page tables in it"
    );
    PAGE_DIRECTORIES.give(pgd);
}

/// Returns the page-table entry of `address`, if `address` has a page table.
#[inline]
pub fn walk_pte(pgd: u32, address: u32) -> Option<&'static AtomicU32> {
    walk(table(pgd), address)
}

/// Returns the page-table entry of user address `address`; makes the page table if it is missing.
pub fn pte_alloc(pgd: u32, address: u32) -> Option<&'static AtomicU32> {
    debug_assert!(address < TASK_SIZE, "BUG: user mapping at a kernel address");
    let entry = &table(pgd)[pgd_index(address)];
    if entry.load(Ordering::Relaxed) == 0 {
        let clean = || frame::may_alloc(1).then(frame::alloc_zeroed_page).flatten();
        let table = PTE_TABLES.take().or_else(clean)?;
        entry.store(Pte::new(table, PteFlags::TABLE).0, Ordering::Release);
    }
    walk_pte(pgd, address)
}

/// Calls `visit` with the address and entry of each page of `start..end` that has a frame, even if
/// nobody may access it now. Skips gaps without a page table in steps of 4 MiB.
pub fn for_each_used(
    pgd: u32,
    start: u32,
    end: u32,
    mut visit: impl FnMut(u32, &'static AtomicU32),
) {
    let mut address = start;
    while address < end {
        let next_table = (address | (PGDIR_SIZE - 1)).saturating_add(1).min(end);
        let entry = Pte(table(pgd)[pgd_index(address)].load(Ordering::Relaxed));
        if entry.present() {
            let entries =
                &table(entry.phys())[pte_index(address)..=pte_index(next_table.saturating_sub(1))];
            for (page, slot) in entries.iter().enumerate() {
                if slot.load(Ordering::Relaxed) != 0 {
                    visit(address.wrapping_add((page as u32) << PAGE_SHIFT), slot);
                }
            }
        }
        address = next_table;
    }
}

/// Returns whether the user part has a page table.
pub fn has_pgtables(pgd: u32) -> bool {
    table(pgd)[..USER_PTRS_PER_PGD]
        .iter()
        .any(|entry| entry.load(Ordering::Relaxed) != 0)
}

/// Returns the number of page tables of the user part.
pub fn nr_pgtables(pgd: u32) -> u32 {
    let used = |entry: &&AtomicU32| entry.load(Ordering::Relaxed) != 0;
    table(pgd)[..USER_PTRS_PER_PGD].iter().filter(used).count() as u32
}

/// Frees the page tables of the user part. All their entries are clear, and no TLB and no processor
/// that walks tables can still reach them.
pub fn free_pgtables(pgd: u32) {
    for entry in &table(pgd)[..USER_PTRS_PER_PGD] {
        let pte = Pte(entry.load(Ordering::Relaxed));
        if pte.present() {
            entry.store(0, Ordering::Relaxed);
            debug_assert!(
                table(pte.phys())
                    .iter()
                    .all(|entry| entry.load(Ordering::Relaxed) == 0),
                "BUG: page table freed with pages in it"
            );
            PTE_TABLES.give(pte.phys());
        }
    }
}

fn walk(directory: &'static Table, address: u32) -> Option<&'static AtomicU32> {
    let entry = Pte(directory[pgd_index(address)].load(Ordering::Acquire));
    if !entry.present() || entry.flags().contains(PteFlags::PSE) {
        return None;
    }
    Some(&table(entry.phys())[pte_index(address)])
}

/// Returns the table in frame `phys`.
fn table(phys: u32) -> &'static Table {
    // SAFETY: `phys` is a page-aligned frame that holds a table, and stays one while the caller
    // holds the lock of the address space; all access is by atomics.
    unsafe { &*phys_to_virt(phys).cast::<Table>() }
}

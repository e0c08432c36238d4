//! Whole pages: clear one, copy one.
//!
//! Linux: 2.6.38 `asm/page.h` (`clear_page`, `copy_page`).
//! SDM: volume 2, STOS, MOVS, REP.

use core::arch::asm;

use crate::hw::pte::PAGE_SIZE;

/// Fills a page with zeroes.
///
/// # Safety
/// `page` is a mapped, writable page that nobody else uses just now.
#[inline]
pub unsafe fn clear_page(page: *mut u8) {
    // SAFETY: writes exactly the page; DF is clear by the ABI.
    unsafe {
        asm!(
            "rep stosd",
            inout("ecx") PAGE_SIZE / 4 => _,
            inout("edi") page => _,
            in("eax") 0,
            options(nostack, preserves_flags),
        );
    }
}

/// Copies a page.
///
/// # Safety
/// `to` and `from` are different mapped pages; nobody writes `from` or uses `to` just now.
#[inline]
pub unsafe fn copy_page(to: *mut u8, from: *const u8) {
    // `rep movs` needs esi, which the compiler keeps for itself.
    // SAFETY: reads and writes exactly the two pages; DF is clear by the ABI.
    unsafe {
        asm!(
            "xchg esi, {from}",
            "rep movsd",
            "mov esi, {from}",
            from = inout(reg) from => _,
            inout("ecx") PAGE_SIZE / 4 => _,
            inout("edi") to => _,
            options(nostack, preserves_flags),
        );
    }
}

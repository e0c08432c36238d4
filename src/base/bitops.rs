//! `set_bit`, `clear_bit`: atomic changes of one bit of a word.
//!
//! The switch of address spaces calls them, where computing a mask and its negation would cost
//! more.
//!
//! Linux: 2.6.38 `asm/bitops.h`. SDM: vol. 2, BTS, BTR.

use core::arch::asm;
use core::sync::atomic::AtomicU32;

/// Sets bit `nr` of `word`.
///
/// # Safety
/// 1. `nr` is below 32: with a higher number the instruction would change a later word.
#[inline(always)]
pub unsafe fn set_bit(nr: u32, word: &AtomicU32) {
    debug_assert!(nr < 32);
    // SAFETY: by 1 the bit lies in the word.
    unsafe { asm!("lock bts [{}], {}", in(reg) word.as_ptr(), in(reg) nr, options(nostack)) };
}

/// Clears bit `nr` of `word`.
///
/// # Safety
/// 1. `nr` is below 32, as for [`set_bit`].
#[inline(always)]
pub unsafe fn clear_bit(nr: u32, word: &AtomicU32) {
    debug_assert!(nr < 32);
    // SAFETY: by 1 the bit lies in the word.
    unsafe { asm!("lock btr [{}], {}", in(reg) word.as_ptr(), in(reg) nr, options(nostack)) };
}

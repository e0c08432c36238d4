//! `set_bit`, `clear_bit`: one bit of a word, for all processors at once.
//!
//! Called by the switch of address spaces, where a mask to be made and negated would cost more.
//!
//! Linux: 2.6.38 `asm/bitops.h`. SDM: volume 2, BTS, BTR.

use core::arch::asm;
use core::sync::atomic::AtomicU32;

/// Sets bit `nr` of `word`.
///
/// # Safety
/// 1. `nr` is below 32: the instruction goes on into the words behind.
#[inline(always)]
pub unsafe fn set_bit(nr: u32, word: &AtomicU32) {
    debug_assert!(nr < 32);
    // SAFETY: by 1 the bit lies in the word.
    unsafe { asm!("lock bts [{}], {}", in(reg) word.as_ptr(), in(reg) nr, options(nostack)) };
}

/// Clears bit `nr` of `word`.
///
/// # Safety
/// 1. As [`set_bit`].
#[inline(always)]
pub unsafe fn clear_bit(nr: u32, word: &AtomicU32) {
    debug_assert!(nr < 32);
    // SAFETY: by 1 the bit lies in the word.
    unsafe { asm!("lock btr [{}], {}", in(reg) word.as_ptr(), in(reg) nr, options(nostack)) };
}

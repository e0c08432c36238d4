//! `set_bit`, `clear_bit`: one bit of a word, for all processors at once.
//!
//! Called by the switch of address spaces, where a mask to be made and negated would cost more.
//!
//! Linux: 2.6.38 `asm/bitops.h`. SDM: volume 2, BTS, BTR.

use core::arch::asm;
use core::sync::atomic::AtomicU32;

/// Sets bit `nr`, below 32, of `word`.
#[inline(always)]
pub fn set_bit(nr: u32, word: &AtomicU32) {
    debug_assert!(nr < 32);
    // SAFETY: a bit below 32 lies in the word.
    unsafe { asm!("lock bts [{}], {}", in(reg) word.as_ptr(), in(reg) nr, options(nostack)) };
}

/// Clears bit `nr`, below 32, of `word`.
#[inline(always)]
pub fn clear_bit(nr: u32, word: &AtomicU32) {
    debug_assert!(nr < 32);
    // SAFETY: a bit below 32 lies in the word.
    unsafe { asm!("lock btr [{}], {}", in(reg) word.as_ptr(), in(reg) nr, options(nostack)) };
}

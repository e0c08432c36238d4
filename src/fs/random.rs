//! Random bytes for AT_RANDOM, getrandom and /dev/urandom.
//!
//! The source is the time-stamp counter, read at moments nobody can predict to the cycle, and then
//! mixed. Good for stack protectors and hash tables; not for keys.
//!
//! Linux: 2.6.38 `drivers/char/random.c`; the mixing is SplitMix64.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::arch::x86::entry::uaccess::copy_to_user;
use crate::base::errno::Errno;
use crate::base::insn;

static STATE: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);

/// Fills `bytes` with random bytes.
pub fn get_random_bytes(bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(8) {
        let word = next().to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
}

fn next() -> u64 {
    let step = 0x9e37_79b9_7f4a_7c15u64;
    let mut z = STATE
        .fetch_add(step ^ insn::rdtsc().rotate_left(32), Ordering::Relaxed)
        .wrapping_add(step);
    z ^= insn::rdtsc();
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Fills `count` bytes at user address `to` with random bytes.
///
/// # Errors
/// EFAULT.
#[inline(never)]
pub fn read(to: u32, count: u32) -> Result<u32, Errno> {
    let mut done = 0_u32;
    while done < count {
        let mut bytes = [0; 64];
        let chunk = count.saturating_sub(done).min(64);
        get_random_bytes(&mut bytes);
        copy_to_user(to.wrapping_add(done), &bytes[..chunk as usize])?;
        done = done.saturating_add(chunk);
    }
    Ok(done)
}

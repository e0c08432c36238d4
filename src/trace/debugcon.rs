//! The debug console of QEMU and Bochs: each byte written to a port goes to a file on the host.
//!
//! Callers hold the lock of the trace's output.

use super::record::{RECORD_BYTES, RECORD_WORDS};
use crate::base::insn::outsb;
use crate::base::port::inb;

/// The port of the console; a read returns the same number if the console exists.
const PORT: u16 = 0xe9;

/// Returns whether the console exists.
pub fn is_present() -> bool {
    // SAFETY: nothing else answers at this port on a PC, and reading it has no effect.
    u16::from(unsafe { inb(PORT) }) == PORT
}

/// Writes a record to the console.
pub fn write(words: &[u32; RECORD_WORDS]) {
    let mut bytes = [0; RECORD_BYTES];
    for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    // SAFETY: the console takes any byte; it exists, or nothing would have been recorded.
    unsafe { outsb(PORT, &bytes) };
}

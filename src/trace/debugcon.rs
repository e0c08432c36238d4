//! The debug console of QEMU and Bochs: each byte written to a port goes to a file of the host.
//!
//! Called with the lock of the trace's output held.

use super::record::{RECORD_BYTES, RECORD_WORDS};
use crate::base::insn::outsb;
use crate::base::port::inb;

/// The port; reading it gives the same number where there is such a console.
const PORT: u16 = 0xe9;

/// Whether anybody listens.
pub fn is_present() -> bool {
    // SAFETY: nothing else answers at this port on a PC, and reading it has no effect.
    u16::from(unsafe { inb(PORT) }) == PORT
}

/// Writes a record.
pub fn write(words: &[u32; RECORD_WORDS]) {
    let mut bytes = [0; RECORD_BYTES];
    for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    // SAFETY: the console takes any byte; it is there, or nothing would have been recorded.
    unsafe { outsb(PORT, &bytes) };
}

#![forbid(unsafe_code)]
//! The name of a task: at most 15 bytes and a 0.
//!
//! The task itself or its creator writes the name. Any code may read it at any time, even in the
//! switch, so there is no lock: a reader during a change may get parts of both names.
//!
//! Linux: `task_struct.comm`, TASK_COMM_LEN.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU32, Ordering};

/// Size of a name in bytes, including its 0.
pub const TASK_COMM_LEN: usize = 16;

/// The storage of a task's name.
pub struct TaskComm([AtomicU32; TASK_COMM_LEN / 4]);

impl TaskComm {
    /// Returns an empty name.
    pub const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; TASK_COMM_LEN / 4])
    }

    /// Sets the name to the first 15 bytes of `name`.
    pub fn set(&self, name: &[u8]) {
        let mut comm = [0u8; TASK_COMM_LEN];
        let n = name.len().min(TASK_COMM_LEN - 1);
        comm[..n].copy_from_slice(&name[..n]);
        for (word, bytes) in self.0.iter().zip(comm.as_chunks().0) {
            word.store(u32::from_le_bytes(*bytes), Ordering::Relaxed);
        }
    }

    /// Returns the present name.
    pub fn get(&self) -> Comm {
        let mut comm = [0u8; TASK_COMM_LEN];
        for (word, bytes) in self.0.iter().zip(comm.as_chunks_mut().0) {
            *bytes = word.load(Ordering::Relaxed).to_le_bytes();
        }
        Comm(comm)
    }
}

impl Default for TaskComm {
    fn default() -> Self {
        Self::new()
    }
}

impl Comm {
    /// Returns the bytes of the name, without the final zero.
    pub fn bytes(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

/// A copy of a name. `Display` shows `?` for each character that is not printable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Comm(pub [u8; TASK_COMM_LEN]);

impl fmt::Display for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &b in self.0.iter().take_while(|&&b| b != 0) {
            f.write_char(if b.is_ascii_graphic() { b as char } else { '?' })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut() {
        let comm = TaskComm::new();
        comm.set(b"a-program-with-a-long-name");
        assert_eq!(comm.get().to_string(), "a-program-with-");
        assert_eq!(comm.get().0[15], 0);
        comm.set(b"b c");
        assert_eq!(comm.get().to_string(), "b?c");
    }
}

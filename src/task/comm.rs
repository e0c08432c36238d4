#![forbid(unsafe_code)]
//! The name of a task: at most 15 bytes and a 0.
//!
//! Written by the task itself, or by who makes it. Anybody may read it at any time, in the switch
//! too, so there is no lock: who reads while the task takes another name may get some of each.
//!
//! Linux: `task_struct.comm`, TASK_COMM_LEN.

extern crate alloc;
use alloc::string::String;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a name, with its 0.
pub const TASK_COMM_LEN: usize = 16;

/// A task's name, where it lies.
pub struct TaskComm([AtomicU32; TASK_COMM_LEN / 4]);

impl TaskComm {
    /// No name.
    pub const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; TASK_COMM_LEN / 4])
    }

    /// Makes it the first 15 bytes of `name`.
    pub fn set(&self, name: &[u8]) {
        let mut comm = [0u8; TASK_COMM_LEN];
        let n = name.len().min(TASK_COMM_LEN - 1);
        comm[..n].copy_from_slice(&name[..n]);
        for (word, bytes) in self.0.iter().zip(comm.as_chunks().0) {
            word.store(u32::from_le_bytes(*bytes), Ordering::Relaxed);
        }
    }

    /// What it is now.
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
    /// Its bytes, without the final zero.
    pub fn bytes(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// As text, whatever is in it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

/// A name that was read. Displays as text, with `?` for what is no printable character.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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

#![forbid(unsafe_code)]
//! Bytes in order: what a pipe holds between its writer and its reader.
//!
//! Used by `fs::pipe`.
//!
//! Book: chapter 19, "Pipes". Linux: `PIPE_BUF`.

use alloc::vec::Vec;

use crate::syscall::errno::Errno;

/// What a pipe holds, and what a write puts into it in one piece (`PIPE_BUF`), in bytes.
pub const PIPE_BUF: usize = 4096;

/// Up to [`PIPE_BUF`] bytes, first in, first out.
#[derive(Debug)]
pub struct Ring {
    bytes: Vec<u8>,
    /// Index of the oldest byte.
    first: usize,
    length: usize,
}

impl Ring {
    /// An empty ring.
    pub fn new() -> Result<Self, Errno> {
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(PIPE_BUF)
            .map_err(|_| Errno::ENOMEM)?;
        bytes.resize(PIPE_BUF, 0);
        Ok(Self {
            bytes,
            first: 0,
            length: 0,
        })
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes that still fit.
    pub fn room(&self) -> usize {
        PIPE_BUF - self.length
    }

    /// Puts in as much of `bytes` as fits; returns how much that was.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.room());
        let end = (self.first + self.length) % PIPE_BUF;
        let until_wrap = count.min(PIPE_BUF - end);
        self.bytes[end..end + until_wrap].copy_from_slice(&bytes[..until_wrap]);
        self.bytes[..count - until_wrap].copy_from_slice(&bytes[until_wrap..count]);
        self.length += count;
        count
    }

    /// Takes out as much as `buffer` holds; returns how much that was.
    pub fn pop(&mut self, buffer: &mut [u8]) -> usize {
        let count = buffer.len().min(self.length);
        let until_wrap = count.min(PIPE_BUF - self.first);
        buffer[..until_wrap].copy_from_slice(&self.bytes[self.first..self.first + until_wrap]);
        buffer[until_wrap..count].copy_from_slice(&self.bytes[..count - until_wrap]);
        self.first = (self.first + count) % PIPE_BUF;
        self.length -= count;
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(
            steps in prop::collection::vec((any::<bool>(), 0usize..6000), 0..60)
        ) {
            let mut ring = Ring::new().unwrap();
            let mut model = VecDeque::new();
            let mut next = 0u8;
            for (push, count) in steps {
                if push {
                    let bytes: Vec<u8> = (0..count).map(|i| next.wrapping_add(i as u8)).collect();
                    let pushed = ring.push(&bytes);
                    prop_assert_eq!(pushed, count.min(PIPE_BUF - model.len()));
                    next = next.wrapping_add(pushed as u8);
                    model.extend(&bytes[..pushed]);
                } else {
                    let mut buffer = vec![0; count];
                    let popped = ring.pop(&mut buffer);
                    let expected: Vec<u8> = model.drain(..count.min(model.len())).collect();
                    prop_assert_eq!(&buffer[..popped], &expected[..]);
                }
                prop_assert_eq!(ring.len(), model.len());
                prop_assert_eq!(ring.is_empty(), model.is_empty());
            }
        }
    }
}

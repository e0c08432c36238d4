#![forbid(unsafe_code)]
//! Bytes in order: what a pipe holds between its writer and its reader.
//!
//! Used by `fs::pipe`.
//!
//! Book: chapter 19, "Pipes". Linux: `PIPE_BUF`.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::syscall::errno::Errno;

/// What a pipe holds, and what a write puts into it in one piece (`PIPE_BUF`), in bytes.
pub const PIPE_BUF: usize = 4096;

/// Up to [`PIPE_BUF`] bytes, first in, first out.
#[derive(Debug)]
pub struct Ring {
    bytes: Box<[u8; PIPE_BUF]>,
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
        let bytes = bytes.into_boxed_slice().try_into();
        Ok(Self {
            bytes: bytes.map_err(|_| Errno::ENOMEM)?,
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
        PIPE_BUF.saturating_sub(self.length)
    }

    /// The first `count` bytes, or all if there are fewer: those up to the end of the buffer, and
    /// those that go on at its start.
    #[inline(always)]
    pub fn filled(&self, count: usize) -> (&[u8], &[u8]) {
        let count = count.min(self.length);
        let (start, rest) = self.bytes.split_at(self.first % PIPE_BUF);
        match rest.get(..count) {
            Some(bytes) => (bytes, &[]),
            None => (rest, &start[..count.saturating_sub(rest.len())]),
        }
    }

    /// The first `count` bytes, or all if there are fewer, if they lie in one piece.
    #[inline(always)]
    pub fn front(&self, count: usize) -> Option<&[u8]> {
        let first = self.first % PIPE_BUF;
        self.bytes.get(first..)?.get(..count.min(self.length))
    }

    /// Takes the first `count` bytes out. There are as many.
    #[inline(always)]
    pub fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.length);
        self.first = self.first.wrapping_add(count) % PIPE_BUF;
        self.length = self.length.saturating_sub(count);
    }

    /// Room for `count` bytes more, or all that is left: up to the end of the buffer, and at its
    /// start.
    #[inline(always)]
    pub fn free(&mut self, count: usize) -> (&mut [u8], &mut [u8]) {
        let count = count.min(self.room());
        let end = self.first.wrapping_add(self.length) % PIPE_BUF;
        let (start, rest) = self.bytes.split_at_mut(end);
        match count.checked_sub(rest.len()) {
            None | Some(0) => (&mut rest[..count], &mut []),
            Some(more) => (rest, &mut start[..more]),
        }
    }

    /// Room for `count` bytes in one piece, if there is any.
    #[inline(always)]
    pub fn back(&mut self, count: usize) -> Option<&mut [u8]> {
        if count > self.room() {
            return None;
        }
        let end = self.first.wrapping_add(self.length) % PIPE_BUF;
        self.bytes.get_mut(end..)?.get_mut(..count)
    }

    /// The next `count` bytes of what was free have been filled.
    #[inline(always)]
    pub fn commit(&mut self, count: usize) {
        debug_assert!(count <= self.room());
        self.length = self.length.wrapping_add(count);
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
                    let back = ring.back(count).map(|bytes| bytes.as_ptr());
                    let (one, two) = ring.free(count);
                    let in_one_piece = one.len() == count;
                    prop_assert_eq!(back, in_one_piece.then_some(one.as_ptr()));
                    let (at, pushed) = (one.len(), one.len() + two.len());
                    one.copy_from_slice(&bytes[..at]);
                    two.copy_from_slice(&bytes[at..pushed]);
                    ring.commit(pushed);
                    prop_assert_eq!(pushed, count.min(PIPE_BUF - model.len()));
                    next = next.wrapping_add(pushed as u8);
                    model.extend(&bytes[..pushed]);
                } else {
                    let (one, two) = ring.filled(count);
                    prop_assert_eq!(ring.front(count), two.is_empty().then_some(one));
                    let popped = [one, two].concat();
                    ring.consume(popped.len());
                    let expected: Vec<u8> = model.drain(..count.min(model.len())).collect();
                    prop_assert_eq!(popped, expected);
                }
                prop_assert_eq!(ring.len(), model.len());
                prop_assert_eq!(ring.is_empty(), model.is_empty());
            }
        }
    }
}

#![forbid(unsafe_code)]
//! Bytes in order: what a pipe holds between its writer and its reader.
//!
//! Used by `fs::pipe`.
//!
//! Book: chapter 19, "Pipes". Linux: `PIPE_BUF`.

use alloc::boxed::Box;

use crate::base::errno::Errno;
use crate::mm::fallible::try_zeroed_slice;

/// What a write puts into a pipe in one piece, in bytes; and the least that a pipe holds.
pub const PIPE_BUF: usize = 4096;
/// What a pipe holds unless F_SETPIPE_SZ says otherwise, in bytes.
pub const PIPE_CAPACITY: usize = 65536;

/// Up to [`capacity`](Ring::capacity) bytes, first in, first out. Its memory grows as it is needed: by a
/// buffer that the caller makes with [`buffer`], since it may hold a lock.
#[derive(Debug)]
pub struct Ring {
    /// A power of two of them, at least [`PIPE_BUF`] and at most `capacity`.
    bytes: Box<[u8]>,
    /// Index of the oldest byte.
    first: usize,
    length: usize,
    capacity: usize,
}

/// A buffer of `size` bytes, a power of two. ENOMEM.
pub fn buffer(size: usize) -> Result<Box<[u8]>, Errno> {
    debug_assert!(size.is_power_of_two());
    try_zeroed_slice(size)
}

impl Ring {
    /// An empty ring. ENOMEM.
    pub fn new() -> Result<Self, Errno> {
        Ok(Self {
            bytes: buffer(PIPE_BUF)?,
            first: 0,
            length: 0,
            capacity: PIPE_CAPACITY,
        })
    }

    /// Bytes that it may hold, a power of two.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Lets it hold `capacity` bytes, a power of two, from now on. The size of the buffer that it has to
    /// be given first, if its own is too large for that. EBUSY if more is in it.
    pub fn set_capacity(&mut self, capacity: usize) -> Result<Option<usize>, Errno> {
        if self.length > capacity {
            return Err(Errno::EBUSY);
        }
        if self.bytes.len() > capacity {
            return Ok(Some(capacity));
        }
        self.capacity = capacity;
        Ok(None)
    }

    /// Size of the buffer that it has to be given before `count` more bytes can be put in, of
    /// [`room`](Ring::room); none if its own is large enough.
    #[inline(always)]
    pub fn wants(&self, count: usize) -> Option<usize> {
        let needed = self.length.saturating_add(count);
        (needed > self.bytes.len())
            .then(|| needed.checked_next_power_of_two().unwrap_or(usize::MAX))
    }

    /// Moves what is in it to another buffer, unless it has become too small, or larger than it may be,
    /// meanwhile; returns the one that is not used.
    pub fn give(&mut self, mut buffer: Box<[u8]>) -> Box<[u8]> {
        if buffer.len() < self.length || buffer.len() > self.capacity {
            return buffer;
        }
        let (one, two) = self.filled(self.length);
        let (to, rest) = buffer.split_at_mut(one.len());
        to.copy_from_slice(one);
        rest[..two.len()].copy_from_slice(two);
        self.first = 0;
        core::mem::replace(&mut self.bytes, buffer)
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
        self.capacity.saturating_sub(self.length)
    }

    /// Bytes of the buffer that hold nothing.
    #[inline(always)]
    fn unused(&self) -> usize {
        debug_assert!(self.length <= self.bytes.len());
        self.bytes.len().wrapping_sub(self.length)
    }

    /// Index in the buffer of the byte `offset` behind its start.
    #[inline(always)]
    fn index(&self, offset: usize) -> usize {
        offset & self.bytes.len().wrapping_sub(1)
    }

    /// The first `count` bytes, or all if there are fewer: those up to the end of the buffer, and
    /// those that go on at its start.
    #[inline(always)]
    pub fn filled(&self, count: usize) -> (&[u8], &[u8]) {
        let count = count.min(self.length);
        let (start, rest) = self.bytes.split_at(self.first);
        match rest.get(..count) {
            Some(bytes) => (bytes, &[]),
            None => (rest, &start[..count.saturating_sub(rest.len())]),
        }
    }

    /// The first `count` bytes, or all if there are fewer, if they lie in one piece.
    #[inline(always)]
    pub fn front(&self, count: usize) -> Option<&[u8]> {
        self.bytes.get(self.first..)?.get(..count.min(self.length))
    }

    /// Takes the first `count` bytes out. There are as many.
    #[inline(always)]
    pub fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.length);
        self.first = self.index(self.first.wrapping_add(count));
        self.length = self.length.wrapping_sub(count);
    }

    /// Room for `count` bytes more, or all that is left in the buffer: up to its end, and at its start.
    #[inline(always)]
    pub fn free(&mut self, count: usize) -> (&mut [u8], &mut [u8]) {
        let count = count.min(self.unused());
        let end = self.index(self.first.wrapping_add(self.length));
        let (start, rest) = self.bytes.split_at_mut(end);
        match count.checked_sub(rest.len()) {
            None | Some(0) => (&mut rest[..count], &mut []),
            Some(more) => (rest, &mut start[..more]),
        }
    }

    /// Room for `count` bytes in one piece of the buffer, if there is any.
    #[inline(always)]
    pub fn back(&mut self, count: usize) -> Option<&mut [u8]> {
        if count > self.unused() {
            return None;
        }
        let end = self.index(self.first.wrapping_add(self.length));
        self.bytes.get_mut(end..)?.get_mut(..count)
    }

    /// The next `count` bytes of what was free have been filled.
    #[inline(always)]
    pub fn commit(&mut self, count: usize) {
        debug_assert!(count <= self.unused());
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
            steps in prop::collection::vec((any::<bool>(), 0usize..20000), 0..60)
        ) {
            let mut ring = Ring::new().unwrap();
            let mut model = VecDeque::new();
            let mut next = 0u8;
            for (push, count) in steps {
                if push {
                    let wanted = count.min(ring.room());
                    if let Some(size) = ring.wants(wanted) {
                        prop_assert!(size <= ring.capacity());
                        ring.give(buffer(size).unwrap());
                        prop_assert_eq!(ring.wants(wanted), None);
                    }
                    let bytes: Vec<u8> = (0..count).map(|i| next.wrapping_add(i as u8)).collect();
                    let back = ring.back(count).map(|bytes| bytes.as_ptr());
                    let (one, two) = ring.free(count);
                    let in_one_piece = one.len() == count;
                    prop_assert_eq!(back, in_one_piece.then_some(one.as_ptr()));
                    let (at, pushed) = (one.len(), one.len() + two.len());
                    one.copy_from_slice(&bytes[..at]);
                    two.copy_from_slice(&bytes[at..pushed]);
                    ring.commit(pushed);
                    prop_assert_eq!(pushed, count.min(PIPE_CAPACITY - model.len()));
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

    #[test]
    fn a_capacity_is_never_less_than_what_is_in_it() {
        let mut ring = Ring::new().unwrap();
        ring.give(buffer(8192).unwrap());
        ring.commit(5000);
        assert_eq!(ring.set_capacity(4096), Err(Errno::EBUSY));
        ring.consume(2000);
        assert_eq!(ring.set_capacity(4096), Ok(Some(4096)));
        ring.give(buffer(4096).unwrap());
        assert_eq!(ring.set_capacity(4096), Ok(None));
        assert_eq!(
            (ring.len(), ring.room(), ring.wants(1096)),
            (3000, 1096, None)
        );
        let refused = ring.give(buffer(8192).unwrap());
        assert_eq!(refused.len(), 8192, "more than it may hold");
    }
}

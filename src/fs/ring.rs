#![forbid(unsafe_code)]
//! Bytes in order: the contents of a pipe between its writer and its reader.
//!
//! Used by `fs::pipe`.
//!
//! Book: ch. 19, "Pipes". Linux: `PIPE_BUF`.

use alloc::boxed::Box;

use crate::base::errno::Errno;
use crate::mm::fallible::try_zeroed_slice;

/// Largest write that goes into a pipe as one piece, in bytes; also the smallest capacity of a
/// pipe.
pub const PIPE_BUF: usize = 4096;
/// Capacity of a pipe in bytes, unless F_SETPIPE_SZ changes it.
pub const PIPE_CAPACITY: usize = 65536;

/// A queue of up to [`capacity`](Ring::capacity) bytes. Its memory grows on demand, by a buffer
/// that the caller makes beforehand with [`buffer`], since the caller may hold a lock.
#[derive(Debug)]
pub struct Ring {
    /// The memory: a power of two of bytes, at least [`PIPE_BUF`] and at most `capacity`.
    bytes: Box<[u8]>,
    /// Index of the oldest byte.
    first: usize,
    length: usize,
    capacity: usize,
}

/// Makes a buffer of `size` bytes, a power of two.
///
/// # Errors
/// ENOMEM.
pub fn buffer(size: usize) -> Result<Box<[u8]>, Errno> {
    debug_assert!(size.is_power_of_two());
    try_zeroed_slice(size)
}

impl Ring {
    /// Returns an empty ring.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new() -> Result<Self, Errno> {
        Ok(Self {
            bytes: buffer(PIPE_BUF)?,
            first: 0,
            length: 0,
            capacity: PIPE_CAPACITY,
        })
    }

    /// Returns the capacity in bytes, a power of two.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Sets the capacity in bytes, a power of two. If the present buffer is larger than that,
    /// changes nothing and returns the size of the buffer that the caller must give first.
    ///
    /// # Errors
    /// EBUSY if the ring contains more bytes.
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

    /// Returns the size of the buffer that the caller must give before `count` of the
    /// [`room`](Ring::room) bytes can be put in; `None` if the present buffer is large enough.
    #[inline(always)]
    pub fn wants(&self, count: usize) -> Option<usize> {
        let needed = self.length.saturating_add(count);
        (needed > self.bytes.len())
            .then(|| needed.checked_next_power_of_two().unwrap_or(usize::MAX))
    }

    /// Moves the contents to another buffer, unless that is now too small or larger than allowed;
    /// returns the buffer that is not used.
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

    /// Returns the number of bytes in the ring.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Returns whether the ring is empty.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns the number of bytes that still fit.
    pub fn room(&self) -> usize {
        self.capacity.saturating_sub(self.length)
    }

    /// Returns the number of unused bytes in the buffer.
    #[inline(always)]
    fn unused(&self) -> usize {
        debug_assert!(self.length <= self.bytes.len());
        self.bytes.len().wrapping_sub(self.length)
    }

    /// Returns the index in the buffer of the byte `offset` after the oldest one.
    #[inline(always)]
    fn index(&self, offset: usize) -> usize {
        offset & self.bytes.len().wrapping_sub(1)
    }

    /// Returns the first `count` bytes, or all if there are fewer: those up to the end of the
    /// buffer, and those that continue at its start.
    #[inline(always)]
    pub fn filled(&self, count: usize) -> (&[u8], &[u8]) {
        let count = count.min(self.length);
        let (start, rest) = self.bytes.split_at(self.first);
        match rest.get(..count) {
            Some(bytes) => (bytes, &[]),
            None => (rest, &start[..count.saturating_sub(rest.len())]),
        }
    }

    /// Returns the first `count` bytes, or all if there are fewer, if they lie in one piece.
    #[inline(always)]
    pub fn front(&self, count: usize) -> Option<&[u8]> {
        self.bytes.get(self.first..)?.get(..count.min(self.length))
    }

    /// Removes the first `count` bytes. There must be that many.
    #[inline(always)]
    pub fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.length);
        self.first = self.index(self.first.wrapping_add(count));
        self.length = self.length.wrapping_sub(count);
    }

    /// Returns the space for `count` more bytes, or all that is left in the buffer: up to its end,
    /// and at its start.
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

    /// Returns space for `count` bytes in one piece of the buffer, if there is any.
    #[inline(always)]
    pub fn back(&mut self, count: usize) -> Option<&mut [u8]> {
        if count > self.unused() {
            return None;
        }
        let end = self.index(self.first.wrapping_add(self.length));
        self.bytes.get_mut(end..)?.get_mut(..count)
    }

    /// Declares the next `count` bytes of the free space filled.
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

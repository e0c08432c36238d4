#![forbid(unsafe_code)]
//! Memory that several address spaces share: `mmap(MAP_SHARED | MAP_ANONYMOUS)`.
//!
//! A page comes into being when a process first touches it, perhaps long after `fork`; then all
//! processes that share the object see the same frame. The object holds one reference to each frame
//! and drops them when its last mapping goes.
//!
//! Used by `mm::vma` (mappings hold it in an `Arc`) and `mm::fault`.
//!
//! Book: ch. 16, "Memory Mapping" (shared mappings).
//! Linux: 2.6.38 `mm/shmem.c`, `shmem_zero_setup`.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use super::fallible::TryVec;
use crate::base::errno::Errno;

/// A fixed number of pages, each absent or in a frame.
#[derive(Debug)]
pub struct SharedPages {
    /// Physical address of each page's frame; 0 until a process touches the page.
    frames: Vec<AtomicU32>,
    /// Drops the object's reference to a frame.
    put_page: fn(u32),
}

impl SharedPages {
    /// Returns an object of `pages` absent pages; its drop calls `put_page` for each frame.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(pages: usize, put_page: fn(u32)) -> Result<Self, Errno> {
        let mut frames = Vec::new();
        frames.try_resize_with(pages, || AtomicU32::new(0))?;
        Ok(Self { frames, put_page })
    }

    /// Returns the frame of page `index`, if a process has touched the page.
    pub fn get(&self, index: usize) -> Option<u32> {
        match self.frames[index].load(Ordering::Acquire) {
            0 => None,
            frame => Some(frame),
        }
    }

    /// Gives page `index` the frame `new`, whose reference becomes the object's.
    ///
    /// # Errors
    /// The page's frame, if another processor gave it one first; `new` then stays the caller's.
    pub fn set(&self, index: usize, new: u32) -> Result<(), u32> {
        self.frames[index]
            .compare_exchange(0, new, Ordering::AcqRel, Ordering::Acquire)
            .map(|_| ())
    }
}

impl Drop for SharedPages {
    fn drop(&mut self) {
        for frame in self
            .frames
            .iter()
            .map(|frame| frame.load(Ordering::Acquire))
        {
            if frame != 0 {
                (self.put_page)(frame);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_frame_wins_and_all_are_given_back() {
        static PUT: AtomicU32 = AtomicU32::new(0);
        let object = SharedPages::new(3, |frame| {
            PUT.fetch_add(frame, Ordering::Relaxed);
        })
        .unwrap();
        assert_eq!(object.get(1), None);
        assert_eq!(object.set(1, 0x5000), Ok(()));
        assert_eq!(object.set(1, 0x6000), Err(0x5000));
        assert_eq!(object.set(2, 0x7000), Ok(()));
        assert_eq!(object.get(1), Some(0x5000));
        drop(object);
        assert_eq!(PUT.load(Ordering::Relaxed), 0xc000);
    }
}

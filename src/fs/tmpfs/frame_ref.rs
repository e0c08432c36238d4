//! A page of a file in memory, kept while it is read or written.
//!
//! Linux: 2.6.38 `page_cache_get`, `file_read_actor`.

use crate::arch::x86::entry::uaccess::{raw_copy_from_user, raw_copy_to_user};
use crate::base::errno::Errno;
use crate::hw::pte::PAGE_SIZE;
use crate::mm::frame::{alloc_page, clear_page, get_page, phys_to_virt, put_page};

/// A holder of a frame with a page of a file. Processes that map the page may write it at any time.
pub struct FrameRef(u32);

impl FrameRef {
    /// Returns a frame of zeroes; `None` if there is no memory.
    pub fn zeroed() -> Option<Self> {
        let phys = alloc_page()?;
        clear_page(phys);
        Some(Self(phys))
    }

    /// Returns the physical address, with the reference.
    pub fn into_raw(self) -> u32 {
        let phys = self.0;
        core::mem::forget(self);
        phys
    }

    /// Copies `length` bytes from `offset` to user address `to`. EFAULT.
    pub fn copy_to_user(&self, offset: usize, length: usize, to: u32) -> Result<(), Errno> {
        // SAFETY: bytes of a frame that this value holds.
        unsafe { raw_copy_to_user(to, self.at(offset, length), length as u32) }
    }

    /// Copies `length` bytes from user address `from` to `offset`. EFAULT, perhaps after some.
    pub fn copy_from_user(&mut self, offset: usize, length: usize, from: u32) -> Result<(), Errno> {
        // SAFETY: as above.
        unsafe { raw_copy_from_user(self.at(offset, length), from, length as u32) }
    }

    /// Copies bytes from `offset` on.
    pub fn copy_to(&self, offset: usize, to: &mut [u8]) {
        // SAFETY: as above. There is no reference to the bytes: programs may write them meanwhile.
        unsafe { self.at(offset, to.len()).copy_to(to.as_mut_ptr(), to.len()) }
    }

    /// Copies bytes to `offset`.
    pub fn copy_from(&mut self, offset: usize, from: &[u8]) {
        // SAFETY: as for `copy_to`.
        unsafe {
            self.at(offset, from.len())
                .copy_from(from.as_ptr(), from.len())
        }
    }

    /// Clears the bytes from `offset` to `end`.
    pub fn clear(&mut self, offset: usize, end: usize) {
        let length = end.saturating_sub(offset);
        // SAFETY: as for `copy_to`.
        unsafe { self.at(offset, length).write_bytes(0, length) }
    }

    /// Returns the place of `length` bytes from `offset` on in the direct map.
    fn at(&self, offset: usize, length: usize) -> *mut u8 {
        let end = offset.checked_add(length);
        assert!(
            end.is_some_and(|end| end <= PAGE_SIZE as usize),
            "BUG: beyond the page of a file"
        );
        phys_to_virt(self.0).wrapping_add(offset)
    }
}

impl Clone for FrameRef {
    fn clone(&self) -> Self {
        get_page(self.0);
        Self(self.0)
    }
}

impl Drop for FrameRef {
    fn drop(&mut self) {
        put_page(self.0);
    }
}

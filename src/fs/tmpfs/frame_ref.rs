//! A page of a file in memory, kept while it is read or written.
//!
//! Linux: 2.6.38 `page_cache_get`, `file_read_actor`.

use crate::arch::x86::entry::uaccess::{copy_from_user, copy_to_user};
use crate::base::errno::Errno;
use crate::hw::pte::PAGE_SIZE;
use crate::mm::frame::{get_page, phys_to_virt, put_page};

/// A holder of a frame with a page of a file. Processes that map the page may write it at any time.
pub struct FrameRef(u32);

impl FrameRef {
    /// Takes over the caller's reference to the frame at `phys`.
    pub const fn from_owned(phys: u32) -> Self {
        Self(phys)
    }

    /// Adds a reference to a frame that the caller knows to be held.
    pub fn get(phys: u32) -> Self {
        get_page(phys);
        Self(phys)
    }

    /// Returns the physical address, with the reference.
    pub fn into_raw(self) -> u32 {
        let phys = self.0;
        core::mem::forget(self);
        phys
    }

    /// Copies `length` bytes from `offset` to user address `to`. EFAULT.
    pub fn copy_to_user(&self, offset: usize, length: usize, to: u32) -> Result<(), Errno> {
        copy_to_user(to, self.bytes(offset, length))
    }

    /// Copies `length` bytes from user address `from` to `offset`. EFAULT, perhaps after some.
    pub fn copy_from_user(&mut self, offset: usize, length: usize, from: u32) -> Result<(), Errno> {
        copy_from_user(self.bytes_mut(offset, length), from)
    }

    /// Copies bytes from `offset` on.
    pub fn copy_to(&self, offset: usize, to: &mut [u8]) {
        to.copy_from_slice(self.bytes(offset, to.len()));
    }

    /// Copies bytes to `offset`.
    pub fn copy_from(&mut self, offset: usize, from: &[u8]) {
        self.bytes_mut(offset, from.len()).copy_from_slice(from);
    }

    /// Clears the bytes from `offset` to `end`.
    pub fn clear(&mut self, offset: usize, end: usize) {
        self.bytes_mut(offset, end.saturating_sub(offset)).fill(0);
    }

    fn bytes(&self, offset: usize, length: usize) -> &[u8] {
        check(offset, length);
        // SAFETY: within a frame of the direct map, which this value holds. Processes that map the
        // page and write meanwhile race with us as two writers of user memory do.
        unsafe { core::slice::from_raw_parts(phys_to_virt(self.0).add(offset), length) }
    }

    fn bytes_mut(&mut self, offset: usize, length: usize) -> &mut [u8] {
        check(offset, length);
        // SAFETY: as in `bytes`.
        unsafe { core::slice::from_raw_parts_mut(phys_to_virt(self.0).add(offset), length) }
    }
}

fn check(offset: usize, length: usize) {
    let end = offset.checked_add(length);
    assert!(
        end.is_some_and(|end| end <= PAGE_SIZE as usize),
        "BUG: beyond the page of a file"
    );
}

impl Drop for FrameRef {
    fn drop(&mut self) {
        put_page(self.0);
    }
}

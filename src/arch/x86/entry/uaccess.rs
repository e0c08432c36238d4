//! User memory: copy in, copy out, or EFAULT.
//!
//! A user address is a plain `u32`, which nothing can dereference by mistake. Each function checks
//! that the range lies below [`TASK_SIZE`]. The page-fault handler brings in a missing page, and an
//! access that remains impossible ends in EFAULT.
//!
//! System calls use these functions, in process context and without a spin lock: a fault may take
//! the lock of the address space.
//!
//! Book: ch. 10, "Verifying the Parameters", "Accessing the Process Address Space".
//! Linux: 2.6.38 `asm/uaccess.h`.

use alloc::vec::Vec;
use core::mem::MaybeUninit;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::arch::x86::entry::usercopy::{
    __clear_user, __cmpxchg_user_4, __copy_user, __get_user_4, __put_user_4,
};
use crate::base::errno::Errno;
use crate::hw::pte::PAGE_SIZE;
use crate::mm::fallible::TryVec;
use crate::mm::vma::TASK_SIZE;

/// Longest path, with its final zero, in bytes (`PATH_MAX`).
pub const PATH_MAX: u32 = 4096;

/// A plain-data type. Any bytes are a valid value, and it has no padding, which would leak the
/// kernel's stack to ring 3. The compiler checks both.
pub trait Pod: FromBytes + IntoBytes + Immutable + Copy {}

impl<T: FromBytes + IntoBytes + Immutable + Copy> Pod for T {}

/// Returns EFAULT unless all of the `length` bytes from `address` are user memory.
#[inline]
pub fn access_ok(address: u32, length: u32) -> Result<(), Errno> {
    match length <= TASK_SIZE && address <= TASK_SIZE - length {
        true => Ok(()),
        false => Err(Errno::EFAULT),
    }
}

/// Fills `to` from user address `from`. After EFAULT the contents of `to` are unspecified.
#[inline]
pub fn copy_from_user(to: &mut [u8], from: u32) -> Result<(), Errno> {
    // SAFETY: `to` is ours and has that length.
    unsafe { raw_copy_from_user(to.as_mut_ptr(), from, to.len() as u32) }
}

/// Copies `length` bytes from user address `from` to `to`, where there may be no reference: other
/// CPUs may write there too. After EFAULT a part may have been copied.
///
/// # Safety
/// 1. The kernel may write `length` bytes at `to`.
#[inline]
pub unsafe fn raw_copy_from_user(to: *mut u8, from: u32, length: u32) -> Result<(), Errno> {
    access_ok(from, length)?;
    // SAFETY: by 1; the user's side may fault.
    match unsafe { __copy_user(to, from as *const u8, length) } {
        0 => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Copies `from` to user address `to`. After EFAULT a part may have been copied.
#[inline]
pub fn copy_to_user(to: u32, from: &[u8]) -> Result<(), Errno> {
    // SAFETY: `from` has that length.
    unsafe { raw_copy_to_user(to, from.as_ptr(), from.len() as u32) }
}

/// Copies `length` bytes from `from`, to which there may be no reference, to user address `to`. After
/// EFAULT a part may have been copied.
///
/// # Safety
/// 1. The kernel may read `length` bytes at `from`.
#[inline]
pub unsafe fn raw_copy_to_user(to: u32, from: *const u8, length: u32) -> Result<(), Errno> {
    access_ok(to, length)?;
    // SAFETY: by 1; the user's side may fault.
    match unsafe { __copy_user(to as *mut u8, from, length) } {
        0 => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Clears `length` bytes at user address `to`.
pub fn clear_user(to: u32, length: u32) -> Result<(), Errno> {
    access_ok(to, length)?;
    // SAFETY: only user memory is written; it may fault.
    if unsafe { __clear_user(to as *mut u8, length) } == 0 {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

/// Reads the `T` at user address `from`.
pub fn get_user<T: Pod>(from: u32) -> Result<T, Errno> {
    access_ok(from, size_of::<T>() as u32)?;
    let mut value = MaybeUninit::<T>::uninit();
    let left = match size_of::<T>() {
        // SAFETY: `value` is four bytes of ours; the user's side may fault.
        4 => unsafe { __get_user_4(value.as_mut_ptr().cast(), from as *const u32) },
        // SAFETY: `value` is that many bytes of ours; the user's side may fault.
        size => unsafe { __copy_user(value.as_mut_ptr().cast(), from as *const u8, size as u32) },
    };
    match left {
        // SAFETY: every byte was written, and any bytes are a valid `Pod`.
        0 => Ok(unsafe { value.assume_init() }),
        _ => Err(Errno::EFAULT),
    }
}

/// Stores `value` at user address `to`.
pub fn put_user<T: Pod>(to: u32, value: T) -> Result<(), Errno> {
    access_ok(to, size_of::<T>() as u32)?;
    let from = (&raw const value).cast::<u8>();
    let left = match size_of::<T>() {
        // SAFETY: `value` is four bytes, all initialised since a `Pod` has no padding, read
        // without an alignment; the user's side may fault.
        4 => unsafe { __put_user_4(to as *mut u32, from.cast::<u32>().read_unaligned()) },
        // SAFETY: `value` is that many initialised bytes; the user's side may fault.
        size => unsafe { __copy_user(to as *mut u8, from, size as u32) },
    };
    if left == 0 {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

/// Stores `new` in the user's word at `at` if that is `expected`, and returns the word's old value.
/// Atomic with respect to all processors.
pub fn cmpxchg_user(at: u32, expected: u32, new: u32) -> Result<u32, Errno> {
    access_ok(at, 4)?;
    let mut was = expected;
    // SAFETY: `was` is a word of ours; the user's side may fault.
    match unsafe { __cmpxchg_user_4(at as *mut u32, &raw mut was, new) } {
        0 => Ok(was),
        _ => Err(Errno::EFAULT),
    }
}

/// Brings in the pages of `length` bytes at user address `at` for reading. Returns EFAULT if it
/// cannot.
#[doc(alias = "iov_fault_in_pages_read")]
#[cold]
pub fn fault_in_readable(at: u32, length: u32) -> Result<(), Errno> {
    pages(at, length).try_for_each(|byte| get_user::<u8>(byte).map(drop))
}

/// Brings in the pages of `length` bytes at user address `at` for writing, without changing them.
/// Returns EFAULT if it cannot.
#[doc(alias = "iov_fault_in_pages_write")]
#[cold]
pub fn fault_in_writeable(at: u32, length: u32) -> Result<(), Errno> {
    // Replaces 0 by 0, atomically: another thread may be writing there.
    pages(at, length).try_for_each(|byte| cmpxchg_user(byte & !3, 0, 0).map(drop))
}

/// Returns the addresses of the elements, `size` bytes each, of an array at user address `first`, up
/// to the end of all addresses. Whether an element is user memory is seen when it is read.
pub fn elements(first: u32, size: u32) -> impl Iterator<Item = u32> {
    core::iter::successors(Some(first), move |at| at.checked_add(size))
}

/// Returns one address in each page of a range: the range's first byte, then the first byte of each
/// further page.
fn pages(at: u32, length: u32) -> impl Iterator<Item = u32> {
    let end = at.saturating_add(length);
    let further = (at | (PAGE_SIZE - 1)).saturating_add(1);
    core::iter::once(at).chain((further..end).step_by(PAGE_SIZE as usize))
}

/// Reads the string at user address `from` and returns it without its final zero. Returns
/// ENAMETOOLONG if the first `longest` bytes have no zero, EFAULT, or ENOMEM.
pub fn strncpy_from_user(from: u32, longest: u32) -> Result<Vec<u8>, Errno> {
    let mut string = Vec::new();
    let mut at = from;
    loop {
        // Not beyond the page: the memory after the string need not be mapped.
        let chunk = (PAGE_SIZE - at % PAGE_SIZE)
            .min(64)
            .min(longest - (at - from)) as usize;
        if chunk == 0 {
            return Err(Errno::ENAMETOOLONG);
        }
        let mut bytes = [0; 64];
        copy_from_user(&mut bytes[..chunk], at)?;
        let text = &bytes[..chunk];
        let end = text.iter().position(|byte| *byte == 0);
        let text = &text[..end.unwrap_or(chunk)];
        string.try_extend_from_slice(text)?;
        if end.is_some() {
            return Ok(string);
        }
        at += chunk as u32;
    }
}

/// Reads a path of at most [`PATH_MAX`] bytes, with its final zero, at user address `from`.
pub fn getname(from: u32) -> Result<Vec<u8>, Errno> {
    strncpy_from_user(from, PATH_MAX)
}

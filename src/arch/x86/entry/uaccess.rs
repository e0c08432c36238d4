//! User memory: copy in, copy out, or EFAULT.
//!
//! A user address is a plain `u32`, so that nothing can dereference it by mistake. Each function
//! checks that the range lies below [`TASK_SIZE`]; a page that is missing is brought in by the
//! page-fault handler, and an access that cannot be made ends in EFAULT.
//!
//! Called by system calls and whoever acts for them, in process context, with no spin lock held:
//! a fault may take the lock of the address space.
//!
//! Book: chapter 10, "Verifying the Parameters", "Accessing the Process Address Space".
//! Linux: 2.6.38 `asm/uaccess.h`.

use alloc::vec::Vec;
use core::mem::MaybeUninit;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::arch::x86::entry::usercopy::{
    __clear_user, __cmpxchg_user_4, __copy_user, __get_user_4, __put_user_4,
};
use crate::base::errno::Errno;
use crate::hw::pte::PAGE_SIZE;
use crate::mm::vma::TASK_SIZE;

/// Longest path, with its final zero, in bytes (`PATH_MAX`).
pub const PATH_MAX: u32 = 4096;

/// A type that is nothing but its bytes: any bytes are a value of it, and it has no padding, which
/// would tell ring 3 what lay on the kernel's stack. The compiler checks both.
pub trait Pod: FromBytes + IntoBytes + Immutable + Copy {}

impl<T: FromBytes + IntoBytes + Immutable + Copy> Pod for T {}

/// EFAULT unless `length` bytes from `address` are all the user's.
#[inline]
pub fn access_ok(address: u32, length: u32) -> Result<(), Errno> {
    match length <= TASK_SIZE && address <= TASK_SIZE - length {
        true => Ok(()),
        false => Err(Errno::EFAULT),
    }
}

/// Fills `to` from user address `from`. On EFAULT, `to` holds anything.
#[inline]
pub fn copy_from_user(to: &mut [u8], from: u32) -> Result<(), Errno> {
    access_ok(from, to.len() as u32)?;
    // SAFETY: `to` is ours and that long; the user's side may fault.
    let left = unsafe { __copy_user(to.as_mut_ptr(), from as *const u8, to.len() as u32) };
    if left == 0 {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

/// Copies `from` to user address `to`. On EFAULT a part of it may have been copied.
#[inline]
pub fn copy_to_user(to: u32, from: &[u8]) -> Result<(), Errno> {
    access_ok(to, from.len() as u32)?;
    // SAFETY: `from` is readable; the user's side may fault.
    let left = unsafe { __copy_user(to as *mut u8, from.as_ptr(), from.len() as u32) };
    if left == 0 {
        Ok(())
    } else {
        Err(Errno::EFAULT)
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

/// The `T` at user address `from`.
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
        // SAFETY: every byte was written, and any bytes are a `Pod`.
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

/// Stores `new` in the user's word at `at` if it is `expected`; returns what it was. Atomic
/// against all processors.
pub fn cmpxchg_user(at: u32, expected: u32, new: u32) -> Result<u32, Errno> {
    access_ok(at, 4)?;
    let mut was = expected;
    // SAFETY: `was` is a word of ours; the user's side may fault.
    match unsafe { __cmpxchg_user_4(at as *mut u32, &raw mut was, new) } {
        0 => Ok(was),
        _ => Err(Errno::EFAULT),
    }
}

/// Brings in the pages of `length` bytes at user address `at`, to be read. EFAULT.
#[doc(alias = "iov_fault_in_pages_read")]
#[cold]
pub fn fault_in_readable(at: u32, length: u32) -> Result<(), Errno> {
    pages(at, length).try_for_each(|byte| get_user::<u8>(byte).map(drop))
}

/// Brings in the pages of `length` bytes at user address `at`, to be written; they keep what they
/// hold. EFAULT.
#[doc(alias = "iov_fault_in_pages_write")]
#[cold]
pub fn fault_in_writeable(at: u32, length: u32) -> Result<(), Errno> {
    // Stores 0 where there is 0, atomically: another thread may write there just now.
    pages(at, length).try_for_each(|byte| cmpxchg_user(byte & !3, 0, 0).map(drop))
}

/// One address in each page of a range: its first byte, then the first of each further page.
fn pages(at: u32, length: u32) -> impl Iterator<Item = u32> {
    let end = at.saturating_add(length);
    let further = (at | (PAGE_SIZE - 1)).saturating_add(1);
    core::iter::once(at).chain((further..end).step_by(PAGE_SIZE as usize))
}

/// The string at user address `from`, without its final zero; `longest` bytes with it.
/// ENAMETOOLONG if there is no zero in `longest` bytes, ENOMEM.
pub fn strncpy_from_user(from: u32, longest: u32) -> Result<Vec<u8>, Errno> {
    let mut string = Vec::new();
    let mut at = from;
    loop {
        // No further than the page: what follows the string need not be mapped.
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
        string.try_reserve(text.len()).map_err(|_| Errno::ENOMEM)?;
        string.extend_from_slice(text);
        if end.is_some() {
            return Ok(string);
        }
        at += chunk as u32;
    }
}

/// A path: at most [`PATH_MAX`] bytes.
pub fn getname(from: u32) -> Result<Vec<u8>, Errno> {
    strncpy_from_user(from, PATH_MAX)
}

//! Allocation that can fail, and says so: ENOMEM.
//!
//! `Box::new`, `Vec::push` and `format!` end the kernel when memory is short. What is here takes their
//! place, for whatever runs on behalf of a program.
//!
//! Linux: `kmalloc` and its callers, which all handle a null pointer.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::alloc::AllocError;
use core::fmt::{self, Display};
use core::mem::MaybeUninit;

use crate::base::errno::Errno;

/// `value` in memory of its own.
pub fn try_box<T>(value: T) -> Result<Box<T>, Errno> {
    Box::try_new(value).map_err(|AllocError| Errno::ENOMEM)
}

/// `value` in memory that several can hold.
pub fn try_arc<T>(value: T) -> Result<Arc<T>, Errno> {
    Arc::try_new(value).map_err(|AllocError| Errno::ENOMEM)
}

/// Memory for a value that is not made yet; [`Box::write`] puts it there, and cannot fail.
pub fn try_place<T>() -> Result<Box<MaybeUninit<T>>, Errno> {
    Box::try_new_uninit().map_err(|AllocError| Errno::ENOMEM)
}

/// `N` bytes of zero, which were never on a stack.
pub fn try_zeroed_bytes<const N: usize>() -> Result<Box<[u8; N]>, Errno> {
    let bytes = Box::<[u8; N]>::try_new_zeroed().map_err(|AllocError| Errno::ENOMEM)?;
    // SAFETY: bytes that are all zero are a value of this type.
    Ok(unsafe { bytes.assume_init() })
}

/// `length` bytes of zero.
pub fn try_zeroed_slice(length: usize) -> Result<Box<[u8]>, Errno> {
    let bytes = Box::<[u8]>::try_new_zeroed_slice(length).map_err(|AllocError| Errno::ENOMEM)?;
    // SAFETY: bytes that are all zero are values of this type.
    Ok(unsafe { bytes.assume_init() })
}

/// A vector that grows if there is memory. After ENOMEM it is as before.
pub trait TryVec<T> {
    /// Room for `additional` more values, exactly.
    fn try_room(&mut self, additional: usize) -> Result<(), Errno>;
    /// `value` as its last.
    fn try_push(&mut self, value: T) -> Result<(), Errno>;
    /// `value` before what is at `index` now. Panics if that is past the end.
    fn try_insert(&mut self, index: usize, value: T) -> Result<(), Errno>;
    /// All of `values` at its end; what came before the failure stays.
    fn try_extend(&mut self, values: impl IntoIterator<Item = T>) -> Result<(), Errno>;
    /// Makes it `length` long; new values are those that `make` returns.
    fn try_resize_with(&mut self, length: usize, make: impl FnMut() -> T) -> Result<(), Errno>;
    /// Copies of all of `values` at its end.
    fn try_extend_from_slice(&mut self, values: &[T]) -> Result<(), Errno>
    where
        T: Clone;
}

impl<T> TryVec<T> for Vec<T> {
    fn try_room(&mut self, additional: usize) -> Result<(), Errno> {
        self.try_reserve_exact(additional)
            .map_err(|_| Errno::ENOMEM)
    }

    fn try_push(&mut self, value: T) -> Result<(), Errno> {
        self.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.push_within_capacity(value)
            .map(drop)
            .map_err(|_| Errno::ENOMEM)
    }

    fn try_insert(&mut self, index: usize, value: T) -> Result<(), Errno> {
        self.try_push(value)?;
        self[index..].rotate_right(1);
        Ok(())
    }

    fn try_extend(&mut self, values: impl IntoIterator<Item = T>) -> Result<(), Errno> {
        values
            .into_iter()
            .try_for_each(|value| self.try_push(value))
    }

    fn try_resize_with(&mut self, length: usize, make: impl FnMut() -> T) -> Result<(), Errno> {
        let more = length.saturating_sub(self.len());
        self.try_room(more)?;
        self.truncate(length);
        self.try_extend(core::iter::repeat_with(make).take(more))
    }

    fn try_extend_from_slice(&mut self, values: &[T]) -> Result<(), Errno>
    where
        T: Clone,
    {
        self.try_reserve(values.len()).map_err(|_| Errno::ENOMEM)?;
        self.try_extend(values.iter().cloned())
    }
}

/// The values of an iterator.
pub fn try_collect<T>(values: impl IntoIterator<Item = T>) -> Result<Vec<T>, Errno> {
    let mut all = Vec::new();
    all.try_extend(values)?;
    Ok(all)
}

/// The bytes of all `parts`, one after the other.
pub fn try_concat(parts: &[&[u8]]) -> Result<Vec<u8>, Errno> {
    let mut all = Vec::new();
    let length = parts
        .iter()
        .fold(0_usize, |sum, part| sum.saturating_add(part.len()));
    all.try_room(length)?;
    parts
        .iter()
        .try_for_each(|part| all.try_extend_from_slice(part))?;
    Ok(all)
}

/// `value` as text.
pub fn try_to_string(value: impl Display) -> Result<String, Errno> {
    let mut text = Text::new();
    write!(text, "{value}")?;
    Ok(text.into_string())
}

/// A text that grows: `write!(text, "...")?` says ENOMEM when it cannot.
#[derive(Debug, Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// Nothing in it.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// What `write!` and `writeln!` call.
    pub fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> Result<(), Errno> {
        fmt::Write::write_fmt(self, arguments).map_err(|fmt::Error| Errno::ENOMEM)
    }

    /// `text` at its end.
    pub fn put(&mut self, text: &str) -> Result<(), Errno> {
        self.put_bytes(text.as_bytes())
    }

    /// `bytes`, which need not be UTF-8, at its end.
    pub fn put_bytes(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.0.try_extend_from_slice(bytes)
    }

    /// What is in it; nothing if that is no UTF-8.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// It, as bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// It, as a string; an empty one if it is no UTF-8.
    pub fn into_string(self) -> String {
        String::from_utf8(self.0).unwrap_or_default()
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text).map_err(|_: Errno| fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_grows_in_every_way() {
        let mut v = Vec::new();
        v.try_extend([1, 2, 5]).unwrap();
        v.try_insert(2, 4).unwrap();
        v.try_insert(0, 0).unwrap();
        v.try_insert(5, 6).unwrap();
        v.try_extend_from_slice(&[7, 8]).unwrap();
        assert_eq!(v, [0, 1, 2, 4, 5, 6, 7, 8]);
        v.try_resize_with(2, || 9).unwrap();
        v.try_resize_with(4, || 9).unwrap();
        assert_eq!(v, [0, 1, 9, 9]);
        assert_eq!(
            try_collect(v.iter().map(|n| n * 2)).unwrap(),
            [0, 2, 18, 18]
        );
    }

    #[test]
    fn more_than_the_address_space_is_no_memory() {
        let mut v = Vec::from([1u64]);
        assert_eq!(v.try_room(usize::MAX / 4), Err(Errno::ENOMEM));
        assert_eq!(v.try_resize_with(usize::MAX / 4, || 0), Err(Errno::ENOMEM));
        assert_eq!(v, [1]);
    }

    #[test]
    fn a_text_is_what_was_written() {
        let mut text = Text::new();
        write!(text, "{:>3}|", 7).unwrap();
        writeln!(text, "{:<3}|", "ab").unwrap();
        assert_eq!(text.as_str(), "  7|ab |\n");
        assert_eq!((text.len(), text.into_string().as_str()), (9, "  7|ab |\n"));
        assert_eq!(try_to_string(42).unwrap(), "42");
        assert_eq!(try_concat(&[b"a", b"", b"bc"]).unwrap(), b"abc");
    }
}

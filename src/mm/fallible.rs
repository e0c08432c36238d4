//! Allocation that returns ENOMEM instead of panicking.
//!
//! `Box::new`, `Vec::push` and `format!` end the kernel when memory is short. Code that runs on
//! behalf of a program uses these functions instead. All of them return ENOMEM, their only error.
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

/// Moves `value` into a box.
pub fn try_box<T>(value: T) -> Result<Box<T>, Errno> {
    Box::try_new(value).map_err(|AllocError| Errno::ENOMEM)
}

/// Moves `value` into memory that several owners can share.
pub fn try_arc<T>(value: T) -> Result<Arc<T>, Errno> {
    Arc::try_new(value).map_err(|AllocError| Errno::ENOMEM)
}

/// Allocates memory for a value that does not exist yet. [`Box::write`] stores it later and cannot
/// fail.
pub fn try_place<T>() -> Result<Box<MaybeUninit<T>>, Errno> {
    Box::try_new_uninit().map_err(|AllocError| Errno::ENOMEM)
}

/// Returns `N` zero bytes, built on the heap and not copied from a stack.
pub fn try_zeroed_bytes<const N: usize>() -> Result<Box<[u8; N]>, Errno> {
    let bytes = Box::<[u8; N]>::try_new_zeroed().map_err(|AllocError| Errno::ENOMEM)?;
    // SAFETY: bytes that are all zero are a valid value of this type.
    Ok(unsafe { bytes.assume_init() })
}

/// Returns `length` zero bytes.
pub fn try_zeroed_slice(length: usize) -> Result<Box<[u8]>, Errno> {
    let bytes = Box::<[u8]>::try_new_zeroed_slice(length).map_err(|AllocError| Errno::ENOMEM)?;
    // SAFETY: bytes that are all zero are valid values of this type.
    Ok(unsafe { bytes.assume_init() })
}

/// Methods that grow a vector and return ENOMEM when memory is short. The vector is then unchanged,
/// except where noted.
pub trait TryVec<T> {
    /// Reserves room for exactly `additional` more values.
    fn try_room(&mut self, additional: usize) -> Result<(), Errno>;
    /// Appends `value`.
    fn try_push(&mut self, value: T) -> Result<(), Errno>;
    /// Inserts `value` before the element at `index`. Panics if `index` is past the end.
    fn try_insert(&mut self, index: usize, value: T) -> Result<(), Errno>;
    /// Appends all of `values`; after ENOMEM those already appended stay.
    fn try_extend(&mut self, values: impl IntoIterator<Item = T>) -> Result<(), Errno>;
    /// Makes the vector `length` long; `make` returns each new value.
    fn try_resize_with(&mut self, length: usize, make: impl FnMut() -> T) -> Result<(), Errno>;
    /// Appends copies of all of `values`.
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

/// Collects the values of an iterator into a vector.
pub fn try_collect<T>(values: impl IntoIterator<Item = T>) -> Result<Vec<T>, Errno> {
    let mut all = Vec::new();
    all.try_extend(values)?;
    Ok(all)
}

/// Concatenates all `parts`.
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

/// Formats `value` as a string.
pub fn try_to_string(value: impl Display) -> Result<String, Errno> {
    let mut text = Text::new();
    write!(text, "{value}")?;
    Ok(text.into_string())
}

/// A text that grows: `write!(text, "...")?` returns ENOMEM when memory is short.
#[derive(Debug, Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// Returns an empty text.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends formatted text; `write!` and `writeln!` call it.
    pub fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> Result<(), Errno> {
        fmt::Write::write_fmt(self, arguments).map_err(|fmt::Error| Errno::ENOMEM)
    }

    /// Appends `text`.
    pub fn put(&mut self, text: &str) -> Result<(), Errno> {
        self.put_bytes(text.as_bytes())
    }

    /// Appends `bytes`, which need not be UTF-8.
    pub fn put_bytes(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.0.try_extend_from_slice(bytes)
    }

    /// Returns the text as a string; an empty one if it is not UTF-8.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Converts the text into its bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Converts the text into a string; an empty one if it is not UTF-8.
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

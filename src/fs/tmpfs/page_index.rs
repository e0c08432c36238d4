#![forbid(unsafe_code)]
//! Which pages of a file have a frame.
//!
//! A sorted list: a file is mostly written from its beginning to its end, and truncated at its end.
//! Pages without a frame are holes, so the list is as long as what was written, however large the
//! file is.
//!
//! Used under the lock of [`super::pages`]. Book: ch. 15, "The Page Cache".
//! Linux: 2.6.38 `mm/shmem.c`.

use alloc::vec::Vec;

use crate::base::errno::Errno;
use crate::mm::fallible::TryVec;

/// The frames of a file, by the number of their page.
#[derive(Debug)]
pub struct PageIndex<F> {
    /// Page number and frame, sorted.
    pages: Vec<(u32, F)>,
}

impl<F> PageIndex<F> {
    /// Returns an index without frames.
    pub const fn new() -> Self {
        Self { pages: Vec::new() }
    }

    /// Returns the number of frames.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Returns whether there are no frames.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Returns the frame of page `page`.
    pub fn get(&self, page: u32) -> Option<&F> {
        let at = self.pages.binary_search_by_key(&page, |it| it.0).ok()?;
        Some(&self.pages[at].1)
    }

    /// Gives `page`, which has none, a frame.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn insert(&mut self, page: u32, frame: F) -> Result<(), Errno> {
        let at = self.pages.partition_point(|it| it.0 < page);
        self.pages.try_insert(at, (page, frame))
    }

    /// Takes away and returns the frame of the last page, if it is `first` or a later one.
    pub fn pop_from(&mut self, first: u32) -> Option<F> {
        self.pages.pop_if(|it| it.0 >= first).map(|it| it.1)
    }

    /// Takes away and returns the frame of the first page in `first..end`.
    pub fn take_in(&mut self, first: u32, end: u32) -> Option<F> {
        let at = self.pages.partition_point(|it| it.0 < first);
        match self.pages.get(at) {
            Some((page, _)) if *page < end => Some(self.pages.remove(at).1),
            _ => None,
        }
    }
}

impl<F> Default for PageIndex<F> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0u8..6, 0u32..30), 0..200)) {
            let (mut index, mut model) = (PageIndex::new(), BTreeMap::new());
            for (frame, (step, page)) in (1..).zip(steps) {
                match step {
                    0 => {
                        let last = model.last_key_value().map(|it| *it.0).filter(|it| *it >= page);
                        prop_assert_eq!(index.pop_from(page), last.and_then(|it| model.remove(&it)));
                    }
                    1 => {
                        let first = model.range(page..page + 5).next().map(|it| *it.0);
                        prop_assert_eq!(
                            index.take_in(page, page + 5),
                            first.and_then(|it| model.remove(&it))
                        );
                    }
                    _ if !model.contains_key(&page) => {
                        index.insert(page, frame).unwrap();
                        model.insert(page, frame);
                    }
                    _ => {}
                }
                prop_assert_eq!(index.get(page), model.get(&page));
                prop_assert_eq!(index.len(), model.len());
                prop_assert_eq!(index.is_empty(), model.is_empty());
            }
        }
    }
}

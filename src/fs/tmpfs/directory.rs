#![forbid(unsafe_code)]
//! The names in a directory: found by name, listed in an order that survives changes.
//!
//! Each name has a number, greater than those of all names before it, from which a listing goes
//! on: a name that is there from the beginning to the end of a listing is listed once, whatever
//! else comes and goes.
//!
//! Used under the directory's lock. Book: ch. 12, "dentry Objects". Linux: 2.6.38 `fs/libfs.c`.

use alloc::vec::Vec;

use crate::base::errno::Errno;
use crate::mm::fallible::{TryVec, try_concat};

/// The number of the first name; lower positions belong to `.` and `..`.
pub const FIRST: u64 = 2;

/// A name, and the object behind it.
#[derive(Debug)]
pub struct Entry<T> {
    /// The number of the name, at which a listing finds it.
    pub number: u64,
    /// The name.
    pub name: Vec<u8>,
    /// The object behind it.
    pub value: T,
}

/// The names in a directory.
#[derive(Debug)]
pub struct Directory<T> {
    /// Sorted by number.
    entries: Vec<Entry<T>>,
    /// The hash of each name with its number, sorted.
    index: Vec<(u32, u64)>,
    next: u64,
}

impl<T> Directory<T> {
    /// Returns an empty directory.
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
            index: Vec::new(),
            next: FIRST,
        }
    }

    /// Returns whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the object behind `name`.
    pub fn get(&self, name: &[u8]) -> Option<&T> {
        Some(&self.entries.get(self.position(name)?)?.value)
    }

    /// Returns the first entry whose number is `number` or greater.
    pub fn from_number(&self, number: u64) -> Option<&Entry<T>> {
        let at = self.entries.partition_point(|entry| entry.number < number);
        self.entries.get(at)
    }

    /// Adds a name that is not there.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn insert(&mut self, name: &[u8], value: T) -> Result<(), Errno> {
        let number = self.next;
        let name = try_concat(&[name])?;
        self.entries.try_room(1)?;
        let key = (hash(&name), number);
        let at = self.index.partition_point(|other| *other < key);
        self.index.try_insert(at, key)?;
        let entry = Entry {
            number,
            name,
            value,
        };
        self.entries.try_push(entry)?;
        self.next = number.saturating_add(1);
        Ok(())
    }

    /// Puts another object behind `name`, and returns the one before; gives `value` back if the name
    /// is not there.
    pub fn replace(&mut self, name: &[u8], value: T) -> Result<T, T> {
        let at = self.position(name);
        match at.and_then(|at| self.entries.get_mut(at)) {
            Some(entry) => Ok(core::mem::replace(&mut entry.value, value)),
            None => Err(value),
        }
    }

    /// Removes `name` and returns the object behind it.
    pub fn remove(&mut self, name: &[u8]) -> Option<T> {
        let at = self.position(name)?;
        let number = self.entries.get(at)?.number;
        let key = (hash(name), number);
        let in_index = self.index.binary_search(&key).ok()?;
        self.index.remove(in_index);
        Some(self.entries.remove(at).value)
    }

    /// Returns the place of `name` among the entries.
    fn position(&self, name: &[u8]) -> Option<usize> {
        let hash = hash(name);
        let first = self.index.partition_point(|(other, _)| *other < hash);
        let same = self.index.get(first..)?.iter();
        let numbers = same.take_while(|(other, _)| *other == hash);
        numbers
            .filter_map(|(_, number)| {
                self.entries
                    .binary_search_by_key(number, |it| it.number)
                    .ok()
            })
            .find(|at| self.entries[*at].name == name)
    }
}

impl<T> Default for Directory<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The hash of a name: FNV-1a.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn listed(directory: &Directory<u32>) -> Vec<(Vec<u8>, u32)> {
        let mut all = Vec::new();
        let mut at = 0;
        while let Some(entry) = directory.from_number(at) {
            all.push((entry.name.clone(), entry.value));
            at = entry.number + 1;
        }
        all
    }

    #[test]
    fn names_of_one_hash_are_told_apart() {
        assert_eq!(hash(b"costarring"), hash(b"liquid"));
        let mut directory = Directory::new();
        directory.insert(b"costarring", 1).unwrap();
        assert_eq!(directory.get(b"liquid"), None);
        directory.insert(b"liquid", 2).unwrap();
        assert_eq!(directory.get(b"costarring"), Some(&1));
        assert_eq!(directory.remove(b"costarring"), Some(1));
        assert_eq!(directory.get(b"liquid"), Some(&2));
    }

    proptest! {
        /// It is a map, and a listing that is interrupted misses nothing that stays.
        #[test]
        fn the_names_are_a_map(steps in prop::collection::vec((0u8..4, 0u8..20), 0..200)) {
            let mut directory = Directory::new();
            let mut model: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
            for (value, (step, name)) in (0..).zip(steps) {
                let name = vec![b'a', name];
                match step {
                    0 => prop_assert_eq!(directory.remove(&name), model.remove(&name)),
                    1 => match model.get_mut(&name) {
                        Some(old) => {
                            let was = core::mem::replace(old, value);
                            prop_assert_eq!(directory.replace(&name, value), Ok(was));
                        }
                        None => prop_assert_eq!(directory.replace(&name, value), Err(value)),
                    },
                    _ if !model.contains_key(&name) => {
                        directory.insert(&name, value).unwrap();
                        model.insert(name.clone(), value);
                    }
                    _ => {}
                }
                prop_assert_eq!(directory.get(&name), model.get(&name));
                prop_assert_eq!(directory.is_empty(), model.is_empty());
            }
            let mut all = listed(&directory);
            all.sort();
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        }
    }
}

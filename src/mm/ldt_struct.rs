#![forbid(unsafe_code)]
//! `ldt_struct`: the descriptors that a process has made for itself with `modify_ldt`.
//!
//! A table never changes once a processor may read it: setting an entry makes a new table.
//!
//! Book: ch. 2, "The Linux LDTs". Linux: 4.3 `struct ldt_struct`, `alloc_ldt_struct`.
//! SDM: vol. 3, 3.5.1 "Segment Descriptor Tables".

use alloc::vec::Vec;

use super::fallible::TryVec;
use crate::base::errno::Errno;
use crate::hw::desc::DescStruct;

/// Largest number of entries in a table.
pub const LDT_ENTRIES: u32 = 8192;
/// Size of an entry, in bytes.
pub const LDT_ENTRY_SIZE: u32 = 8;

/// A table that ends with the last entry in use.
#[derive(Debug)]
pub struct LdtStruct {
    entries: Vec<DescStruct>,
}

impl LdtStruct {
    /// Returns a copy of `old`, or an empty table, with `desc` as entry `number`.
    ///
    /// # Errors
    /// ENOMEM.
    ///
    /// # Panics
    /// If `number` is not below [`LDT_ENTRIES`].
    pub fn with_entry(old: Option<&Self>, number: u32, desc: DescStruct) -> Result<Self, Errno> {
        assert!(number < LDT_ENTRIES, "BUG: LDT entry {number}");
        let old = old.map_or(&[][..], |old| &old.entries);
        let length = old.len().max((number as usize).saturating_add(1));
        let mut entries = Vec::new();
        entries.try_room(length)?;
        entries.try_extend_from_slice(old)?;
        entries.try_resize_with(length, DescStruct::default)?;
        entries[number as usize] = desc;
        Ok(Self { entries })
    }

    /// Copies the table, for fork.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn try_clone(&self) -> Result<Self, Errno> {
        Self::with_entry(Some(self), 0, self.entries[0])
    }

    /// Returns the entries, of which there is at least one.
    pub fn entries(&self) -> &[DescStruct] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_grows_to_its_last_entry_and_keeps_the_others() {
        let (one, two) = (DescStruct::flat_data(3), DescStruct::flat_code(3));
        let table = LdtStruct::with_entry(None, 2, one).unwrap();
        assert_eq!(
            table.entries(),
            [DescStruct::default(), DescStruct::default(), one]
        );
        let larger = LdtStruct::with_entry(Some(&table), 8191, two).unwrap();
        assert_eq!(
            (
                larger.entries().len(),
                larger.entries()[2],
                larger.entries()[8191]
            ),
            (8192, one, two)
        );
        let changed = LdtStruct::with_entry(Some(&larger), 2, DescStruct::default()).unwrap();
        assert!(changed.entries()[2].is_empty() && changed.entries().len() == 8192);
        assert_eq!(changed.try_clone().unwrap().entries(), changed.entries());
    }
}

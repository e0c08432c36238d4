#![forbid(unsafe_code)]
//! The initramfs: a cpio archive in memory, indexed by path.
//!
//! Built once, at boot, on the first task's stack, and read-only from then on. The boot code makes
//! the files of the root from it.
//!
//! Linux: `init/initramfs.c`.

use alloc::vec::Vec;

use super::cpio::{CpioError, Entry, FileType, Found, read_entries};
use crate::mm::fallible::TryVec;

/// A complete, indexed archive.
#[derive(Debug)]
pub struct Archive<'a> {
    /// Sorted by name, no name twice; the root comes first.
    entries: Vec<Entry<'a>>,
}

impl<'a> Archive<'a> {
    /// Reads the archive. Adds directories that no entry names, the root among them, with mode 755.
    /// Of two entries with one name the later counts.
    pub fn index(bytes: &'a [u8]) -> Result<Self, CpioError> {
        let mut found = read_entries(bytes)?;
        share_hard_links(&mut found)?;
        sort_by_name(&mut found);
        add_directories(&mut found)?;
        let mut entries = Vec::new();
        entries
            .try_room(found.len())
            .and_then(|()| entries.try_extend(found.iter().map(|found| found.entry)))
            .map_err(|_| CpioError::NoMemory)?;
        let archive = Archive { entries };
        let is_directory = |name| {
            archive
                .find(name)
                .is_some_and(|entry| entry.file_type == FileType::Directory)
        };
        match found
            .iter()
            .find(|found| !is_directory(found.entry.parent()))
        {
            Some(stray) => Err(CpioError::NotInDirectory {
                offset: stray.offset,
            }),
            None => Ok(archive),
        }
    }

    /// Returns every entry, sorted by path.
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// Returns the root directory.
    pub fn root(&self) -> &Entry<'a> {
        &self.entries[0]
    }

    /// Returns the entry of exactly this path, without leading slash; follows no link.
    pub fn find(&self, name: &[u8]) -> Option<&Entry<'a>> {
        let at = self
            .entries
            .binary_search_by(|entry| entry.name.cmp(name))
            .ok()?;
        Some(&self.entries[at])
    }

    /// Returns the entries directly in `dir`, sorted by name.
    pub fn children<'s>(
        &'s self,
        dir: &Entry<'a>,
    ) -> impl Iterator<Item = &'s Entry<'a>> + use<'s, 'a> {
        let dir = dir.name;
        let start = self.entries.partition_point(|entry| entry.name <= dir);
        self.entries[start..]
            .iter()
            .take_while(move |entry| entry.name.starts_with(dir))
            .filter(move |entry| entry.parent() == dir)
    }
}

/// Gives the contents of a file to all its hard links, of which only the last carries them. Then
/// renumbers the inodes, since archives can be made with any numbers.
fn share_hard_links(found: &mut [Found<'_>]) -> Result<(), CpioError> {
    let mut linked = Vec::new();
    // Number 1 is the root.
    for ((i, Found { dev, entry, .. }), ino) in found.iter_mut().enumerate().zip(2..) {
        if entry.file_type == FileType::Regular && entry.nlink > 1 {
            linked
                .try_push((*dev, entry.ino, i))
                .map_err(|_| CpioError::NoMemory)?;
        }
        entry.ino = ino;
    }
    heap_sort(&mut linked);
    for names in linked.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let first = found[names[0].2].entry;
        let contents = names.iter().map(|&(_, _, i)| found[i].entry.data);
        let data = contents.rev().find(|data| !data.is_empty()).unwrap_or(&[]);
        for &(_, _, i) in names {
            found[i].entry.ino = first.ino;
            found[i].entry.data = data;
        }
    }
    Ok(())
}

/// Sorts in place. The sorts of slices use up to 4 KiB of stack, half of a kernel stack.
fn heap_sort<T: Ord>(items: &mut [T]) {
    // Sinks `items[at]` below the greater ones among `items[..end]`, where item `n` stands above
    // items `2n + 1` and `2n + 2`.
    fn sink<T: Ord>(items: &mut [T], mut at: usize, end: usize) {
        while let child = at.saturating_mul(2).saturating_add(1)
            && child < end
        {
            let second = child.saturating_add(1);
            let greater = second < end && items[second] > items[child];
            let child = if greater { second } else { child };
            if items[at] >= items[child] {
                return;
            }
            items.swap(at, child);
            at = child;
        }
    }
    for at in (0..items.len() / 2).rev() {
        sink(items, at, items.len());
    }
    for end in (1..items.len()).rev() {
        items.swap(0, end);
        sink(items, 0, end);
    }
}

/// Sorts by name, and keeps for each name the archive's last entry.
fn sort_by_name(found: &mut Vec<Found<'_>>) {
    heap_sort(found);
    found.dedup_by(|later, kept| {
        let same = later.entry.name == kept.entry.name;
        if same {
            *kept = *later;
        }
        same
    });
}

/// Adds the root and every parent directory that is missing to the sorted entries.
fn add_directories(found: &mut Vec<Found<'_>>) -> Result<(), CpioError> {
    let mut missing: Vec<Found<'_>> = Vec::new();
    let mut add = |offset, name| -> Result<(), CpioError> {
        if found
            .binary_search_by(|found| found.entry.name.cmp(name))
            .is_err()
        {
            let directory = Found {
                offset,
                dev: (0, 0),
                entry: Entry::directory(name),
            };
            missing
                .try_push(directory)
                .map_err(|_| CpioError::NoMemory)?;
        }
        Ok(())
    };
    add(0, &[])?;
    for Found { offset, entry, .. } in found.iter() {
        for (slash, _) in entry
            .name
            .iter()
            .enumerate()
            .filter(|&(_, &byte)| byte == b'/')
        {
            add(*offset, &entry.name[..slash])?;
        }
    }
    heap_sort(&mut missing);
    missing.dedup_by_key(|missing| missing.entry.name);
    let used = found.iter().map(|found| found.entry.ino).max();
    let mut last = used.unwrap_or(1);
    for directory in &mut missing {
        last = last.saturating_add(1);
        directory.entry.ino = if directory.entry.name.is_empty() {
            1
        } else {
            last
        };
    }
    found.try_extend(missing).map_err(|_| CpioError::NoMemory)?;
    heap_sort(found);
    Ok(())
}

#[cfg(test)]
#[path = "initramfs_tests.rs"]
mod tests;

#![forbid(unsafe_code)]
//! Descriptors: small numbers for open files, the lowest free one first.
//!
//! A table belongs to one process or, after `clone(CLONE_FILES)`, to several. A descriptor leads to
//! a value of type `F` here. Closing hands the value back, so that the caller can drop it outside
//! the table's lock (dropping the last end of a pipe wakes sleepers).
//!
//! Used by `fs::files_struct`, which adds the lock.
//!
//! Book: ch. 12, "Files Associated with a Process".
//! Linux: 2.6.38 `fs/file.c` (`alloc_fd`), `fs/fcntl.c` (`dup3`).

use alloc::vec::Vec;

use crate::base::errno::Errno;
use crate::mm::fallible::TryVec;

/// Largest number of descriptors of a process (`fs.nr_open`), and its limit unless lowered.
pub const NR_OPEN: u32 = 1024;

/// An open descriptor.
#[derive(Clone, Debug)]
struct Descriptor<F> {
    file: F,
    /// Whether exec closes it.
    close_on_exec: bool,
}

/// The descriptors of a process.
#[derive(Debug)]
pub struct FdTable<F> {
    slots: Vec<Option<Descriptor<F>>>,
}

impl<F> Default for FdTable<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F> FdTable<F> {
    /// Returns a table without descriptors.
    pub const fn new() -> Self {
        Self { slots: Vec::new() }
    }

    /// Gives `file` the lowest free number that is at least `from` and below `limit`.
    ///
    /// # Errors
    /// EINVAL (`from` is too high), EMFILE, ENOMEM; each of them drops `file`.
    pub fn install(
        &mut self,
        file: F,
        from: u32,
        close_on_exec: bool,
        limit: u32,
    ) -> Result<u32, Errno> {
        let limit = limit.min(NR_OPEN);
        if from > 0 && from >= limit {
            return Err(Errno::EINVAL);
        }
        let free = (from..limit)
            .find(|fd| self.slot(*fd).is_none())
            .ok_or(Errno::EMFILE)?;
        self.replace(free, file, close_on_exec)?;
        Ok(free)
    }

    /// Makes `fd` lead to `file` and returns the file that it led to before.
    ///
    /// # Errors
    /// EBADF if `fd` is too high, ENOMEM.
    pub fn replace(&mut self, fd: u32, file: F, close_on_exec: bool) -> Result<Option<F>, Errno> {
        if fd >= NR_OPEN {
            return Err(Errno::EBADF);
        }
        let needed = (fd as usize).saturating_add(1);
        if self.slots.len() < needed {
            // Allocates more than needed, so that opening many files does not copy the table for
            // each.
            let spare = (self.slots.len() / 2).min((NR_OPEN as usize).saturating_sub(needed));
            self.slots
                .try_resize_with(needed.saturating_add(spare), || None)?;
        }
        let old = self.slots[fd as usize].replace(Descriptor {
            file,
            close_on_exec,
        });
        Ok(old.map(|descriptor| descriptor.file))
    }

    /// Returns the number of descriptors that there is room for now: more than the highest in use.
    pub fn size(&self) -> usize {
        self.slots.len()
    }

    /// Returns the file behind `fd`.
    ///
    /// # Errors
    /// EBADF.
    #[inline(always)]
    pub fn get(&self, fd: u32) -> Result<&F, Errno> {
        self.slot(fd)
            .map(|descriptor| &descriptor.file)
            .ok_or(Errno::EBADF)
    }

    /// Frees the number `fd` and returns the file that it led to.
    ///
    /// # Errors
    /// EBADF.
    pub fn remove(&mut self, fd: u32) -> Result<F, Errno> {
        let slot = self.slots.get_mut(fd as usize).and_then(Option::take);
        slot.map(|descriptor| descriptor.file).ok_or(Errno::EBADF)
    }

    /// Returns whether exec closes `fd`.
    ///
    /// # Errors
    /// EBADF.
    pub fn close_on_exec(&self, fd: u32) -> Result<bool, Errno> {
        self.slot(fd)
            .map(|descriptor| descriptor.close_on_exec)
            .ok_or(Errno::EBADF)
    }

    /// Sets whether exec closes `fd`.
    ///
    /// # Errors
    /// EBADF.
    pub fn set_close_on_exec(&mut self, fd: u32, close: bool) -> Result<(), Errno> {
        let slot = self
            .slots
            .get_mut(fd as usize)
            .and_then(Option::as_mut)
            .ok_or(Errno::EBADF)?;
        slot.close_on_exec = close;
        Ok(())
    }

    /// Removes and returns a file that exec closes; call it until it returns `None`.
    pub fn remove_close_on_exec(&mut self) -> Option<F> {
        let closing =
            |slot: &&mut Option<Descriptor<F>>| slot.as_ref().is_some_and(|d| d.close_on_exec);
        let slot = self.slots.iter_mut().find(closing)?;
        slot.take().map(|descriptor| descriptor.file)
    }

    /// Copies the table, for fork.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn try_clone(&self) -> Result<Self, Errno>
    where
        F: Clone,
    {
        let mut slots = Vec::new();
        slots.try_room(self.slots.len())?;
        slots.try_extend_from_slice(&self.slots)?;
        Ok(Self { slots })
    }

    #[inline(always)]
    fn slot(&self, fd: u32) -> Option<&Descriptor<F>> {
        self.slots.get(fd as usize)?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_lowest_number_is_taken() {
        let mut table = FdTable::new();
        assert_eq!(table.install('a', 0, false, NR_OPEN), Ok(0));
        assert_eq!(table.install('b', 0, false, NR_OPEN), Ok(1));
        assert_eq!(table.remove(0), Ok('a'));
        assert_eq!(table.remove(0), Err(Errno::EBADF));
        assert_eq!(table.install('c', 0, false, NR_OPEN), Ok(0));
        assert_eq!(table.install('d', 10, false, NR_OPEN), Ok(10));
        assert_eq!(table.replace(10, 'e', false), Ok(Some('d')));
        assert_eq!(table.get(5), Err(Errno::EBADF));
        assert_eq!(table.get(u32::MAX), Err(Errno::EBADF));
    }

    #[test]
    fn there_are_1024_numbers() {
        let mut table = FdTable::new();
        for fd in 0..NR_OPEN {
            assert_eq!(table.install((), 0, false, NR_OPEN), Ok(fd));
        }
        assert_eq!(table.install((), 0, false, NR_OPEN), Err(Errno::EMFILE));
        assert_eq!(
            table.install((), NR_OPEN, false, NR_OPEN),
            Err(Errno::EINVAL)
        );
        assert_eq!(table.replace(NR_OPEN, (), false), Err(Errno::EBADF));
    }

    #[test]
    fn exec_closes_what_it_should() {
        let mut table = FdTable::new();
        for (file, close) in [('a', false), ('b', true), ('c', false), ('d', true)] {
            table.install(file, 0, close, NR_OPEN).unwrap();
        }
        table.set_close_on_exec(2, true).unwrap();
        table.set_close_on_exec(1, false).unwrap();
        assert_eq!(table.close_on_exec(3), Ok(true));
        assert_eq!(table.remove_close_on_exec(), Some('c'));
        assert_eq!(table.remove_close_on_exec(), Some('d'));
        assert_eq!(table.remove_close_on_exec(), None);
        assert_eq!(table.get(1), Ok(&'b'));
    }

    proptest! {
        #[test]
        fn the_table_is_a_map(steps in prop::collection::vec((0u8..4, 0u32..40), 0..200)) {
            let mut table = FdTable::new();
            let mut model = BTreeMap::new();
            for (i, (what, fd)) in steps.into_iter().enumerate() {
                match what {
                    0 => {
                        let lowest = (fd..).find(|fd| !model.contains_key(fd)).unwrap();
                        prop_assert_eq!(table.install(i, fd, false, NR_OPEN), Ok(lowest));
                        model.insert(lowest, i);
                    }
                    1 => prop_assert_eq!(table.replace(fd, i, false), Ok(model.insert(fd, i))),
                    2 => prop_assert_eq!(table.remove(fd).ok(), model.remove(&fd)),
                    _ => table = table.try_clone().unwrap(),
                }
                prop_assert_eq!(table.get(fd).ok(), model.get(&fd));
            }
        }
    }
}

//! An open file of `/proc`: a text, produced in parts of about a page, however it is read.
//!
//! A read that continues where the last one ended continues in the same part; any other read gets a
//! new part. So all of a part comes from one moment even if it is read in pieces, and the kernel
//! notices that a process is gone when it needs a new part. All files but `maps` have a single
//! part.
//!
//! Called by `fs::file`, with no lock held.
//!
//! Linux: 5.4 `seq_read`, `seq_lseek`, `traverse`.

use alloc::sync::Arc;

use super::file::give;
use super::procfs::{self, Part, ProcInode, TaskFile};
use crate::base::errno::Errno;
use crate::mm::fallible::try_arc;
use crate::sync::{LockClass, SpinLock};

/// An open file of `/proc`.
pub struct ProcFile {
    inode: ProcInode,
    text: SpinLock<Text>,
}

/// The last part produced, the position where it begins, and the position where the last read
/// ended.
struct Text {
    part: Option<Arc<Part>>,
    begins: u64,
    position: u64,
}

impl ProcFile {
    /// Returns an open file of which nothing has been read.
    pub fn new(inode: ProcInode) -> Self {
        let text = Text {
            part: None,
            begins: 0,
            position: 0,
        };
        Self {
            inode,
            text: SpinLock::new(LockClass::ProcText, text),
        }
    }

    /// Returns which file it is.
    pub fn inode(&self) -> ProcInode {
        self.inode
    }

    /// Returns whether it shows a process's memory, which each read examines again.
    pub fn is_of_memory(&self) -> bool {
        matches!(self.inode, ProcInode::TaskFile(_, TaskFile::Cmdline))
    }

    /// Returns the error of every write: none of these files can be written.
    pub fn write_error(&self) -> Errno {
        match self.inode {
            ProcInode::System(_) => Errno::EIO,
            _ => Errno::EINVAL,
        }
    }

    /// Copies up to `count` bytes from position `at` on to user address `to`.
    ///
    /// # Errors
    /// EFAULT; ESRCH, EACCES and other errors from producing the contents.
    pub fn read_at(&self, to: u32, count: u32, at: u64) -> Result<u32, Errno> {
        // Held by its own reference: a user page may be missing, and the lock must not be held
        // while waiting for it.
        let (part, begins) = self.part_at(at)?;
        let given = give(&part.bytes, to, count, at.saturating_sub(begins))?;
        self.text.lock().position = at.saturating_add(given.into());
        Ok(given)
    }

    /// Prepares for the next read to begin at `at`, where the text may have ended meanwhile.
    pub fn seek(&self, at: u64) -> Result<(), Errno> {
        let goes_on = at == 0 || at == self.text.lock().position;
        match goes_on || self.is_of_memory() {
            true => Ok(()),
            false => self.part_at(at).map(drop),
        }
    }

    /// Returns the part that contains position `at`, and where the part begins; the last part if
    /// `at` is beyond its end. Produces the text again unless the last read ended at `at`.
    fn part_at(&self, at: u64) -> Result<(Arc<Part>, u64), Errno> {
        let ops = procfs::ops().ok_or(Errno::EIO)?;
        let show = |from| try_arc((ops.show)(self.inode, from)?);
        let held = {
            let text = self.text.lock();
            let goes_on = at != 0 && at == text.position && !self.is_of_memory();
            text.part.clone().filter(|_| goes_on).zip(Some(text.begins))
        };
        let (mut part, mut begins) = match held {
            Some(held) => held,
            None => (show(0)?, 0),
        };
        loop {
            let end = begins.saturating_add(part.bytes.len() as u64);
            match part.next {
                Some(next) if at >= end => (part, begins) = (show(next)?, end),
                _ => break,
            }
        }
        let new = Text {
            part: Some(part.clone()),
            begins,
            position: at,
        };
        let old = core::mem::replace(&mut *self.text.lock(), new);
        drop(old);
        Ok((part, begins))
    }
}

//! A file of `/proc` in use: a text, in parts of about a page, however it is read.
//!
//! Whoever goes on where the last read ended goes on in its part; whoever begins at the beginning, or
//! anywhere else, gets a new one. So a part is of one moment, though it is read in pieces, and a
//! process that is gone is noticed when a new one is needed. All files but `maps` are one part.
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

/// The open file.
pub struct ProcFile {
    inode: ProcInode,
    text: SpinLock<Text>,
}

/// What it held last, where that begins, and where the last read ended.
struct Text {
    part: Option<Arc<Part>>,
    begins: u64,
    position: u64,
}

impl ProcFile {
    /// Nothing is read yet.
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

    /// Which file it is.
    pub fn inode(&self) -> ProcInode {
        self.inode
    }

    /// Whether it is a piece of a process's memory, which is looked at anew by each read.
    pub fn is_of_memory(&self) -> bool {
        matches!(self.inode, ProcInode::TaskFile(_, TaskFile::Cmdline))
    }

    /// What a write is answered: none of these files can be written.
    pub fn write_error(&self) -> Errno {
        match self.inode {
            ProcInode::System(_) => Errno::EIO,
            _ => Errno::EINVAL,
        }
    }

    /// Copies up to `count` bytes from position `at` on to user address `to`.
    ///
    /// # Errors
    /// EFAULT; ESRCH, EACCES and what else the contents may say.
    pub fn read_at(&self, to: u32, count: u32, at: u64) -> Result<u32, Errno> {
        // Held, for a page of the user may be missing, and the lock forbids to wait for it.
        let (part, begins) = self.part_at(at)?;
        let given = give(&part.bytes, to, count, at.saturating_sub(begins))?;
        self.text.lock().position = at.saturating_add(given.into());
        Ok(given)
    }

    /// The next read is to begin at `at`, which there may be no text for any more.
    pub fn seek(&self, at: u64) -> Result<(), Errno> {
        let goes_on = at == 0 || at == self.text.lock().position;
        match goes_on || self.is_of_memory() {
            true => Ok(()),
            false => self.part_at(at).map(drop),
        }
    }

    /// The part that position `at` is in, and where it begins; the last one if `at` is behind its end. A new
    /// text is begun unless the last read ended there.
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

//! A file of `/proc` in use: one text, however it is read.
//!
//! Whoever goes on where the last read ended goes on in its text; whoever begins at the beginning, or
//! anywhere else, gets a new one. So a text is of one moment, though it is read in pieces, and a
//! process that is gone is noticed when a new one is needed.
//!
//! Called by `fs::file`, with no lock held.
//!
//! Linux: 5.4 `seq_read`, `seq_lseek`, `traverse`.

use alloc::vec::Vec;

use super::file::give;
use super::procfs::{self, ProcInode, TaskFile};
use crate::base::errno::Errno;
use crate::sync::{LockClass, SpinLock};

/// The open file.
pub struct ProcFile {
    inode: ProcInode,
    text: SpinLock<Text>,
}

/// What it held last, and where the last read ended.
struct Text {
    bytes: Vec<u8>,
    position: u64,
}

impl ProcFile {
    /// Nothing is read yet.
    pub fn new(inode: ProcInode) -> Self {
        let text = Text {
            bytes: Vec::new(),
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
        let goes_on = at != 0 && at == self.text.lock().position && !self.is_of_memory();
        if !goes_on {
            self.renew(at)?;
        }
        // Copied, for a page of the user may be missing, and the lock forbids to wait for it.
        let bytes = self.text.lock().bytes.clone();
        let given = give(&bytes, to, count, at)?;
        self.text.lock().position = at.saturating_add(given.into());
        Ok(given)
    }

    /// The next read is to begin at `at`, which there may be no text for any more.
    pub fn seek(&self, at: u64) -> Result<(), Errno> {
        let goes_on = at == 0 || at == self.text.lock().position;
        match goes_on || self.is_of_memory() {
            true => Ok(()),
            false => self.renew(at),
        }
    }

    /// A new text, which is read from `at` on.
    fn renew(&self, at: u64) -> Result<(), Errno> {
        let ops = procfs::ops().ok_or(Errno::EIO)?;
        let bytes = (ops.show)(self.inode)?;
        let new = Text {
            bytes,
            position: at,
        };
        let old = core::mem::replace(&mut *self.text.lock(), new);
        drop(old);
        Ok(())
    }
}

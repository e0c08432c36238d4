//! The file of a program, from its lookup until the program has ended.
//!
//! While it exists, nobody opens the file for writing (ETXTBSY). Used by exec.
//!
//! Linux: 2.6.38 `open_exec`, `struct linux_binprm`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::arch::x86::current::Current;
use crate::base::errno::Errno;
use crate::fs::cpio::FileType;
use crate::fs::namei::walk;
use crate::fs::permission::{MAY_EXEC, permission};
use crate::fs::rootfs::{self, Inode};
use crate::fs::stat::Stat;
use crate::fs::tmpfs::node::Node;
use crate::fs::tmpfs::pages::Pages;
use crate::hw::pte::PAGE_SIZE;
use crate::mm::fallible::{TryVec, try_arc};
use crate::mm::vma::{Backing, Program};
use crate::task::cred::Cred;

/// Bytes at the beginning of a file, in which headers and program headers must lie, if a program
/// has written it.
const HEAD_BYTES: usize = 8192;

/// A file that may be executed.
pub struct ExecFile {
    /// The file, kept from being written.
    pub running: Arc<Running>,
    pages: Arc<Pages>,
    head: Head,
}

/// The beginning of a file.
enum Head {
    /// All bytes of a file that is as the archive has it.
    Whole(&'static [u8]),
    /// A copy of the first bytes.
    Copy(Vec<u8>),
}

/// A file that runs: a program, or its dynamic linker.
pub struct Running {
    node: Arc<Node>,
    path: Vec<u8>,
}

impl ExecFile {
    /// Looks up the file at `path` and checks that `cred` may execute it.
    ///
    /// # Errors
    /// Those of a lookup, EACCES, ETXTBSY, ENOMEM.
    pub fn open(me: Current, path: &[u8], cred: &Cred) -> Result<Self, Errno> {
        let fs = me.fs.lock().clone();
        let cwd = fs.map_or_else(rootfs::root, |fs| fs.cwd());
        let found = walk(cwd, path, true, cred)?;
        let inode = found.inode.as_ref().ok_or(Errno::ENOENT)?;
        if inode.file_type() != FileType::Regular {
            return Err(Errno::EACCES);
        }
        permission(&inode.stat(), MAY_EXEC, cred)?;
        let Inode::File(node) = inode else {
            return Err(Errno::EACCES);
        };
        let pages = node.pages().ok_or(Errno::EACCES)?.clone();
        let path = found.path()?;
        node.deny_write_access()?;
        let node = node.clone();
        let running = try_arc(Running { node, path })?;
        let head = match pages.pristine() {
            Some(bytes) => Head::Whole(bytes),
            None => {
                let mut head = Vec::new();
                head.try_resize_with(HEAD_BYTES, || 0)?;
                let length = pages.read_kernel(&mut head, 0);
                head.truncate(length);
                Head::Copy(head)
            }
        };
        Ok(Self {
            running,
            pages,
            head,
        })
    }

    /// Returns the first bytes of the file, or all of them.
    pub fn head(&self) -> &[u8] {
        match &self.head {
            Head::Whole(bytes) => bytes,
            Head::Copy(bytes) => bytes,
        }
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> usize {
        usize::try_from(self.pages.size()).unwrap_or(usize::MAX)
    }

    /// Returns the attributes.
    pub fn stat(&self) -> Stat {
        self.running.node.stat()
    }

    /// Fills `bytes` from byte `at` on. ENOEXEC if the file ends before.
    pub fn read(&self, bytes: &mut [u8], at: u32) -> Result<(), Errno> {
        match self.pages.read_kernel(bytes, at.into()) == bytes.len() {
            true => Ok(()),
            false => Err(Errno::ENOEXEC),
        }
    }

    /// Returns the backing of a private area that shows the file's bytes from `offset` to `end`, and
    /// whether the rest of the last page is already zero.
    pub fn backing(&self, offset: u32, end: usize) -> (Backing, bool) {
        match &self.head {
            Head::Whole(bytes) => {
                let data = bytes.get(..end).unwrap_or(bytes);
                (Backing::File { data, offset }, true)
            }
            Head::Copy(_) => {
                let object = self.pages.clone();
                let first = offset / PAGE_SIZE;
                (Backing::Mapped { object, first }, false)
            }
        }
    }
}

impl Program for Running {
    fn path(&self) -> &[u8] {
        &self.path
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.path.escape_ascii())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.node.allow_write_access();
    }
}

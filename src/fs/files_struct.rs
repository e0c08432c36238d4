//! The files a process has open, and where its paths begin.
//!
//! Both can be shared by several tasks (`CLONE_FILES`, `CLONE_FS`), so each has its own lock.
//! Files are dropped after the lock is released: the end of a pipe may wake sleepers.
//!
//! Book: chapter 12, "Files Associated with a Process".
//! Linux: 2.6.38 `struct files_struct`, `struct fs_struct`.

use alloc::sync::Arc;

use super::fd_table::FdTable;
use super::file::{File, Object};
use super::rootfs::{self, Inode};
use crate::base::errno::Errno;
use crate::mm::fallible::try_arc;
use crate::sync::{LockClass, SpinLock};

/// Descriptors.
pub struct FilesStruct {
    table: SpinLock<FdTable<Arc<File>>>,
}

impl FilesStruct {
    /// No descriptors.
    pub fn new() -> Self {
        Self {
            table: SpinLock::new(LockClass::FilesTable, FdTable::new()),
        }
    }

    /// Descriptors 0, 1 and 2 on the console: what init starts with.
    pub fn console() -> Result<Self, Errno> {
        let files = Self::new();
        let file = try_arc(File::open(
            rootfs::root(),
            b"/dev/console",
            2,
            &crate::task::cred::Cred::ROOT,
        )?)?;
        debug_assert!(
            matches!(file.object, Object::Tty(_)),
            "BUG: /dev/console is no console"
        );
        for _ in 0..3 {
            files.install(file.clone(), 0, false)?;
        }
        Ok(files)
    }

    /// A copy, for fork without `CLONE_FILES`. The open files themselves stay shared.
    pub fn try_clone(&self) -> Result<Self, Errno> {
        Ok(Self {
            table: SpinLock::new(LockClass::FilesTable, self.table.lock().try_clone()?),
        })
    }

    /// The file behind `fd`. EBADF.
    pub fn get(&self, fd: u32) -> Result<Arc<File>, Errno> {
        self.table.lock().get(fd).cloned()
    }

    /// The file behind `fd`, without a reference of its own. EBADF.
    ///
    /// # Safety
    /// 1. These descriptors are those of the running task alone, and it opens and closes none as
    ///    long as the file is in use.
    #[inline(always)]
    pub unsafe fn get_unshared(&self, fd: u32) -> Result<&File, Errno> {
        // SAFETY: by 1 nobody changes the table.
        let table = unsafe { &*self.table.as_ptr() };
        table.get(fd).map(|file| &**file)
    }

    /// Gives `file` the lowest free number from `from` on. EMFILE, EINVAL, ENOMEM.
    pub fn install(&self, file: Arc<File>, from: u32, close_on_exec: bool) -> Result<u32, Errno> {
        self.table.lock().install(file, from, close_on_exec)
    }

    /// Makes `fd` lead to `file`; what it led to before is closed. EBADF, ENOMEM.
    pub fn replace(&self, fd: u32, file: Arc<File>, close_on_exec: bool) -> Result<(), Errno> {
        let old = self.table.lock().replace(fd, file, close_on_exec)?;
        drop(old);
        Ok(())
    }

    /// Frees the number `fd`. EBADF.
    pub fn close(&self, fd: u32) -> Result<(), Errno> {
        let file = self.table.lock().remove(fd)?;
        drop(file);
        Ok(())
    }

    /// Whether exec closes `fd`. EBADF.
    pub fn close_on_exec(&self, fd: u32) -> Result<bool, Errno> {
        self.table.lock().close_on_exec(fd)
    }

    /// Says whether exec closes `fd`. EBADF.
    pub fn set_close_on_exec(&self, fd: u32, close: bool) -> Result<(), Errno> {
        self.table.lock().set_close_on_exec(fd, close)
    }

    /// Descriptors that the table has room for now.
    pub fn table_size(&self) -> usize {
        self.table.lock().size()
    }

    /// Closes what exec closes.
    #[doc(alias = "flush_old_files")]
    pub fn exec(&self) {
        loop {
            let file = self.table.lock().remove_close_on_exec();
            if file.is_none() {
                return;
            }
        }
    }
}

impl Default for FilesStruct {
    fn default() -> Self {
        Self::new()
    }
}

/// Where paths begin, and which permissions new files do not get.
pub struct FsStruct {
    inner: SpinLock<(Inode, u32)>,
}

impl FsStruct {
    /// At the root, umask 022.
    pub fn new() -> Self {
        Self {
            inner: SpinLock::new(LockClass::FsInner, (rootfs::root(), 0o022)),
        }
    }

    /// A copy, for fork without `CLONE_FS`.
    pub fn copy(&self) -> Self {
        Self {
            inner: SpinLock::new(LockClass::FsInner, *self.inner.lock()),
        }
    }

    /// The working directory.
    pub fn cwd(&self) -> Inode {
        self.inner.lock().0
    }

    /// Changes the working directory.
    pub fn set_cwd(&self, directory: Inode) {
        self.inner.lock().0 = directory;
    }

    /// The umask.
    pub fn current_umask(&self) -> u32 {
        self.inner.lock().1
    }

    /// Sets the umask and returns the old one.
    pub fn umask(&self, mask: u32) -> u32 {
        core::mem::replace(&mut self.inner.lock().1, mask & 0o777)
    }
}

impl Default for FsStruct {
    fn default() -> Self {
        Self::new()
    }
}

//! The files that a process has open, and the directories where its paths begin.
//!
//! Several tasks can share either (`CLONE_FILES`, `CLONE_FS`), so each has its own lock. Files are
//! dropped after the lock is released: dropping the end of a pipe may wake sleepers.
//!
//! Book: ch. 12, "Files Associated with a Process".
//! Linux: 2.6.38 `struct files_struct`, `struct fs_struct`.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use super::fd_table::FdTable;
use super::file::{File, Object};
use super::locks::{Owner, locks_of};
use super::open::open;
use super::rootfs::{self, Inode};
use crate::arch::x86::current::current;
use crate::base::errno::Errno;
use crate::mm::fallible::try_arc;
use crate::sync::{LockClass, SpinLock};
use crate::task::cred::Cred;
use crate::task::rlimit::RLIMIT_NOFILE;

/// The descriptors of one or several tasks.
pub struct FilesStruct {
    table: SpinLock<FdTable<Arc<File>>>,
    /// Whether it may own locks on files.
    has_locks: AtomicBool,
}

impl FilesStruct {
    /// Returns a table without descriptors.
    pub fn new() -> Self {
        Self {
            table: SpinLock::new(LockClass::FilesTable, FdTable::new()),
            has_locks: AtomicBool::new(false),
        }
    }

    /// Returns descriptors 0, 1 and 2 on the console, with which init starts.
    pub fn console() -> Result<Self, Errno> {
        let files = Self::new();
        let file = try_arc(open(rootfs::root(), b"/dev/console", 2, 0, &Cred::ROOT)?)?;
        debug_assert!(
            matches!(file.object, Object::Tty(_)),
            "BUG: /dev/console is no console"
        );
        for _ in 0..3 {
            files.install(file.clone(), 0, false)?;
        }
        Ok(files)
    }

    /// Copies the table, for fork without `CLONE_FILES`. The open files themselves stay shared.
    pub fn try_clone(&self) -> Result<Self, Errno> {
        Ok(Self {
            table: SpinLock::new(LockClass::FilesTable, self.table.lock().try_clone()?),
            // Locks are not inherited.
            has_locks: AtomicBool::new(false),
        })
    }

    /// Returns the file behind `fd`.
    ///
    /// # Errors
    /// EBADF.
    pub fn get(&self, fd: u32) -> Result<Arc<File>, Errno> {
        self.table.lock().get(fd).cloned()
    }

    /// Returns the file behind `fd` without taking a reference.
    ///
    /// # Safety
    /// 1. These descriptors belong to the running task alone, and it opens and closes none of them
    ///    while the file is in use.
    ///
    /// # Errors
    /// EBADF.
    #[inline(always)]
    pub unsafe fn get_unshared(&self, fd: u32) -> Result<&File, Errno> {
        // SAFETY: by 1 nothing changes the table.
        let table = unsafe { &*self.table.as_ptr() };
        table.get(fd).map(|file| &**file)
    }

    /// Gives `file` the lowest free number from `from` on, below the process's limit.
    ///
    /// # Errors
    /// EMFILE, EINVAL, ENOMEM.
    pub fn install(&self, file: Arc<File>, from: u32, close_on_exec: bool) -> Result<u32, Errno> {
        let limit = current().signal.rlim.cur(RLIMIT_NOFILE);
        let mut table = self.table.lock();
        table.install(file, from, close_on_exec, limit)
    }

    /// Makes `fd` lead to `file` and closes the file that it led to before.
    ///
    /// # Errors
    /// EBADF if `fd` is not below the process's limit, ENOMEM.
    pub fn replace(&self, fd: u32, file: Arc<File>, close_on_exec: bool) -> Result<(), Errno> {
        if fd >= current().signal.rlim.cur(RLIMIT_NOFILE) {
            return Err(Errno::EBADF);
        }
        let old = self.table.lock().replace(fd, file, close_on_exec)?;
        if let Some(old) = old {
            self.filp_close(old);
        }
        Ok(())
    }

    /// Closes `fd`.
    ///
    /// # Errors
    /// EBADF.
    pub fn close(&self, fd: u32) -> Result<(), Errno> {
        let file = self.table.lock().remove(fd)?;
        self.filp_close(file);
        Ok(())
    }

    /// Returns whether exec closes `fd`.
    ///
    /// # Errors
    /// EBADF.
    pub fn close_on_exec(&self, fd: u32) -> Result<bool, Errno> {
        self.table.lock().close_on_exec(fd)
    }

    /// Sets whether exec closes `fd`.
    ///
    /// # Errors
    /// EBADF.
    pub fn set_close_on_exec(&self, fd: u32, close: bool) -> Result<(), Errno> {
        self.table.lock().set_close_on_exec(fd, close)
    }

    /// Returns the number of descriptors that the table has room for now.
    pub fn table_size(&self) -> usize {
        self.table.lock().size()
    }

    /// Closes the descriptors that exec closes.
    #[doc(alias = "flush_old_files")]
    pub fn exec(&self) {
        loop {
            let file = self.table.lock().remove_close_on_exec();
            match file {
                None => return,
                Some(file) => self.filp_close(file),
            }
        }
    }

    /// Returns the table as an owner of locks: closing the file takes them away.
    pub fn lock_owner(&self) -> Owner {
        self.has_locks.store(true, Ordering::Relaxed);
        Owner::Files(core::ptr::from_ref(self) as usize)
    }

    /// Drops a file that the table had, and takes away all locks on it that the table owns, even
    /// if it has the file under another descriptor.
    fn filp_close(&self, file: Arc<File>) {
        if self.has_locks.load(Ordering::Relaxed) {
            self.remove_locks(&file);
        }
        drop(file);
    }

    #[cold]
    fn remove_locks(&self, file: &File) {
        if let Ok(locks) = locks_of(file) {
            locks.release(self.lock_owner());
        }
    }
}

impl Drop for FilesStruct {
    fn drop(&mut self) {
        if !self.has_locks.load(Ordering::Relaxed) {
            return;
        }
        for fd in 0..self.table_size() as u32 {
            if let Ok(file) = self.get(fd) {
                self.remove_locks(&file);
            }
        }
    }
}

impl Default for FilesStruct {
    fn default() -> Self {
        Self::new()
    }
}

/// The directory where relative paths begin, and the permissions that new files do not get.
pub struct FsStruct {
    inner: SpinLock<(Inode, u32)>,
}

impl FsStruct {
    /// Returns the root as the directory, with umask 022.
    pub fn new() -> Self {
        Self {
            inner: SpinLock::new(LockClass::FsInner, (rootfs::root(), 0o022)),
        }
    }

    /// Copies both, for fork without `CLONE_FS`.
    pub fn copy(&self) -> Self {
        Self {
            inner: SpinLock::new(LockClass::FsInner, self.inner.lock().clone()),
        }
    }

    /// Returns the working directory.
    pub fn cwd(&self) -> Inode {
        self.inner.lock().0.clone()
    }

    /// Changes the working directory.
    pub fn set_cwd(&self, directory: Inode) {
        let before = core::mem::replace(&mut self.inner.lock().0, directory);
        drop(before);
    }

    /// Returns the umask.
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

//! A node: a file, directory, link or device of the tmpfs, whatever its names.
//!
//! A node lives as long as something refers to it: a name, an open file, a mapping, a working
//! directory. A directory refers to its parent, so `..` leads somewhere even if it is removed.
//!
//! Book: ch. 12, "Inode Objects". Linux: 2.6.38 `struct inode`, `shmem_get_inode`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::directory::Directory;
use super::pages::Pages;
use super::quota::INODES;
use crate::base::errno::Errno;
use crate::drivers::rtc::time_of_day_us;
use crate::fs::locks::FileLocks;
use crate::fs::stat::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, Stat};
use crate::mm::fallible::{try_arc, try_concat};
use crate::sched::mutex::Mutex;
use crate::sync::{LockClass, SpinLock};

/// A node of the tmpfs.
pub struct Node {
    /// The node's number.
    pub ino: u32,
    /// What kind of node it is.
    pub kind: Kind,
    attributes: SpinLock<Attributes>,
    /// Held while the contents or their size change.
    pub mutex: Mutex,
    /// Locks on the file.
    pub locks: FileLocks,
    /// Open files that may write, or, below 0, programs that run: both at once are refused.
    writers: AtomicI32,
}

/// The kinds of node.
pub enum Kind {
    /// A regular file.
    Regular(Arc<Pages>),
    /// A directory.
    Directory(SpinLock<Names>),
    /// A symbolic link, and its target.
    Symlink(Vec<u8>),
    /// A device or a pipe: type and permissions are in the mode.
    Special((u32, u32)),
}

/// The contents of a directory, and its place.
pub struct Names {
    /// Its names.
    pub names: Directory<Arc<Node>>,
    /// The directory that contains it, and its name there; `None` for the root.
    pub parent: Option<(Arc<Node>, Vec<u8>)>,
    /// Whether it has been removed: nothing can be made in it.
    pub is_dead: bool,
}

/// What can change of a node besides its contents.
#[derive(Clone, Copy)]
pub struct Attributes {
    /// Type and permissions.
    pub mode: u32,
    /// User who owns it.
    pub uid: u32,
    /// Group that owns it.
    pub gid: u32,
    /// Number of names.
    pub nlink: u32,
    /// Times of the last access, change of contents, and change of attributes: nanoseconds since
    /// 1970.
    pub times: [u64; 3],
}

/// Index of the access time.
pub const ATIME: usize = 0;
/// Index of the time at which the contents changed.
pub const MTIME: usize = 1;
/// Index of the time at which the attributes changed.
pub const CTIME: usize = 2;

/// Number of the next node.
static NEXT_INO: AtomicU32 = AtomicU32::new(2);
/// An access time that is older than this is always renewed (relatime): a day.
const RELATIME_NS: u64 = 86_400_000_000_000;

/// Returns the time of day in nanoseconds since 1970.
pub fn now() -> u64 {
    time_of_day_us().saturating_mul(1000)
}

impl Node {
    /// Makes a node without names.
    ///
    /// # Errors
    /// ENOSPC, ENOMEM.
    pub fn new(kind: Kind, mode: u32, uid: u32, gid: u32) -> Result<Arc<Self>, Errno> {
        let now = now();
        let attributes = Attributes {
            mode,
            uid,
            gid,
            nlink: 0,
            times: [now; 3],
        };
        INODES.take()?;
        let node = Self {
            ino: NEXT_INO.fetch_add(1, Ordering::Relaxed),
            kind,
            attributes: SpinLock::new(LockClass::TmpfsAttributes, attributes),
            mutex: Mutex::new(),
            locks: FileLocks::new(),
            writers: AtomicI32::new(0),
        };
        // Gives the quota back if that fails.
        try_arc(node)
    }

    /// Makes a node for a mode that gives a type: a regular file, a directory in `parent` under
    /// `name`, or a device.
    ///
    /// # Errors
    /// ENOSPC, ENOMEM.
    pub fn of_mode(
        mode: u32,
        rdev: (u32, u32),
        (uid, gid): (u32, u32),
        parent: &Arc<Node>,
        name: &[u8],
    ) -> Result<Arc<Self>, Errno> {
        let kind = match mode & S_IFMT {
            S_IFREG => Kind::Regular(try_arc(Pages::new(&[]))?),
            S_IFDIR => Kind::directory(Some((parent.clone(), try_concat(&[name])?))),
            _ => Kind::Special(rdev),
        };
        Self::new(kind, mode, uid, gid)
    }

    /// Returns the names in a directory. ENOTDIR for any other node.
    pub fn names(&self) -> Result<&SpinLock<Names>, Errno> {
        match &self.kind {
            Kind::Directory(names) => Ok(names),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// Returns the contents of a regular file.
    pub fn pages(&self) -> Option<&Arc<Pages>> {
        match &self.kind {
            Kind::Regular(pages) => Some(pages),
            _ => None,
        }
    }

    /// Returns the node that `name` denotes in this directory.
    pub fn child(&self, name: &[u8]) -> Option<Arc<Node>> {
        self.names().ok()?.lock().names.get(name).cloned()
    }

    /// Returns whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(_))
    }

    /// Returns the attributes.
    pub fn attributes(&self) -> Attributes {
        *self.attributes.lock()
    }

    /// Changes the attributes.
    pub fn change(&self, change: impl FnOnce(&mut Attributes)) {
        change(&mut self.attributes.lock());
    }

    /// Sets the times of these indices to now.
    pub fn touch(&self, which: &[usize]) {
        let now = now();
        self.change(|it| which.iter().for_each(|at| it.times[*at] = now));
    }

    /// Renews the access time if it is older than the last change, or than a day.
    pub fn accessed(&self) {
        let now = now();
        self.change(|it| {
            let [access, modified, changed] = it.times;
            if access <= modified || access <= changed || now.saturating_sub(access) > RELATIME_NS {
                it.times[ATIME] = now;
            }
        });
    }

    /// Returns what `stat` reports.
    pub fn stat(&self) -> Stat {
        let it = self.attributes();
        let (size, blocks, rdev) = match &self.kind {
            Kind::Regular(pages) => (pages.size(), pages.frames() as u64, (0, 0)),
            Kind::Directory(_) => (0, 0, (0, 0)),
            Kind::Symlink(target) => (target.len() as u64, 0, (0, 0)),
            Kind::Special(rdev) => (0, 0, *rdev),
        };
        Stat {
            mode: it.mode,
            ino: self.ino.into(),
            nlink: it.nlink,
            uid: it.uid,
            gid: it.gid,
            rdev,
            size,
            blocks: blocks.saturating_mul(8),
            times: it.times,
        }
    }

    /// Counts a file that is open for writing. ETXTBSY if a program runs from it.
    pub fn get_write_access(&self) -> Result<(), Errno> {
        let more = |count: i32| (count >= 0).then(|| count.saturating_add(1));
        let order = Ordering::Relaxed;
        let taken = self.writers.fetch_update(order, order, more);
        taken.map(drop).map_err(|_| Errno::ETXTBSY)
    }

    /// Counts a file open for writing no longer.
    pub fn put_write_access(&self) {
        self.writers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a program that runs. ETXTBSY if the file is open for writing.
    pub fn deny_write_access(&self) -> Result<(), Errno> {
        let less = |count: i32| (count <= 0).then(|| count.saturating_sub(1));
        let order = Ordering::Relaxed;
        let taken = self.writers.fetch_update(order, order, less);
        taken.map(drop).map_err(|_| Errno::ETXTBSY)
    }

    /// Counts a program no longer.
    pub fn allow_write_access(&self) {
        self.writers.fetch_add(1, Ordering::Relaxed);
    }
}

impl Kind {
    /// Returns an empty directory.
    pub const fn directory(parent: Option<(Arc<Node>, Vec<u8>)>) -> Self {
        Self::Directory(SpinLock::new(
            LockClass::TmpfsNames,
            Names {
                names: Directory::new(),
                parent,
                is_dead: false,
            },
        ))
    }

    /// Returns a symbolic link.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn symlink(target: &[u8]) -> Result<Self, Errno> {
        try_concat(&[target]).map(Self::Symlink)
    }
}

/// Type and permissions of a symbolic link.
pub const LINK_MODE: u32 = S_IFLNK | 0o777;

impl Drop for Node {
    fn drop(&mut self) {
        INODES.give();
        // One by one, since a chain of removed directories can be long and the stack is short.
        let mut next = self.take_parent();
        while let Some(parent) = next {
            next = Arc::into_inner(parent).and_then(|mut parent| parent.take_parent());
        }
    }
}

impl Node {
    fn take_parent(&mut self) -> Option<Arc<Node>> {
        match &self.kind {
            Kind::Directory(names) => names.lock().parent.take().map(|it| it.0),
            _ => None,
        }
    }
}

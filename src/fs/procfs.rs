#![forbid(unsafe_code)]
//! `/proc`: the names in it, and the object behind each.
//!
//! Nothing is stored: a name of `/proc` is a value, and [`ProcOps`] produces its contents when a
//! program reads it. `process`, which knows the contents, registers those functions.
//!
//! ```text
//!   /proc/self                 a link to the reader's process
//!   /proc/stat, cpuinfo ...    the system
//!   /proc/PID/stat ...         a process; /proc/PID/task/TID/stat ... its threads
//! ```
//! Used by path lookup, open files and getdents64.
//!
//! Book: ch. 12, "Special Filesystems". Linux: 2.6.38 `fs/proc/base.c`; proc(5).

use alloc::vec::Vec;

use spin::Once;

use super::stat::{S_IFDIR, S_IFLNK, S_IFREG};
use crate::base::errno::Errno;
use crate::mm::fallible::Text;

/// A file about the system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SystemFile {
    Cmdline,
    Cpuinfo,
    Loadavg,
    Meminfo,
    Stat,
    SwitchTo,
    Uptime,
    Version,
}

/// A file about a process or a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TaskFile {
    Cmdline,
    Comm,
    Maps,
    Schedstat,
    Stat,
    Status,
    Wchan,
}

const SYSTEM_FILES: [(&str, SystemFile); 8] = [
    ("cmdline", SystemFile::Cmdline),
    ("cpuinfo", SystemFile::Cpuinfo),
    ("loadavg", SystemFile::Loadavg),
    ("meminfo", SystemFile::Meminfo),
    ("stat", SystemFile::Stat),
    ("switch_to", SystemFile::SwitchTo),
    ("uptime", SystemFile::Uptime),
    ("version", SystemFile::Version),
];

const TASK_FILES: [(&str, TaskFile); 7] = [
    ("cmdline", TaskFile::Cmdline),
    ("comm", TaskFile::Comm),
    ("maps", TaskFile::Maps),
    ("schedstat", TaskFile::Schedstat),
    ("stat", TaskFile::Stat),
    ("status", TaskFile::Status),
    ("wchan", TaskFile::Wchan),
];

/// A process, or a thread of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Who {
    /// The process's number in the path.
    pub pid: i32,
    /// The thread's number below `task`; `None` for the process as a whole.
    pub tid: Option<i32>,
}

/// An object below `/proc`. It does not imply that its process exists; see [`ProcOps`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcInode {
    /// The root, `/proc`.
    Root,
    /// The link `/proc/self`.
    SelfLink,
    /// A file `/proc/NAME`.
    System(SystemFile),
    /// The directory `/proc/PID` or `/proc/PID/task/TID`.
    Task(Who),
    /// The directory `/proc/PID/task`.
    Threads(i32),
    /// The link `exe` in the directory of a task, which leads to its program.
    Exe(Who),
    /// A file in the directory of a task.
    TaskFile(Who, TaskFile),
}

/// A part of a file's contents.
pub struct Part {
    /// The bytes of the part.
    pub bytes: Vec<u8>,
    /// The mark at which the next part begins; `None` after the last.
    pub next: Option<u32>,
}

impl From<Vec<u8>> for Part {
    /// Makes a part of `bytes` that is the whole file.
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, next: None }
    }
}

/// Functions of `process` that answer questions about processes.
pub struct ProcOps {
    /// Returns whether the process or thread exists.
    pub is_there: fn(ProcInode) -> bool,
    /// Returns the lowest number above the second argument that a directory lists.
    pub next_id: fn(ProcInode, i32) -> Option<i32>,
    /// Returns the current contents of a file: the part that begins at a mark, either 0 or a
    /// [`Part::next`]. Fails with ESRCH, EACCES or ENOMEM.
    pub show: fn(ProcInode, u32) -> Result<Part, Errno>,
    /// Returns the path of a process's program, without the leading slash. Fails with ENOENT if it
    /// has none, EACCES or ESRCH.
    pub exe: fn(Who) -> Result<Vec<u8>, Errno>,
    /// Returns the user and group of a process.
    pub owner: fn(ProcInode) -> (u32, u32),
}

static OPS: Once<&'static ProcOps> = Once::new();

/// Gives `/proc` its contents. Called once, at boot; until then `/proc` is empty.
pub fn register_filesystem(ops: &'static ProcOps) {
    OPS.call_once(|| ops);
}

/// Returns the functions that produce the contents, once registered.
pub fn ops() -> Option<&'static ProcOps> {
    OPS.get().copied()
}

impl ProcInode {
    /// Returns the object that `name` has in this directory, if the name is valid.
    pub fn child(self, name: &[u8]) -> Option<Self> {
        let name = core::str::from_utf8(name).ok()?;
        let fixed = self.fixed_children().find(|(known, _)| *known == name);
        match (fixed, self) {
            (Some((_, child)), _) => Some(child),
            (None, Self::Root) => Some(Self::process(number(name)?)),
            (None, Self::Threads(pid)) => Some(Self::Task(Who {
                pid,
                tid: Some(number(name)?),
            })),
            _ => None,
        }
    }

    /// Returns the directory of process `pid`.
    pub fn process(pid: i32) -> Self {
        Self::Task(Who { pid, tid: None })
    }

    /// Returns the entries of this directory whose names are not numbers.
    pub fn fixed_children(self) -> impl Iterator<Item = (&'static str, Self)> {
        let is_root = self == Self::Root;
        let system = SYSTEM_FILES.iter().filter(move |_| is_root);
        let who = match self {
            Self::Task(who) => Some(who),
            _ => None,
        };
        let of_task = TASK_FILES
            .iter()
            .filter_map(move |&(name, file)| Some((name, Self::TaskFile(who?, file))));
        let threads = who.filter(|who| who.tid.is_none());
        is_root
            .then_some(("self", Self::SelfLink))
            .into_iter()
            .chain(system.map(|&(name, file)| (name, Self::System(file))))
            .chain(of_task)
            .chain(who.map(|who| ("exe", Self::Exe(who))))
            .chain(threads.map(|who| ("task", Self::Threads(who.pid))))
    }

    /// Returns the entry of this directory with number `id`.
    pub fn numbered(self, id: i32) -> Self {
        match self {
            Self::Threads(pid) => Self::Task(Who { pid, tid: Some(id) }),
            _ => Self::process(id),
        }
    }

    /// Returns whether the directory has entries with numbers for names.
    pub fn has_numbers(self) -> bool {
        matches!(self, Self::Root | Self::Threads(_))
    }

    /// Returns the directory that contains it; `None` for `/proc` itself.
    pub fn parent(self) -> Option<Self> {
        match self {
            Self::Root => None,
            Self::SelfLink | Self::System(_) | Self::Task(Who { tid: None, .. }) => {
                Some(Self::Root)
            }
            Self::Task(Who { pid, .. }) => Some(Self::Threads(pid)),
            Self::Threads(pid) => Some(Self::process(pid)),
            Self::Exe(who) | Self::TaskFile(who, _) => Some(Self::Task(who)),
        }
    }

    /// Returns the file's type and permissions.
    pub fn mode(self) -> u32 {
        match self {
            Self::SelfLink | Self::Exe(_) => S_IFLNK | 0o777,
            Self::Root | Self::Task(_) | Self::Threads(_) => S_IFDIR | 0o555,
            Self::System(_) | Self::TaskFile(..) => S_IFREG | 0o444,
        }
    }

    /// Returns whether it is a directory.
    pub fn is_directory(self) -> bool {
        self.mode() & S_IFDIR == S_IFDIR
    }

    /// Returns the number of links: for a directory its own and those of its fixed subdirectories.
    pub fn nlink(self) -> u32 {
        match self {
            Self::Task(Who { tid: None, .. }) | Self::Threads(_) => 3,
            _ if self.is_directory() => 2,
            _ => 1,
        }
    }

    /// Returns an inode number that nothing else in `/proc` has.
    pub fn ino(self) -> u64 {
        const OF_PROC: u64 = 0xf000_0000;
        // A thread's number identifies its process. Everything fits in 32 bits: programs without
        // large-file support have no more, and cannot read a directory whose numbers are larger.
        let who = |who: Who| {
            let id = who.tid.unwrap_or(who.pid) as u64;
            id << 9 | u64::from(who.tid.is_some()) << 8
        };
        OF_PROC
            | match self {
                Self::Root => 1,
                Self::SelfLink => 2,
                Self::System(file) => 3_u64.saturating_add(file as u64),
                Self::Task(task) => who(task),
                Self::Threads(pid) => who(Who { pid, tid: None }) | 1,
                Self::Exe(task) => who(task) | 2,
                Self::TaskFile(task, file) => who(task) | 3_u64.saturating_add(file as u64),
            }
    }

    /// Returns the path without the leading slash.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn path(self) -> Result<Text, Errno> {
        let mut path = Text::new();
        self.put_path(&mut path)?;
        Ok(path)
    }

    fn put_path(self, path: &mut Text) -> Result<(), Errno> {
        if let Some(parent) = self.parent() {
            parent.put_path(path)?;
            path.put("/")?;
        }
        self.put_name(path)
    }

    /// Appends the last part of the path.
    fn put_name(self, path: &mut Text) -> Result<(), Errno> {
        let fixed = self
            .parent()
            .and_then(|parent| parent.fixed_children().find(|(_, child)| *child == self));
        match (fixed, self) {
            (Some((name, _)), _) => path.put(name),
            (None, Self::Task(who)) => write!(path, "{}", who.tid.unwrap_or(who.pid)),
            (None, _) => path.put("proc"),
        }
    }
}

/// Parses a process number as `/proc` spells it: digits, without a leading zero.
fn number(name: &str) -> Option<i32> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_digit()) && !name.starts_with('0');
    name.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn walk(path: &str) -> Option<ProcInode> {
        path.split('/')
            .try_fold(ProcInode::Root, |at, name| at.child(name.as_bytes()))
    }

    const THREAD: Who = Who {
        pid: 12,
        tid: Some(34),
    };

    #[test]
    fn names_lead_where_they_say() {
        assert_eq!(walk("stat"), Some(ProcInode::System(SystemFile::Stat)));
        assert_eq!(walk("12"), Some(ProcInode::process(12)));
        assert_eq!(walk("12/task"), Some(ProcInode::Threads(12)));
        assert_eq!(walk("12/task/34"), Some(ProcInode::Task(THREAD)));
        assert_eq!(
            walk("12/task/34/wchan"),
            Some(ProcInode::TaskFile(THREAD, TaskFile::Wchan))
        );
        for nothing in [
            "",
            "nothing",
            "012",
            "+1",
            "-1",
            "1x",
            "99999999999",
            "0",
            "12/13",
            "12/task/stat",
            "12/task/34/task",
            "stat/stat",
            "self/stat",
        ] {
            assert_eq!(walk(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_path_leads_back_to_where_it_is_of() {
        let mut all = Vec::from([ProcInode::Root]);
        let mut at = 0;
        while let Some(&inode) = all.get(at) {
            all.extend(inode.fixed_children().map(|(_, child)| child));
            if inode.has_numbers() && all.len() < 100 {
                all.push(inode.numbered(7));
            }
            at += 1;
        }
        assert_eq!(all.len(), 29);
        let numbers: HashSet<u64> = all.iter().map(|inode| inode.ino()).collect();
        assert!(numbers.iter().all(|ino| u32::try_from(*ino).is_ok()));
        assert_eq!(numbers.len(), all.len());
        for inode in all {
            let path = inode.path().unwrap().into_string();
            match path.strip_prefix("proc/") {
                Some(rest) => assert_eq!(walk(rest), Some(inode), "{path}"),
                None => assert_eq!((path.as_str(), inode), ("proc", ProcInode::Root)),
            }
            assert_eq!(
                inode.is_directory(),
                inode.fixed_children().next().is_some() || inode.has_numbers()
            );
        }
    }
}

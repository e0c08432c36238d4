//! The root of all paths: a tmpfs with the files of the initramfs, the devices that every program
//! expects, and `/proc`.
//!
//! The archive is unpacked once at boot; its bytes stay where they are until a program writes the
//! file. An archive without `/dev` gets the usual nodes. `/proc` is always mounted, whatever the
//! archive has under that name.
//!
//! Called by exec and by the system calls on files.
//!
//! Book: ch. 12, "Pathname Lookup".
//! Linux: 2.6.38 `init/initramfs.c`, `init/noinitramfs.c`.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use spin::Once;

use super::cpio::{CpioError, Entry, FileType};
use super::initramfs::Archive;
use super::procfs::{self, ProcInode, Who};
use super::stat::{S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, Stat};
use super::tmpfs::node::{Attributes, Kind, LINK_MODE, Node};
use super::tmpfs::pages::Pages;
use super::tmpfs::quota::{BLOCKS, INODES};
use crate::arch::x86::current::current;
use crate::base::errno::Errno;
use crate::mm::fallible::{Text, TryVec, try_arc, try_concat, try_to_string};
use crate::mm::frame::totalram_pages;
use crate::task::kcov::KCOV;

/// The object that a path leads to.
#[derive(Clone)]
pub enum Inode {
    /// A node of the tmpfs.
    File(Arc<Node>),
    /// An object below `/proc`.
    Proc(ProcInode),
}

impl PartialEq for Inode {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(a), Self::File(b)) => Arc::ptr_eq(a, b),
            (Self::Proc(a), Self::Proc(b)) => a == b,
            _ => false,
        }
    }
}

impl Inode {
    /// Returns the type, size, owner and the like.
    pub fn stat(&self) -> Stat {
        match self {
            Self::File(node) => node.stat(),
            Self::Proc(inode) => {
                let (uid, gid) = procfs::ops().map_or((0, 0), |ops| (ops.owner)(*inode));
                Stat {
                    mode: inode.mode(),
                    ino: inode.ino(),
                    nlink: inode.nlink(),
                    uid,
                    gid,
                    ..Stat::default()
                }
            }
        }
    }

    /// Returns the file's type.
    pub fn file_type(&self) -> FileType {
        match self {
            Self::File(node) => match node.attributes().mode & S_IFMT {
                S_IFREG => FileType::Regular,
                S_IFDIR => FileType::Directory,
                S_IFLNK => FileType::Symlink,
                S_IFIFO => FileType::Fifo,
                S_IFCHR => FileType::CharDevice,
                _ => FileType::BlockDevice,
            },
            Self::Proc(inode) => match inode.mode() & S_IFMT {
                S_IFLNK => FileType::Symlink,
                S_IFDIR => FileType::Directory,
                _ => FileType::Regular,
            },
        }
    }

    /// Returns the major and minor number, for a device.
    pub fn rdev(&self) -> (u32, u32) {
        match self {
            Self::File(node) => match node.kind {
                Kind::Special(rdev) => rdev,
                _ => (0, 0),
            },
            Self::Proc(_) => (0, 0),
        }
    }

    /// Returns the node, if it is one of the tmpfs.
    ///
    /// # Errors
    /// EPERM for an object of `/proc`.
    pub fn node(&self) -> Result<&Arc<Node>, Errno> {
        match self {
            Self::File(node) => Ok(node),
            Self::Proc(_) => Err(Errno::EPERM),
        }
    }

    /// Returns the path of a directory without the leading slash.
    ///
    /// # Errors
    /// ENOENT if it is removed, ENOMEM.
    pub fn path(&self) -> Result<Vec<u8>, Errno> {
        let node = match self {
            Self::File(node) => node,
            Self::Proc(inode) => return inode.path().map(Text::into_bytes),
        };
        let mut at = node.clone();
        let mut path = Vec::new();
        loop {
            let up = {
                let names = at.names()?.lock();
                if names.is_dead {
                    return Err(Errno::ENOENT);
                }
                let up = names.parent.as_ref();
                up.map(|(parent, name)| Ok::<_, Errno>((parent.clone(), try_concat(&[name])?)))
            };
            let Some((parent, name)) = up.transpose()? else {
                return Ok(path);
            };
            let separator: &[u8] = if path.is_empty() { b"" } else { b"/" };
            path = try_concat(&[&name, separator, &path])?;
            at = parent;
        }
    }

    /// Returns the target of a symbolic link.
    ///
    /// # Errors
    /// EINVAL if it is not a symbolic link; ENOMEM; the errors of [`ProcOps::exe`].
    ///
    /// [`ProcOps::exe`]: procfs::ProcOps::exe
    pub fn link_target(&self) -> Result<Vec<u8>, Errno> {
        match self {
            Self::File(node) => match &node.kind {
                Kind::Symlink(target) => try_concat(&[target]),
                _ => Err(Errno::EINVAL),
            },
            Self::Proc(ProcInode::SelfLink) => {
                try_to_string(current().tgid).map(String::into_bytes)
            }
            Self::Proc(ProcInode::Exe(who)) => try_concat(&[b"/", &exe(*who)?]),
            Self::Proc(_) => Err(Errno::EINVAL),
        }
    }

    /// Returns the directory that contains this directory; the root contains itself.
    pub fn parent(&self) -> Self {
        match self {
            Self::File(node) => {
                let names = node.names().map(|names| names.lock());
                let up = names.map(|names| names.parent.as_ref().map(|it| it.0.clone()));
                up.ok().flatten().map_or_else(|| self.clone(), Self::File)
            }
            Self::Proc(inode) => inode.parent().map_or_else(root, Self::Proc),
        }
    }
}

static ROOT: Once<Arc<Node>> = Once::new();

/// Device number of the coverage file. Linux's kcov file has no fixed one; this one is ours.
pub const KCOV_DEVICE: (u32, u32) = (0, 1);
/// Device number of `trace_marker`, which has no fixed one in Linux either.
pub const TRACE_MARKER_DEVICE: (u32, u32) = (0, 2);

/// Devices: path, permissions, device number.
type Device = (&'static [u8], u32, (u32, u32));

const KCOV_FILE: Device = (b"sys/kernel/debug/kcov", 0o600, KCOV_DEVICE);

const TRACE_MARKERS: [Device; 2] = [
    (
        b"sys/kernel/tracing/trace_marker",
        0o220,
        TRACE_MARKER_DEVICE,
    ),
    (
        b"sys/kernel/debug/tracing/trace_marker",
        0o220,
        TRACE_MARKER_DEVICE,
    ),
];

const DEVICES: [Device; 8] = [
    (b"dev/null", 0o666, (1, 3)),
    (b"dev/zero", 0o666, (1, 5)),
    (b"dev/full", 0o666, (1, 7)),
    (b"dev/random", 0o666, (1, 8)),
    (b"dev/urandom", 0o666, (1, 9)),
    (b"dev/console", 0o600, (5, 1)),
    (b"dev/tty", 0o666, (5, 0)),
    (b"dev/ttyS0", 0o600, (4, 64)),
];

/// Unpacks the archive into the root, with the file `trace_marker` if `trace`. Called once, at boot.
pub fn mount(archive: &'static [u8], trace: bool) -> Result<(), CpioError> {
    let archive = Archive::index(archive)?;
    let root = unpack(&archive, trace).map_err(|_| CpioError::NoMemory)?;
    ROOT.call_once(|| root);
    let pages = totalram_pages();
    BLOCKS.set_limit(pages / 2);
    INODES.set_limit((pages / 2).max(INODES.usage().0.saturating_add(1024)));
    Ok(())
}

fn unpack(archive: &Archive<'static>, trace: bool) -> Result<Arc<Node>, Errno> {
    let root = Node::new(Kind::directory(None), S_IFDIR | 0o755, 0, 0)?;
    set(&root, archive.root());
    root.change(|it| it.nlink = 2);
    // Hard links: the archive's numbers of regular files with several names, and their nodes.
    let mut linked: Vec<(u32, Arc<Node>)> = Vec::new();
    for entry in archive.entries().iter().skip(1) {
        let directory = find(&root, entry.parent()).ok_or(Errno::ENOENT)?;
        let is_linked = entry.file_type == FileType::Regular && entry.nlink > 1;
        let known = linked.iter().find(|it| is_linked && it.0 == entry.ino);
        let node = match known {
            Some((_, node)) => node.clone(),
            None => {
                let kind = match entry.file_type {
                    FileType::Regular => Kind::Regular(try_arc(Pages::new(entry.data))?),
                    FileType::Directory => {
                        let name = try_concat(&[entry.file_name()])?;
                        Kind::directory(Some((directory.clone(), name)))
                    }
                    FileType::Symlink => Kind::symlink(entry.data)?,
                    _ => Kind::Special(entry.rdev),
                };
                let node = Node::new(kind, entry.mode, entry.uid, entry.gid)?;
                set(&node, entry);
                if is_linked {
                    linked.try_push((entry.ino, node.clone()))?;
                }
                node
            }
        };
        link(&directory, entry.file_name(), node)?;
    }
    let coverage = KCOV.then_some(&KCOV_FILE);
    let markers = trace.then_some(&TRACE_MARKERS);
    let devices = DEVICES.iter().chain(coverage);
    for (path, permissions, rdev) in devices.chain(markers.into_iter().flatten()) {
        let (directory, name) = make_directories(&root, path, 0o755)?;
        if directory.child(name).is_none() {
            let node = Node::new(Kind::Special(*rdev), S_IFCHR | permissions, 0, 0)?;
            link(&directory, name, node)?;
        }
    }
    for (path, mode) in [
        (&b"tmp/."[..], 0o1777),
        (b"dev/shm/.", 0o1777),
        (b"proc/.", 0o555),
    ] {
        make_directories(&root, path, mode)?;
    }
    if let Some(tmp) = find(&root, b"tmp") {
        tmp.change(|it| it.mode |= 0o1777);
    }
    Ok(root)
}

/// Gives a node the attributes that the archive has for it.
fn set(node: &Node, entry: &Entry<'_>) {
    let time = u64::from(entry.mtime).saturating_mul(1_000_000_000);
    node.change(|it| {
        *it = Attributes {
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            nlink: it.nlink,
            times: [time; 3],
        };
    });
}

/// Gives `node` a name in a directory.
fn link(directory: &Arc<Node>, name: &[u8], node: Arc<Node>) -> Result<(), Errno> {
    let is_directory = node.is_directory();
    let links = if is_directory { 2 } else { 1 };
    node.change(|it| it.nlink = it.nlink.saturating_add(links));
    directory.names()?.lock().names.insert(name, node)?;
    if is_directory {
        directory.change(|it| it.nlink = it.nlink.saturating_add(1));
    }
    Ok(())
}

/// Returns the node at a path without links.
fn find(root: &Arc<Node>, path: &[u8]) -> Option<Arc<Node>> {
    let mut parts = path
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty());
    parts.try_fold(root.clone(), |at, part| at.child(part))
}

/// Makes the directories of `path` that are missing, the last with `mode`; returns the last one, and
/// the last part of the path.
fn make_directories<'p>(
    root: &Arc<Node>,
    path: &'p [u8],
    mode: u32,
) -> Result<(Arc<Node>, &'p [u8]), Errno> {
    let mut at = root.clone();
    let mut parts = path.split(|byte| *byte == b'/');
    let last = parts.next_back().unwrap_or_default();
    for part in parts {
        at = match at.child(part) {
            Some(child) if child.is_directory() => child,
            // Something else has the name, perhaps a link: then there is no such device.
            Some(_) => Node::new(Kind::directory(None), S_IFDIR | mode, 0, 0)?,
            None => {
                let place = Some((at.clone(), try_concat(&[part])?));
                let new = Node::new(Kind::directory(place), S_IFDIR | mode, 0, 0)?;
                link(&at, part, new.clone())?;
                new
            }
        };
    }
    Ok((at, last))
}

/// Returns the root directory.
///
/// # Panics
/// Before [`mount`].
pub fn root() -> Inode {
    match ROOT.get() {
        Some(root) => Inode::File(root.clone()),
        None => panic!("BUG: no root file system"),
    }
}

/// Makes a link node.
///
/// # Errors
/// ENOSPC, ENOMEM.
pub fn new_symlink(target: &[u8], uid: u32, gid: u32) -> Result<Arc<Node>, Errno> {
    Node::new(Kind::symlink(target)?, LINK_MODE, uid, gid)
}

/// Returns the path of a process's program.
fn exe(who: Who) -> Result<Vec<u8>, Errno> {
    (procfs::ops().ok_or(Errno::ENOENT)?.exe)(who)
}

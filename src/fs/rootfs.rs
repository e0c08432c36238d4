//! The root of all paths: the initramfs, the devices that every program expects, and `/proc`.
//!
//! The archive is mounted once at boot and never changes, so its entries live for ever. An archive
//! without `/dev` gets the usual nodes: a path that leads nowhere else is compared with their
//! names. `/proc` is always mounted, whatever the archive has under that name.
//!
//! Called by exec and by the system calls on files.
//!
//! Book: ch. 12, "Pathname Lookup".
//! Linux: 2.6.38 `init/initramfs.c`, `init/noinitramfs.c`.

use alloc::string::String;
use alloc::vec::Vec;

use spin::Once;

use super::cpio::{CpioError, Entry, FileType};
use super::initramfs::Archive;
use super::permission::{MAY_EXEC, permission};
use super::procfs::{self, ProcInode, Who};
use super::stat::{S_IFCHR, Stat};
use crate::arch::x86::current::current;
use crate::base::errno::Errno;
use crate::mm::fallible::{Text, try_concat, try_to_string};
use crate::task::cred::Cred;
use crate::task::kcov::KCOV;
use crate::trace::rings;

/// The object that a path leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inode {
    /// An entry of the archive, or a device.
    File(&'static Entry<'static>),
    /// An object below `/proc`.
    Proc(ProcInode),
}

impl Inode {
    /// Returns the type, size, owner and the like.
    pub fn stat(self) -> Stat {
        match self {
            Self::File(entry) => stat_of(entry),
            Self::Proc(inode) => {
                let (uid, gid) = procfs::ops().map_or((0, 0), |ops| (ops.owner)(inode));
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
    pub fn file_type(self) -> FileType {
        match self {
            Self::File(entry) => entry.file_type,
            Self::Proc(ProcInode::SelfLink | ProcInode::Exe(_)) => FileType::Symlink,
            Self::Proc(inode) if inode.is_directory() => FileType::Directory,
            Self::Proc(_) => FileType::Regular,
        }
    }

    /// Returns the major and minor number, for a device.
    pub fn rdev(self) -> (u32, u32) {
        match self {
            Self::File(entry) => entry.rdev,
            Self::Proc(_) => (0, 0),
        }
    }

    /// Returns the contents of a file of the archive; empty for `/proc`, whose contents are not
    /// stored.
    pub fn data(self) -> &'static [u8] {
        match self {
            Self::File(entry) => entry.data,
            Self::Proc(_) => &[],
        }
    }

    /// Returns the path of a file of the archive, without the leading slash; empty for `/proc`.
    pub fn name(self) -> &'static [u8] {
        match self {
            Self::File(entry) => entry.name,
            Self::Proc(_) => &[],
        }
    }

    /// Returns the path without the leading slash.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn path(self) -> Result<Vec<u8>, Errno> {
        match self {
            Self::File(entry) => try_concat(&[entry.name]),
            Self::Proc(inode) => inode.path().map(Text::into_bytes),
        }
    }

    /// Returns the target of a symbolic link.
    ///
    /// # Errors
    /// EINVAL if it is not a symbolic link; ENOMEM; the errors of [`ProcOps::exe`].
    ///
    /// [`ProcOps::exe`]: procfs::ProcOps::exe
    pub fn link_target(self) -> Result<Vec<u8>, Errno> {
        match self {
            Self::File(entry) if entry.file_type == FileType::Symlink => try_concat(&[entry.data]),
            Self::Proc(ProcInode::SelfLink) => {
                try_to_string(current().tgid).map(String::into_bytes)
            }
            Self::Proc(ProcInode::Exe(who)) => try_concat(&[b"/", exe(who)?]),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Returns the directory that contains it; the root contains itself.
    pub fn parent(self) -> Self {
        match self {
            Self::File(entry) => Self::File(
                archive()
                    .find(entry.parent())
                    .unwrap_or_else(|| archive().root()),
            ),
            Self::Proc(inode) => inode.parent().map_or_else(root, Self::Proc),
        }
    }
}

fn stat_of(entry: &Entry<'_>) -> Stat {
    Stat {
        mode: entry.mode,
        ino: u64::from(entry.ino),
        nlink: entry.nlink,
        uid: entry.uid,
        gid: entry.gid,
        rdev: entry.rdev,
        size: entry.data.len() as u64,
        mtime: entry.mtime,
    }
}

static ROOT: Once<Archive<'static>> = Once::new();

/// Device number of the coverage file. Linux's kcov file has no fixed one; this one is ours.
pub const KCOV_DEVICE: (u32, u32) = (0, 1);

static KCOV_FILE: Entry<'static> = device(b"sys/kernel/debug/kcov", 0o600, KCOV_DEVICE);

/// Device number of `trace_marker`, which has no fixed one in Linux either.
pub const TRACE_MARKER_DEVICE: (u32, u32) = (0, 2);

static TRACE_MARKERS: [Entry<'static>; 2] = [
    device(
        b"sys/kernel/tracing/trace_marker",
        0o220,
        TRACE_MARKER_DEVICE,
    ),
    device(
        b"sys/kernel/debug/tracing/trace_marker",
        0o220,
        TRACE_MARKER_DEVICE,
    ),
];

static DEVICES: [Entry<'static>; 6] = [
    device(b"dev/null", 0o666, (1, 3)),
    device(b"dev/zero", 0o666, (1, 5)),
    device(b"dev/urandom", 0o666, (1, 9)),
    device(b"dev/console", 0o600, (5, 1)),
    device(b"dev/tty", 0o666, (5, 0)),
    device(b"dev/ttyS0", 0o600, (4, 64)),
];

/// Indexes the archive and makes it the root. Called once, at boot.
pub fn mount(archive: &'static [u8]) -> Result<&'static Archive<'static>, CpioError> {
    let archive = Archive::index(archive)?;
    Ok(ROOT.call_once(|| archive))
}

/// Returns the root directory.
///
/// # Panics
/// Before [`mount`].
pub fn root() -> Inode {
    Inode::File(archive().root())
}

/// Returns the mounted archive.
pub fn archive() -> &'static Archive<'static> {
    match ROOT.get() {
        Some(archive) => archive,
        None => panic!("BUG: no root file system"),
    }
}

/// Walks `path` from directory `from`, following symbolic links, the last one only if `follow`.
///
/// # Errors
/// Those of [`Archive::lookup`]; EACCES for a directory on the way that `cred` may not search.
pub fn lookup(from: Inode, path: &[u8], follow: bool, cred: &Cred) -> Result<Inode, Errno> {
    let from = if path.starts_with(b"/") { root() } else { from };
    let entry = match from {
        Inode::Proc(inode) => return lookup_proc(inode, path, follow, cred),
        Inode::File(entry) => entry,
    };
    let may_search = |entry: &Entry<'static>| permission(&stat_of(entry), MAY_EXEC, cred);
    if let Some((before, rest)) = below_proc(entry, path) {
        let before = if before.is_empty() { b"." } else { before };
        let end = archive().lookup(entry, before, true, may_search)?;
        may_search(end)?;
        return match end.name.is_empty() {
            true => lookup_proc(ProcInode::Root, rest, follow, cred),
            // A link leads elsewhere than the components of the path suggest.
            false => Err(Errno::ENOENT),
        };
    }
    archive()
        .lookup(entry, path, follow, may_search)
        .or_else(|errno| match errno {
            Errno::ENOENT => builtin_device(entry, path)?.ok_or(errno),
            other => Err(other),
        })
        .map(Inode::File)
}

/// Splits `path`, which begins in `from`, at `/proc` if its components lead there; returns the
/// parts before and after.
fn below_proc<'p>(from: &Entry<'_>, path: &'p [u8]) -> Option<(&'p [u8], &'p [u8])> {
    let mut depth = match from.name {
        [] => 0,
        name => name.split(|byte| *byte == b'/').count(),
    };
    let mut rest = path;
    while !rest.is_empty() {
        let (component, after) = first_component(rest);
        match component {
            b"" | b"." => {}
            b".." => depth = depth.saturating_sub(1),
            b"proc" if depth == 0 => {
                let before = path.len().saturating_sub(rest.len());
                return Some((path.get(..before).unwrap_or_default(), after));
            }
            _ => depth = depth.saturating_add(1),
        }
        rest = after;
    }
    None
}

/// Returns the first component of `path`, and whatever follows the slash after it.
fn first_component(path: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = path.splitn(2, |byte| *byte == b'/');
    let first = parts.next().unwrap_or(path);
    (first, parts.next().unwrap_or_default())
}

/// Walks `path` from directory `from` of `/proc`, whose directories everybody may search.
fn lookup_proc(from: ProcInode, path: &[u8], follow: bool, cred: &Cred) -> Result<Inode, Errno> {
    let mut at = from;
    let mut rest = path;
    let is_there = |inode| procfs::ops().is_some_and(|ops| (ops.is_there)(inode));
    loop {
        // A final slash asks for a directory.
        let ends_here = rest.is_empty() && !path.ends_with(b"/");
        if at == ProcInode::SelfLink && (follow || !ends_here) {
            at = ProcInode::process(current().tgid);
        }
        if !is_there(at) {
            return Err(Errno::ENOENT);
        }
        if let ProcInode::Exe(who) = at
            && ends_here
            && follow
        {
            // Leads to the file itself, wherever it lies: no directory is searched on the way.
            let found = archive().find(exe(who)?).ok_or(Errno::ENOENT);
            return found.map(Inode::File);
        }
        if !ends_here && !at.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        if rest.is_empty() {
            return Ok(Inode::Proc(at));
        }
        let (component, after) = first_component(rest);
        rest = after;
        at = match (component, at.parent()) {
            (b"" | b".", _) => at,
            (b"..", Some(parent)) => parent,
            (b"..", None) if rest.is_empty() => return Ok(root()),
            (b"..", None) => return lookup(root(), rest, follow, cred),
            (name, _) => at.child(name).ok_or(Errno::ENOENT)?,
        };
    }
}

/// Returns the path of a process's program.
fn exe(who: Who) -> Result<&'static [u8], Errno> {
    (procfs::ops().ok_or(Errno::ENOENT)?.exe)(who)
}

/// Returns the built-in device that `path` leads to from `from`, judged by its components, if there
/// is one. Fails with ENOTDIR for a path that continues after a device.
fn builtin_device(from: &Entry<'_>, path: &[u8]) -> Result<Option<&'static Entry<'static>>, Errno> {
    let coverage = KCOV.then_some(&KCOV_FILE);
    let markers = rings::is_on().then_some(&TRACE_MARKERS);
    let start: &[u8] = match path.first() {
        Some(b'/') => b"",
        _ => from.name,
    };
    let words = |path: &'static [u8]| path.split(|byte| *byte == b'/');
    let devices = DEVICES
        .iter()
        .chain(coverage)
        .chain(markers.into_iter().flatten());
    for device in devices {
        let mut wanted = start
            .split(|byte| *byte == b'/')
            .chain(path.split(|byte| *byte == b'/'))
            .filter(|word| !matches!(*word, b"" | b"."));
        if !words(device.name).all(|word| wanted.next() == Some(word)) {
            continue;
        }
        let ends = wanted.next().is_none() && !path.ends_with(b"/") && !path.ends_with(b"/.");
        return match ends {
            true => Ok(Some(device)),
            false => Err(Errno::ENOTDIR),
        };
    }
    Ok(None)
}

const fn device(name: &'static [u8], permissions: u32, rdev: (u32, u32)) -> Entry<'static> {
    Entry {
        name,
        file_type: FileType::CharDevice,
        mode: S_IFCHR | permissions,
        uid: 0,
        gid: 0,
        mtime: 0,
        ino: 0x1_0000 | rdev.0 << 8 | rdev.1,
        nlink: 1,
        rdev,
        data: &[],
    }
}

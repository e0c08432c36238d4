//! Path lookup: from a path to an object, or to the directory where its last name belongs.
//!
//! Called by the system calls on files and by exec, in process context, with no lock held.
//!
//! Book: ch. 12, "Pathname Lookup". Linux: 2.6.38 `fs/namei.c` (`link_path_walk`, `do_path_lookup`).

use alloc::vec::Vec;

use super::cpio::{FileType, PATH_MAX};
use super::permission::{MAY_EXEC, permission};
use super::procfs::{self, ProcInode};
use super::rootfs::{Inode, root};
use crate::base::errno::Errno;
use crate::mm::fallible::try_concat;
use crate::task::cred::Cred;

/// Longest name of a file within its directory, in bytes.
const NAME_MAX: usize = 255;
/// Number of symbolic links followed in one lookup before ELOOP.
const MAX_LINKS: usize = 40;

/// The kind of the last part of a path (`last_type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Last {
    /// A name.
    Norm,
    /// Nothing: the path is `/`.
    Root,
    /// `.`
    Dot,
    /// `..`
    DotDot,
}

/// Where a path leads.
pub struct Found {
    /// The directory of the last part.
    pub directory: Inode,
    /// The last part, if it is a name.
    pub name: Vec<u8>,
    /// Which kind of part it is.
    pub last: Last,
    /// Whether a slash follows: the path must lead to a directory.
    pub slash: bool,
    /// The object; `None` if the directory has no such name.
    pub inode: Option<Inode>,
}

impl Found {
    /// Returns the path without the leading slash, free of links.
    ///
    /// # Errors
    /// ENOENT if the directory is removed, ENOMEM.
    pub fn path(&self) -> Result<Vec<u8>, Errno> {
        let directory = self.directory.path()?;
        let separator: &[u8] = if directory.is_empty() { b"" } else { b"/" };
        try_concat(&[&directory, separator, &self.name])
    }
}

/// Walks `path` from directory `from`, following symbolic links, the last one only if `follow`.
///
/// # Errors
/// ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG, ENOMEM; EACCES for a directory on the way that `cred` may
/// not search.
pub fn lookup(from: Inode, path: &[u8], follow: bool, cred: &Cred) -> Result<Inode, Errno> {
    walk(from, path, follow, cred)?.inode.ok_or(Errno::ENOENT)
}

/// Walks `path` as [`lookup`] does; the last name need not exist.
///
/// # Errors
/// Those of [`lookup`], but for a missing last name.
pub fn walk(from: Inode, path: &[u8], follow: bool, cred: &Cred) -> Result<Found, Errno> {
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    if path.len() >= PATH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    let mut at = if path.starts_with(b"/") { root() } else { from };
    let mut rest = try_concat(&[path])?;
    let (mut read, mut links) = (0_usize, 0_usize);
    loop {
        let left = rest.get(read..).unwrap_or_default();
        let skipped = left.iter().take_while(|byte| **byte == b'/').count();
        let left = left.get(skipped..).unwrap_or_default();
        let length = left.iter().take_while(|byte| **byte != b'/').count();
        let (name, after) = left.split_at(length);
        let is_last = after.iter().all(|byte| *byte == b'/');
        let slash = is_last && !after.is_empty();
        let found = |last, name, directory, inode| Found {
            directory,
            name,
            last,
            slash,
            inode,
        };
        if name.is_empty() {
            return Ok(found(Last::Root, Vec::new(), at.clone(), Some(at)));
        }
        if at.file_type() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        permission(&at.stat(), MAY_EXEC, cred)?;
        let next = match name {
            b"." => at.clone(),
            b".." => at.parent(),
            // `/proc` has no limit.
            name if name.len() > NAME_MAX && matches!(at, Inode::File(_)) => {
                return Err(Errno::ENAMETOOLONG);
            }
            name => match child(&at, name)? {
                Some(next) => next,
                None if is_last => {
                    return Ok(found(Last::Norm, try_concat(&[name])?, at, None));
                }
                None => return Err(Errno::ENOENT),
            },
        };
        if next.file_type() == FileType::Symlink && (!is_last || slash || follow) {
            links = links.saturating_add(1);
            if links > MAX_LINKS {
                return Err(Errno::ELOOP);
            }
            if let Some(jump) = jump(&next)? {
                // A link of `/proc` leads to the object itself, wherever that lies.
                if is_last {
                    return Ok(jump);
                }
                at = jump.inode.ok_or(Errno::ENOENT)?;
            } else {
                let target = next.link_target()?;
                if target.is_empty() {
                    return Err(Errno::ENOENT);
                }
                if target.starts_with(b"/") {
                    at = root();
                }
                rest = try_concat(&[&target, after])?;
                read = 0;
                continue;
            }
        } else if is_last {
            if slash && next.file_type() != FileType::Directory {
                return Err(Errno::ENOTDIR);
            }
            let last = match name {
                b"." => Last::Dot,
                b".." => Last::DotDot,
                _ => Last::Norm,
            };
            let name = try_concat(&[name])?;
            return Ok(found(last, name, at, Some(next)));
        } else {
            at = next;
        }
        read = read.saturating_add(skipped).saturating_add(length);
    }
}

/// Returns where a link of `/proc` leads without a search of directories, if it is such a link.
fn jump(link: &Inode) -> Result<Option<Found>, Errno> {
    match link {
        Inode::Proc(ProcInode::Exe(_)) => {
            walk(root(), &link.link_target()?, true, &Cred::ROOT).map(Some)
        }
        _ => Ok(None),
    }
}

/// Returns the object that `name` denotes in a directory.
fn child(directory: &Inode, name: &[u8]) -> Result<Option<Inode>, Errno> {
    match directory {
        Inode::File(_) if name == b"proc" && *directory == root() => {
            Ok(Some(Inode::Proc(ProcInode::Root)))
        }
        Inode::File(node) => Ok(node.child(name).map(Inode::File)),
        Inode::Proc(inode) => {
            let is_there = |inode| procfs::ops().is_some_and(|ops| (ops.is_there)(inode));
            if !is_there(*inode) {
                return Err(Errno::ENOENT);
            }
            let child = inode.child(name).filter(|child| is_there(*child));
            Ok(child.map(Inode::Proc))
        }
    }
}

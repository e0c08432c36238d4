//! open: from a path to an open file.
//!
//! Book: ch. 12, "The open() System Call". Linux: 2.6.38 `do_filp_open`, `do_last`, `may_open`.

use alloc::sync::Arc;

use super::cpio::FileType;
use super::file::*;
use super::kcov::Kcov;
use super::namei::{Last, lookup, walk};
use super::permission::{MAY_READ, MAY_WRITE, permission};
use super::proc_file::ProcFile;
use super::rootfs::{Inode, KCOV_DEVICE, TRACE_MARKER_DEVICE};
use super::stat::S_IFREG;
use super::tmpfs::attributes::set_size;
use super::tmpfs::namespace;
use super::tmpfs::node::Node;
use crate::base::errno::Errno;
use crate::task::cred::Cred;

/// Opens `path` from directory `from`. A file that O_CREAT or O_TMPFILE makes gets the permissions
/// `mode`.
///
/// # Errors
/// ENOENT, ENOTDIR, EISDIR, EACCES, ELOOP, EEXIST, ENXIO, ENAMETOOLONG, ETXTBSY, ENOSPC, ENOMEM;
/// EINVAL for O_TMPFILE without writing.
pub fn open(from: Inode, path: &[u8], flags: u32, mode: u32, cred: &Cred) -> Result<File, Errno> {
    let mode = S_IFREG | mode & 0o7777;
    if flags & O_TMPFILE == O_TMPFILE {
        if flags & O_ACCMODE == 0 {
            return Err(Errno::EINVAL);
        }
        let directory = lookup(from, path, true, cred)?;
        let Inode::File(parent) = &directory else {
            return Err(Errno::EOPNOTSUPP);
        };
        parent.names()?;
        permission(&directory.stat(), MAY_WRITE | 1, cred)?;
        let node = new_file(parent, mode, cred)?;
        return file_of(Inode::File(node), flags, cred, true);
    }
    let follow = flags & O_NOFOLLOW == 0;
    let (inode, is_new) = match flags & O_CREAT {
        0 => (lookup(from, path, follow, cred)?, false),
        _ => create(from, path, flags, mode, cred)?,
    };
    file_of(inode, flags, cred, is_new)
}

/// Finds the file, or makes it; returns also whether it is new.
fn create(
    from: Inode,
    path: &[u8],
    flags: u32,
    mode: u32,
    cred: &Cred,
) -> Result<(Inode, bool), Errno> {
    let exclusive = flags & O_EXCL != 0;
    let follow = !exclusive && flags & O_NOFOLLOW == 0;
    let mut found = walk(from.clone(), path, follow, cred)?;
    let mut locked = None;
    if found.inode.is_none() {
        // Once more, so that nobody else makes it meanwhile.
        locked = Some(namespace::lock());
        found = walk(from, path, follow, cred)?;
    }
    if found.last != Last::Norm || found.slash && found.inode.is_none() {
        return Err(Errno::EISDIR);
    }
    let result = match &found.inode {
        Some(_) if exclusive => Err(Errno::EEXIST),
        Some(inode) => Ok((inode.clone(), false)),
        None => namespace::add(&found, cred, |directory| new_file(directory, mode, cred))
            .map(|node| (Inode::File(node), true)),
    };
    drop(locked);
    result
}

/// Makes a regular file without a name, as it would be in `directory`.
///
/// # Errors
/// ENOSPC, ENOMEM.
pub fn new_file(directory: &Arc<Node>, mode: u32, cred: &Cred) -> Result<Arc<Node>, Errno> {
    let (mode, gid) = namespace::inherited(directory, mode, cred);
    Node::of_mode(mode, (0, 0), (cred.uid.fs, gid), directory, b"")
}

/// Opens an object. A new file may be opened whatever its permissions are.
fn file_of(inode: Inode, flags: u32, cred: &Cred, is_new: bool) -> Result<File, Errno> {
    let writes = flags & O_ACCMODE != 0 || flags & O_TRUNC != 0;
    match inode.file_type() {
        FileType::Symlink => return Err(Errno::ELOOP),
        FileType::Directory if writes || flags & O_CREAT != 0 => return Err(Errno::EISDIR),
        FileType::Directory => {}
        _ if flags & O_DIRECTORY != 0 && flags & O_TMPFILE != O_TMPFILE => {
            return Err(Errno::ENOTDIR);
        }
        _ => {}
    }
    let mut wanted = match flags & O_ACCMODE {
        0 => MAY_READ,
        1 => MAY_WRITE,
        _ => MAY_READ | MAY_WRITE,
    };
    if flags & O_TRUNC != 0 {
        wanted |= MAY_WRITE;
    }
    if !is_new {
        permission(&inode.stat(), wanted, cred)?;
    }
    let object = match (inode.file_type(), inode.rdev()) {
        (FileType::Regular, _) if let Inode::Proc(inode) = inode => {
            Object::Proc(ProcFile::new(inode))
        }
        (FileType::Regular, _) => return regular(inode, flags),
        (FileType::Directory, _) => Object::Inode(inode),
        (FileType::CharDevice, KCOV_DEVICE) => Object::Kcov(inode, Kcov::open()?),
        (FileType::CharDevice, TRACE_MARKER_DEVICE) => Object::TraceMarker(inode),
        (FileType::CharDevice, (1, 3)) => Object::Null(inode),
        (FileType::CharDevice, (1, 5)) => Object::Zero(inode),
        (FileType::CharDevice, (1, 7)) => Object::Full(inode),
        (FileType::CharDevice, (1, 8 | 9)) => Object::Random(inode),
        (FileType::CharDevice, (5, 0 | 1) | (4, 64)) => Object::Tty(inode),
        _ => return Err(Errno::ENXIO),
    };
    Ok(File::new(object, flags))
}

/// Opens a regular file of the tmpfs, and empties it with O_TRUNC.
fn regular(inode: Inode, flags: u32) -> Result<File, Errno> {
    let node = inode.node()?.clone();
    let writes = flags & O_ACCMODE != 0;
    if writes || flags & O_TRUNC != 0 {
        node.get_write_access()?;
    }
    if flags & O_TRUNC != 0 {
        let emptied = set_size(&node, 0);
        if !writes || emptied.is_err() {
            node.put_write_access();
        }
        emptied?;
    }
    Ok(File::new(Object::Inode(inode), flags))
}

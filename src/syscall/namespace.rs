//! mkdir, mknod, link, symlink, unlink, rmdir, rename: the names of files.
//!
//! Book: ch. 12, "Pathname Lookup". Linux: 2.6.38 `fs/namei.c`.

use alloc::vec::Vec;

use super::SysResult;
use super::paths::{AT_EMPTY_PATH, AT_FDCWD, fs, start_of};
use super::read_write::fget;
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::getname;
use crate::base::errno::Errno;
use crate::fs::file::Object;
use crate::fs::namei::{Found, walk};
use crate::fs::rootfs::{Inode, new_symlink};
use crate::fs::stat::{S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK};
use crate::fs::tmpfs::namespace::{self, RENAME_EXCHANGE, RENAME_NOREPLACE, inherited};
use crate::fs::tmpfs::node::Node;
use crate::task::cred::Cred;

const AT_REMOVEDIR: u32 = 0x200;
const AT_SYMLINK_FOLLOW: u32 = 0x400;

/// A path that has been read, and the directory that it begins in.
struct Path {
    start: Inode,
    bytes: Vec<u8>,
}

impl Path {
    fn read(dirfd: u32, path: u32) -> Result<Self, Errno> {
        let bytes = getname(path)?;
        let start = start_of(dirfd, &bytes)?;
        Ok(Self { start, bytes })
    }

    /// Walks the path, without following a link at its end.
    fn walk(&self, cred: &Cred) -> Result<Found, Errno> {
        walk(self.start.clone(), &self.bytes, false, cred)
    }
}

/// Makes a directory.
///
/// # Errors
/// EEXIST, ENOENT, EACCES, ENOSPC, ENOMEM, those of a lookup.
pub fn sys_mkdir(path: u32, mode: u32) -> SysResult {
    sys_mkdirat(AT_FDCWD, path, mode)
}

/// Makes a directory, from directory `dirfd`.
pub fn sys_mkdirat(dirfd: u32, path: u32, mode: u32) -> SysResult {
    make(dirfd, path, S_IFDIR | mode & 0o1777, 0)
}

/// Makes a file, a device or a pipe with a name.
///
/// # Errors
/// EPERM (a directory, or a device without privilege), EINVAL for an unknown type; those of mkdir.
pub fn sys_mknod(path: u32, mode: u32, dev: u32) -> SysResult {
    sys_mknodat(AT_FDCWD, path, mode, dev)
}

/// Makes a file, a device or a pipe, from directory `dirfd`.
pub fn sys_mknodat(dirfd: u32, path: u32, mode: u32, dev: u32) -> SysResult {
    let mode = match mode & S_IFMT {
        0 => S_IFREG | mode & 0o7777,
        _ => mode & (S_IFMT | 0o7777),
    };
    match mode & S_IFMT {
        S_IFDIR => Err(Errno::EPERM),
        S_IFCHR | S_IFBLK if !current().cred().capable() => Err(Errno::EPERM),
        S_IFREG | S_IFCHR | S_IFBLK | S_IFIFO | S_IFSOCK => make(dirfd, path, mode, dev),
        _ => Err(Errno::EINVAL),
    }
}

fn make(dirfd: u32, path: u32, mode: u32, dev: u32) -> SysResult {
    let cred = current().cred();
    let path = Path::read(dirfd, path)?;
    let umask = fs()?.current_umask();
    let rdev = (dev >> 8 & 0xfff, dev & 0xff | dev >> 12 & 0xfff00);
    let _locked = namespace::lock();
    let found = path.walk(&cred)?;
    if found.slash && mode & S_IFMT != S_IFDIR && found.inode.is_none() {
        return Err(Errno::ENOENT);
    }
    namespace::add(&found, &cred, |directory| {
        let (mode, gid) = inherited(directory, mode & !umask, &cred);
        Node::of_mode(mode, rdev, (cred.uid.fs, gid), directory, &found.name)
    })?;
    Ok(0)
}

/// Makes a symbolic link to `target` at `path`.
///
/// # Errors
/// ENOENT for an empty target; those of mkdir.
pub fn sys_symlink(target: u32, path: u32) -> SysResult {
    sys_symlinkat(target, AT_FDCWD, path)
}

/// Makes a symbolic link, from directory `dirfd`.
pub fn sys_symlinkat(target: u32, dirfd: u32, path: u32) -> SysResult {
    let target = getname(target)?;
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    let cred = current().cred();
    let path = Path::read(dirfd, path)?;
    let _locked = namespace::lock();
    let found = path.walk(&cred)?;
    if found.slash && found.inode.is_none() {
        return Err(Errno::ENOENT);
    }
    namespace::add(&found, &cred, |directory| {
        let gid = inherited(directory, 0, &cred).1;
        new_symlink(&target, cred.uid.fs, gid)
    })?;
    Ok(0)
}

/// Gives the file at `old` one more name, `new`.
///
/// # Errors
/// EEXIST, EPERM for a directory, EXDEV; those of mkdir.
pub fn sys_link(old: u32, new: u32) -> SysResult {
    sys_linkat(AT_FDCWD, old, AT_FDCWD, new, 0)
}

/// Gives a file one more name, both from directories.
///
/// # Errors
/// EINVAL for unknown flags; those of link.
pub fn sys_linkat(old_dirfd: u32, old: u32, dirfd: u32, new: u32, flags: u32) -> SysResult {
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let cred = current().cred();
    let old_path = getname(old)?;
    let old = match old_path.is_empty() && flags & AT_EMPTY_PATH != 0 {
        true => match &fget(old_dirfd)?.object {
            Object::Inode(inode) => inode.clone(),
            _ => return Err(Errno::EXDEV),
        },
        false => {
            let start = start_of(old_dirfd, &old_path)?;
            let found = walk(start, &old_path, flags & AT_SYMLINK_FOLLOW != 0, &cred)?;
            found.inode.ok_or(Errno::ENOENT)?
        }
    };
    let path = Path::read(dirfd, new)?;
    let _locked = namespace::lock();
    let found = path.walk(&cred)?;
    if found.slash && found.inode.is_none() {
        return Err(Errno::ENOENT);
    }
    namespace::link(&found, &old, &cred).map(|()| 0)
}

/// Removes a name that is no directory's.
///
/// # Errors
/// ENOENT, EISDIR, EACCES, EPERM (sticky directory), EBUSY; those of a lookup.
pub fn sys_unlink(path: u32) -> SysResult {
    remove(AT_FDCWD, path, false)
}

/// Removes an empty directory.
///
/// # Errors
/// ENOTEMPTY, ENOTDIR, EINVAL for `.`; those of unlink.
pub fn sys_rmdir(path: u32) -> SysResult {
    remove(AT_FDCWD, path, true)
}

/// Removes a name, from directory `dirfd`; a directory's with AT_REMOVEDIR.
pub fn sys_unlinkat(dirfd: u32, path: u32, flags: u32) -> SysResult {
    match flags {
        0 => remove(dirfd, path, false),
        AT_REMOVEDIR => remove(dirfd, path, true),
        _ => Err(Errno::EINVAL),
    }
}

fn remove(dirfd: u32, path: u32, is_directory: bool) -> SysResult {
    let cred = current().cred();
    let path = Path::read(dirfd, path)?;
    // Dropped last: the end of a large file takes long.
    let found;
    let _locked = namespace::lock();
    found = path.walk(&cred)?;
    namespace::remove(&found, is_directory, &cred).map(|()| 0)
}

/// Moves a name.
///
/// # Errors
/// ENOENT, EBUSY, EINVAL, ENOTDIR, EISDIR, ENOTEMPTY, EXDEV, EACCES, EPERM; those of a lookup.
pub fn sys_rename(old: u32, new: u32) -> SysResult {
    sys_renameat2(AT_FDCWD, old, AT_FDCWD, new, 0)
}

/// Moves a name, both from directories.
pub fn sys_renameat(old_dirfd: u32, old: u32, dirfd: u32, new: u32) -> SysResult {
    sys_renameat2(old_dirfd, old, dirfd, new, 0)
}

/// Moves a name as renameat does, or exchanges two, or refuses to replace a file.
///
/// # Errors
/// EINVAL for other flags; EEXIST.
pub fn sys_renameat2(old_dirfd: u32, old: u32, dirfd: u32, new: u32, flags: u32) -> SysResult {
    let known = RENAME_NOREPLACE | RENAME_EXCHANGE;
    if flags & !known != 0 || flags == known {
        return Err(Errno::EINVAL);
    }
    let cred = current().cred();
    let (old, new) = (Path::read(old_dirfd, old)?, Path::read(dirfd, new)?);
    let both;
    let _locked = namespace::lock();
    both = (old.walk(&cred)?, new.walk(&cred)?);
    namespace::rename(&both.0, &both.1, flags, &cred).map(|()| 0)
}

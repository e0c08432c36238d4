//! Changing the attributes of a node: permissions, owner, times, size.
//!
//! Linux: 2.6.38 `fs/attr.c` (`inode_change_ok`), `fs/open.c`, `fs/utimes.c`.

use super::file_io::max_size;
use super::node::{ATIME, CTIME, MTIME, Node, now};
use super::pages::{MAX_LFS_FILESIZE, truncate};
use crate::base::errno::Errno;
use crate::fs::permission::{MAY_WRITE, permission};
use crate::fs::stat::{S_IFMT, S_ISGID, S_ISUID};
use crate::task::cred::Cred;

/// A new time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetTime {
    /// The time stays.
    Omit,
    /// The present.
    Now,
    /// Nanoseconds since 1970.
    At(u64),
}

fn owns(node: &Node, cred: &Cred) -> bool {
    node.attributes().uid == cred.uid.fs || cred.capable()
}

/// Sets the permissions of a node.
///
/// # Errors
/// EPERM.
pub fn chmod(node: &Node, mode: u32, cred: &Cred) -> Result<(), Errno> {
    if !owns(node, cred) {
        return Err(Errno::EPERM);
    }
    node.change(|it| {
        let mut mode = mode & 0o7777;
        if it.gid != cred.gid.fs && !cred.capable() {
            mode &= !S_ISGID;
        }
        it.mode = it.mode & S_IFMT | mode;
    });
    node.touch(&[CTIME]);
    Ok(())
}

/// Sets the owner and the group of a node; `u32::MAX` leaves either as it is.
///
/// # Errors
/// EPERM.
pub fn chown(node: &Node, uid: u32, gid: u32, cred: &Cred) -> Result<(), Errno> {
    let old = node.attributes();
    let new = |id: u32, old: u32| if id == u32::MAX { old } else { id };
    let (new_uid, new_gid) = (new(uid, old.uid), new(gid, old.gid));
    let mine = old.uid == cred.uid.fs;
    let may_user = uid == u32::MAX || mine && new_uid == old.uid;
    let may_group = gid == u32::MAX || mine && (new_gid == old.gid || new_gid == cred.gid.fs);
    if !(cred.capable() || may_user && may_group) {
        return Err(Errno::EPERM);
    }
    node.change(|it| {
        (it.uid, it.gid) = (new_uid, new_gid);
        if !node.is_directory() {
            it.mode &= !S_ISUID;
            if it.mode & 0o010 != 0 {
                it.mode &= !S_ISGID;
            }
        }
    });
    node.touch(&[CTIME]);
    Ok(())
}

/// Sets the times of the last access and the last change.
///
/// # Errors
/// EPERM; EACCES where both become the present and the file may not be written.
pub fn utimes(node: &Node, times: [SetTime; 2], cred: &Cred) -> Result<(), Errno> {
    if times == [SetTime::Now; 2] {
        if !owns(node, cred) {
            permission(&node.stat(), MAY_WRITE, cred)?;
        }
    } else if !owns(node, cred) {
        return Err(Errno::EPERM);
    }
    let present = now();
    node.change(|it| {
        for (index, time) in [ATIME, MTIME].into_iter().zip(times) {
            match time {
                SetTime::Omit => {}
                SetTime::Now => it.times[index] = present,
                SetTime::At(time) => it.times[index] = time,
            }
        }
        it.times[CTIME] = present;
    });
    Ok(())
}

/// Sets the size of a regular file, which the caller may write.
///
/// # Errors
/// EINVAL for anything else; EFBIG, also if the file would grow beyond `RLIMIT_FSIZE`.
pub fn set_size(node: &Node, size: u64) -> Result<(), Errno> {
    let pages = node.pages().ok_or(Errno::EINVAL)?;
    if size > MAX_LFS_FILESIZE {
        return Err(Errno::EFBIG);
    }
    let _locked = node.mutex.lock();
    if size > pages.size().max(max_size()) {
        return Err(Errno::EFBIG);
    }
    truncate(pages, size);
    super::file_io::file_remove_suid(node);
    node.touch(&[MTIME, CTIME]);
    Ok(())
}

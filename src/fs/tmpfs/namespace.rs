//! Names: making, moving and removing them.
//!
//! One mutex serializes all changes, so a check stays true until the change is made. Lookups go on
//! meanwhile, with only a directory's own lock. Nodes that lose their last name are dropped after
//! all locks are released.
//!
//! Book: ch. 12, "Pathname Lookup". Linux: 2.6.38 `fs/namei.c` (`vfs_create`, `vfs_link`,
//! `vfs_unlink`, `vfs_rename`, `may_delete`).

use alloc::sync::Arc;

use super::node::{CTIME, MTIME, Node};
use crate::base::errno::Errno;
use crate::fs::namei::{Found, Last};
use crate::fs::permission::{MAY_EXEC, MAY_WRITE, permission};
use crate::fs::rootfs::{Inode, root};
use crate::fs::stat::{S_IFDIR, S_IFMT, S_ISGID, S_ISVTX};
use crate::mm::fallible::try_concat;
use crate::sched::mutex::{Mutex, MutexGuard};
use crate::task::cred::Cred;

static NAMESPACE: Mutex = Mutex::new();

/// Keeps all names as they are, but for the holder's own changes.
pub fn lock() -> MutexGuard<'static> {
    NAMESPACE.lock()
}

/// Fails unless `cred` may change names in a directory that still exists.
fn may_change(directory: &Node, cred: &Cred) -> Result<(), Errno> {
    let is_dead = directory.names()?.lock().is_dead;
    if is_dead {
        return Err(Errno::ENOENT);
    }
    permission(&directory.stat(), MAY_WRITE | MAY_EXEC, cred)
}

/// Fails unless `cred` may remove the name of `victim`, which must be a directory or must be none.
fn may_delete(
    directory: &Node,
    victim: &Inode,
    is_directory: bool,
    cred: &Cred,
) -> Result<(), Errno> {
    let of_directory = directory.attributes();
    permission(&directory.stat(), MAY_WRITE | MAY_EXEC, cred)?;
    let owner = victim.stat().uid;
    let is_sticky = of_directory.mode & S_ISVTX != 0;
    let mine = [owner, of_directory.uid].contains(&cred.uid.fs);
    if is_sticky && !mine && !cred.capable() {
        return Err(Errno::EPERM);
    }
    match (is_directory, victim.stat().mode & S_IFMT == S_IFDIR) {
        (true, false) => return Err(Errno::ENOTDIR),
        (false, true) => return Err(Errno::EISDIR),
        _ => {}
    }
    match victim {
        Inode::File(_) if *victim != root() => Ok(()),
        // The root, and whatever is mounted.
        _ => Err(Errno::EBUSY),
    }
}

/// Returns the mode and the group of a new node: a directory with the set-group-ID bit passes its
/// group on.
pub fn inherited(directory: &Node, mode: u32, cred: &Cred) -> (u32, u32) {
    let parent = directory.attributes();
    match (parent.mode & S_ISGID != 0, mode & S_IFMT == S_IFDIR) {
        (true, true) => (mode | S_ISGID, parent.gid),
        (true, false) => (mode, parent.gid),
        (false, _) => (mode, cred.gid.fs),
    }
}

/// Gives a new node the name that `found` lacks; `make` makes the node in the directory. The caller
/// holds the lock, and has looked the name up under it.
///
/// # Errors
/// EEXIST, ENOENT, EACCES, EPERM (below `/proc`), ENOSPC, ENOMEM.
pub fn add(
    found: &Found,
    cred: &Cred,
    make: impl FnOnce(&Arc<Node>) -> Result<Arc<Node>, Errno>,
) -> Result<Arc<Node>, Errno> {
    if found.inode.is_some() {
        return Err(Errno::EEXIST);
    }
    let Inode::File(directory) = &found.directory else {
        return Err(Errno::ENOENT);
    };
    may_change(directory, cred)?;
    let node = make(directory)?;
    attach(directory, &found.name, node.clone())?;
    Ok(node)
}

/// Puts a name into a directory and counts it.
fn attach(directory: &Node, name: &[u8], node: Arc<Node>) -> Result<(), Errno> {
    let is_directory = node.is_directory();
    directory.names()?.lock().names.insert(name, node.clone())?;
    let links = if is_directory { 2 } else { 1 };
    node.change(|it| it.nlink = it.nlink.saturating_add(links));
    if is_directory {
        directory.change(|it| it.nlink = it.nlink.saturating_add(1));
    }
    directory.touch(&[MTIME, CTIME]);
    Ok(())
}

/// Counts a name of `node` less, after it was removed from `directory`.
fn detached(directory: &Node, node: &Node) {
    let is_directory = node.is_directory();
    let links = if is_directory { 2 } else { 1 };
    node.change(|it| it.nlink = it.nlink.saturating_sub(links));
    node.touch(&[CTIME]);
    if is_directory {
        directory.change(|it| it.nlink = it.nlink.saturating_sub(1));
    }
    directory.touch(&[MTIME, CTIME]);
}

/// Gives an existing node one more name. The caller holds the lock.
///
/// # Errors
/// EEXIST, EPERM (a directory), EXDEV (below `/proc`), and those of [`add`].
pub fn link(found: &Found, old: &Inode, cred: &Cred) -> Result<(), Errno> {
    match (&found.inode, &found.directory, old) {
        (Some(_), ..) => return Err(Errno::EEXIST),
        (None, Inode::File(_), Inode::File(_)) => {}
        _ => return Err(Errno::EXDEV),
    }
    let old = old.node()?;
    if let Inode::File(directory) = &found.directory {
        may_change(directory, cred)?;
    }
    if old.is_directory() {
        return Err(Errno::EPERM);
    }
    add(found, cred, |_| Ok(old.clone()))?;
    old.touch(&[CTIME]);
    Ok(())
}

/// Removes the name that was found, of a directory or of anything else. The caller holds the lock.
///
/// # Errors
/// ENOENT, ENOTDIR, EISDIR, EINVAL, ENOTEMPTY, EBUSY, EACCES, EPERM.
pub fn remove(found: &Found, is_directory: bool, cred: &Cred) -> Result<(), Errno> {
    match (found.last, is_directory) {
        (Last::Norm, _) => {}
        (Last::Dot, true) => return Err(Errno::EINVAL),
        (Last::DotDot, true) => return Err(Errno::ENOTEMPTY),
        (Last::Root, true) => return Err(Errno::EBUSY),
        (_, false) => return Err(Errno::EISDIR),
    }
    let victim = found.inode.as_ref().ok_or(Errno::ENOENT)?;
    let Inode::File(directory) = &found.directory else {
        return Err(Errno::EPERM);
    };
    if !is_directory && found.slash {
        return Err(Errno::EISDIR);
    }
    may_delete(directory, victim, is_directory, cred)?;
    let node = victim.node()?;
    if is_directory {
        let mut names = node.names()?.lock();
        if !names.names.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        names.is_dead = true;
    }
    let gone = directory.names()?.lock().names.remove(&found.name);
    detached(directory, node);
    drop(gone);
    Ok(())
}

/// Fails unless the name is free, or may be taken.
pub const RENAME_NOREPLACE: u32 = 1;
/// Exchanges two names.
pub const RENAME_EXCHANGE: u32 = 2;

/// Moves the name `old` to `new`, whose object it replaces. The caller holds the lock.
///
/// # Errors
/// ENOENT, EEXIST, EBUSY, EINVAL, ENOTDIR, EISDIR, ENOTEMPTY, EXDEV, EACCES, EPERM, ENOMEM.
pub fn rename(old: &Found, new: &Found, flags: u32, cred: &Cred) -> Result<(), Errno> {
    let (Inode::File(from), Inode::File(to)) = (&old.directory, &new.directory) else {
        let both = (&old.directory, &new.directory);
        return Err(match both {
            (Inode::Proc(_), Inode::Proc(_)) => Errno::EPERM,
            _ => Errno::EXDEV,
        });
    };
    if old.last != Last::Norm || new.last != Last::Norm {
        return Err(Errno::EBUSY);
    }
    let moved = old.inode.as_ref().ok_or(Errno::ENOENT)?;
    let exchanges = flags & RENAME_EXCHANGE != 0;
    match &new.inode {
        Some(_) if flags & RENAME_NOREPLACE != 0 => return Err(Errno::EEXIST),
        None if exchanges => return Err(Errno::ENOENT),
        _ => {}
    }
    let is_directory = moved.stat().mode & S_IFMT == S_IFDIR;
    if !is_directory && !exchanges && (old.slash || new.slash) {
        return Err(Errno::ENOTDIR);
    }
    if contains(moved, to) {
        return Err(Errno::EINVAL);
    }
    if let Some(target) = &new.inode
        && contains(target, from)
    {
        return Err(if exchanges {
            Errno::EINVAL
        } else {
            Errno::ENOTEMPTY
        });
    }
    if new.inode.as_ref() == Some(moved) {
        return Ok(());
    }
    may_delete(from, moved, is_directory, cred)?;
    match &new.inode {
        None => may_change(to, cred)?,
        Some(target) if exchanges => {
            may_delete(to, target, target.stat().mode & S_IFMT == S_IFDIR, cred)?;
        }
        Some(target) => may_delete(to, target, is_directory, cred)?,
    }
    let moves = !Arc::ptr_eq(from, to);
    if is_directory && moves {
        // Its `..` changes.
        permission(&moved.stat(), MAY_WRITE, cred)?;
    }
    let moved = moved.node()?;
    match &new.inode {
        Some(target) if exchanges => exchange(old, new, (from, moved), (to, target.node()?))?,
        Some(target) => replace(old, new, (from, moved), (to, target.node()?))?,
        None => {
            // The new name first: the old one stays if there is no memory.
            place(moved, to, &new.name)?;
            let inserted = to.names()?.lock().names.insert(&new.name, moved.clone());
            if let Err(errno) = inserted {
                place(moved, from, &old.name)?;
                return Err(errno);
            }
            drop_old(from, &old.name)?;
            if is_directory && moves {
                from.change(|it| it.nlink = it.nlink.saturating_sub(1));
                to.change(|it| it.nlink = it.nlink.saturating_add(1));
            }
        }
    }
    moved.touch(&[CTIME]);
    from.touch(&[MTIME, CTIME]);
    to.touch(&[MTIME, CTIME]);
    Ok(())
}

fn drop_old(directory: &Node, name: &[u8]) -> Result<(), Errno> {
    let gone = directory.names()?.lock().names.remove(name);
    drop(gone);
    Ok(())
}

/// Tells a directory its new place; nothing for other nodes.
fn place(node: &Node, directory: &Arc<Node>, name: &[u8]) -> Result<(), Errno> {
    if let Ok(names) = node.names() {
        let place = Some((directory.clone(), try_concat(&[name])?));
        let before = core::mem::replace(&mut names.lock().parent, place);
        drop(before);
    }
    Ok(())
}

/// A directory, and a node in it.
type Placed<'a> = (&'a Arc<Node>, &'a Arc<Node>);

fn replace(
    old: &Found,
    new: &Found,
    (from, moved): Placed<'_>,
    (to, target): Placed<'_>,
) -> Result<(), Errno> {
    if let Ok(names) = target.names() {
        let mut names = names.lock();
        if !names.names.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        names.is_dead = true;
    }
    place(moved, to, &new.name).inspect_err(|_| revive(target))?;
    let gone = to.names()?.lock().names.replace(&new.name, moved.clone());
    drop_old(from, &old.name)?;
    detached(to, target);
    if moved.is_directory() {
        from.change(|it| it.nlink = it.nlink.saturating_sub(1));
        to.change(|it| it.nlink = it.nlink.saturating_add(1));
    }
    drop(gone);
    Ok(())
}

fn revive(node: &Node) {
    if let Ok(names) = node.names() {
        names.lock().is_dead = false;
    }
}

fn exchange(
    old: &Found,
    new: &Found,
    (from, moved): Placed<'_>,
    (to, target): Placed<'_>,
) -> Result<(), Errno> {
    place(moved, to, &new.name)?;
    place(target, from, &old.name)?;
    let one = to.names()?.lock().names.replace(&new.name, moved.clone());
    let other = from
        .names()?
        .lock()
        .names
        .replace(&old.name, target.clone());
    drop((one, other));
    if moved.is_directory() != target.is_directory() {
        let (less, more) = match moved.is_directory() {
            true => (from, to),
            false => (to, from),
        };
        less.change(|it| it.nlink = it.nlink.saturating_sub(1));
        more.change(|it| it.nlink = it.nlink.saturating_add(1));
    }
    target.touch(&[CTIME]);
    Ok(())
}

/// Returns whether `node` is `directory` or contains it.
fn contains(node: &Inode, directory: &Arc<Node>) -> bool {
    let mut at = Inode::File(directory.clone());
    loop {
        if at == *node {
            return true;
        }
        let up = at.parent();
        if up == at {
            return false;
        }
        at = up;
    }
}

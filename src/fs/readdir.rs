//! getdents64: the entries of a directory.
//!
//! Book: ch. 12, "The Virtual Filesystem". Linux: 2.6.38 `fs/readdir.c`, `fs/libfs.c`.

use super::procfs::{self, ProcInode};
use super::rootfs::{Inode, root};
use super::stat::{Stat, d_type, put_dirent64};
use super::tmpfs::directory::FIRST;
use super::tmpfs::node::Node;
use crate::arch::x86::entry::uaccess::copy_to_user;
use crate::base::errno::Errno;
use crate::mm::fallible::{try_concat, try_to_string};

/// Writes the entries of `directory` from position `at` on to the `count` bytes at user address
/// `to`. Returns the number of bytes written, and the position after the last entry.
///
/// # Errors
/// ENOTDIR, EINVAL (there is no room for one entry), EFAULT, ENOENT, ENOMEM.
pub fn getdents64(directory: &Inode, to: u32, count: u32, at: u64) -> Result<(u32, u64), Errno> {
    let mut out = Dirents {
        to,
        count,
        used: 0,
        position: at,
    };
    if let Inode::File(node) = directory {
        let is_dead = node.names()?.lock().is_dead;
        if is_dead {
            return Err(Errno::ENOENT);
        }
    }
    if out.put_dots(directory)? {
        match directory {
            Inode::File(node) => {
                out.put_nodes(directory, node)?;
                node.accessed();
            }
            Inode::Proc(inode) if inode.is_directory() => out.put_proc_entries(*inode)?,
            Inode::Proc(_) => return Err(Errno::ENOTDIR),
        }
    }
    Ok((out.used, out.position))
}

/// Progress of getdents64.
struct Dirents {
    /// User address of the buffer, and its size in bytes.
    to: u32,
    count: u32,
    /// Number of bytes written.
    used: u32,
    /// Position of the next entry.
    position: u64,
}

/// Position in `/proc` of the directory of process 0, which does not exist. Names that are not
/// numbers have lower positions.
const FIRST_PROCESS: u64 = 256;

impl Dirents {
    /// Writes one entry, after which the directory continues at `next`; returns false if it does
    /// not fit. Fails with EINVAL if it is the first one.
    fn put(&mut self, name: &[u8], inode: &Stat, next: u64) -> Result<bool, Errno> {
        let mut buffer = [0; 288];
        let entry = put_dirent64(&mut buffer, 0, inode.ino, next, d_type(inode.mode), name);
        let room = self.count.saturating_sub(self.used);
        let Some(length) = entry.filter(|length| *length as u32 <= room) else {
            return if self.used == 0 {
                Err(Errno::EINVAL)
            } else {
                Ok(false)
            };
        };
        copy_to_user(self.to.wrapping_add(self.used), &buffer[..length])?;
        self.used = self.used.saturating_add(length as u32);
        self.position = next;
        Ok(true)
    }

    /// Writes `.` or `..` if the position is theirs; returns false if it does not fit.
    fn put_dots(&mut self, directory: &Inode) -> Result<bool, Errno> {
        while self.position < FIRST {
            let (name, inode): (&[u8], _) = match self.position {
                0 => (b".", directory.clone()),
                _ => (b"..", directory.parent()),
            };
            if !self.put(name, &inode.stat(), self.position.saturating_add(1))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn put_nodes(&mut self, directory: &Inode, node: &Node) -> Result<(), Errno> {
        let is_root = *directory == root();
        loop {
            // The name is copied out, since user memory may have to be brought in.
            let next = {
                let names = node.names()?.lock();
                let entry = names.names.from_number(self.position);
                entry.map(|it| {
                    Ok::<_, Errno>((it.number, try_concat(&[&it.name])?, it.value.clone()))
                })
            };
            let Some((number, name, child)) = next.transpose()? else {
                return Ok(());
            };
            let inode = match is_root && name == b"proc" {
                true => Inode::Proc(ProcInode::Root),
                false => Inode::File(child),
            };
            if !self.put(&name, &inode.stat(), number.saturating_add(1))? {
                return Ok(());
            }
        }
    }

    fn put_proc_entries(&mut self, directory: ProcInode) -> Result<(), Errno> {
        let Some(ops) = procfs::ops() else {
            return Ok(());
        };
        if !(ops.is_there)(directory) {
            return Err(Errno::ENOENT);
        }
        let first = usize::try_from(self.position.saturating_sub(FIRST)).unwrap_or(usize::MAX);
        for (name, inode) in directory.fixed_children().skip(first) {
            let inode = Inode::Proc(inode);
            let next = self.position.saturating_add(1);
            if !self.put(name.as_bytes(), &inode.stat(), next)? {
                return Ok(());
            }
        }
        let after = self.position.saturating_sub(FIRST_PROCESS);
        let mut after = i32::try_from(after).unwrap_or(i32::MAX);
        while let Some(id) = (ops.next_id)(directory, after) {
            let inode = Inode::Proc(directory.numbered(id));
            let next = FIRST_PROCESS.saturating_add(id as u64);
            if !self.put(try_to_string(id)?.as_bytes(), &inode.stat(), next)? {
                break;
            }
            after = id;
        }
        Ok(())
    }
}

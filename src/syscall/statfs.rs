//! statfs, fstatfs: how much room a file system has.
//!
//! Linux: 2.6.38 `fs/statfs.c`, `asm/statfs.h`.

use super::SysResult;
use super::paths::{AT_FDCWD, lookup};
use super::read_write::fget;
use crate::arch::x86::entry::uaccess::put_user;
use crate::base::errno::Errno;
use crate::fs::file::{File, Object};
use crate::fs::rootfs::Inode;
use crate::fs::tmpfs::quota::{BLOCKS, INODES};
use crate::hw::pte::PAGE_SIZE;

const TMPFS_MAGIC: u32 = 0x0102_1994;
const PROC_SUPER_MAGIC: u32 = 0x9fa0;
const PIPEFS_MAGIC: u32 = 0x5049_5045;
const ANON_INODE_FS_MAGIC: u32 = 0x0904_1934;
const NAME_MAX: u32 = 255;

/// A file system: its magic number; used blocks and their limit; used nodes and their limit.
struct Room {
    magic: u32,
    blocks: (u32, u32),
    nodes: (u32, u32),
}

impl Room {
    fn without(magic: u32) -> Self {
        Self {
            magic,
            blocks: (0, 0),
            nodes: (0, 0),
        }
    }

    fn of_inode(inode: &Inode) -> Self {
        match inode {
            Inode::File(_) => Self {
                magic: TMPFS_MAGIC,
                blocks: BLOCKS.usage(),
                nodes: INODES.usage(),
            },
            Inode::Proc(_) => Self::without(PROC_SUPER_MAGIC),
        }
    }

    fn of_file(file: &File) -> Self {
        match &file.object {
            Object::Inode(inode) | Object::Null(inode) | Object::Zero(inode) => {
                Self::of_inode(inode)
            }
            Object::Full(inode) | Object::Random(inode) | Object::Tty(inode) => {
                Self::of_inode(inode)
            }
            Object::Proc(_) => Self::without(PROC_SUPER_MAGIC),
            Object::PipeReader(_) | Object::PipeWriter(_) => Self::without(PIPEFS_MAGIC),
            _ => Self::without(ANON_INODE_FS_MAGIC),
        }
    }

    /// Stores a `struct statfs`.
    fn put(&self, buffer: u32) -> SysResult {
        let free = |(used, limit): (u32, u32)| limit.saturating_sub(used);
        let blocks = free(self.blocks);
        let mut words = [0u32; 16];
        words[..2].copy_from_slice(&[self.magic, PAGE_SIZE]);
        words[2..5].copy_from_slice(&[self.blocks.1, blocks, blocks]);
        words[5..7].copy_from_slice(&[self.nodes.1, free(self.nodes)]);
        words[9..11].copy_from_slice(&[NAME_MAX, PAGE_SIZE]);
        put_user(buffer, words).map(|()| 0)
    }

    /// Stores a `struct statfs64` of 84 bytes.
    fn put64(&self, buffer: u32) -> SysResult {
        let free = |(used, limit): (u32, u32)| limit.saturating_sub(used);
        let blocks = free(self.blocks);
        let mut words = [0u32; 21];
        words[..2].copy_from_slice(&[self.magic, PAGE_SIZE]);
        let wide = [
            self.blocks.1,
            blocks,
            blocks,
            self.nodes.1,
            free(self.nodes),
        ];
        for (word, value) in words[2..12].chunks_mut(2).zip(wide) {
            word[0] = value;
        }
        words[14..16].copy_from_slice(&[NAME_MAX, PAGE_SIZE]);
        put_user(buffer, words).map(|()| 0)
    }
}

/// Tells the room of the file system of the file at a path.
///
/// # Errors
/// EFAULT; those of a lookup.
pub fn sys_statfs(path: u32, buffer: u32) -> SysResult {
    Room::of_inode(&lookup(AT_FDCWD, path, true)?).put(buffer)
}

/// Tells the room of the file system of an open file.
pub fn sys_fstatfs(fd: u32, buffer: u32) -> SysResult {
    Room::of_file(&*fget(fd)?).put(buffer)
}

/// Tells the room of a file system in 64 bits. EINVAL unless `size` is that of the structure.
pub fn sys_statfs64(path: u32, size: u32, buffer: u32) -> SysResult {
    check_size(size)?;
    Room::of_inode(&lookup(AT_FDCWD, path, true)?).put64(buffer)
}

/// Tells the room of the file system of an open file in 64 bits.
pub fn sys_fstatfs64(fd: u32, size: u32, buffer: u32) -> SysResult {
    check_size(size)?;
    Room::of_file(&*fget(fd)?).put64(buffer)
}

fn check_size(size: u32) -> Result<(), Errno> {
    // With and without the padding that x86-64's compiler adds.
    match size {
        84 | 88 => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

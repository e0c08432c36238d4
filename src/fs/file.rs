//! Open files: what a descriptor leads to.
//!
//! All descriptors copied from one `open` share a [`File`]: one position and one set of status
//! flags.
//!
//! System calls use it, with no lock held.
//!
//! Book: ch. 12, "File Objects". Linux: 2.6.38 `struct file`, `fs/read_write.c`, `fs/open.c`.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use super::cpio::FileType;
use super::epoll::EventPoll;
use super::kcov::Kcov;
use super::perf_event::PerfEventFile;
use super::permission::{MAY_READ, MAY_WRITE, permission};
use super::pipe::{Pipe, PipeReader, PipeWriter};
use super::poll_events::PollEvents;
use super::proc_file::ProcFile;
use super::procfs::{self, ProcInode};
use super::rootfs::{self, Inode, KCOV_DEVICE, TRACE_MARKER_DEVICE};
use super::stat::{S_IFIFO, S_IFMT, S_IFREG, Stat, d_type, put_dirent64};
use super::{random, trace_marker, tty};
use crate::arch::x86::entry::uaccess::{access_ok, clear_user, copy_to_user, put_user};
use crate::base::errno::Errno;
use crate::mm::fallible::try_to_string;
use crate::sync::{LockClass, SpinLock};
use crate::task::cred::Cred;

/// Largest number of bytes that a call moves (`MAX_RW_COUNT`).
pub const MAX_RW_COUNT: u32 = 0x7fff_f000;
/// Mask of the access mode: 0 reading, 1 writing, 2 both.
pub const O_ACCMODE: u32 = 0o3;
/// Open for writing only.
pub const O_WRONLY: u32 = 0o1;
/// Create the file if it is missing.
pub const O_CREAT: u32 = 0o100;
/// With `O_CREAT`: the file must not exist.
pub const O_EXCL: u32 = 0o200;
/// Truncate the file to length 0.
pub const O_TRUNC: u32 = 0o1000;
/// Writes go to the end of the file.
pub const O_APPEND: u32 = 0o2000;
/// Never wait.
pub const O_NONBLOCK: u32 = 0o4000;
/// The path must lead to a directory.
pub const O_DIRECTORY: u32 = 0o200_000;
/// The path must not end in a symbolic link.
pub const O_NOFOLLOW: u32 = 0o400_000;
/// Exec closes the descriptor.
pub const O_CLOEXEC: u32 = 0o2_000_000;

const FIONREAD: u32 = 0x541b;
const FIONBIO: u32 = 0x5421;

/// The object behind an open file.
pub enum Object {
    /// A regular file or a directory of the initramfs.
    Inode(Inode),
    /// A file of `/proc`.
    Proc(ProcFile),
    /// `/dev/null`.
    Null(Inode),
    /// `/dev/zero`.
    Zero(Inode),
    /// `/dev/urandom`.
    Random(Inode),
    /// The console.
    Tty(Inode),
    /// The reading end of a pipe.
    PipeReader(PipeReader),
    /// The writing end of a pipe.
    PipeWriter(PipeWriter),
    /// A list of watched files (epoll).
    Epoll(EventPoll),
    /// A counter of `perf_event_open`.
    PerfEvent(PerfEventFile),
    /// `/sys/kernel/debug/kcov`.
    Kcov(Inode, Arc<Kcov>),
    /// `/sys/kernel/tracing/trace_marker`.
    TraceMarker(Inode),
}

/// An open file.
pub struct File {
    /// The object behind it.
    pub object: Object,
    /// Status flags: O_ACCMODE, O_APPEND and O_NONBLOCK.
    flags: AtomicU32,
    /// Position of the next read; for a directory, the number of its next entry.
    position: SpinLock<u64>,
}

impl File {
    /// Returns an open file for `object`.
    pub fn new(object: Object, flags: u32) -> Self {
        let flags = AtomicU32::new(flags & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_DIRECTORY));
        Self {
            object,
            flags,
            position: SpinLock::new(LockClass::FilePosition, 0),
        }
    }

    /// Opens `path` from directory `from`.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EISDIR, EACCES, ELOOP, EEXIST, EROFS, ENXIO, ENAMETOOLONG, ENOMEM.
    pub fn open(from: Inode, path: &[u8], flags: u32, cred: &Cred) -> Result<Self, Errno> {
        let inode = match rootfs::lookup(from, path, flags & O_NOFOLLOW == 0, cred) {
            Err(Errno::ENOENT) if flags & O_CREAT != 0 && !path.is_empty() => {
                return Err(Errno::EROFS);
            }
            other => other?,
        };
        if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL {
            return Err(Errno::EEXIST);
        }
        let writes = flags & O_ACCMODE != 0 || flags & O_TRUNC != 0;
        match inode.file_type() {
            FileType::Symlink => return Err(Errno::ELOOP),
            FileType::Directory if writes || flags & O_CREAT != 0 => return Err(Errno::EISDIR),
            FileType::Directory => {}
            _ if flags & O_DIRECTORY != 0 => return Err(Errno::ENOTDIR),
            _ => {}
        }
        let wanted = match flags & O_ACCMODE {
            0 => MAY_READ,
            1 => MAY_WRITE,
            _ => MAY_READ | MAY_WRITE,
        };
        permission(&inode.stat(), wanted, cred)?;
        if writes && matches!(inode, Inode::File(entry) if entry.file_type == FileType::Regular) {
            return Err(Errno::EROFS);
        }
        let object = match (inode.file_type(), inode.rdev()) {
            (FileType::Regular, _) if let Inode::Proc(inode) = inode => {
                Object::Proc(ProcFile::new(inode))
            }
            (FileType::Regular | FileType::Directory, _) => Object::Inode(inode),
            (FileType::CharDevice, KCOV_DEVICE) => Object::Kcov(inode, Kcov::open()?),
            (FileType::CharDevice, TRACE_MARKER_DEVICE) => Object::TraceMarker(inode),
            (FileType::CharDevice, (1, 3)) => Object::Null(inode),
            (FileType::CharDevice, (1, 5)) => Object::Zero(inode),
            (FileType::CharDevice, (1, 8 | 9)) => Object::Random(inode),
            (FileType::CharDevice, (5, 0 | 1) | (4, 64)) => Object::Tty(inode),
            _ => return Err(Errno::ENXIO),
        };
        Ok(Self::new(object, flags))
    }

    /// Returns the status flags and the access mode, as `F_GETFL` does.
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// Sets the status flags (`F_SETFL`): only O_APPEND and O_NONBLOCK change.
    pub fn set_flags(&self, flags: u32) {
        let settable = O_APPEND | O_NONBLOCK;
        self.flags.store(
            self.flags() & !settable | flags & settable,
            Ordering::Relaxed,
        );
    }

    /// Reads up to `count` bytes from the position to user address `to`.
    ///
    /// # Errors
    /// EBADF, EISDIR, EINVAL, EFAULT, and those of the object behind the file.
    #[inline(always)]
    pub fn read(&self, to: u32, count: u32) -> Result<u32, Errno> {
        let flags = self.flags();
        if flags & O_ACCMODE == O_WRONLY {
            return Err(Errno::EBADF);
        }
        access_ok(to, count)?;
        match &self.object {
            Object::PipeReader(pipe) => pipe.read(to, count, flags & O_NONBLOCK != 0),
            _ => self.read_no_pipe(to, count.min(MAX_RW_COUNT)),
        }
    }

    #[inline(never)]
    fn read_no_pipe(&self, to: u32, count: u32) -> Result<u32, Errno> {
        match &self.object {
            Object::Inode(_) | Object::Proc(_) => {
                let at = *self.position.lock();
                let read = self.read_at(to, count, at)?;
                *self.position.lock() = at.saturating_add(read.into());
                Ok(read)
            }
            Object::Null(_) => Ok(0),
            Object::Zero(_) => clear_user(to, count).map(|()| count),
            Object::Random(_) => random::read(to, count),
            Object::Tty(_) => tty::n_tty_read(to, count, self.flags() & O_NONBLOCK != 0),
            Object::PerfEvent(event) => event.read(to, count),
            Object::Kcov(..) | Object::TraceMarker(_) | Object::Epoll(_) => Err(Errno::EINVAL),
            Object::PipeReader(_) | Object::PipeWriter(_) => Err(Errno::EBADF),
        }
    }

    /// Reads from byte `at` without moving the position.
    ///
    /// # Errors
    /// ESPIPE if the file has no position, and the errors of [`File::read`].
    #[inline(never)]
    pub fn read_at(&self, to: u32, count: u32, at: u64) -> Result<u32, Errno> {
        match &self.object {
            Object::Inode(inode) if inode.file_type() == FileType::Directory => Err(Errno::EISDIR),
            Object::Inode(inode) => give(inode.data(), to, count, at),
            Object::Proc(file) => file.read_at(to, count, at),
            Object::Null(_) | Object::Zero(_) | Object::Random(_) => self.read(to, count),
            _ => Err(Errno::ESPIPE),
        }
    }

    /// Writes `count` bytes from user address `from`.
    ///
    /// # Errors
    /// EBADF, EINVAL, EFAULT, and those of the object behind the file.
    #[inline(always)]
    pub fn write(&self, from: u32, count: u32) -> Result<u32, Errno> {
        let flags = self.flags();
        if flags & O_ACCMODE == 0 {
            return Err(Errno::EBADF);
        }
        access_ok(from, count)?;
        match &self.object {
            Object::PipeWriter(pipe) => pipe.write(from, count, flags & O_NONBLOCK != 0),
            _ => self.write_no_pipe(from, count.min(MAX_RW_COUNT)),
        }
    }

    #[inline(never)]
    fn write_no_pipe(&self, from: u32, count: u32) -> Result<u32, Errno> {
        match &self.object {
            Object::Null(_) | Object::Zero(_) | Object::Random(_) => Ok(count),
            Object::Tty(_) => tty::write(from, count, self.flags() & O_NONBLOCK != 0),
            Object::TraceMarker(_) => trace_marker::write(from, count),
            Object::PerfEvent(_) | Object::Kcov(..) | Object::Epoll(_) => Err(Errno::EINVAL),
            Object::Proc(file) => Err(file.write_error()),
            Object::Inode(_) | Object::PipeReader(_) | Object::PipeWriter(_) => Err(Errno::EBADF),
        }
    }

    /// Moves the position and returns it.
    ///
    /// # Errors
    /// ESPIPE, EINVAL.
    pub fn seek(&self, offset: i64, whence: u32) -> Result<u64, Errno> {
        let size = match &self.object {
            Object::Inode(inode) => inode.data().len() as i64,
            // The end of such a file is unknown.
            Object::Proc(file) if whence == 2 && !file.is_of_memory() => return Err(Errno::EINVAL),
            Object::Proc(_) => 0,
            Object::Null(_) | Object::Zero(_) | Object::Random(_) => return Ok(0),
            _ => return Err(Errno::ESPIPE),
        };
        let mut position = self.position.lock();
        let base = match whence {
            0 => 0,
            1 => *position as i64,
            2 => size,
            _ => return Err(Errno::EINVAL),
        };
        let new = base
            .checked_add(offset)
            .filter(|new| *new >= 0)
            .ok_or(Errno::EINVAL)?;
        if let Object::Proc(file) = &self.object {
            file.seek(new as u64)?;
        }
        *position = new as u64;
        Ok(new as u64)
    }

    /// Returns the file's type, size, owner and the like.
    pub fn stat(&self) -> Stat {
        match &self.object {
            Object::Inode(inode) | Object::Null(inode) | Object::Zero(inode) => inode.stat(),
            Object::Random(inode) | Object::Tty(inode) => inode.stat(),
            Object::Kcov(inode, _) | Object::TraceMarker(inode) => inode.stat(),
            Object::Proc(file) => Inode::Proc(file.inode()).stat(),
            Object::PipeReader(_) | Object::PipeWriter(_) => Stat {
                mode: S_IFIFO | 0o600,
                ino: 1,
                nlink: 1,
                ..Stat::default()
            },
            Object::PerfEvent(_) | Object::Epoll(_) => Stat {
                mode: 0o600,
                ino: 2,
                nlink: 1,
                ..Stat::default()
            },
        }
    }

    /// Handles ioctl(2); `session` is the caller's.
    pub fn ioctl(&self, command: u32, argument: u32, session: i32) -> Result<u32, Errno> {
        match (&self.object, command) {
            (_, FIONBIO) => {
                let on = crate::arch::x86::entry::uaccess::get_user::<u32>(argument)? != 0;
                let flags = self.flags() & !O_NONBLOCK;
                self.set_flags(if on { flags | O_NONBLOCK } else { flags });
                Ok(0)
            }
            (Object::PipeReader(_) | Object::PipeWriter(_), FIONREAD) => {
                let available = self.pipe().map_or(0, Pipe::available);
                put_user(argument, available).map(|()| 0)
            }
            // The unread rest of a regular file. A file of `/proc` has no known size.
            (Object::Inode(_) | Object::Proc(_), FIONREAD)
                if self.stat().mode & S_IFMT == S_IFREG =>
            {
                let left = self.stat().size.wrapping_sub(*self.position.lock());
                put_user(argument, left as u32).map(|()| 0)
            }
            (Object::PerfEvent(event), _) => event.ioctl(command, argument),
            (Object::Kcov(_, kcov), _) => kcov.ioctl(command, argument),
            (Object::Tty(_), _) => tty::ioctl(command, argument, session),
            _ => Err(Errno::ENOTTY),
        }
    }

    /// Writes directory entries to the `count` bytes at user address `to`, from the position on,
    /// and returns the number of bytes written; 0 at the end.
    ///
    /// # Errors
    /// ENOTDIR, EINVAL (there is no room for one entry), EFAULT.
    pub fn getdents64(&self, to: u32, count: u32) -> Result<u32, Errno> {
        let directory = match &self.object {
            Object::Inode(inode) if inode.file_type() == FileType::Directory => *inode,
            _ => return Err(Errno::ENOTDIR),
        };
        access_ok(to, count)?;
        let mut out = Dirents {
            to,
            count,
            used: 0,
            position: *self.position.lock(),
        };
        match directory {
            Inode::File(_) => out.put_archive_entries(directory)?,
            Inode::Proc(inode) => out.put_proc_entries(inode)?,
        }
        *self.position.lock() = out.position;
        Ok(out.used)
    }

    /// Returns the events that poll and select report.
    pub fn poll(&self) -> PollEvents {
        match &self.object {
            Object::Tty(_) => tty::poll(),
            Object::PipeReader(pipe) => pipe.poll(),
            Object::PipeWriter(pipe) => pipe.poll(),
            // No samples are recorded, so there are none to wait for.
            Object::PerfEvent(_) => PollEvents::POLLHUP,
            Object::Epoll(list) => list.poll(),
            _ => PollEvents::ALWAYS,
        }
    }

    /// Returns the pipe, if the file is an end of one.
    pub fn pipe(&self) -> Option<&Pipe> {
        match &self.object {
            Object::PipeReader(end) => Some(end.pipe()),
            Object::PipeWriter(end) => Some(end.pipe()),
            _ => None,
        }
    }
}

/// Copies up to `count` bytes of `contents`, from offset `at`, to user address `to`.
pub fn give(contents: &[u8], to: u32, count: u32, at: u64) -> Result<u32, Errno> {
    let rest = usize::try_from(at)
        .ok()
        .and_then(|at| contents.get(at..))
        .unwrap_or_default();
    let bytes = &rest[..rest.len().min(count as usize)];
    copy_to_user(to, bytes)?;
    Ok(bytes.len() as u32)
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

    /// Writes `.` and `..`, then `entries`, from the position on.
    fn put_all<'n>(
        &mut self,
        directory: Inode,
        entries: impl Iterator<Item = (&'n [u8], Inode)>,
    ) -> Result<bool, Errno> {
        let dots = [(&b"."[..], directory), (&b".."[..], directory.parent())];
        // A seek may have moved far beyond the last entry.
        let first = usize::try_from(self.position).unwrap_or(usize::MAX);
        for (name, inode) in dots.into_iter().chain(entries).skip(first) {
            if !self.put(name, &inode.stat(), self.position.saturating_add(1))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn put_archive_entries(&mut self, directory: Inode) -> Result<(), Errno> {
        let Inode::File(entry) = directory else {
            return Ok(());
        };
        let is_root = entry.name.is_empty();
        let children = rootfs::archive()
            .children(entry)
            .filter(|child| child.name != b"proc")
            .map(|child| (child.file_name(), Inode::File(child)));
        let proc = is_root.then_some((&b"proc"[..], Inode::Proc(ProcInode::Root)));
        self.put_all(directory, children.chain(proc)).map(drop)
    }

    fn put_proc_entries(&mut self, directory: ProcInode) -> Result<(), Errno> {
        let Some(ops) = procfs::ops() else {
            return Ok(());
        };
        if !(ops.is_there)(directory) {
            return Err(Errno::ENOENT);
        }
        if self.position < FIRST_PROCESS {
            let fixed = directory
                .fixed_children()
                .map(|(name, inode)| (name.as_bytes(), Inode::Proc(inode)));
            if !self.put_all(Inode::Proc(directory), fixed)? {
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

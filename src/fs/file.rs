//! Open files: what a descriptor leads to.
//!
//! All descriptors copied from one `open` share a [`File`]: one position and one set of status
//! flags.
//!
//! System calls use it, with no lock held.
//!
//! Book: ch. 12, "File Objects". Linux: 2.6.38 `struct file`, `fs/read_write.c`.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::cpio::FileType;
use super::epoll::EventPoll;
use super::eventfd::EventFd;
use super::kcov::Kcov;
use super::locks::{Owner, locks_of};
use super::perf_event::PerfEventFile;
use super::pipe::{Pipe, PipeReader, PipeWriter};
use super::poll_events::PollEvents;
use super::proc_file::ProcFile;
use super::readdir::getdents64;
use super::rootfs::Inode;
use super::signalfd::SignalFd;
use super::stat::{S_IFIFO, S_IFMT, S_IFREG, Stat};
use super::timerfd::TimerFd;
use super::tmpfs::file_io::{self, Source};
use super::tmpfs::node::Node;
use super::tmpfs::pages::Pages;
use super::{random, trace_marker, tty};
use crate::arch::x86::entry::uaccess::{access_ok, clear_user, copy_to_user, put_user};
use crate::base::errno::Errno;
use crate::sync::{LockClass, SpinLock};

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
/// Opens a new file without a name in the directory that the path leads to.
pub const O_TMPFILE: u32 = 0o20_000_000 | O_DIRECTORY;
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
    /// A regular file or a directory.
    Inode(Inode),
    /// A file of `/proc`.
    Proc(ProcFile),
    /// `/dev/null`.
    Null(Inode),
    /// `/dev/zero`.
    Zero(Inode),
    /// `/dev/full`.
    Full(Inode),
    /// `/dev/random` and `/dev/urandom`.
    Random(Inode),
    /// The console.
    Tty(Inode),
    /// The reading end of a pipe.
    PipeReader(PipeReader),
    /// The writing end of a pipe.
    PipeWriter(PipeWriter),
    /// A list of watched files (epoll).
    Epoll(EventPoll),
    /// A counter of `eventfd`.
    EventFd(EventFd),
    /// A timer of `timerfd_create`.
    TimerFd(TimerFd),
    /// A set of signals of `signalfd`.
    SignalFd(SignalFd),
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
    /// Whether it may own locks.
    has_locks: AtomicBool,
}

impl File {
    /// Returns an open file for `object`.
    pub fn new(object: Object, flags: u32) -> Self {
        let flags = AtomicU32::new(flags & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_DIRECTORY));
        Self {
            object,
            flags,
            position: SpinLock::new(LockClass::FilePosition, 0),
            has_locks: AtomicBool::new(false),
        }
    }

    /// Returns the status flags and the access mode, as `F_GETFL` does.
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// Returns the file as an owner of locks, which its end takes away.
    pub fn lock_owner(&self) -> Owner {
        self.has_locks.store(true, Ordering::Relaxed);
        Owner::File(core::ptr::from_ref(self) as usize)
    }

    fn is_nonblocking(&self) -> bool {
        self.flags() & O_NONBLOCK != 0
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
        match &self.object {
            // It is always open for reading.
            Object::PipeReader(pipe) => {
                access_ok(to, count)?;
                pipe.read(to, count, self.flags() & O_NONBLOCK != 0)
            }
            _ => self.read_no_pipe(to, count),
        }
    }

    #[inline(never)]
    fn read_no_pipe(&self, to: u32, count: u32) -> Result<u32, Errno> {
        if self.flags() & O_ACCMODE == O_WRONLY {
            return Err(Errno::EBADF);
        }
        access_ok(to, count)?;
        let count = count.min(MAX_RW_COUNT);
        match &self.object {
            Object::Inode(_) | Object::Proc(_) => {
                let at = *self.position.lock();
                let read = self.read_at(to, count, at)?;
                *self.position.lock() = at.saturating_add(read.into());
                Ok(read)
            }
            Object::Null(_) => Ok(0),
            Object::Zero(_) | Object::Full(_) => clear_user(to, count).map(|()| count),
            Object::Random(_) => random::read(to, count),
            Object::Tty(_) => tty::n_tty_read(to, count, self.is_nonblocking()),
            Object::PerfEvent(event) => event.read(to, count),
            Object::EventFd(counter) => counter.read(to, count, self.is_nonblocking()),
            Object::TimerFd(timer) => timer.read(to, count, self.is_nonblocking()),
            Object::SignalFd(set) => set.read(to, count, self.is_nonblocking()),
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
            Object::Inode(_) | Object::Proc(_) if self.flags() & O_ACCMODE == O_WRONLY => {
                Err(Errno::EBADF)
            }
            Object::Inode(inode) if inode.file_type() == FileType::Directory => Err(Errno::EISDIR),
            Object::Inode(Inode::File(node)) => {
                let read = match node.pages() {
                    Some(pages) => file_io::read(pages, to, count, at)?,
                    None => 0,
                };
                node.accessed();
                Ok(read)
            }
            Object::Inode(Inode::Proc(_)) => Ok(0),
            Object::Proc(file) => file.read_at(to, count, at),
            Object::Null(_) | Object::Zero(_) | Object::Full(_) | Object::Random(_) => {
                self.read(to, count)
            }
            _ => Err(Errno::ESPIPE),
        }
    }

    /// Writes `count` bytes from user address `from`.
    ///
    /// # Errors
    /// EBADF, EINVAL, EFAULT, and those of the object behind the file.
    #[inline(always)]
    pub fn write(&self, from: u32, count: u32) -> Result<u32, Errno> {
        match &self.object {
            // It is always open for writing.
            Object::PipeWriter(pipe) => {
                access_ok(from, count)?;
                pipe.write(from, count, self.flags() & O_NONBLOCK != 0)
            }
            _ => self.write_no_pipe(from, count),
        }
    }

    #[inline(never)]
    fn write_no_pipe(&self, from: u32, count: u32) -> Result<u32, Errno> {
        if self.flags() & O_ACCMODE == 0 {
            return Err(Errno::EBADF);
        }
        access_ok(from, count)?;
        let count = count.min(MAX_RW_COUNT);
        match &self.object {
            Object::Null(_) | Object::Zero(_) | Object::Random(_) => Ok(count),
            Object::Full(_) => Err(Errno::ENOSPC),
            Object::Tty(_) => tty::write(from, count, self.is_nonblocking()),
            Object::TraceMarker(_) => trace_marker::write(from, count),
            Object::EventFd(counter) => counter.write(from, count, self.is_nonblocking()),
            Object::PerfEvent(_) | Object::Kcov(..) | Object::Epoll(_) => Err(Errno::EINVAL),
            Object::TimerFd(_) | Object::SignalFd(_) => Err(Errno::EINVAL),
            Object::Proc(file) => Err(file.write_error()),
            Object::Inode(_) => {
                let at = *self.position.lock();
                let (written, position) = self.write_inode(Source::User(from), count, at)?;
                *self.position.lock() = position;
                Ok(written)
            }
            Object::PipeReader(_) | Object::PipeWriter(_) => Err(Errno::EBADF),
        }
    }

    /// Writes to a regular file at position `at`, or with O_APPEND at its end; returns also the
    /// position after the bytes.
    fn write_inode(&self, from: Source<'_>, count: u32, at: u64) -> Result<(u32, u64), Errno> {
        let (node, pages) = self.regular().ok_or(Errno::EBADF)?;
        let append = self.flags() & O_APPEND != 0;
        file_io::write(node, pages, from, count, at, append)
    }

    /// Writes `count` bytes from user address `from` to position `at`, without moving the position.
    ///
    /// # Errors
    /// EBADF, ESPIPE if the file has no position, and the errors of [`File::write`].
    pub fn write_at(&self, from: u32, count: u32, at: u64) -> Result<u32, Errno> {
        if self.flags() & O_ACCMODE == 0 {
            return Err(Errno::EBADF);
        }
        access_ok(from, count)?;
        match &self.object {
            Object::Inode(_) => {
                let written = self.write_inode(Source::User(from), count.min(MAX_RW_COUNT), at)?;
                Ok(written.0)
            }
            Object::Null(_) | Object::Zero(_) | Object::Full(_) | Object::Random(_) => {
                self.write(from, count)
            }
            _ => Err(Errno::ESPIPE),
        }
    }

    /// Returns the node and the contents, if the object is a regular file of the tmpfs.
    pub fn regular(&self) -> Option<(&Arc<Node>, &Arc<Pages>)> {
        match &self.object {
            Object::Inode(Inode::File(node)) => Some((node, node.pages()?)),
            _ => None,
        }
    }

    /// Moves the position and returns it.
    ///
    /// # Errors
    /// ESPIPE, EINVAL.
    pub fn seek(&self, offset: i64, whence: u32) -> Result<u64, Errno> {
        let size = match &self.object {
            Object::Inode(Inode::File(node)) => {
                node.pages().map_or(0, |pages| pages.size()).cast_signed()
            }
            Object::Inode(Inode::Proc(_)) => 0,
            // The end of such a file is unknown.
            Object::Proc(file) if whence == 2 && !file.is_of_memory() => return Err(Errno::EINVAL),
            Object::Proc(_) => 0,
            Object::Null(_) | Object::Zero(_) | Object::Full(_) | Object::Random(_) => {
                return Ok(0);
            }
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
            Object::Full(inode) | Object::Random(inode) | Object::Tty(inode) => inode.stat(),
            Object::Kcov(inode, _) | Object::TraceMarker(inode) => inode.stat(),
            Object::Proc(file) => Inode::Proc(file.inode()).stat(),
            Object::PipeReader(_) | Object::PipeWriter(_) => Stat {
                mode: S_IFIFO | 0o600,
                ino: 1,
                nlink: 1,
                ..Stat::default()
            },
            // Files without a name, which share one inode (Linux: `anon_inode`).
            _ => Stat {
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
    /// ENOTDIR, EINVAL (there is no room for one entry), EFAULT, ENOENT (the directory is removed).
    pub fn getdents64(&self, to: u32, count: u32) -> Result<u32, Errno> {
        let Object::Inode(directory) = &self.object else {
            return Err(Errno::ENOTDIR);
        };
        access_ok(to, count)?;
        let at = *self.position.lock();
        let (used, position) = getdents64(directory, to, count, at)?;
        *self.position.lock() = position;
        Ok(used)
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
            Object::EventFd(counter) => counter.poll(),
            Object::TimerFd(timer) => timer.poll(),
            Object::SignalFd(set) => set.poll(),
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

impl Drop for File {
    fn drop(&mut self) {
        if self.flags() & O_ACCMODE != 0
            && let Some((node, _)) = self.regular()
        {
            node.put_write_access();
        }
        if self.has_locks.load(Ordering::Relaxed)
            && let Ok(locks) = locks_of(self)
        {
            locks.release(self.lock_owner());
        }
    }
}

//! Reading and writing a regular file.
//!
//! Bytes go straight between user memory and the file's pages, a page at a time. A write holds the
//! node's mutex, so that writes to the end come one after another.
//!
//! Book: ch. 16, "Reading from a File", "Writing to a File".
//! Linux: 2.6.38 `generic_file_aio_read`, `generic_file_aio_write`, `mm/shmem.c`.

use super::node::{CTIME, MTIME, Node};
use super::pages::{MAX_LFS_FILESIZE, Pages, Shown, split};
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{clear_user, copy_to_user};
use crate::base::errno::Errno;
use crate::fs::stat::{S_ISGID, S_ISUID};
use crate::hw::pte::PAGE_SIZE;
use crate::task::rlimit::RLIMIT_FSIZE;

/// Where the bytes of a write come from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// User memory, from this address on.
    User(u32),
    /// The kernel's memory.
    Kernel(&'a [u8]),
}

/// Copies up to `count` bytes of a file, from position `at` on, to user address `to`.
///
/// # Errors
/// EFAULT if not even the first page could be copied.
pub fn read(pages: &Pages, to: u32, count: u32, at: u64) -> Result<u32, Errno> {
    let left = pages.size().saturating_sub(at);
    let count = u32::try_from(left).unwrap_or(u32::MAX).min(count);
    by_page(at, count, |page, offset, length, done| {
        let to = to.wrapping_add(done);
        match pages.page(page) {
            Shown::Frame(frame) => frame.copy_to_user(offset, length, to),
            Shown::Base(base) => {
                let bytes = base.get(offset..).unwrap_or_default();
                let bytes = &bytes[..bytes.len().min(length)];
                copy_to_user(to, bytes)?;
                let zeroes = length.saturating_sub(bytes.len()) as u32;
                clear_user(to.wrapping_add(bytes.len() as u32), zeroes)
            }
        }
    })
}

/// Writes `count` bytes to a file at position `at`, or with `append` at its end. Returns how many
/// were written, and the position after them.
///
/// # Errors
/// EFBIG (also beyond `RLIMIT_FSIZE`), ENOSPC, EFAULT, if nothing was written.
pub fn write(
    node: &Node,
    pages: &Pages,
    from: Source<'_>,
    count: u32,
    at: u64,
    append: bool,
) -> Result<(u32, u64), Errno> {
    let _locked = node.mutex.lock();
    let at = if append { pages.size() } else { at };
    if count == 0 {
        return Ok((0, at));
    }
    let room = max_size().checked_sub(at).filter(|room| *room > 0);
    let room = u32::try_from(room.ok_or(Errno::EFBIG)?).unwrap_or(u32::MAX);
    file_remove_suid(node);
    let written = by_page(at, count.min(room), |page, offset, length, done| {
        let mut frame = pages.frame(page, false)?;
        let start = at.saturating_add(done.into());
        match from {
            Source::User(from) => {
                let copied = frame.copy_from_user(offset, length, from.wrapping_add(done));
                if copied.is_err() && start >= pages.size() {
                    // What was copied before the fault must not show when the file grows.
                    frame.clear(offset, PAGE_SIZE as usize);
                }
                copied?;
            }
            Source::Kernel(bytes) => {
                let part = bytes
                    .get(done as usize..)
                    .and_then(|rest| rest.get(..length));
                frame.copy_from(offset, part.ok_or(Errno::EFAULT)?);
            }
        }
        pages.grow_to(start.saturating_add(length as u64));
        Ok(())
    })?;
    node.touch(&[MTIME, CTIME]);
    Ok((written, at.saturating_add(written.into())))
}

/// Returns the largest size that the running task may give a file.
pub fn max_size() -> u64 {
    MAX_LFS_FILESIZE.min(current().signal.rlim.cur_u64(RLIMIT_FSIZE))
}

/// Calls `step` for each page of `count` bytes from position `at` on, with the page, the offset in
/// it, the number of bytes there, and the number of bytes before. Returns the number of bytes done;
/// an error only if there are none.
fn by_page(
    at: u64,
    count: u32,
    mut step: impl FnMut(u32, usize, usize, u32) -> Result<(), Errno>,
) -> Result<u32, Errno> {
    let mut done = 0_u32;
    while done < count {
        let (page, offset) = split(at.saturating_add(done.into()));
        let room = (PAGE_SIZE as usize).saturating_sub(offset) as u32;
        let length = count.saturating_sub(done).min(room);
        match step(page, offset, length as usize, done) {
            Ok(()) => done = done.saturating_add(length),
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Takes the set-user-ID and set-group-ID bits from a file that somebody without privilege writes.
pub fn file_remove_suid(node: &Node) {
    let has = |mode: u32| mode & S_ISUID != 0 || mode & (S_ISGID | 0o010) == S_ISGID | 0o010;
    if has(node.attributes().mode) && !current().cred().overrides_permissions() {
        node.change(|it| {
            it.mode &= !S_ISUID;
            if it.mode & 0o010 != 0 {
                it.mode &= !S_ISGID;
            }
        });
    }
}

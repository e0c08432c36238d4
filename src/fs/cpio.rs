#![forbid(unsafe_code)]
//! The newc cpio format: an archive as a list of entries.
//!
//! [`read_entries`] refuses the whole archive if one entry is broken, and names the place: half a
//! file system would only fail later and in stranger ways. Names and contents are slices of the
//! archive. Called by [`super::initramfs`]. The `cpio_reader` crate is not used: it stops silently
//! at the first broken entry, which then looks like the end.
//!
//! Book: ch. 12, "Mounting the Root Filesystem" (the initial RAM disk).
//! Linux: `init/initramfs.c`, `Documentation/driver-api/early-userspace/buffer-format.rst`.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use super::stat::S_IFMT;
use crate::base::errno::Errno;
use crate::mm::fallible::TryVec;

const HEADER: usize = 110;
const MAGIC: &[u8; 6] = b"070701";
const TRAILER: &[u8] = b"TRAILER!!!";
/// Limit of a path's length in bytes, its final zero included.
pub const PATH_MAX: usize = 4096;

/// Type of an entry: the S_IFMT bits of its mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileType {
    /// Regular file, S_IFREG.
    Regular,
    /// Directory, S_IFDIR.
    Directory,
    /// Symbolic link, S_IFLNK; its data is the target.
    Symlink,
    /// Character device, S_IFCHR.
    CharDevice,
    /// Block device, S_IFBLK.
    BlockDevice,
    /// Named pipe, S_IFIFO.
    Fifo,
    /// Socket, S_IFSOCK.
    Socket,
}

impl FileType {
    /// Returns the type of a mode, or `None` if the type is unknown.
    pub const fn of_mode(mode: u32) -> Option<FileType> {
        match mode & S_IFMT {
            0o100_000 => Some(FileType::Regular),
            0o040_000 => Some(FileType::Directory),
            0o120_000 => Some(FileType::Symlink),
            0o020_000 => Some(FileType::CharDevice),
            0o060_000 => Some(FileType::BlockDevice),
            0o010_000 => Some(FileType::Fifo),
            0o140_000 => Some(FileType::Socket),
            _ => None,
        }
    }
}

/// A file, directory or link of the archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Path from the root, without a leading slash; the root itself is empty.
    pub name: &'a [u8],
    /// Type of the file.
    pub file_type: FileType,
    /// Mode as `stat` reports it, type bits included.
    pub mode: u32,
    /// User who owns it.
    pub uid: u32,
    /// Group that owns it.
    pub gid: u32,
    /// Time of the last change, in seconds since 1970.
    pub mtime: u32,
    /// Inode number: the archive's own here, the index's in [`super::initramfs`].
    pub ino: u32,
    /// Number of names of this inode, according to the archive.
    pub nlink: u32,
    /// Major and minor number of a device.
    pub rdev: (u32, u32),
    /// Contents of a file, or target of a link; empty for all others.
    pub data: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Returns the last part of the path, as a directory listing shows it.
    pub fn file_name(&self) -> &'a [u8] {
        let mut parts = self.name.rsplit(|&byte| byte == b'/');
        parts.next().unwrap_or(self.name)
    }

    /// Returns the path without its last part; empty for an entry in the root, and for the root.
    pub fn parent(&self) -> &'a [u8] {
        let end = self
            .name
            .iter()
            .rposition(|&byte| byte == b'/')
            .unwrap_or(0);
        &self.name[..end]
    }

    /// Returns a directory of root's, mode 755, for a path that the archive lacks.
    pub const fn directory(name: &'a [u8]) -> Self {
        Entry {
            name,
            file_type: FileType::Directory,
            mode: 0o040_755,
            uid: 0,
            gid: 0,
            mtime: 0,
            ino: 0,
            nlink: 2,
            rdev: (0, 0),
            data: &[],
        }
    }
}

/// Why an archive is refused; `offset` is in bytes from its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CpioError {
    /// No `070701` where a header should begin.
    Magic { offset: usize, found: [u8; 6] },
    /// The archive ends here, within a header, a name or a file.
    Truncated { offset: usize },
    /// Eight characters that are not a hexadecimal number.
    Number { offset: usize },
    /// A name without its final zero, with one inside, with `.`, `..` or nothing
    /// between slashes, or too long.
    Name { offset: usize },
    /// A mode whose file type is unknown.
    Mode { offset: usize, mode: u32 },
    /// A link without a target, or whose target is too long or contains a zero.
    Target { offset: usize },
    /// The archive ends without its trailer.
    NoTrailer { offset: usize },
    /// Something other than zeros after the trailer.
    AfterTrailer { offset: usize },
    /// The entry lies in something that is not a directory.
    NotInDirectory { offset: usize },
    /// There is no memory for the index.
    NoMemory,
}

impl From<CpioError> for Errno {
    fn from(error: CpioError) -> Errno {
        match error {
            CpioError::NoMemory => Errno::ENOMEM,
            _ => Errno::EINVAL,
        }
    }
}

impl fmt::Display for CpioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use CpioError::*;
        match self {
            Magic { offset, found } => {
                write!(
                    f,
                    "no newc header at offset {offset:#x}: \"{}\"",
                    found.escape_ascii()
                )
            }
            Truncated { offset } => write!(f, "archive is cut off at offset {offset:#x}"),
            Number { offset } => write!(f, "not a hexadecimal number at offset {offset:#x}"),
            Name { offset } => write!(f, "bad name at offset {offset:#x}"),
            Mode { offset, mode } => write!(
                f,
                "entry at offset {offset:#x} has mode {mode:#o}, no known type of file"
            ),
            Target { offset } => write!(f, "bad target of the symbolic link at offset {offset:#x}"),
            NoTrailer { offset } => {
                write!(f, "archive ends at offset {offset:#x} without a trailer")
            }
            AfterTrailer { offset } => write!(f, "garbage after the trailer at offset {offset:#x}"),
            NotInDirectory { offset } => write!(
                f,
                "entry at offset {offset:#x} lies in something that is no directory"
            ),
            NoMemory => write!(f, "no memory for the index of the archive"),
        }
    }
}

/// An entry with details that matter only within its archive. Ordered by name, then by place, so no
/// two entries of an archive are equal.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Where its header begins, in bytes from the start of the archive.
    pub offset: usize,
    /// Major and minor number of the device that held the file; with [`Entry::ino`] they identify
    /// the file.
    pub dev: (u32, u32),
    /// The entry itself.
    pub entry: Entry<'a>,
}

impl Ord for Found<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.entry.name, self.offset).cmp(&(other.entry.name, other.offset))
    }
}

impl PartialOrd for Found<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Found<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Found<'_> {}

/// Returns all entries before the trailer, in the archive's order.
///
/// # Errors
/// A [`CpioError`] that names the first broken entry.
pub fn read_entries(bytes: &[u8]) -> Result<Vec<Found<'_>>, CpioError> {
    let mut entries = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() {
        let (raw, next) = read_entry(bytes, offset)?;
        if raw.name == TRAILER {
            let after = bytes.iter().enumerate().skip(next);
            return match after.into_iter().find(|(_, byte)| **byte != 0) {
                Some((offset, _)) => Err(CpioError::AfterTrailer { offset }),
                None => Ok(entries),
            };
        }
        let found = checked(raw, offset)?;
        entries.try_push(found).map_err(|_| CpioError::NoMemory)?;
        offset = next;
    }
    Err(CpioError::NoTrailer { offset })
}

/// The fields of a header, in the order of the format.
struct Raw<'a> {
    fields: [u32; 13],
    name: &'a [u8],
    data: &'a [u8],
}

/// Reads the entry at `offset` and returns it with the offset of the next one.
fn read_entry(bytes: &[u8], offset: usize) -> Result<(Raw<'_>, usize), CpioError> {
    let truncated = CpioError::Truncated {
        offset: bytes.len(),
    };
    let header = bytes.get(offset..).ok_or(truncated)?;
    match header.first_chunk() {
        Some(MAGIC) => {}
        Some(&found) => return Err(CpioError::Magic { offset, found }),
        None => return Err(truncated),
    }
    let digits = header.get(MAGIC.len()..HEADER).ok_or(truncated)?;
    let mut fields = [0; 13];
    let mut start = offset.saturating_add(MAGIC.len());
    for (field, digits) in fields.iter_mut().zip(digits.chunks_exact(8)) {
        *field = number(digits).ok_or(CpioError::Number { offset: start })?;
        start = start.saturating_add(8);
    }
    let (filesize, namesize) = (fields[6] as usize, fields[11] as usize);

    let name_start = offset.checked_add(HEADER).ok_or(truncated)?;
    let name_end = name_start.checked_add(namesize).ok_or(truncated)?;
    let name = bytes.get(name_start..name_end).ok_or(truncated)?;
    let bad_name = CpioError::Name { offset: name_start };
    let name = name.strip_suffix(b"\0").ok_or(bad_name)?;
    if name.contains(&0) || name.len() >= PATH_MAX {
        return Err(bad_name);
    }

    let data_start = aligned(name_end).ok_or(truncated)?;
    let data_end = data_start.checked_add(filesize).ok_or(truncated)?;
    let data = bytes.get(data_start..data_end).ok_or(truncated)?;
    // The last entry's padding may be missing.
    let next = aligned(data_end).ok_or(truncated)?.min(bytes.len());
    Ok((Raw { fields, name, data }, next))
}

fn aligned(offset: usize) -> Option<usize> {
    Some(offset.checked_add(3)? & !3)
}

/// Parses eight hexadecimal digits and nothing else (`from_str_radix` would take a sign).
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, &digit| {
        Some(value << 4 | (digit as char).to_digit(16)?)
    })
}

fn checked(raw: Raw<'_>, offset: usize) -> Result<Found<'_>, CpioError> {
    let [
        ino,
        mode,
        uid,
        gid,
        nlink,
        mtime,
        _,
        major,
        minor,
        rmajor,
        rminor,
        _,
        _,
    ] = raw.fields;
    let file_type = FileType::of_mode(mode).ok_or(CpioError::Mode { offset, mode })?;
    let name = relative(raw.name).ok_or(CpioError::Name {
        offset: offset.saturating_add(HEADER),
    })?;
    if name.is_empty() && file_type != FileType::Directory {
        return Err(CpioError::Name {
            offset: offset.saturating_add(HEADER),
        });
    }
    let data = match file_type {
        FileType::Regular => raw.data,
        FileType::Symlink
            if raw.data.is_empty() || raw.data.len() >= PATH_MAX || raw.data.contains(&0) =>
        {
            return Err(CpioError::Target { offset });
        }
        FileType::Symlink => raw.data,
        _ => &[],
    };
    let rdev = (rmajor, rminor);
    let entry = Entry {
        name,
        file_type,
        mode,
        uid,
        gid,
        mtime,
        ino,
        nlink,
        rdev,
        data,
    };
    Ok(Found {
        offset,
        dev: (major, minor),
        entry,
    })
}

/// Strips `/` or `./` from the front of a path and `/` from its end.
fn relative(name: &[u8]) -> Option<&[u8]> {
    let name = match name {
        [b'.', b'/', rest @ ..] | [b'/', rest @ ..] => rest,
        b"." => b"",
        [] => return None,
        name => name,
    };
    let name = name.strip_suffix(b"/").unwrap_or(name);
    let whole = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
    (name.is_empty() || name.split(|&byte| byte == b'/').all(whole)).then_some(name)
}

#[cfg(test)]
#[path = "cpio_tests.rs"]
pub mod tests;

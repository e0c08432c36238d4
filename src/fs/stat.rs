#![forbid(unsafe_code)]
//! The bytes that `stat64` and `getdents64` write into user memory.
//!
//! Linux: `asm/stat.h` (`struct stat64`, i386: 96 bytes), `linux/dirent.h`
//! (`struct linux_dirent64`).

/// Size of `struct stat64`, in bytes.
pub const STAT64_BYTES: usize = 96;
/// Type bits of `st_mode`.
pub const S_IFMT: u32 = 0o170_000;
/// File type of a character device.
pub const S_IFCHR: u32 = 0o020_000;
/// File type of a pipe.
pub const S_IFIFO: u32 = 0o010_000;
/// File type of a directory.
pub const S_IFDIR: u32 = 0o040_000;
/// File type of a symbolic link.
pub const S_IFLNK: u32 = 0o120_000;
/// File type of a regular file.
pub const S_IFREG: u32 = 0o100_000;
/// File type of a block device.
pub const S_IFBLK: u32 = 0o060_000;
/// File type of a socket.
pub const S_IFSOCK: u32 = 0o140_000;
/// The program runs as the file's owner.
pub const S_ISUID: u32 = 0o4000;
/// The program runs as the file's group; in such a directory new files get its group.
pub const S_ISGID: u32 = 0o2000;
/// Only its owner removes a file from such a directory.
pub const S_ISVTX: u32 = 0o1000;
const NSEC_PER_SEC: u64 = 1_000_000_000;

/// Metadata of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stat {
    /// Type and permissions.
    pub mode: u32,
    /// Inode number.
    pub ino: u64,
    /// Number of links.
    pub nlink: u32,
    /// User who owns the file.
    pub uid: u32,
    /// Group that owns the file.
    pub gid: u32,
    /// Major and minor number, for a device.
    pub rdev: (u32, u32),
    /// Size in bytes.
    pub size: u64,
    /// Number of blocks of 512 bytes that it takes.
    pub blocks: u64,
    /// Times of the last access, change of contents and change of attributes, in nanoseconds since
    /// 1970.
    pub times: [u64; 3],
}

impl Stat {
    /// Returns the metadata as `struct stat64`.
    pub fn to_stat64(&self) -> [u8; STAT64_BYTES] {
        let mut bytes = [0; STAT64_BYTES];
        let (words, _) = bytes.as_chunks_mut::<4>();
        let mut put = |at: usize, word: u32| words[at / 4] = word.to_le_bytes();
        put(0, 1); // st_dev: the initramfs is device 0:1
        put(12, self.ino as u32); // __st_ino
        put(16, self.mode);
        put(20, self.nlink);
        put(24, self.uid);
        put(28, self.gid);
        put(
            32,
            self.rdev.0 << 8 | self.rdev.1 & 0xff | (self.rdev.1 & 0xfff00) << 12,
        );
        put(44, self.size as u32);
        put(48, (self.size >> 32) as u32);
        put(52, 4096); // st_blksize
        put(56, self.blocks as u32); // st_blocks
        put(60, (self.blocks >> 32) as u32);
        for (at, time) in [64, 72, 80].into_iter().zip(self.times) {
            put(at, (time / NSEC_PER_SEC) as u32);
            put(at.saturating_add(4), (time % NSEC_PER_SEC) as u32);
        }
        put(88, self.ino as u32);
        put(92, (self.ino >> 32) as u32);
        bytes
    }
}

/// Returns the `d_type` of a directory entry with this mode.
pub const fn d_type(mode: u32) -> u8 {
    ((mode & S_IFMT) >> 12) as u8
}

/// Writes one `linux_dirent64` to `buffer` at `at` and returns where the next one goes; `None` if
/// it does not fit. `next` is the position to continue from (`d_off`).
pub fn put_dirent64(
    buffer: &mut [u8],
    at: usize,
    ino: u64,
    next: u64,
    d_type: u8,
    name: &[u8],
) -> Option<usize> {
    let length = name
        .len()
        .checked_add(19 + 1)?
        .checked_next_multiple_of(8)?;
    let end = at.checked_add(length)?;
    let entry = buffer.get_mut(at..end)?;
    entry.fill(0);
    entry[..8].copy_from_slice(&ino.to_le_bytes());
    entry[8..16].copy_from_slice(&next.to_le_bytes());
    entry[16..18].copy_from_slice(&(length as u16).to_le_bytes());
    entry[18] = d_type;
    entry[19..].get_mut(..name.len())?.copy_from_slice(name);
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat64_has_linuxs_offsets() {
        let stat = Stat {
            mode: 0o100755,
            ino: 0x1_0000_0007,
            nlink: 2,
            uid: 3,
            gid: 4,
            rdev: (5, 1),
            size: 513,
            blocks: 2,
            times: [7_000_000_008, 9_000_000_001, 11_000_000_002],
        };
        let bytes = stat.to_stat64();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(
            (word(12), word(16), word(20), word(24), word(28)),
            (7, 0o100755, 2, 3, 4)
        );
        assert_eq!(
            (word(32), word(44), word(52), word(56)),
            (0x501, 513, 4096, 2)
        );
        let times = [64, 68, 72, 76, 80, 84].map(word);
        assert_eq!(times, [7, 8, 9, 1, 11, 2]);
        assert_eq!((word(88), word(92)), (7, 1));
    }

    #[test]
    fn entries_are_aligned_and_end_where_they_must() {
        let mut buffer = [0xff; 64];
        let second = put_dirent64(&mut buffer, 0, 7, 1, d_type(S_IFDIR), b"bin").unwrap();
        assert_eq!(second, 24);
        assert_eq!(&buffer[16..24], &[24, 0, 4, b'b', b'i', b'n', 0, 0]);
        assert_eq!(
            put_dirent64(&mut buffer, second, 8, 2, 8, b"hello-world"),
            Some(56)
        );
        assert_eq!(put_dirent64(&mut buffer, 56, 8, 2, 8, b"x"), None);
    }
}

//! The files that victims leave behind, which a run removes: its pages are counted at the end.

use core::ffi::CStr;
use rt::gates::syscall;

const SYS_OPEN: u32 = 5;
const SYS_CLOSE: u32 = 6;
const SYS_UNLINK: u32 = 10;
const SYS_CHDIR: u32 = 12;
const SYS_RMDIR: u32 = 40;
const SYS_GETDENTS64: u32 = 220;
/// Bytes before the name in a `struct linux_dirent64`.
const NAME: usize = 19;

/// The names in a directory, each with its final zero.
pub struct Names {
    bytes: [u8; 2048],
    length: usize,
}

impl Names {
    /// Returns the names that `directory` has now; those that do not fit are left out.
    pub fn of(directory: &CStr) -> Self {
        let (bytes, length) = ([0; 2048], 0);
        let mut names = Self { bytes, length };
        each(directory, |name| {
            let name = name.to_bytes_with_nul();
            let end = names.length + name.len();
            if let Some(room) = names.bytes.get_mut(names.length..end) {
                room.copy_from_slice(name);
                names.length = end;
            }
        });
        names
    }

    fn has(&self, name: &CStr) -> bool {
        let mut names = self.bytes[..self.length].split_inclusive(|byte| *byte == 0);
        names.any(|it| it == name.to_bytes_with_nul())
    }

    /// Removes the files and empty directories of `directory` that are not among these names.
    pub fn remove_others(&self, directory: &CStr) {
        let _ = syscall(SYS_CHDIR, [directory.as_ptr() as u32]);
        each(directory, |name| {
            if !self.has(name) && syscall(SYS_UNLINK, [name.as_ptr() as u32]).is_err() {
                let _ = syscall(SYS_RMDIR, [name.as_ptr() as u32]);
            }
        });
    }
}

/// Makes as many files in `directory` as victims will at most, and removes them: a directory keeps
/// the memory that it once had for names.
pub fn grow(directory: &CStr) {
    const FILES: u32 = 200;
    const O_CREAT: u32 = 0o100;
    let known = Names::of(directory);
    let _ = syscall(SYS_CHDIR, [directory.as_ptr() as u32]);
    for n in 0..FILES {
        let name = [
            b'f',
            b'u',
            b'z',
            b'z',
            b'0' + (n / 20) as u8,
            b'a' + (n % 20) as u8,
            0,
        ];
        if let Ok(fd) = syscall(SYS_OPEN, [name.as_ptr() as u32, O_CREAT, 0o600]) {
            let _ = syscall(SYS_CLOSE, [fd]);
        }
    }
    known.remove_others(directory);
}

fn each(directory: &CStr, mut visit: impl FnMut(&CStr)) {
    let Ok(fd) = syscall(SYS_OPEN, [directory.as_ptr() as u32, 0, 0]) else {
        return;
    };
    let mut buffer = [0u8; 1024];
    while let Ok(length @ 1..) = syscall(SYS_GETDENTS64, [fd, buffer.as_mut_ptr() as u32, 1024]) {
        let mut rest = &buffer[..length as usize];
        while rest.len() > NAME {
            let size = usize::from(u16::from_le_bytes([rest[16], rest[17]]));
            if let Ok(name) = CStr::from_bytes_until_nul(&rest[NAME..size]) {
                visit(name);
            }
            rest = &rest[size..];
        }
    }
    let _ = syscall(SYS_CLOSE, [fd]);
}

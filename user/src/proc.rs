//! Files of `/proc`: reading them as a whole and parsing them.
//!
//! Linux: proc(5).

use crate::{Errno, gates::syscall};
use core::{
    fmt::{self, Write},
    str::from_utf8,
};

pub const SYS_READ: u32 = 3;
const SYS_OPEN: u32 = 5;
const SYS_CLOSE: u32 = 6;
const SYS_READLINK: u32 = 85;
pub const SYS_GETDENTS64: u32 = 220;
pub const O_DIRECTORY: u32 = 0o200_000;

/// A path with its final zero, or a small text.
pub struct Text {
    pub bytes: [u8; 96],
    pub length: usize,
}

impl Text {
    pub fn as_str(&self) -> &str {
        from_utf8(&self.bytes[..self.length]).unwrap_or("")
    }
}

impl Write for Text {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let end = self.length + s.len();
        // The last byte stays the final zero.
        self.bytes[..95]
            .get_mut(self.length..end)
            .ok_or(fmt::Error)?
            .copy_from_slice(s.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Returns the target of a symbolic link.
pub fn link(path: fmt::Arguments<'_>) -> Result<Text, Errno> {
    let path = text(path);
    let mut target = [0u8; 90];
    let length = syscall(
        SYS_READLINK,
        [path.bytes.as_ptr() as u32, target.as_mut_ptr() as u32, 90],
    )?;
    let target = from_utf8(&target[..length as usize]).unwrap_or("");
    Ok(text(format_args!("{target}")))
}

/// Returns a short text, usable as a path.
pub fn text(what: fmt::Arguments<'_>) -> Text {
    let mut text = Text {
        bytes: [0; 96],
        length: 0,
    };
    text.write_fmt(what).expect("a short text");
    text
}

/// Opens a file and returns its descriptor.
pub fn open(path: &Text, flags: u32) -> Result<u32, Errno> {
    syscall(SYS_OPEN, [path.bytes.as_ptr() as u32, flags, 0])
}

/// Closes a descriptor that is open.
pub fn close(fd: u32) {
    syscall(SYS_CLOSE, [fd]).expect("close");
}

/// Reads the rest of an open file, from its position on.
pub fn read_fd(fd: u32, buffer: &mut [u8]) -> Result<&str, Errno> {
    let mut used = 0;
    loop {
        let rest = &mut buffer[used..];
        match syscall(SYS_READ, [fd, rest.as_mut_ptr() as u32, rest.len() as u32])? {
            0 => return Ok(from_utf8(&buffer[..used]).unwrap_or("not UTF-8")),
            read => used += read as usize,
        }
    }
}

/// Reads the whole file at a path.
pub fn read<'b>(buffer: &'b mut [u8], path: fmt::Arguments<'_>) -> Result<&'b str, Errno> {
    let fd = open(&text(path), 0)?;
    let read = read_fd(fd, buffer);
    close(fd);
    read
}

/// Returns the rest of the line that begins with `name:`.
pub fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

/// Returns field `number` of `/proc/PID/stat`, from 3 on.
pub fn stat_field(text: &str, number: usize) -> Option<&str> {
    text.rsplit_once(')')?.1.split_whitespace().nth(number - 3)
}

/// Calls `visit` with each name in the directory at `path`, read in small pieces.
pub fn each_name(path: &str, mut visit: impl FnMut(&str)) {
    let fd = open(&text(format_args!("{path}")), O_DIRECTORY).expect("a directory");
    let mut buffer = [0u8; 64];
    loop {
        let got = syscall(SYS_GETDENTS64, [fd, buffer.as_mut_ptr() as u32, 64]);
        let Ok(length @ 1..) = got else { break };
        let mut rest = &buffer[..length as usize];
        while let Some(record) = rest.get(16..18) {
            let bytes = u16::from_le_bytes([record[0], record[1]]) as usize;
            let name = rest[19..bytes].split(|byte| *byte == 0).next();
            visit(name.and_then(|name| from_utf8(name).ok()).unwrap_or(""));
            rest = &rest[bytes..];
        }
    }
    close(fd);
}

/// Returns the first number of a line of our own `status`; a size is in kilobytes.
pub fn status_number(name: &str) -> Option<u32> {
    let mut buffer = [0; 8192];
    let status = read(&mut buffer, format_args!("/proc/self/status")).ok()?;
    let digits = field(status, name)?
        .split(|c: char| !c.is_ascii_digit())
        .next()?;
    digits.parse().ok()
}

/// Returns field `number` of a `stat` file as a number.
pub fn stat_number(path: fmt::Arguments<'_>, number: usize) -> Option<i64> {
    let mut buffer = [0; 1024];
    stat_field(read(&mut buffer, path).ok()?, number)?
        .parse()
        .ok()
}

/// Writes or reads a word of each page of the caller's private memory.
pub fn touch(address: u32, bytes: u32, write: bool) {
    for page in (address..address + bytes).step_by(4096) {
        let word = page as *mut u32;
        // SAFETY: the caller's mapping, which no other code uses.
        unsafe {
            match write {
                true => word.write_volatile(1),
                false => _ = word.read_volatile(),
            }
        }
    }
}

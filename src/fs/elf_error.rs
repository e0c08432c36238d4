#![forbid(unsafe_code)]
//! Why a file cannot be loaded as a program: the first fault found, and exec's errno for it.
//!
//! Linux: `fs/binfmt_elf.c`.

use core::fmt;

use super::elf::{MAX_PHNUM, PHENT};
use crate::base::errno::Errno;

/// Why a file cannot be loaded. `index` counts program headers from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElfError {
    /// The first four bytes are not `\x7fELF`.
    Magic { found: [u8; 4] },
    /// The file ends within the ELF header.
    Truncated { len: usize },
    /// EI_CLASS is not ELFCLASS32.
    Class { found: u8 },
    /// EI_DATA is not little-endian.
    Endian { found: u8 },
    /// EI_VERSION is not 1.
    Version { found: u64 },
    /// `e_type` is neither ET_EXEC nor ET_DYN.
    Type { found: u16 },
    /// `e_machine` is not EM_386.
    Machine { found: u16 },
    /// `e_phentsize` is not 32.
    PhEntSize { found: u16 },
    /// `e_phnum` is 0 or more than [`MAX_PHNUM`].
    PhNum { found: u16 },
    /// The program headers do not lie within the file.
    PhTable { offset: u32, len: usize },
    /// PT_INTERP is no path with a zero at its end within the file.
    Interp { index: usize },
    /// There is no PT_LOAD with a byte in it.
    NoSegment,
    /// The segment's contents do not lie within the file.
    OutOfFile {
        index: usize,
        offset: u32,
        filesz: u32,
        len: usize,
    },
    /// The segment has more bytes in the file than in memory.
    FileSize {
        index: usize,
        filesz: u32,
        memsz: u32,
    },
    /// The segment does not lie within user space.
    Address {
        index: usize,
        vaddr: u32,
        memsz: u32,
    },
    /// Address and file offset differ within their page, so the segment cannot be mapped.
    Misaligned {
        index: usize,
        vaddr: u32,
        offset: u32,
    },
    /// The segment begins before the end of the preceding PT_LOAD.
    Overlap {
        index: usize,
        vaddr: u32,
        previous_end: u32,
    },
    /// The entry point is not in user space.
    Entry { found: u32 },
    /// There is no memory for the plan itself.
    NoMemory,
}

impl From<ElfError> for Errno {
    fn from(error: ElfError) -> Errno {
        use ElfError::*;
        match error {
            Magic { .. } | Truncated { .. } | Class { .. } | Endian { .. } | Version { .. } => {
                Errno::ENOEXEC
            }
            Type { .. } | Machine { .. } | PhEntSize { .. } | PhNum { .. } | PhTable { .. } => {
                Errno::ENOEXEC
            }
            Interp { .. } | NoSegment | OutOfFile { .. } => Errno::ENOEXEC,
            FileSize { .. }
            | Address { .. }
            | Misaligned { .. }
            | Overlap { .. }
            | Entry { .. } => Errno::EINVAL,
            NoMemory => Errno::ENOMEM,
        }
    }
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ElfError::*;
        match *self {
            Magic { found } => write!(f, "not an ELF file: it begins with {found:02x?}"),
            Truncated { len } => write!(f, "ends within the ELF header, after {len} bytes"),
            Class { found } => write!(f, "ELF class {found}, not 32-bit"),
            Endian { found } => write!(f, "ELF data encoding {found}, not little-endian"),
            Version { found } => write!(f, "ELF version {found}, not 1"),
            Type { found } => write!(f, "ELF type {found}, neither ET_EXEC nor ET_DYN"),
            Machine { found } => write!(f, "for machine {found}, not EM_386"),
            PhEntSize { found } => write!(f, "program headers of {found} bytes, not {PHENT}"),
            PhNum { found } => write!(f, "{found} program headers, not 1 to {MAX_PHNUM}"),
            PhTable { offset, len } => {
                write!(
                    f,
                    "program headers at {offset:#x} are not within the file of {len:#x} bytes"
                )
            }
            Interp { index } => write!(
                f,
                "program header {index} gives no path of a dynamic linker"
            ),
            NoSegment => write!(f, "no segment to load"),
            OutOfFile {
                index,
                offset,
                filesz,
                len,
            } => write!(
                f,
                "segment {index}: {filesz:#x} bytes at {offset:#x} are not within the file of {len:#x} bytes"
            ),
            FileSize {
                index,
                filesz,
                memsz,
            } => {
                write!(
                    f,
                    "segment {index}: {filesz:#x} bytes in the file, only {memsz:#x} in memory"
                )
            }
            Address {
                index,
                vaddr,
                memsz,
            } => {
                write!(
                    f,
                    "segment {index}: {memsz:#x} bytes at {vaddr:#x} are not within user space"
                )
            }
            Misaligned {
                index,
                vaddr,
                offset,
            } => {
                write!(
                    f,
                    "segment {index}: address {vaddr:#x} and file offset {offset:#x} differ within the page"
                )
            }
            Overlap {
                index,
                vaddr,
                previous_end,
            } => {
                write!(
                    f,
                    "segment {index}: address {vaddr:#x} lies before {previous_end:#x}, the end of the last one"
                )
            }
            Entry { found } => write!(f, "entry point {found:#x} is not in user space"),
            NoMemory => write!(f, "no memory for the list of segments"),
        }
    }
}

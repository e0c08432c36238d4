#![forbid(unsafe_code)]
//! Plans the mappings of an ELF32/i386 program or dynamic linker.
//!
//! [`parse`] checks a whole file before anything is mapped, so that `execve` can still return an
//! error to the old program: once mapping begins, that program is gone. Called by `process/exec.rs`
//! on the caller's kernel stack. The `elf` crate reads the headers; this file decides which files
//! can be loaded. The plan of a position-independent file (ET_DYN) counts addresses from 0, until
//! [`ElfPlan::relocate`] moves it.
//!
//! Book: ch. 20, "Executable Formats", "The exec Functions".
//! Linux: `fs/binfmt_elf.c` (`load_elf_binary`).
//! Format: System V ABI, ch. 4 and 5; Intel386 supplement.

use alloc::vec::Vec;
use core::ops::Range;

use bitflags::bitflags;
use elf::abi;
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader, parse_ident};
use elf::parse::ParseError;
use elf::segment::{ProgramHeader, SegmentTable};

use super::cpio::PATH_MAX;
pub use super::elf_error::ElfError;
use crate::base::errno::Errno;
use crate::hw::pte::PAGE_MASK;
use crate::mm::fallible::TryVec;
use crate::mm::vma::{MMAP_MIN_ADDR, TASK_SIZE};

/// Size of a program header in bytes, and the only `e_phentsize` accepted.
pub const PHENT: u16 = 32;
/// Largest number of program headers: 64 KiB of them, as in Linux.
pub const MAX_PHNUM: u16 = (65536 / PHENT as u32) as u16;

const EHDR_SIZE: usize = 52;

bitflags! {
    /// Access rights of a segment (`p_flags`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct SegmentFlags: u32 {
        /// May be executed.
        const X = abi::PF_X;
        /// May be written.
        const W = abi::PF_W;
        /// May be read.
        const R = abi::PF_R;
    }
}

/// A PT_LOAD segment that passed every check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Linear address of the first byte; congruent to `offset` modulo a page.
    pub vaddr: u32,
    /// Size in memory, in bytes, not 0; bytes from `filesz` on are zero.
    pub memsz: u32,
    /// Bytes taken from the file, at most `memsz`.
    pub filesz: u32,
    /// Offset of those bytes in the file.
    pub offset: u32,
    /// Access rights of the segment.
    pub flags: SegmentFlags,
    /// The header's `p_align`, which Linux ignores too.
    pub align: u32,
}

impl ElfPlan {
    /// Returns the addresses from the first page that a segment touches to the last.
    pub fn span(&self) -> Range<u32> {
        let start = self.segments.first().map_or(0, |it| it.pages().start);
        start..self.segments.last().map_or(start, |it| it.pages().end)
    }

    /// Moves the program so that its first page is at `start`, a multiple of the page size, and
    /// returns the distance that all addresses move by, modulo 2^32.
    ///
    /// # Errors
    /// ENOMEM if the program does not fit into user space there.
    pub fn relocate(&mut self, start: u32) -> Result<u32, Errno> {
        let span = self.span();
        let end = start.checked_add(span.end.saturating_sub(span.start));
        end.filter(|end| *end <= TASK_SIZE).ok_or(Errno::ENOMEM)?;
        let by = start.wrapping_sub(span.start);
        for segment in &mut self.segments {
            segment.vaddr = segment.vaddr.wrapping_add(by);
        }
        self.entry = self.entry.wrapping_add(by);
        self.phdr_vaddr = self.phdr_vaddr.map(|at| at.wrapping_add(by));
        Ok(by)
    }

    /// Returns the addresses of the program's code, from the first byte to the last.
    pub fn code(&self) -> Range<u32> {
        let code = || {
            let of_code = |it: &&Segment| it.flags.contains(SegmentFlags::X);
            self.segments.iter().filter(of_code)
        };
        let end = code().map(Segment::file_end).max().unwrap_or(0);
        code().map(|it| it.vaddr).min().unwrap_or(0)..end
    }

    /// Returns the addresses from the start of the last segment to its last byte from the file.
    pub fn data(&self) -> Range<u32> {
        let end = self.segments.iter().map(Segment::file_end).max();
        let start = self.segments.last().map_or(0, |it| it.vaddr);
        start..end.unwrap_or(0).max(start)
    }
}

impl Segment {
    /// Returns the address after the segment; at most [`TASK_SIZE`].
    pub const fn end(&self) -> u32 {
        self.vaddr.saturating_add(self.memsz)
    }

    /// Returns the address after the last byte that comes from the file.
    pub const fn file_end(&self) -> u32 {
        self.vaddr.saturating_add(self.filesz)
    }

    /// Returns the addresses of the pages that the segment touches.
    pub const fn pages(&self) -> Range<u32> {
        self.vaddr & PAGE_MASK..self.end().saturating_add(!PAGE_MASK) & PAGE_MASK
    }

    /// Returns the segment's range in the file, which lies within the file that was parsed.
    pub const fn file_range(&self) -> Range<usize> {
        self.offset as usize..(self.offset as usize).saturating_add(self.filesz as usize)
    }
}

/// Everything that `execve` needs from the file.
#[derive(PartialEq, Eq, Debug)]
pub struct ElfPlan {
    /// At least one segment, in ascending order, no two of which share a byte. Neighbours may share
    /// a page, which then has the contents and the rights of both.
    pub segments: Vec<Segment>,
    /// Address of the first instruction; below [`TASK_SIZE`], but possibly not mapped.
    pub entry: u32,
    /// Address of the program headers in memory (AT_PHDR), if a segment contains them.
    pub phdr_vaddr: Option<u32>,
    /// Number of program headers (AT_PHNUM).
    pub phnum: u16,
    /// Size of a program header (AT_PHENT).
    pub phent: u16,
    /// Whether the stack must be executable: PT_GNU_STACK says so or is missing.
    pub exec_stack: bool,
    /// Whether the program can run at any address (ET_DYN).
    pub is_dyn: bool,
    /// The path of the dynamic linker in the file, with the zero at its end.
    pub interp: Option<Range<usize>>,
}

impl ElfPlan {
    /// Returns the end of the last segment, where the heap (`brk`) begins, before rounding.
    pub fn brk(&self) -> u32 {
        self.segments.last().map_or(0, Segment::end)
    }
}

/// Checks the program in `file` and returns the plan of its mappings.
///
/// # Errors
/// An [`ElfError`] for the first fault found.
pub fn parse(file: &[u8]) -> Result<ElfPlan, ElfError> {
    parse_head(file, file.len())
}

/// Does the same for a file of `len` bytes that begins with `file`: its headers, its program headers
/// and the path of its dynamic linker must be in `file`.
///
/// # Errors
/// An [`ElfError`] for the first fault found.
pub fn parse_head(file: &[u8], len: usize) -> Result<ElfPlan, ElfError> {
    let header = file_header(file)?;
    let table = program_headers(file, &header)?;
    let mut plan = ElfPlan {
        segments: Vec::new(),
        entry: header.e_entry as u32,
        phdr_vaddr: None,
        phnum: header.e_phnum,
        phent: header.e_phentsize,
        exec_stack: true,
        is_dyn: header.e_type == abi::ET_DYN,
        interp: None,
    };
    for (index, phdr) in table.iter().enumerate() {
        match phdr.p_type {
            // The first one counts.
            abi::PT_INTERP if plan.interp.is_none() => {
                let (at, size) = (phdr.p_offset as u32, phdr.p_filesz as u32);
                let path = slice(file, at, size).filter(|path| is_interp(path));
                let path = path.ok_or(ElfError::Interp { index })?;
                plan.interp = Some(at as usize..(at as usize).saturating_add(path.len()));
            }
            abi::PT_GNU_STACK => plan.exec_stack = phdr.p_flags & abi::PF_X != 0,
            abi::PT_LOAD if phdr.p_memsz != 0 || phdr.p_filesz != 0 => {
                let lowest = if plan.is_dyn { 0 } else { MMAP_MIN_ADDR };
                let segment = load_segment(len, index, &phdr, lowest, plan.segments.last())?;
                let added = plan.segments.try_push(segment);
                added.map_err(|_| ElfError::NoMemory)?;
            }
            // PT_TLS describes a template that the C library copies itself.
            _ => {}
        }
    }
    if plan.segments.is_empty() {
        return Err(ElfError::NoSegment);
    }
    if plan.entry >= TASK_SIZE {
        return Err(ElfError::Entry { found: plan.entry });
    }
    plan.phdr_vaddr = phdr_vaddr(&plan, header.e_phoff as usize);
    Ok(plan)
}

fn file_header(file: &[u8]) -> Result<FileHeader<LittleEndian>, ElfError> {
    let truncated = ElfError::Truncated { len: file.len() };
    if let Some(&found) = file.first_chunk()
        && found != abi::ELFMAGIC
    {
        return Err(ElfError::Magic { found });
    }
    let (ident, tail) = file
        .get(..EHDR_SIZE)
        .and_then(|header| header.split_at_checked(abi::EI_NIDENT))
        .ok_or(truncated)?;
    let ident = parse_ident::<LittleEndian>(ident).map_err(|error| match error {
        ParseError::BadMagic(found) => ElfError::Magic { found },
        ParseError::UnsupportedElfClass(found) => ElfError::Class { found },
        ParseError::UnsupportedElfEndianness(found) => ElfError::Endian { found },
        ParseError::UnsupportedVersion((found, _)) => ElfError::Version { found },
        _ => truncated,
    })?;
    if ident.1 != Class::ELF32 {
        return Err(ElfError::Class {
            found: abi::ELFCLASS64,
        });
    }
    let header = FileHeader::parse_tail(ident, tail).map_err(|_| truncated)?;
    match (header.e_type, header.e_machine) {
        (_, machine) if machine != abi::EM_386 => Err(ElfError::Machine { found: machine }),
        (abi::ET_EXEC | abi::ET_DYN, _) => Ok(header),
        (found, _) => Err(ElfError::Type { found }),
    }
}

fn program_headers<'a>(
    file: &'a [u8],
    header: &FileHeader<LittleEndian>,
) -> Result<SegmentTable<'a, LittleEndian>, ElfError> {
    if header.e_phentsize != PHENT {
        return Err(ElfError::PhEntSize {
            found: header.e_phentsize,
        });
    }
    if header.e_phnum == 0 || header.e_phnum > MAX_PHNUM {
        return Err(ElfError::PhNum {
            found: header.e_phnum,
        });
    }
    let size = usize::from(header.e_phnum).saturating_mul(PHENT.into());
    let bytes = slice(file, header.e_phoff as u32, size as u32).ok_or(ElfError::PhTable {
        offset: header.e_phoff as u32,
        len: file.len(),
    })?;
    Ok(SegmentTable::new(header.endianness, Class::ELF32, bytes))
}

fn load_segment(
    len: usize,
    index: usize,
    phdr: &ProgramHeader,
    lowest: u32,
    previous: Option<&Segment>,
) -> Result<Segment, ElfError> {
    // ELF32 fields: the crate widens them, so narrowing loses nothing.
    let segment = Segment {
        vaddr: phdr.p_vaddr as u32,
        memsz: phdr.p_memsz as u32,
        filesz: phdr.p_filesz as u32,
        offset: phdr.p_offset as u32,
        flags: SegmentFlags::from_bits_truncate(phdr.p_flags),
        align: phdr.p_align as u32,
    };
    let Segment {
        vaddr,
        memsz,
        filesz,
        offset,
        ..
    } = segment;
    if filesz > memsz {
        return Err(ElfError::FileSize {
            index,
            filesz,
            memsz,
        });
    }
    match vaddr.checked_add(memsz) {
        Some(end) if vaddr >= lowest && end <= TASK_SIZE => {}
        _ => {
            return Err(ElfError::Address {
                index,
                vaddr,
                memsz,
            });
        }
    }
    let end = offset.checked_add(filesz);
    if end.is_none_or(|end| end as usize > len) {
        return Err(ElfError::OutOfFile {
            index,
            offset,
            filesz,
            len,
        });
    }
    if filesz > 0 && (vaddr ^ offset) & !PAGE_MASK != 0 {
        return Err(ElfError::Misaligned {
            index,
            vaddr,
            offset,
        });
    }
    match previous {
        Some(previous) if vaddr < previous.end() => Err(ElfError::Overlap {
            index,
            vaddr,
            previous_end: previous.end(),
        }),
        _ => Ok(segment),
    }
}

/// Returns whether PT_INTERP's bytes are a path with a zero at its end.
fn is_interp(path: &[u8]) -> bool {
    (2..=PATH_MAX).contains(&path.len()) && path.last() == Some(&0)
}

fn phdr_vaddr(plan: &ElfPlan, phoff: usize) -> Option<u32> {
    let bytes = usize::from(plan.phnum).checked_mul(plan.phent.into())?;
    let table = phoff..phoff.checked_add(bytes)?;
    let holder = plan.segments.iter().find(|segment| {
        let bytes = segment.file_range();
        bytes.start <= table.start && table.end <= bytes.end
    })?;
    let into = (table.start as u32).checked_sub(holder.offset)?;
    holder.vaddr.checked_add(into)
}

fn slice(file: &[u8], offset: u32, size: u32) -> Option<&[u8]> {
    let end = offset.checked_add(size)?;
    file.get(offset as usize..end as usize)
}

#[cfg(test)]
#[path = "elf_tests.rs"]
mod tests;

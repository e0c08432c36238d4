//! The addresses at which the kernel lies, and its access rights.

use anyhow::{Result, ensure};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{Endianness, Object, ObjectSection, elf};
use xtask::image::check_multiboot2;

use crate::elf::Kernel;

/// Linear address minus physical address.
const PAGE_OFFSET: u32 = 0xc000_0000;
/// Physical address of the first byte.
const LOADED_AT: u32 = 0x0010_0000;

/// A segment as the loader sees it.
struct Segment {
    linear: u32,
    physical: u32,
    bytes: u32,
    flags: u32,
}

fn segments(kernel: &Kernel) -> Result<Vec<Segment>> {
    let header = elf::FileHeader32::<Endianness>::parse(&*kernel.bytes)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, &*kernel.bytes)?;
    Ok(segments
        .iter()
        .filter(|segment| segment.p_type(endian) == elf::PT_LOAD)
        .map(|segment| Segment {
            linear: segment.p_vaddr(endian),
            physical: segment.p_paddr(endian),
            bytes: segment.p_memsz(endian),
            flags: segment.p_flags(endian),
        })
        .collect())
}

/// GRUB would accept and load the kernel.
pub fn multiboot2(kernel: &Kernel) -> Result<()> {
    check_multiboot2(&kernel.path)
}

/// A loader that knows only Multiboot1 also starts the kernel, which can then say what is wrong.
pub fn multiboot1(kernel: &Kernel) -> Result<()> {
    let found = kernel.bytes.iter().take(8192).copied().collect::<Vec<u8>>();
    let header = found
        .chunks_exact(4)
        .any(|word| word == 0x1bad_b002_u32.to_le_bytes());
    ensure!(header, "no Multiboot1 magic in the first 8 KiB of the file");
    Ok(())
}

/// Everything but the entry page is linked `PAGE_OFFSET` above where it is loaded.
pub fn addresses(kernel: &Kernel) -> Result<()> {
    let segments = segments(kernel)?;
    let first = segments.iter().map(|segment| segment.physical).min();
    ensure!(
        first == Some(LOADED_AT),
        "the lowest segment is loaded at {first:x?}"
    );
    let mut high = 0;
    for segment in &segments {
        let difference = segment.linear.wrapping_sub(segment.physical);
        ensure!(
            difference == PAGE_OFFSET || (difference == 0 && segment.linear < PAGE_OFFSET),
            "a segment is linked at {:x} and loaded at {:x}",
            segment.linear,
            segment.physical
        );
        high += u32::from(difference == PAGE_OFFSET);
        ensure!(
            segment.physical % 4096 == segment.linear % 4096,
            "the segment at {:x} is not loaded at the same place in a page",
            segment.linear
        );
    }
    ensure!(
        high >= 3,
        "{high} segments in the higher half: text, constants and data are apart"
    );
    let file = kernel.file()?;
    for name in [".text", ".rodata", ".data", ".bss"] {
        let address = file.section_by_name(name).map(|section| section.address());
        ensure!(
            address.is_some_and(|address| address > u64::from(PAGE_OFFSET + LOADED_AT)),
            "{name} is at {address:x?}"
        );
    }
    Ok(())
}

/// Code cannot be written and data cannot be run.
pub fn rights(kernel: &Kernel) -> Result<()> {
    for segment in segments(kernel)? {
        ensure!(
            segment.flags & (elf::PF_W | elf::PF_X) != elf::PF_W | elf::PF_X,
            "the segment at {:x} ({} bytes) is writable and executable",
            segment.linear,
            segment.bytes
        );
    }
    Ok(())
}

/// The loader jumps to a physical address, with paging off.
pub fn entry(kernel: &Kernel) -> Result<()> {
    let entry = kernel.file()?.entry();
    let start = kernel.symbols.value("_start")?;
    ensure!(
        entry == u64::from(start),
        "the entry is {entry:x}, `_start` is {start:x}"
    );
    ensure!(
        (LOADED_AT..LOADED_AT + 0x10_0000).contains(&start),
        "`_start` is at {start:x}"
    );
    Ok(())
}

/// `wchan` skips what lies between two symbols; the switch must be there.
pub fn sched_text(kernel: &Kernel) -> Result<()> {
    let start = kernel.symbols.value("__sched_text_start")?;
    let end = kernel.symbols.value("__sched_text_end")?;
    let switch_to = kernel.function("switch_to")?.value;
    ensure!(
        (start..end).contains(&switch_to),
        "{switch_to:x} is not in {start:x}..{end:x}"
    );
    Ok(())
}

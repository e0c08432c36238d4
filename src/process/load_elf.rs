//! Loads a program and its dynamic linker into a fresh address space: segments, heap, stack, vDSO.
//!
//! Pages are filled when they are first touched; only a page shared by two segments is put together
//! here.
//!
//! Called by exec before the point of no return, for an address space that is not in use yet.
//!
//! Book: ch. 20, "Executable Formats". Linux: 2.6.38 `fs/binfmt_elf.c` (`load_elf_binary`).

use super::randomize::Layout;
use core::ops::Range;

use super::exec_file::ExecFile;
use crate::arch::vdso::{VDSO, VDSO_BYTES};
use crate::base::errno::Errno;
use crate::fs::elf::{ElfPlan, Segment, SegmentFlags};
use crate::hw::pte::{PAGE_MASK, PAGE_SIZE};
use crate::mm::fault::{FaultSignal, write_to_mm};
use crate::mm::frame::virt_to_phys;
use crate::mm::mm_struct::MmStruct;
use crate::mm::mmap::{MapFlags, do_mmap, do_mprotect};
use crate::mm::vma::{Backing, VmFlags, Vma};

/// Bytes that are copied at a time.
const CHUNK: u32 = 256;
/// Initial size of the stack's area in bytes; it grows on demand.
const STACK_BYTES: u32 = 33 * PAGE_SIZE;

/// A file, and the plan of its mappings.
pub struct Image {
    /// The file.
    pub file: ExecFile,
    /// The plan that was made from its headers.
    pub plan: ElfPlan,
}

/// Maps a program, its dynamic linker and its heap, and moves the plans to where the mappings are.
/// Returns the distance that the dynamic linker has moved (AT_BASE); 0 without one.
///
/// # Errors
/// ENOMEM.
pub fn load_elf_binary(
    mm: &MmStruct,
    program: &mut Image,
    interp: Option<&mut Image>,
    layout: &Layout,
) -> Result<u32, Errno> {
    mm.map.lock().mmap_base = layout.mmap_base;
    let plan = &mut program.plan;
    match (plan.is_dyn, &interp) {
        (false, _) => 0,
        (true, Some(_)) => plan.relocate(layout.dyn_base)?,
        (true, None) => relocate_among_mappings(mm, plan)?,
    };
    let end = load_segments(mm, &program.file, &program.plan)?;
    let brk = match program.plan.is_dyn && interp.is_none() {
        true => layout.low_brk,
        false => end,
    };
    let base = match interp {
        Some(Image { file, plan }) => {
            let base = match plan.is_dyn {
                true => relocate_among_mappings(mm, plan)?,
                false => 0,
            };
            load_segments(mm, file, plan)?;
            base
        }
        None => 0,
    };
    let mut map = mm.map.lock();
    map.start_brk = brk.saturating_add(layout.brk_gap);
    map.brk = map.start_brk;
    Ok(base)
}

/// Moves a position-independent program to free addresses.
fn relocate_among_mappings(mm: &MmStruct, plan: &mut ElfPlan) -> Result<u32, Errno> {
    let span = plan.span();
    let length = span.end.saturating_sub(span.start);
    let start = mm.map.lock().get_unmapped_area(0, length)?;
    plan.relocate(start)
}

/// Maps the segments of the program `file` and returns the end of the last page.
fn load_segments(mm: &MmStruct, file: &ExecFile, plan: &ElfPlan) -> Result<u32, Errno> {
    let mut mapped_to = 0;
    for (index, segment) in plan.segments.iter().enumerate() {
        let pages = segment.pages();
        if pages.start < mapped_to {
            join_page(mm, file, &plan.segments[..=index], pages.start)?;
        }
        map_segment(mm, file, segment, pages.start.max(mapped_to), pages.end)?;
        mapped_to = pages.end;
    }
    Ok(mapped_to)
}

/// Maps pages `start..end` of a segment: the file's bytes, then zeroes.
fn map_segment(
    mm: &MmStruct,
    file: &ExecFile,
    segment: &Segment,
    start: u32,
    end: u32,
) -> Result<(), Errno> {
    let bytes = segment.file_range();
    let file_end = match segment.filesz {
        0 => start,
        _ => (segment.file_end().saturating_add(!PAGE_MASK) & PAGE_MASK).max(start),
    };
    let offset = segment
        .offset
        .wrapping_sub(segment.vaddr)
        .wrapping_add(start);
    let (backing, is_padded) = file.backing(offset, bytes.end);
    map(mm, start, file_end, vm_flags(segment.flags), backing)?;
    let padding = segment.file_end()..file_end;
    if !is_padded && segment.memsz > segment.filesz && segment.flags.contains(SegmentFlags::W) {
        zero(mm, padding)?;
    }
    map(
        mm,
        file_end,
        end,
        vm_flags(segment.flags),
        Backing::Anonymous,
    )
}

/// Clears the rest of a page after the file's bytes.
fn zero(mm: &MmStruct, padding: Range<u32>) -> Result<(), Errno> {
    let mut at = padding.start;
    while at < padding.end {
        let length = padding.end.saturating_sub(at).min(CHUNK);
        write_to_mm(mm, at, &[0; CHUNK as usize][..length as usize]).map_err(no_memory)?;
        at = at.saturating_add(length);
    }
    Ok(())
}

/// Replaces the page at `page`, in which the last of `segments` begins and others end, by a page
/// with the bytes and the rights of all of them.
fn join_page(mm: &MmStruct, file: &ExecFile, segments: &[Segment], page: u32) -> Result<(), Errno> {
    let fixed = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::ANONYMOUS;
    do_mmap(mm, page, PAGE_SIZE, VmFlags::WRITE, fixed, None)?;
    let mut rights = VmFlags::empty();
    for segment in segments
        .iter()
        .filter(|segment| segment.pages().contains(&page))
    {
        rights |= vm_flags(segment.flags);
        let first = segment.vaddr.max(page);
        let last = segment.file_end().min(page.saturating_add(PAGE_SIZE));
        let mut at = first;
        while at < last {
            let length = last.saturating_sub(at).min(CHUNK);
            let mut bytes = [0; CHUNK as usize];
            let bytes = &mut bytes[..length as usize];
            let offset = segment
                .offset
                .saturating_add(at.saturating_sub(segment.vaddr));
            file.read(bytes, offset)?;
            write_to_mm(mm, at, bytes).map_err(no_memory)?;
            at = at.saturating_add(length);
        }
    }
    do_mprotect(mm, page, PAGE_SIZE, Some(rights))
}

/// Makes the stack that ends at `top`, with `contents` at its end.
///
/// # Errors
/// ENOMEM.
pub fn setup_arg_pages(
    mm: &MmStruct,
    top: u32,
    exec_stack: bool,
    sp: u32,
    contents: &[u8],
) -> Result<(), Errno> {
    let mut flags = VmFlags::READ | VmFlags::WRITE | VmFlags::GROWSDOWN;
    flags.set(VmFlags::EXEC, exec_stack);
    let start = (sp & PAGE_MASK).min(top.saturating_sub(STACK_BYTES));
    map(mm, start, top, flags, Backing::Anonymous)?;
    write_to_mm(mm, sp, contents).map_err(no_memory)
}

/// Maps the vDSO and returns its address.
///
/// # Errors
/// ENOMEM.
pub fn arch_setup_additional_pages(mm: &MmStruct) -> Result<u32, Errno> {
    let prot = VmFlags::READ | VmFlags::EXEC;
    let backing = Backing::Special {
        frame: virt_to_phys(&VDSO),
    };
    do_mmap(
        mm,
        0,
        VDSO_BYTES as u32,
        prot,
        MapFlags::PRIVATE,
        Some(backing),
    )
}

/// Maps `start..end`. Fails with ENOMEM if something is there: of a program at fixed addresses, the
/// dynamic linker or the stack may be in the way.
fn map(mm: &MmStruct, start: u32, end: u32, flags: VmFlags, backing: Backing) -> Result<(), Errno> {
    let mut map = mm.map.lock();
    match start < end {
        true if !map.is_free(start, end) => Err(Errno::ENOMEM),
        true => map.insert(Vma {
            start,
            end,
            flags,
            backing,
        }),
        false => Ok(()),
    }
}

fn vm_flags(flags: SegmentFlags) -> VmFlags {
    let mut vm_flags = VmFlags::empty();
    vm_flags.set(VmFlags::READ, flags.contains(SegmentFlags::R));
    vm_flags.set(VmFlags::WRITE, flags.contains(SegmentFlags::W));
    vm_flags.set(VmFlags::EXEC, flags.contains(SegmentFlags::X));
    vm_flags
}

fn no_memory(_: FaultSignal) -> Errno {
    Errno::ENOMEM
}

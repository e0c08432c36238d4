//! Back-traces: the chain of frame pointers, with the names of the functions.
//!
//! The kernel is built with frame pointers, so each frame begins with the caller's ebp and the
//! return address. The walk stays within one kernel stack, goes upwards only, and reads through the
//! exception table, so a broken chain merely ends it. Names come from the symbol table that the
//! boot loader kept. A panic calls this, on any stack.
//!
//! Linux: 2.6.38 `dumpstack.c` (`print_context_stack_bp`), `kallsyms`.

use core::fmt;

use elf::{
    abi::{STT_FUNC, STT_NOTYPE},
    endian::LittleEndian,
    file::Class,
    string_table::StringTable,
    symbol::SymbolTable,
};
use rustc_demangle::demangle;
use spin::Once;

use crate::arch::x86::entry::extable::probe_kernel_read;
use crate::base::layout::PAGE_OFFSET;
use crate::base::thread_info::THREAD_SIZE;
use crate::boot_info::ElfSymbols;
use crate::mm::memblock::Range;

/// Number of frames after which the walk stops: more do not fit on a stack.
const MAX_FRAMES: usize = THREAD_SIZE / 8;

struct Symbols {
    symtab: SymbolTable<'static, LittleEndian>,
    strtab: StringTable<'static>,
}

static SYMBOLS: Once<Symbols> = Once::new();

/// Makes `lookup` use the kernel's symbol table.
///
/// # Safety
/// 1. The boot loader reported the ranges, and they lie in the direct map and are reserved.
pub unsafe fn use_symbols(symbols: &ElfSymbols) {
    // SAFETY: by 1.
    let (symtab, strtab) = unsafe { (bytes(symbols.symtab), bytes(symbols.strtab)) };
    SYMBOLS.call_once(|| Symbols {
        symtab: SymbolTable::new(LittleEndian, Class::ELF32, symtab),
        strtab: StringTable::new(strtab),
    });
}

/// Returns the bytes of a physical range.
///
/// # Safety
/// 1. The direct map covers `range`, and nothing ever writes there.
unsafe fn bytes(range: Range) -> &'static [u8] {
    let start = (range.start + PAGE_OFFSET) as *const u8;
    // SAFETY: by 1.
    unsafe { core::slice::from_raw_parts(start, (range.end - range.start) as usize) }
}

/// Returns the symbol at or below a kernel address: its linked name, and the distance from it in
/// bytes.
pub fn lookup(address: u32) -> Option<(&'static str, u32)> {
    if address < PAGE_OFFSET {
        return None;
    }
    let symbols = SYMBOLS.get()?;
    let best = symbols
        .symtab
        .iter()
        .filter(|s| matches!(s.st_symtype(), STT_FUNC | STT_NOTYPE) && s.st_shndx != 0)
        .filter(|s| s.st_value <= u64::from(address) && s.st_value >= u64::from(PAGE_OFFSET))
        .max_by_key(|s| (s.st_value, s.st_symtype() == STT_FUNC))?;
    let name = symbols.strtab.get(best.st_name as usize).ok()?;
    Some((name, address - best.st_value as u32))
}

/// A code address that prints as `c0101234 name+0x1a`.
pub struct Symbolised(pub u32);

impl fmt::Display for Symbolised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match lookup(self.0) {
            Some((name, offset)) => write!(f, "{:08x} {:#}+{offset:#x}", self.0, demangle(name)),
            None => write!(f, "{:08x}", self.0),
        }
    }
}

/// Returns the return addresses of the frames from `ebp` upwards, within the stack that holds
/// `ebp`.
pub fn return_addresses(ebp: u32) -> impl Iterator<Item = u32> {
    let end = (ebp & !(THREAD_SIZE as u32 - 1)).saturating_add(THREAD_SIZE as u32);
    let mut frame = ebp;
    core::iter::from_fn(move || {
        let is_frame = frame >= PAGE_OFFSET && frame.is_multiple_of(4) && frame <= end - 8;
        if !is_frame {
            return None;
        }
        let caller = probe_kernel_read(frame)?;
        let address = probe_kernel_read(frame + 4)?;
        // Only upwards: a chain that turned back would never end.
        frame = if caller > frame { caller } else { 0 };
        (address >= PAGE_OFFSET).then_some(address)
    })
    .take(MAX_FRAMES)
}

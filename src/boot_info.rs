#![forbid(unsafe_code)]
//! The boot loader's information, checked and put in order.
//!
//! `arch::x86::boot::head` fills a [`BootInfo`] once, on the boot stack, before anything else runs;
//! from then on it is only read. It determines the free memory.
//!
//! Book: appendix A, "System Startup".
//! Linux: `e820`, `struct boot_params`.

use core::fmt;

use arrayvec::ArrayVec;
use spin::Once;

use crate::base::exit_value::ExitValue;
use crate::mm::memblock::{MAXMEM, Memblock, Range, TooManyRanges};

/// Usable memory that the kernel needs, in bytes.
pub const MIN_MEMORY_BYTES: u32 = 16 << 20;
/// Bytes at the start of memory that hold the BIOS's data and the start page of other CPUs.
pub const LOW_RESERVED_BYTES: u64 = 1 << 20;
/// Largest number of lines of the loader's memory map.
pub const MAX_MAP_ENTRIES: usize = 32;
/// Largest number of modules that are read.
pub const MAX_MODULES: usize = 8;

/// CPU features without which the kernel does not start, by Linux's names.
pub const REQUIRED_FEATURES: [&str; 9] = [
    "fpu", "pse", "tsc", "msr", "sep", "cx8", "cmov", "fxsr", "sse",
];

/// The place where the loader put the kernel's own symbol table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ElfSymbols {
    /// The section `.symtab`, with entries of 16 bytes.
    pub symtab: Range,
    /// The section of strings to which the entries' names point.
    pub strtab: Range,
}

impl ElfSymbols {
    /// Returns the address after both sections, up to which they may be read.
    pub fn end(&self) -> u32 {
        self.symtab.end.max(self.strtab.end)
    }
}

/// The place of the firmware's table of tables (ACPI RSDT, or XSDT).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rsdt {
    /// Physical address of the table.
    pub phys: u32,
    /// Size of an entry in bytes: 4 in an RSDT, 8 in an XSDT.
    pub entry_bytes: usize,
}

/// The information of the boot loader.
#[derive(Clone, Debug)]
pub struct BootInfo {
    /// The kernel's command line, as typed.
    pub cmdline: &'static str,
    /// The loader's memory map, unchanged.
    pub memory_map: ArrayVec<MemoryMapEntry, MAX_MAP_ENTRIES>,
    /// Modules in the order of the loader's menu.
    pub modules: ArrayVec<Range, MAX_MODULES>,
    /// The kernel's symbols, if the loader kept them.
    pub symbols: Option<ElfSymbols>,
    /// The firmware's table of tables, if there is one.
    pub rsdt: Option<Rsdt>,
    /// The memory of the kernel's own image.
    pub kernel: Range,
}

static COMMAND_LINE: Once<&'static str> = Once::new();

/// Keeps the command line for [`saved_command_line`].
pub fn save_command_line(line: &'static str) {
    COMMAND_LINE.call_once(|| line);
}

/// Returns the command line as typed.
pub fn saved_command_line() -> &'static str {
    COMMAND_LINE.get().copied().unwrap_or("")
}

impl BootInfo {
    /// Returns the initramfs, which is the first module.
    pub fn initramfs(&self) -> Option<Range> {
        self.modules.first().copied()
    }

    /// Returns the memory, and the parts that are in use: the first MiB, the ranges that the map
    /// does not call available, the kernel, the modules and the symbols.
    ///
    /// # Errors
    /// [`TooManyRanges`] if the map has more separate pieces than can be noted.
    pub fn memblock(&self) -> Result<Memblock, TooManyRanges> {
        let mut memblock = Memblock::new();
        for entry in &self.memory_map {
            if entry.is_available {
                memblock.add(entry.base, entry.length_bytes)?;
            } else if entry.length_bytes > 0 {
                memblock.reserve(entry.base, entry.length_bytes)?;
            }
        }
        memblock.reserve(0, LOW_RESERVED_BYTES)?;
        let symbols = self.symbols.iter().flat_map(|s| [&s.symtab, &s.strtab]);
        for range in symbols.chain(&self.modules).chain([&self.kernel]) {
            memblock.reserve(
                u64::from(range.start),
                range.end.saturating_sub(range.start).into(),
            )?;
        }
        Ok(memblock)
    }
}

/// One line of the loader's memory map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryMapEntry {
    pub base: u64,
    pub length_bytes: u64,
    /// Whether the range is RAM that nothing else uses.
    pub is_available: bool,
}

/// The reasons for which the kernel cannot start, each with a message and an exit value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BootError {
    /// The value of eax was this, not the Multiboot2 magic.
    WrongMagic(u32),
    /// The loader's data cannot be read.
    UnreadableBootInfo(&'static str),
    /// The loader gave no memory map.
    NoMemoryMap,
    /// There are only this many usable bytes.
    TooLittleMemory(u32),
    /// The CPU lacks these features of [`REQUIRED_FEATURES`].
    CpuLacks(ArrayVec<&'static str, 9>),
    /// The loader passed no module.
    NoInitramfs,
    /// The initramfs ends at this address, beyond the memory that the kernel maps.
    InitramfsTooHigh(u32),
}

impl BootError {
    /// Returns the exit value for QEMU.
    pub fn exit_value(&self) -> ExitValue {
        match self {
            Self::WrongMagic(_) | Self::UnreadableBootInfo(_) => ExitValue::NotMultiboot2,
            Self::NoMemoryMap => ExitValue::NoMemoryMap,
            Self::TooLittleMemory(_) => ExitValue::TooLittleMemory,
            Self::CpuLacks(_) => ExitValue::CpuLacksFeature,
            Self::NoInitramfs | Self::InitramfsTooHigh(_) => ExitValue::Initramfs,
        }
    }
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongMagic(eax) => {
                write!(f, "not started by a Multiboot2 loader (eax={eax:#010x})")
            }
            Self::UnreadableBootInfo(why) => {
                write!(f, "the boot loader's information is unreadable: {why}")
            }
            Self::NoMemoryMap => f.write_str("the boot loader gave no memory map"),
            Self::TooLittleMemory(bytes) => write!(
                f,
                "too little memory: {} KiB usable, {} KiB needed",
                bytes >> 10,
                MIN_MEMORY_BYTES >> 10
            ),
            Self::CpuLacks(names) => {
                f.write_str("the CPU lacks:")?;
                names.iter().try_for_each(|name| write!(f, " {name}"))
            }
            Self::NoInitramfs => {
                f.write_str("no initramfs: the boot menu entry has no module2 line")
            }
            Self::InitramfsTooHigh(end) => write!(
                f,
                "the initramfs ends at {end:#x}, above the {} MiB that are mapped",
                MAXMEM >> 20
            ),
        }
    }
}

/// Returns the features of [`REQUIRED_FEATURES`] for which `has` returns false.
pub fn missing_features(has: impl Fn(&str) -> bool) -> ArrayVec<&'static str, 9> {
    REQUIRED_FEATURES
        .into_iter()
        .filter(|name| !has(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(base: u64, length_bytes: u64, is_available: bool) -> MemoryMapEntry {
        MemoryMapEntry {
            base,
            length_bytes,
            is_available,
        }
    }

    fn range(start: u32, end: u32) -> Range {
        Range { start, end }
    }

    #[test]
    fn what_is_occupied_is_not_free() {
        let info = BootInfo {
            cmdline: "",
            memory_map: [
                entry(0, 0x9_fc00, true),
                entry(0x10_0000, 0xf0_0000, true),
                entry(0x80_0000, 0x1000, false),
            ]
            .into_iter()
            .collect(),
            modules: [range(0x40_0000, 0x40_0001)].into_iter().collect(),
            symbols: Some(ElfSymbols {
                symtab: range(0x30_0010, 0x30_0020),
                strtab: range(0x30_0020, 0x30_1020),
            }),
            rsdt: None,
            kernel: range(0x10_0000, 0x20_0123),
        };
        let memblock = info.memblock().unwrap();
        assert_eq!(
            memblock.free_ranges()[..],
            [
                range(0x20_1000, 0x30_0000),
                range(0x30_2000, 0x40_0000),
                range(0x40_1000, 0x80_0000),
                range(0x80_1000, 0x100_0000),
            ]
        );
    }

    #[test]
    fn messages_name_the_cause() {
        let message = BootError::WrongMagic(0x2bad_b002).to_string();
        assert_eq!(
            message,
            "not started by a Multiboot2 loader (eax=0x2badb002)"
        );
        let missing = missing_features(|name| name != "sep" && name != "sse");
        assert_eq!(
            BootError::CpuLacks(missing).to_string(),
            "the CPU lacks: sep sse"
        );
        assert_eq!(
            BootError::TooLittleMemory(7 << 20).exit_value(),
            ExitValue::TooLittleMemory
        );
    }
}

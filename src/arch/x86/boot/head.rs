//! From the 32-bit entry to `start_kernel`: checks that the kernel can run on this machine.
//!
//! `boot/head.S` enters Rust on the boot task's stack with interrupts off, the first 16 MiB mapped
//! at `PAGE_OFFSET` and nothing below. [`prepare`] starts the console, checks the CPU and turns the
//! loader's data into a `BootInfo`. A machine that is not suitable ends here, with a message and a
//! distinct exit value.
//!
//! Book: appendix A, "Renaissance: the startup_32() Functions".
//! Linux: `head_32.S`, `i386_start_kernel`, `setup_arch`.
//! Multiboot2 Specification 2.0, 3.3 "I386 machine state", 3.6 "Boot information format".

use core::{arch::global_asm, fmt::Write};

use arrayvec::ArrayVec;
use multiboot2::{BootInformation, BootInformationHeader, MemoryAreaType};
use raw_cpuid::{CpuId, CpuIdResult};
use spin::Once;

use crate::arch::x86::entry::idt;
use crate::arch::x86::switch::canary::{KERNEL_GS, STACK_PROTECTOR};
use crate::arch::x86::{backtrace, epitaph};
use crate::base::exit_value::ExitValue;
use crate::base::insn;
use crate::base::layout::{BOOT_MAPPED_BYTES, PAGE_OFFSET};
use crate::boot_info::{
    BootError, BootInfo, ElfSymbols, MAX_MAP_ENTRIES, MAX_MODULES, MIN_MEMORY_BYTES,
    MemoryMapEntry, Rsdt,
};
use crate::drivers::{printk, qemu_exit, serial, tsc, vga};
use crate::hw::cr::CR0_STATE;
use crate::mm::memblock::{MAXMEM, Range};
use crate::{boot_info, drivers};

const MULTIBOOT2_MAGIC: u32 = multiboot2::MAGIC;
const MULTIBOOT2_HEADER_MAGIC: u32 = 0xe852_50d6;
const MULTIBOOT1_HEADER_MAGIC: u32 = 0x1bad_b002;

global_asm!(
    include_str!("../../../../boot/multiboot2.S"),
    MB2_HEADER_MAGIC = const MULTIBOOT2_HEADER_MAGIC,
    MB1_HEADER_MAGIC = const MULTIBOOT1_HEADER_MAGIC,
    options(att_syntax)
);

global_asm!(
    include_str!("../../../../boot/head.S"),
    PAGE_OFFSET = const PAGE_OFFSET,
    THREAD_SIZE = const crate::base::thread_info::THREAD_SIZE,
    EFLAGS_ID = const 1 << 21,
    CPUID_1_EDX_CMOV = const 1 << 15,
    PTE_RW = const 2,
    PTE_P_RW = const 3,
    BOOT_MAPPED_BYTES = const BOOT_MAPPED_BYTES,
    BOOT_PAGE_TABLES = const BOOT_MAPPED_BYTES >> 22,
    KERNEL_PGD_BYTES = const (PAGE_OFFSET >> 22) * 4,
    CR0_BOOT = const CR0_STATE,
    STACK_PROTECTOR = const STACK_PROTECTOR as u32,
    CANARY_SELECTOR = const crate::hw::desc::KERNEL_STACK_CANARY.bits(),
    KERNEL_GS = const KERNEL_GS,
    KERNEL_CS = const crate::hw::desc::KERNEL_CS.bits(),
    KERNEL_DS = const crate::hw::desc::KERNEL_DS.bits(),
    PERCPU = const crate::hw::desc::KERNEL_PERCPU.bits(),
    COM1 = const serial::COM1,
    COM1_SETUP_PAIRS = const 7,
    VGA_TEXT = const vga::VGA_TEXT_PHYS,
    EXIT_PORT = const qemu_exit::ISA_DEBUG_EXIT_PORT,
    EXIT_CPU_LACKS = const ExitValue::CpuLacksFeature as u32,
    options(att_syntax)
);

unsafe extern "C" {
    /// First byte of the loaded image, at its load address.
    static _load_start: u8;
    /// First byte after the kernel.
    static _end: u8;
    /// The page tables of the first [`BOOT_MAPPED_BYTES`], in order.
    static boot_page_tables: [u32; 4096];
}

/// Starts the console, checks the machine and reads the loader's data, or ends
/// the run with a message.
///
/// # Safety
/// 1. Called once, by the entry in `main.rs`, on the page tables of `boot/head.S`, with the
///    loader's values of eax and ebx.
pub unsafe fn prepare(magic: u32, mbi_phys: u32) -> &'static BootInfo {
    static BOOT_INFO: Once<BootInfo> = Once::new();
    serial::init();
    vga::init();
    printk::init();
    idt::load_idt();
    match check_and_read(magic, mbi_phys) {
        Ok(info) => {
            let info = BOOT_INFO.call_once(|| info);
            // Symbols above that are used as soon as the direct map reaches them.
            if let Some(symbols) = info.symbols.filter(|s| s.end() <= BOOT_MAPPED_BYTES) {
                // SAFETY: they lie in the range that the boot page tables map; `memblock` reserves
                // them.
                unsafe { backtrace::use_symbols(&symbols) };
            }
            info
        }
        Err(error) => fatal(error.exit_value(), format_args!("{error}")),
    }
}

/// Ends the run: writes `message` to serial line and screen, and passes `value` to QEMU.
pub fn fatal(value: ExitValue, message: core::fmt::Arguments<'_>) -> ! {
    // Writing never fails.
    printk::PanicConsole::finish_line();
    let _ = writeln!(printk::PanicConsole, "fatal: {message}");
    epitaph::record(format_args!("fatal: {message}"));
    drivers::exit(value)
}

fn check_and_read(magic: u32, mbi_phys: u32) -> Result<BootInfo, BootError> {
    if magic != MULTIBOOT2_MAGIC {
        return Err(BootError::WrongMagic(magic));
    }
    check_cpu()?;
    tsc::calibrate();
    let info = read_boot_info(mbi_phys)?;
    let memory_bytes = info
        .memblock()
        .map_err(|_| BootError::UnreadableBootInfo("its memory map has too many pieces"))?
        .total();
    if memory_bytes < MIN_MEMORY_BYTES {
        return Err(BootError::TooLittleMemory(memory_bytes));
    }
    let initramfs = info.initramfs().ok_or(BootError::NoInitramfs)?;
    if initramfs.end > MAXMEM {
        return Err(BootError::InitramfsTooHigh(initramfs.end));
    }
    Ok(info)
}

fn check_cpu() -> Result<(), BootError> {
    let cpuid = CpuId::with_cpuid_fn(cpuid);
    let features = cpuid.get_feature_info();
    let has = |name: &str| {
        features.as_ref().is_some_and(|f| match name {
            "fpu" => f.has_fpu(),
            "pse" => f.has_pse(),
            "tsc" => f.has_tsc(),
            "msr" => f.has_msr(),
            // The first Pentium Pros report SEP without having it.
            "sep" => {
                let signature = f.family_id() == 6 && f.model_id() < 3 && f.stepping_id() < 3;
                f.has_sysenter_sysexit() && !signature
            }
            "cx8" => f.has_cmpxchg8b(),
            "cmov" => f.has_cmov(),
            "fxsr" => f.has_fxsave_fxstor(),
            "sse" => f.has_sse(),
            _ => false,
        })
    };
    let missing = boot_info::missing_features(has);
    if missing.is_empty() {
        Ok(())
    } else {
        Err(BootError::CpuLacks(missing))
    }
}

fn cpuid(eax: u32, ecx: u32) -> CpuIdResult {
    let result = core::arch::x86::__cpuid_count(eax, ecx);
    CpuIdResult {
        eax: result.eax,
        ebx: result.ebx,
        ecx: result.ecx,
        edx: result.edx,
    }
}

/// A copy of the loader's data, which may lie anywhere below 4 GiB, mapped or not.
#[repr(C, align(8))]
struct MbiCopy([u8; MBI_MAX]);

/// Largest boot information that is read, in bytes.
const MBI_MAX: usize = 32 << 10;

fn read_boot_info(mbi_phys: u32) -> Result<BootInfo, BootError> {
    static MBI: Once<BootInformation<'static>> = Once::new();
    static COPY: spin::Mutex<MbiCopy> = spin::Mutex::new(MbiCopy([0; MBI_MAX]));
    let copy = spin::MutexGuard::leak(COPY.lock());
    copy_from_phys(&mut copy.0[..8], mbi_phys);
    let size = u32::from_le_bytes([copy.0[0], copy.0[1], copy.0[2], copy.0[3]]) as usize;
    let Some(bytes) = copy.0.get_mut(..size) else {
        return Err(BootError::UnreadableBootInfo("it is longer than 32 KiB"));
    };
    copy_from_phys(bytes, mbi_phys);
    // SAFETY: the copy is aligned to 8 and longer than the size it reports; its lock is never
    // released, so the copy does not change.
    let mbi = unsafe { BootInformation::load((&raw const copy.0).cast::<BootInformationHeader>()) }
        .map_err(|_| BootError::UnreadableBootInfo("its tags do not add up"))?;
    let mbi = MBI.call_once(|| mbi);
    Ok(BootInfo {
        cmdline: cmdline(mbi)?,
        memory_map: memory_map(mbi)?,
        modules: modules(mbi),
        symbols: symbols(mbi),
        rsdt: rsdt(mbi),
        kernel: kernel_range(),
    })
}

fn cmdline(mbi: &'static BootInformation<'static>) -> Result<&'static str, BootError> {
    mbi.command_line_tag()
        .map_or(Ok(""), |tag| tag.cmdline())
        .map_err(|_| BootError::UnreadableBootInfo("the command line is not UTF-8"))
}

fn memory_map(
    mbi: &BootInformation<'_>,
) -> Result<ArrayVec<MemoryMapEntry, MAX_MAP_ENTRIES>, BootError> {
    let tag = mbi.memory_map_tag().ok_or(BootError::NoMemoryMap)?;
    if tag.entry_size() as usize != size_of::<multiboot2::MemoryArea>() {
        return Err(BootError::UnreadableBootInfo(
            "its memory map has entries of an unknown size",
        ));
    }
    let mut map = ArrayVec::new();
    for area in tag.memory_areas() {
        map.try_push(MemoryMapEntry {
            base: area.start_address(),
            length_bytes: area.size(),
            is_available: area.typ() == MemoryAreaType::Available,
        })
        .map_err(|_| BootError::UnreadableBootInfo("its memory map has more than 32 entries"))?;
    }
    if map.is_empty() {
        Err(BootError::NoMemoryMap)
    } else {
        Ok(map)
    }
}

fn modules(mbi: &BootInformation<'_>) -> ArrayVec<Range, MAX_MODULES> {
    mbi.module_tags()
        .map(|tag| Range {
            start: tag.start_address(),
            end: tag.end_address(),
        })
        .take(MAX_MODULES)
        .collect()
}

/// Returns the symbol table with its string table, if both lie where the direct map will reach.
fn symbols(mbi: &BootInformation<'_>) -> Option<ElfSymbols> {
    const SHDR_BYTES: u32 = size_of::<elf::section::Elf32_Shdr>() as u32;
    const SHT_SYMTAB: u32 = elf::abi::SHT_SYMTAB;
    let tag = mbi
        .elf_sections_tag()
        .filter(|tag| tag.entry_size() == SHDR_BYTES)?;
    let range = |header: elf::section::SectionHeader| {
        let start = u32::try_from(header.sh_addr).ok()?;
        let end = start.checked_add(u32::try_from(header.sh_size).ok()?)?;
        (start != 0 && end <= MAXMEM).then_some(Range { start, end })
    };
    let symtab = tag.sections().find(|header| header.sh_type == SHT_SYMTAB)?;
    let strtab = tag.sections().nth(symtab.sh_link as usize)?;
    Some(ElfSymbols {
        symtab: range(symtab)?,
        strtab: range(strtab)?,
    })
}

/// Returns the root table that the loader passes, the newer one if it passes both.
fn rsdt(mbi: &BootInformation<'_>) -> Option<Rsdt> {
    let xsdt = mbi
        .rsdp_v2_tag()
        .filter(|tag| tag.checksum_is_valid())
        .and_then(|tag| u32::try_from(tag.xsdt_address()).ok())
        .filter(|&phys| phys != 0)
        .map(|phys| Rsdt {
            phys,
            entry_bytes: 8,
        });
    xsdt.or_else(|| {
        let tag = mbi.rsdp_v1_tag().filter(|tag| tag.checksum_is_valid())?;
        let phys = u32::try_from(tag.rsdt_address()).ok()?;
        Some(Rsdt {
            phys,
            entry_bytes: 4,
        })
    })
}

fn kernel_range() -> Range {
    Range {
        start: (&raw const _load_start) as u32,
        end: (&raw const _end) as u32 - PAGE_OFFSET,
    }
}

/// Copies physical memory from `phys` on, page by page, through the last page of the boot mapping,
/// which the kernel never reaches.
fn copy_from_phys(to: &mut [u8], phys: u32) {
    const WINDOW: u32 = PAGE_OFFSET + BOOT_MAPPED_BYTES - 4096;
    const PTE_P: u32 = 1;
    let slot = ((&raw const boot_page_tables).cast::<u32>().cast_mut())
        .wrapping_add((BOOT_MAPPED_BYTES >> 12) as usize - 1);
    // SAFETY: `slot` is the last entry of the boot page tables; no other CPU runs yet.
    let saved = unsafe { slot.read_volatile() };
    let mut done = 0;
    while done < to.len() {
        let address = phys.wrapping_add(done as u32);
        let offset = address & 0xfff;
        let count = (to.len() - done).min(4096 - offset as usize);
        // SAFETY: only we use the entry, see above.
        unsafe { slot.write_volatile((address - offset) | PTE_P) };
        insn::invlpg(WINDOW as usize);
        // SAFETY: the window maps the page that holds `count` bytes from `offset` on; the target
        // is kernel data, which the window cannot overlap.
        unsafe {
            core::ptr::copy_nonoverlapping(
                (WINDOW + offset) as *const u8,
                to[done..].as_mut_ptr(),
                count,
            );
        }
        done += count;
    }
    // SAFETY: this restores the old entry.
    unsafe { slot.write_volatile(saved) };
    insn::invlpg(WINDOW as usize);
}

//! The trampoline: the page below 1 MiB where a started CPU begins, and the data that its code
//! needs.
//!
//! The boot CPU writes the data before each start-up message; `boot/trampoline.S` reads it.
//!
//! Linux: 2.6.38 `arch/x86/kernel/trampoline.c`, `trampoline_32.S`.

use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::arch::x86::switch::canary::KERNEL_GS;
use crate::base::insn;
use crate::base::layout::PAGE_OFFSET;
use crate::hw::cr::CR0_STATE;
use crate::hw::cr::Cr4;
use crate::hw::desc::{KERNEL_CS, KERNEL_DS, KERNEL_PERCPU};
use crate::hw::pte::pgd_index;
use crate::mm::frame::{alloc_zeroed_page, phys_to_virt};
use crate::mm::pgtable::{Table, swapper};

/// Physical address of the page, in the first MiB, which the kernel does not use otherwise.
const TRAMPOLINE_PHYS: u32 = 0x8000;
/// Number of the page, for the start-up message.
pub const TRAMPOLINE_PAGE: u8 = (TRAMPOLINE_PHYS >> 12) as u8;

global_asm!(
    include_str!("../../../../boot/trampoline.S"),
    TRAMPOLINE_PHYS = const TRAMPOLINE_PHYS,
    CR0_BOOT = const CR0_STATE,
    PAGE_OFFSET = const PAGE_OFFSET,
    KERNEL_CS = const KERNEL_CS.bits(),
    KERNEL_DS = const KERNEL_DS.bits(),
    PERCPU = const KERNEL_PERCPU.bits(),
    KERNEL_GS = const KERNEL_GS,
    options(att_syntax)
);

unsafe extern "C" {
    static trampoline_start: u8;
    static trampoline_end: u8;
    static trampoline_cr3: u8;
    static trampoline_cr4: u8;
}

/// Number of the CPU that is being started.
#[unsafe(export_name = "secondary_cpu")]
static CPU: AtomicU32 = AtomicU32::new(0);
/// First stack of the CPU that is being started: `sp0` of its idle task.
#[unsafe(export_name = "secondary_stack")]
static STACK: AtomicU32 = AtomicU32::new(0);
/// CR4 for the CPU that is being started: that of the boot CPU.
#[unsafe(export_name = "secondary_cr4")]
static CR4: AtomicU32 = AtomicU32::new(0);

/// Copies the code into its page. Called once, by the boot CPU. Returns false if there is no memory
/// for the page directory that maps both the page and the kernel.
pub fn install() -> bool {
    let Some(pgd) = alloc_zeroed_page() else {
        return false;
    };
    // SAFETY: the frame is ours and page-aligned; all access is by atomics.
    let table = unsafe { &*phys_to_virt(pgd).cast::<Table>() };
    let first = pgd_index(PAGE_OFFSET);
    for (new, kernel) in table.iter().zip(swapper()).skip(first) {
        new.store(kernel.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    table[0].store(swapper()[first].load(Ordering::Relaxed), Ordering::Relaxed);

    let start = &raw const trampoline_start;
    let bytes = (&raw const trampoline_end) as usize - start as usize;
    let page = phys_to_virt(TRAMPOLINE_PHYS);
    // SAFETY: the code is `bytes` long and fits in a page; the target is mapped, and nothing else
    // uses it, as with all of the first MiB.
    unsafe { core::ptr::copy_nonoverlapping(start, page, bytes) };
    let word = |label: *const u8| {
        page.wrapping_add(label as usize - start as usize)
            .cast::<u32>()
    };
    // SAFETY: both words lie in the copy, aligned by the assembler.
    unsafe {
        word(&raw const trampoline_cr3).write(pgd);
        // Without PGE: the low mappings must not stay in the TLB.
        word(&raw const trampoline_cr4).write(insn::read_cr4() & Cr4::PSE.bits());
    }
    CR4.store(insn::read_cr4(), Ordering::Release);
    true
}

/// Sets the number of the CPU that starts next, and the stack on which it begins.
pub fn set_secondary(cpu: u32, sp0: u32) {
    CPU.store(cpu, Ordering::Release);
    STACK.store(sp0, Ordering::Release);
}

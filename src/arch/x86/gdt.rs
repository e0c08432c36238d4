//! The Global Descriptor Table: one per CPU, 32 entries at Linux's numbers.
//!
//! `cpu_init` fills and loads it on each CPU, with the TSS and the `%fs` of the per-CPU area;
//! after that only entries 6 to 8 (TLS), 17 (LDT) and 26 (a return to a 16-bit stack) change.
//!
//! Book: ch. 2, "The Linux GDT". Linux: 2.6.38 `cpu_init`, `gdt_page`.
//! SDM: vol. 3, 3.5.1 "Segment Descriptor Tables".

use crate::arch::x86::switch::canary::{KERNEL_GS, STACK_PROTECTOR, early_canary};
use crate::base::insn;
use crate::base::percpu::{PerCpu, StackCanary, per_cpu, write_fs};
use crate::hw::desc::{
    DOUBLEFAULT_TSS_SELECTOR, DescStruct, GDT_ENTRIES, GDT_ENTRY_DEFAULT_USER_CS,
    GDT_ENTRY_DEFAULT_USER_DS, GDT_ENTRY_DOUBLEFAULT_TSS, GDT_ENTRY_ESPFIX_SS, GDT_ENTRY_KERNEL_CS,
    GDT_ENTRY_KERNEL_DS, GDT_ENTRY_LDT, GDT_ENTRY_PERCPU, GDT_ENTRY_STACK_CANARY, GDT_ENTRY_TSS,
    GDT_SIZE, KERNEL_CS, KERNEL_PERCPU, TSS_SELECTOR, USER_DS,
};
use crate::hw::tss::{IO_BITMAP_OFFSET, KERNEL_TSS_LIMIT, X86HwTss};

const _: () = assert!(DOUBLEFAULT_TSS_SELECTOR.0 == 0xf8 && GDT_ENTRIES == 32);

/// Writes entry `N` of this CPU's table.
///
/// # Safety
/// 1. A TLS entry (6 to 8) is a data segment of ring 3, or empty; entry 17 describes an LDT that stays
///    in place as long as LDTR holds it.
/// 2. Interrupts or preemption are off, so that both words go into one table.
#[inline(always)]
pub unsafe fn write_gdt_entry<const N: usize>(desc: &DescStruct) {
    // SAFETY: by 1 and 2; the table begins the per-CPU area.
    unsafe {
        match N {
            6 => write_words::<{ 6 * 8 }, { 6 * 8 + 4 }>(desc),
            7 => write_words::<{ 7 * 8 }, { 7 * 8 + 4 }>(desc),
            8 => write_words::<{ 8 * 8 }, { 8 * 8 + 4 }>(desc),
            GDT_ENTRY_LDT => write_words::<{ 17 * 8 }, { 17 * 8 + 4 }>(desc),
            _ => unreachable!("only TLS and LDT entries change after boot"),
        }
    }
}

/// # Safety
/// 1. The conditions of [`write_gdt_entry`] hold for the entry whose words are at `A` and `B`.
#[inline(always)]
unsafe fn write_words<const A: usize, const B: usize>(desc: &DescStruct) {
    // SAFETY: by 1.
    unsafe {
        write_fs::<A>(desc.a);
        write_fs::<B>(desc.b);
    }
}

/// Loads the descriptor tables, `%fs` and the task register of CPU `cpu`, on that CPU, once.
///
/// `sp0` is the top of the kernel stack of the first task on this CPU. After this `%fs` works.
///
/// # Safety
/// 1. Runs on CPU `cpu`, once, with interrupts off, after `setup_per_cpu_areas`.
pub unsafe fn cpu_init(cpu: u32, sp0: u32) {
    let area: *mut PerCpu = per_cpu(cpu);
    // SAFETY: by 1 the area exists and only this CPU uses it so far.
    let p = unsafe { &mut *area };
    p.gdt_page[GDT_ENTRY_KERNEL_CS] = DescStruct::flat_code(0);
    p.gdt_page[GDT_ENTRY_KERNEL_DS] = DescStruct::flat_data(0);
    p.gdt_page[GDT_ENTRY_DEFAULT_USER_CS] = DescStruct::flat_code(3);
    p.gdt_page[GDT_ENTRY_DEFAULT_USER_DS] = DescStruct::flat_data(3);
    p.gdt_page[GDT_ENTRY_TSS] = DescStruct::tss(&raw const p.tss as u32, KERNEL_TSS_LIMIT);
    p.gdt_page[GDT_ENTRY_PERCPU] = DescStruct::data(area as u32, size_of::<PerCpu>() as u32 - 1, 0);
    // The base of this descriptor changes with each use.
    p.gdt_page[GDT_ENTRY_ESPFIX_SS] = DescStruct::flat_data(0);
    if STACK_PROTECTOR {
        let canary = &raw mut p.stack_canary;
        p.gdt_page[GDT_ENTRY_STACK_CANARY] =
            DescStruct::data(canary as u32, size_of::<StackCanary>() as u32 - 1, 0);
        // The functions that are running began with this canary.
        p.stack_canary.canary = early_canary();
    }
    p.gdt_page[GDT_ENTRY_DOUBLEFAULT_TSS] = DescStruct::tss(
        &raw const p.doublefault_tss as u32,
        size_of::<X86HwTss>() as u32 - 1,
    );
    p.tss.x86_tss.sp0 = sp0;
    p.tss.x86_tss.ss1 = KERNEL_CS.0;
    p.tss.x86_tss.io_bitmap_base = IO_BITMAP_OFFSET;

    let gdtr = insn::DescPtr {
        limit: GDT_SIZE as u16 - 1,
        base: area as u32,
    };
    // SAFETY: the table is filled, is never freed, and has the selectors that are loaded next.
    unsafe {
        insn::lgdt(&gdtr);
        insn::load_cs(KERNEL_CS.0);
        // As in Linux the kernel's data segments are the user's flat ones, so that an entry
        // from ring 3 by sysenter finds them usable; only ss has to be ring 0.
        insn::load_data_segments(USER_DS.0);
        insn::load_ss(crate::hw::desc::KERNEL_DS.0);
        insn::load_fs(KERNEL_PERCPU.0);
        insn::load_gs(KERNEL_GS as u16);
        insn::ltr(TSS_SELECTOR.0);
        insn::lldt(0);
    }
    // SAFETY: the kernel's own code segment, on this CPU, interrupts off by 1.
    unsafe { crate::arch::x86::switch::load_sp0::set_sysenter_cs(u32::from(KERNEL_CS.0)) };
}

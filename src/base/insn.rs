//! Privileged instructions, each wrapped once.
//!
//! Ground floor: any room may call these. A function is safe if it can at worst stop or slow this
//! CPU; it is `unsafe` if it can change the meaning of memory, or make a device change memory.
//!
//! Linux: `asm/system.h`, `asm/msr.h`, `asm/irqflags.h`, `asm/tlbflush.h`.
//! SDM: vol. 2, by the name of each instruction.

use core::arch::asm;

/// MSR: code selector of `sysenter`, from which the other selectors follow.
pub const MSR_IA32_SYSENTER_CS: u32 = 0x174;
/// MSR: esp after `sysenter`.
pub const MSR_IA32_SYSENTER_ESP: u32 = 0x175;
/// MSR: eip after `sysenter`.
pub const MSR_IA32_SYSENTER_EIP: u32 = 0x176;

/// Operand of `lgdt` and `lidt`: limit in bytes minus one, linear base.
#[repr(C, packed)]
#[derive(Clone, Copy, Debug, Default)]
pub struct DescPtr {
    pub limit: u16,
    pub base: u32,
}

const _: () = assert!(size_of::<DescPtr>() == 6);

// ------------------------------------------------------------ interrupt flag

/// Turns interrupts off.
#[inline(always)]
pub fn cli() {
    // SAFETY: ring 0 (see `arch::x86`). Memory is a clobber, so no access moves out of the section.
    unsafe { asm!("cli", options(nostack)) };
}

/// Turns interrupts on, after the next instruction.
#[inline(always)]
pub fn sti() {
    // SAFETY: ring 0; handlers keep every register. Memory is a clobber, as for `cli`.
    unsafe { asm!("sti", options(nostack)) };
}

/// Stops until the next interrupt; with interrupts off, for ever.
#[inline(always)]
pub fn hlt() {
    // SAFETY: ring 0; it only takes time.
    unsafe { asm!("hlt", options(nostack)) };
}

/// Turns interrupts on and stops until the next one, which cannot arrive between the two steps.
#[inline(always)]
pub fn sti_hlt() {
    // SAFETY: ring 0; `sti` takes effect after `hlt` has begun to wait.
    unsafe { asm!("sti", "hlt", options(nostack)) };
}

/// Returns the present EFLAGS.
#[inline(always)]
pub fn read_eflags() -> u32 {
    let flags: u32;
    // SAFETY: pushes and pops one word of our own stack.
    unsafe { asm!("pushfd", "pop {}", out(reg) flags, options(preserves_flags)) };
    flags
}

// ------------------------------------------------------------- descriptor tables

/// Loads GDTR.
///
/// # Safety
/// The table stays at its place and keeps a descriptor for each selector in use.
#[inline(always)]
pub unsafe fn lgdt(table: &DescPtr) {
    // SAFETY: the caller's duty; the operand itself is only read.
    unsafe { asm!("lgdt [{}]", in(reg) table, options(readonly, nostack, preserves_flags)) };
}

/// Loads IDTR.
///
/// # Safety
/// The table stays at its place, and each present gate leads to an entry of that vector's frame.
#[inline(always)]
pub unsafe fn lidt(table: &DescPtr) {
    // SAFETY: the caller's duty; the operand itself is only read.
    unsafe { asm!("lidt [{}]", in(reg) table, options(readonly, nostack, preserves_flags)) };
}

/// Loads the task register and marks the descriptor busy. Called once per CPU.
///
/// # Safety
/// `selector` names an available TSS whose memory stays at its place.
#[inline(always)]
pub unsafe fn ltr(selector: u16) {
    // SAFETY: the caller's duty.
    unsafe { asm!("ltr {0:x}", in(reg) selector, options(nostack, preserves_flags)) };
}

/// Returns the task register: the selector of this CPU's TSS.
#[inline(always)]
pub fn str() -> u16 {
    let selector: u16;
    // SAFETY: only reads.
    unsafe { asm!("str {0:x}", out(reg) selector, options(nomem, nostack, preserves_flags)) };
    selector
}

/// Loads LDTR.
///
/// # Safety
/// `selector` is 0 or names an LDT descriptor of this CPU's GDT whose table stays at its place.
#[inline(always)]
pub unsafe fn lldt(selector: u16) {
    // SAFETY: the caller's duty.
    unsafe { asm!("lldt {0:x}", in(reg) selector, options(nostack, preserves_flags)) };
}

/// Returns the selector in LDTR.
#[inline(always)]
pub fn sldt() -> u16 {
    let selector: u16;
    // SAFETY: only reads.
    unsafe { asm!("sldt {0:x}", out(reg) selector, options(nomem, nostack, preserves_flags)) };
    selector
}

/// Returns the base and limit in GDTR.
#[inline(always)]
pub fn sgdt() -> DescPtr {
    let mut table = DescPtr::default();
    // SAFETY: writes six bytes into a local of that size.
    unsafe { asm!("sgdt [{}]", in(reg) &raw mut table, options(nostack, preserves_flags)) };
    table
}

// ------------------------------------------------------------- control registers

/// Returns the value of CR0.
#[inline(always)]
pub fn read_cr0() -> u32 {
    let value: u32;
    // SAFETY: ring 0; only reads.
    unsafe { asm!("mov {}, cr0", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Loads CR0.
///
/// # Safety
/// PE, PG and WP stay set.
#[inline(always)]
pub unsafe fn write_cr0(value: u32) {
    // SAFETY: the caller's duty. Memory is a clobber.
    unsafe { asm!("mov cr0, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Returns CR2: the linear address of the last page fault.
#[inline(always)]
pub fn read_cr2() -> u32 {
    let value: u32;
    // SAFETY: ring 0; only reads.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Returns CR3: the physical address of the page directory, and its flags.
#[inline(always)]
pub fn read_cr3() -> u32 {
    let value: u32;
    // SAFETY: ring 0; only reads.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Loads CR3, which flushes all translations that are not global.
///
/// # Safety
/// `value` is a page directory that maps the kernel, and stays alive while it is loaded.
#[inline(always)]
pub unsafe fn write_cr3(value: u32) {
    // SAFETY: the caller's duty. Memory is a clobber.
    unsafe { asm!("mov cr3, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Returns the value of CR4.
#[inline(always)]
pub fn read_cr4() -> u32 {
    let value: u32;
    // SAFETY: ring 0; every CPU with CPUID has CR4, and the boot code has checked for CPUID.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Loads CR4.
///
/// # Safety
/// The CPU has each feature whose bit is set, and the page tables suit PSE, PAE and PGE.
#[inline(always)]
pub unsafe fn write_cr4(value: u32) {
    // SAFETY: the caller's duty. Memory is a clobber.
    unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Clears CR0.TS: the FPU may be used.
#[inline(always)]
pub fn clts() {
    // SAFETY: ring 0; at worst the FPU shows another task's values.
    unsafe { asm!("clts", options(nostack, preserves_flags)) };
}

/// Sets CR0.TS: the next FPU instruction raises #NM.
#[inline(always)]
pub fn stts() {
    // SAFETY: only TS changes.
    unsafe { write_cr0(read_cr0() | 1 << 3) };
}

/// Flushes the translation of one linear address.
#[inline(always)]
pub fn invlpg(address: usize) {
    // SAFETY: ring 0; a flush never changes the meaning of memory.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

// ------------------------------------------------------------------ MSRs and time

/// Reads a model-specific register.
///
/// # Safety
/// The CPU has the register; otherwise it raises #GP.
#[inline(always)]
pub unsafe fn rdmsr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller's duty.
    unsafe { asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nostack)) };
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The CPU has the register, and the caller answers for the effect of the value.
#[inline(always)]
pub unsafe fn wrmsr(register: u32, value: u64) {
    let (low, high) = (value as u32, (value >> 32) as u32);
    // SAFETY: the caller's duty. Memory is a clobber.
    unsafe { asm!("wrmsr", in("ecx") register, in("eax") low, in("edx") high, options(nostack)) };
}

/// Returns the time-stamp counter.
#[inline(always)]
pub fn rdtsc() -> u64 {
    // SAFETY: ring 0 may always read it; the boot code has checked for the feature.
    unsafe { core::arch::x86::_rdtsc() }
}

/// Writes each of `bytes` to `port`, in one instruction.
///
/// # Safety
/// 1. The device at `port` takes any bytes, and none of them changes memory.
#[inline(always)]
pub unsafe fn outsb(port: u16, bytes: &[u8]) {
    // SAFETY: ring 0; by 1 the device does no harm, and only `bytes` is read. DF is clear.
    unsafe {
        asm!(
            "xchgl %esi, {from:e}",
            "rep outsb",
            "movl {from:e}, %esi",
            in("dx") port,
            from = inout(reg) bytes.as_ptr() => _,
            inout("ecx") bytes.len() => _,
            options(att_syntax, nostack, preserves_flags, readonly),
        );
    }
}

// ---------------------------------------------------------------- debug registers

/// Returns debug register `n`, which is 0 to 3, 6 or 7; 0 for other numbers.
#[inline(always)]
pub fn get_debugreg(n: usize) -> u32 {
    let value: u32;
    // SAFETY: ring 0; only reads.
    unsafe {
        match n {
            0 => asm!("mov {}, dr0", out(reg) value, options(nomem, nostack, preserves_flags)),
            1 => asm!("mov {}, dr1", out(reg) value, options(nomem, nostack, preserves_flags)),
            2 => asm!("mov {}, dr2", out(reg) value, options(nomem, nostack, preserves_flags)),
            3 => asm!("mov {}, dr3", out(reg) value, options(nomem, nostack, preserves_flags)),
            6 => asm!("mov {}, dr6", out(reg) value, options(nomem, nostack, preserves_flags)),
            7 => asm!("mov {}, dr7", out(reg) value, options(nomem, nostack, preserves_flags)),
            _ => value = 0,
        }
    }
    value
}

/// Loads debug register `n`, which is 0 to 3, 6 or 7; does nothing for other numbers.
#[inline(always)]
pub fn set_debugreg(value: u32, n: usize) {
    // SAFETY: ring 0; a breakpoint raises #DB, which the kernel handles wherever it occurs.
    unsafe {
        match n {
            0 => asm!("mov dr0, {}", in(reg) value, options(nostack, preserves_flags)),
            1 => asm!("mov dr1, {}", in(reg) value, options(nostack, preserves_flags)),
            2 => asm!("mov dr2, {}", in(reg) value, options(nostack, preserves_flags)),
            3 => asm!("mov dr3, {}", in(reg) value, options(nostack, preserves_flags)),
            6 => asm!("mov dr6, {}", in(reg) value, options(nostack, preserves_flags)),
            7 => asm!("mov dr7, {}", in(reg) value, options(nostack, preserves_flags)),
            _ => {}
        }
    }
}

// ---------------------------------------------------------------------------- FPU

/// Saves x87, MMX and SSE state in 512 bytes.
///
/// # Safety
/// `area` is 512 writable bytes, aligned to 16; CR0.TS is clear.
#[inline(always)]
pub unsafe fn fxsave(area: *mut u8) {
    // SAFETY: the caller's duty.
    unsafe { asm!("fxsave [{}]", in(reg) area, options(nostack, preserves_flags)) };
}

/// Loads x87, MMX and SSE state.
///
/// # Safety
/// `area` was filled by [`fxsave`] or by its layout with no reserved MXCSR bit; CR0.TS is clear.
#[inline(always)]
pub unsafe fn fxrstor(area: *const u8) {
    // SAFETY: the caller's duty.
    unsafe { asm!("fxrstor [{}]", in(reg) area, options(readonly, nostack, preserves_flags)) };
}

/// Puts the x87 unit into its initial state (control word 0x37f).
///
/// # Safety
/// CR0.TS is clear, and no task's state is in the registers.
#[inline(always)]
pub unsafe fn fninit() {
    // SAFETY: the caller's duty.
    unsafe { asm!("fninit", options(nostack, preserves_flags)) };
}

/// Loads MXCSR.
///
/// # Safety
/// CR4.OSFXSR is set, CR0.TS is clear, and no reserved bit is set.
#[inline(always)]
pub unsafe fn ldmxcsr(value: u32) {
    // SAFETY: the caller's duty.
    unsafe {
        asm!("ldmxcsr [{}]", in(reg) &raw const value, options(readonly, nostack, preserves_flags))
    };
}

// ------------------------------------------------------- segment and other registers

/// Returns the selector in %gs.
#[inline(always)]
pub fn read_gs() -> u16 {
    let selector: u16;
    // SAFETY: only reads.
    unsafe { asm!("mov {0:x}, gs", out(reg) selector, options(nomem, nostack, preserves_flags)) };
    selector
}

/// Returns the selector in %fs.
#[inline(always)]
pub fn read_fs() -> u16 {
    let selector: u16;
    // SAFETY: only reads.
    unsafe { asm!("mov {0:x}, fs", out(reg) selector, options(nomem, nostack, preserves_flags)) };
    selector
}

/// Loads %gs, with 0 if the tables do not allow the selector.
///
/// The exception table catches the fault: a user's selector may have lost its descriptor since it
/// was saved.
///
/// # Safety
/// 1. The kernel does not use %gs, or `selector` is the one that it uses (feature
///    `stack_protector`).
#[inline(always)]
pub unsafe fn load_gs(selector: u16) {
    // SAFETY: by 1; the fix-up at 3 goes back to 2 with selector 0, which
    // never faults.
    unsafe {
        asm!(
            "2: mov gs, {0:x}",
            ".pushsection .text.fixup, \"ax\", @progbits",
            "3: xor {0:e}, {0:e}",
            "jmp 2b",
            ".popsection",
            ".pushsection __ex_table, \"a\", @progbits",
            ".balign 4",
            ".long 2b, 3b",
            ".popsection",
            inout(reg) u32::from(selector) => _,
            options(nostack),
        );
    }
}

/// Loads %fs.
///
/// # Safety
/// `selector` names this CPU's per-CPU descriptor.
#[inline(always)]
pub unsafe fn load_fs(selector: u16) {
    // SAFETY: the caller's duty.
    unsafe { asm!("mov fs, {0:x}", in(reg) selector, options(nostack, preserves_flags)) };
}

/// Loads %ds and %es.
///
/// # Safety
/// `selector` names a flat data segment.
#[inline(always)]
pub unsafe fn load_data_segments(selector: u16) {
    // SAFETY: the caller's duty.
    unsafe {
        asm!(
            "mov ds, {0:x}", "mov es, {0:x}",
            in(reg) selector, options(nostack, preserves_flags),
        )
    };
}

/// Loads %ss.
///
/// # Safety
/// `selector` names a flat ring-0 data segment.
#[inline(always)]
pub unsafe fn load_ss(selector: u16) {
    // SAFETY: the caller's duty.
    unsafe { asm!("mov ss, {0:x}", in(reg) selector, options(nostack, preserves_flags)) };
}

/// Loads %cs by a far return.
///
/// # Safety
/// `selector` names a flat ring-0 code segment.
#[inline(always)]
pub unsafe fn load_cs(selector: u16) {
    // SAFETY: the caller's duty; the far return goes to the next instruction.
    unsafe {
        asm!(
            "pushl {0}", "pushl $2f", "lret", "2:",
            in(reg) u32::from(selector), options(att_syntax, preserves_flags),
        )
    };
}

/// Returns the stack pointer.
#[inline(always)]
pub fn read_esp() -> u32 {
    let esp: u32;
    // SAFETY: only reads. Not `pure`: the same code may run on another stack next time.
    unsafe { asm!("mov {}, esp", out(reg) esp, options(nomem, nostack, preserves_flags)) };
    esp
}

/// Returns an address on the current stack. Unlike [`read_esp`] it is `pure`, so a function reads
/// it once: a call frame lies on one stack as long as it lives, and code after `switch_to`
/// continues in its own frame.
#[inline(always)]
pub fn stack_address() -> u32 {
    let esp: u32;
    // SAFETY: only reads.
    unsafe { asm!("mov {}, esp", out(reg) esp, options(pure, nomem, nostack, preserves_flags)) };
    esp
}

/// Returns the frame pointer.
#[inline(always)]
pub fn read_ebp() -> u32 {
    let ebp: u32;
    // SAFETY: only reads.
    unsafe { asm!("mov {}, ebp", out(reg) ebp, options(nomem, nostack, preserves_flags)) };
    ebp
}

/// Returns CPUID leaf `eax`, sub-leaf `ecx`, for the `raw-cpuid` crate.
pub fn cpuid(eax: u32, ecx: u32) -> raw_cpuid::CpuIdResult {
    let r = core::arch::x86::__cpuid_count(eax, ecx);
    raw_cpuid::CpuIdResult {
        eax: r.eax,
        ebx: r.ebx,
        ecx: r.ecx,
        edx: r.edx,
    }
}

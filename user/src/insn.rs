//! Single instructions, each wrapped once.
//!
//! All of them are safe functions: in ring 3 the worst that any of them can do is raise an
//! exception, which is what most callers want. Those that write memory write to an operand of their
//! own. Each SAFETY line below rests on this.

use core::arch::asm;

/// Instructions without operands or effect on memory.
macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident => $text:literal;)*) => {$(
        $(#[$doc])*
        #[inline(always)]
        pub fn $name() {
            // SAFETY: as this file's head says.
            unsafe { asm!($text, options(att_syntax)) }
        }
    )*};
}

plain! {
    ud2 => "ud2";
    hlt => "hlt";
    cli => "cli";
    sti => "sti";
    int3 => "int3";
    /// Calls a vector that the user may not call: its gate has DPL 0.
    int_0x20 => "int $0x20";
    /// Calls a vector without any gate for software.
    int_0xff => "int $0xff";
    /// Calls the page-fault vector as if it were a system call.
    int_14 => "int $14";
    /// Makes a far call into the kernel's code segment.
    lcall_kernel_cs => "lcall $0x60, $0";
    /// Raises #OF, with OF set by an addition.
    overflow_into => "movb $0x7f, %al; addb $1, %al; into";
    /// Raises #BR: index 5 is outside 0..=1.
    bound => "pushl $1; pushl $0; movl $5, %eax; bound %eax, (%esp)";
    /// Raises #DE.
    divide_by_zero => "xorl %edx, %edx; movl $1, %eax; xorl %ecx, %ecx; divl %ecx";
    read_dr7 => "movl %dr7, %eax";
    write_dr7 => "xorl %eax, %eax; movl %eax, %dr7";
    read_dr0 => "movl %dr0, %eax";
    read_cr0 => "movl %cr0, %eax";
    read_cr3 => "movl %cr3, %eax";
    clts => "clts";
    rdmsr => "xorl %ecx, %ecx; rdmsr";
    lldt => "xorl %eax, %eax; lldt %ax";
    ltr => "movl $0x80, %eax; ltr %ax";
    /// Executes `iret` with NT set, which asks for a return to the task of the TSS's back link.
    iret_with_nt => "pushfl; orl $0x4000, (%esp); popfl; iretl";
    /// Executes `iret` with VM set: a processor ignores VM in ring 3 and goes on at the next line;
    /// QEMU enters virtual-8086 mode, with the four segments below the frame.
    iret_with_vm => "pushl $0; pushl $0; pushl $0; pushl $0; pushl $0x7b; pushl %esp; pushfl; orl $0x20000, (%esp); pushl $0x73; pushl $1f; iretl; 1:";
    /// Makes a misaligned read with EFLAGS.AC set.
    misaligned_with_ac => "pushfl; orl $0x40000, (%esp); popfl; movl 1(%esp), %eax";
    /// Sets EFLAGS.TF: the instruction after the next one traps.
    set_tf => "pushfl; orl $0x100, (%esp); popfl; nop; nop";
    /// Pushes until the stack ends.
    exhaust_stack => "1: pushl %eax; jmp 1b";
}

pub fn read(address: u32) -> u32 {
    let value;
    // SAFETY: as this file's head says.
    unsafe { asm!("movl ({0}), {0}", inout(reg) address => value, options(att_syntax)) };
    value
}

/// Writes a word where the compiler believes that there is nothing.
pub fn write(address: u32, value: u32) {
    // SAFETY: the callers aim at memory that no Rust object owns.
    unsafe { asm!("movl {1}, ({0})", in(reg) address, in(reg) value, options(att_syntax)) }
}

pub fn jump(address: u32) {
    // SAFETY: the callers aim where nothing can be executed.
    unsafe { asm!("jmp *{0}", in(reg) address, options(att_syntax)) }
}

/// Raises #DE while esp does not point to a user stack.
pub fn divide_with_esp(esp: u32) {
    // SAFETY: the program dies before it needs its stack again.
    unsafe {
        asm!("movl {0}, %esp; xorl %edx, %edx; xorl %ecx, %ecx; divl %ecx",
            in(reg) esp, options(att_syntax));
    }
}

/// Raises #BP while esp does not point to a user stack.
pub fn int3_with_esp(esp: u32) {
    // SAFETY: the program dies before it needs its stack again.
    unsafe { asm!("movl {0}, %esp; int3", in(reg) esp, options(att_syntax)) }
}

/// Raises #GP while esp does not point to a user stack.
pub fn hlt_with_esp(esp: u32) {
    // SAFETY: the program dies before it needs its stack again.
    unsafe { asm!("movl {0}, %esp; hlt", in(reg) esp, options(att_syntax)) }
}

/// Makes a system call without arguments while esp does not point to a user stack.
pub fn call_with_esp(esp: u32, number: u32) {
    // SAFETY: the program dies before it needs its stack again.
    unsafe {
        asm!("movl {0}, %esp; int $0x80; hlt", in(reg) esp, in("eax") number,
            options(att_syntax));
    }
}

pub fn outb(port: u16, value: u8) {
    // SAFETY: as this file's head says.
    unsafe { asm!("outb %al, %dx", in("dx") port, in("al") value, options(att_syntax)) }
}

pub fn inb(port: u16) -> u8 {
    let value;
    // SAFETY: as this file's head says.
    unsafe { asm!("inb %dx, %al", in("dx") port, out("al") value, options(att_syntax)) };
    value
}

pub fn inw(port: u16) -> u16 {
    let value;
    // SAFETY: as this file's head says.
    unsafe { asm!("inw %dx, %ax", in("dx") port, out("ax") value, options(att_syntax)) };
    value
}

pub fn inl(port: u16) -> u32 {
    let value;
    // SAFETY: as this file's head says.
    unsafe { asm!("inl %dx, %eax", in("dx") port, out("eax") value, options(att_syntax)) };
    value
}

pub fn eflags() -> u32 {
    let flags;
    // SAFETY: as this file's head says.
    unsafe { asm!("pushfl; popl {0}", out(reg) flags, options(att_syntax)) };
    flags
}

pub fn rdtsc() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: as this file's head says.
    unsafe { asm!("rdtsc", out("eax") low, out("edx") high, options(att_syntax)) };
    u64::from(high) << 32 | u64::from(low)
}

/// Returns eax, ebx, ecx, edx of CPUID.
pub fn cpuid(leaf: u32) -> [u32; 4] {
    let (a, b, c, d);
    // SAFETY: as this file's head says.
    unsafe {
        asm!("cpuid", inout("eax") leaf => a, out("ebx") b, inout("ecx") 0 => c, out("edx") d,
            options(att_syntax));
    }
    [a, b, c, d]
}

pub fn ss() -> u16 {
    let selector: u32;
    // SAFETY: as this file's head says.
    unsafe { asm!("movl %ss, {0}", out(reg) selector, options(att_syntax)) };
    selector as u16
}

pub fn cs() -> u16 {
    let selector: u32;
    // SAFETY: as this file's head says.
    unsafe { asm!("movl %cs, {0}", out(reg) selector, options(att_syntax)) };
    selector as u16
}

/// Returns the task register. A processor with UMIP may refuse, and the kernel pretend.
pub fn str() -> u16 {
    let selector: u32;
    // SAFETY: as this file's head says.
    unsafe { asm!("strl {0}", out(reg) selector, options(att_syntax)) };
    selector as u16
}

pub fn gs() -> u16 {
    let selector: u32;
    // SAFETY: as this file's head says.
    unsafe { asm!("movl %gs, {0}", out(reg) selector, options(att_syntax)) };
    selector as u16
}

/// Loads %gs. The programs keep nothing in %gs and %fs, so any selector may be tried.
pub fn set_gs(selector: u16) {
    // SAFETY: as this file's head says.
    unsafe { asm!("movl {0}, %gs", in(reg) u32::from(selector), options(att_syntax)) }
}

pub fn fs() -> u16 {
    let selector: u32;
    // SAFETY: as this file's head says.
    unsafe { asm!("movl %fs, {0}", out(reg) selector, options(att_syntax)) };
    selector as u16
}

pub fn set_fs(selector: u16) {
    // SAFETY: as this file's head says.
    unsafe { asm!("movl {0}, %fs", in(reg) u32::from(selector), options(att_syntax)) }
}

/// Loads %ds with a selector that faults; no other may be passed, since %ds is not restored.
pub fn set_ds(selector: u16) {
    // SAFETY: as this file's head says; the load raises #GP before it takes effect.
    unsafe { asm!("movl {0}, %ds", in(reg) u32::from(selector), options(att_syntax)) }
}

/// Loads %ss with a selector that faults; no other may be passed.
pub fn set_ss(selector: u16) {
    // SAFETY: as this file's head says; the load raises #GP before it takes effect.
    unsafe { asm!("movl {0}, %ss", in(reg) u32::from(selector), options(att_syntax)) }
}

/// Returns the word at %gs:0.
pub fn gs_word() -> u32 {
    let word;
    // SAFETY: as this file's head says.
    unsafe { asm!("movl %gs:0, {0}", out(reg) word, options(att_syntax)) };
    word
}

/// Returns the word at %fs:0.
pub fn fs_word() -> u32 {
    let word;
    // SAFETY: as this file's head says.
    unsafe { asm!("movl %fs:0, {0}", out(reg) word, options(att_syntax)) };
    word
}

/// Returns the word at %gs:4.
pub fn gs_word_at_4() -> u32 {
    let word;
    // SAFETY: as this file's head says.
    unsafe { asm!("movl %gs:4, {0}", out(reg) word, options(att_syntax)) };
    word
}

/// Executes `lar`; returns whether the GDT or LDT has a descriptor that ring 3 may load.
pub fn segment_exists(selector: u16) -> bool {
    let found: u8;
    // SAFETY: as this file's head says.
    unsafe {
        asm!("larl {1}, {1}", "setz {0}", out(reg_byte) found,
            inout(reg) u32::from(selector) => _, options(att_syntax));
    }
    found != 0
}

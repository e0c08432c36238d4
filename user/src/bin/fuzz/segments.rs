//! Instructions: selectors, flags, far returns, interrupts, `sysenter`, and any bytes at all.

use core::arch::asm;

use crate::values::Victim;
use rt::{
    dice::Dice,
    gates::syscall,
    memory::{MAP_ANONYMOUS, MAP_PRIVATE, PAGE_SIZE, munmap},
};

const SYS_MMAP2: u32 = 192;

/// Returns a selector of the GDT or the LDT, with any privilege.
fn any_selector(dice: &mut Dice) -> u32 {
    match dice.throw(4) {
        0 => dice.throw(32) << 3 | dice.throw(4),
        1 => dice.throw(8) << 3 | 4 | dice.throw(4),
        2 => dice.one_of(&[
            0, 3, 0x33, 0x3b, 0x43, 0x60, 0x68, 0x73, 0x7b, 0x80, 0x83, 0x88, 0xd0, 0xd8, 0xf8, 7,
            15,
        ]),
        _ => dice.throw(1 << 16),
    }
}

/// Loads a selector into a segment register, yields, and puts the register back.
pub fn selector(dice: &mut Dice) {
    let load: extern "C" fn(u32) = dice.one_of(&[
        load_ds as extern "C" fn(u32),
        load_es,
        load_fs,
        load_gs,
        load_ss,
    ]);
    load(any_selector(dice));
}

// The guard catches a fault in a deed; the next line undoes a load that works.

extern "C" fn load_ds(selector: u32) {
    // SAFETY: nothing is read through %ds before it is the flat segment again.
    unsafe {
        asm!("pushl %ds; movl {0:e}, %ds; movl $158, %eax; int $0x80; popl %ds",
            in(reg) selector, out("eax") _, options(att_syntax));
    }
}

extern "C" fn load_es(selector: u32) {
    // SAFETY: as for `load_ds`.
    unsafe {
        asm!("pushl %es; movl {0:e}, %es; movl $158, %eax; int $0x80; popl %es",
            in(reg) selector, out("eax") _, options(att_syntax));
    }
}

extern "C" fn load_fs(selector: u32) {
    rt::insn::set_fs(selector as u16);
    rt::sched::sched_yield();
    let _ = rt::insn::fs_word();
}

extern "C" fn load_gs(selector: u32) {
    rt::insn::set_gs(selector as u16);
    rt::sched::sched_yield();
    let _ = rt::insn::gs_word();
}

extern "C" fn load_ss(selector: u32) {
    // SAFETY: only the kernel uses the stack before %ss is the flat segment again.
    unsafe {
        asm!("movl %ss, %ecx; movl {0:e}, %ss; movl $158, %eax; int $0x80; movl %ecx, %ss",
            in(reg) selector, out("eax") _, out("ecx") _, options(att_syntax));
    }
}

/// Loads EFLAGS and enters the kernel with them.
pub fn flags(dice: &mut Dice) {
    let flags =
        dice.word() & dice.one_of(&[0xffff_ffff, 0x0024_7fd5, 0x4000, 0x4_0000, 0x100, 0x400]);
    (dice.one_of(&[flags_int80 as extern "C" fn(u32), flags_sysenter]))(flags);
}

extern "C" fn flags_int80(flags: u32) {
    let _ = rt::gates::yield_with_eflags(flags);
}

extern "C" fn flags_sysenter(flags: u32) {
    let _ = rt::gates::yield_with_eflags_sysenter(flags);
}

/// Executes `sysenter` with `stack` in ebp, which the kernel takes for the stack.
pub extern "C" fn bare_sysenter(stack: u32) {
    // SAFETY: the kernel goes on in its vDSO on `stack`; the guard undoes whatever happens there.
    unsafe {
        asm!("movl {0:e}, %ebp; movl $20, %eax; sysenter", in(reg) stack, options(att_syntax, noreturn));
    }
}

pub extern "C" fn read_port(port: u32) {
    let _ = rt::insn::inb(port as u16);
}

/// A far return, or an `iret`, to any code segment.
pub fn far(dice: &mut Dice) {
    let selector = any_selector(dice);
    (dice.one_of(&[far_return as extern "C" fn(u32), interrupt_return]))(selector);
}

extern "C" fn far_return(selector: u32) {
    // SAFETY: execution continues at the next line, or faults.
    unsafe { asm!("pushl {0:e}; pushl $1f; lretl; 1: nop", in(reg) selector, options(att_syntax)) }
}

extern "C" fn interrupt_return(selector: u32) {
    // SAFETY: as above.
    unsafe {
        asm!("pushl $0x4102; pushl {0:e}; pushl $1f; iretl; 1: nop", in(reg) selector, options(att_syntax));
    }
}

/// Runs `int n` for any n, FPU instructions, or random bytes, in a page of their own.
pub fn code(dice: &mut Dice, victim: &Victim) {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS;
    let Ok(page) = syscall(SYS_MMAP2, [0, PAGE_SIZE, 7, flags, u32::MAX, 0]) else {
        return;
    };
    let mut bytes = [0xc3u8; 64];
    match dice.throw(4) {
        0 => bytes[..2].copy_from_slice(&[0xcd, dice.throw(256) as u8]),
        1 => bytes[..4].copy_from_slice(&dice.one_of(&[
            [0xdb, 0xe3, 0xd9, 0xe8], // fninit; fld1
            [0xd9, 0x28, 0xd9, 0xe8], // fldcw (%eax); fld1
            [0x0f, 0xae, 0x08, 0x90], // fxrstor (%eax)
            [0x0f, 0xae, 0x00, 0x90], // fxsave (%eax)
            [0x0f, 0xae, 0x10, 0x90], // ldmxcsr (%eax)
            [0xdd, 0x20, 0xd9, 0xe8], // frstor (%eax); fld1
        ])),
        // Random bytes might be a system call that root must not make.
        _ if victim.is_root => (),
        _ => bytes.fill_with(|| dice.throw(256) as u8),
    }
    let area = victim.filled(dice, 136) & !15;
    for (word, at) in bytes.chunks_exact(4).zip((page..).step_by(4)) {
        rt::insn::write(at, u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    }
    rt::insn::write(page + PAGE_SIZE - 4, area);
    run(page);
    let _ = munmap(page, PAGE_SIZE);
}

/// Calls the code at the beginning of the page; eax is the address of the page's end.
extern "C" fn run(page: u32) {
    // SAFETY: whatever it does, it does to the victim.
    unsafe {
        asm!("movl 4092({0:e}), %eax; call *{0:e}", in(reg) page, out("eax") _, out("ecx") _, out("edx") _,
            options(att_syntax));
    }
}

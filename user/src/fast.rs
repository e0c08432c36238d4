//! System calls without the detour through a stub, and an x87 operation: for measuring.
//!
//! `int $0x80` is inline, so the caller adds as little as possible.

use core::arch::asm;

/// Makes the system call `number` without arguments.
#[inline(always)]
pub fn call0(number: u32) -> u32 {
    let answer: u32;
    // SAFETY: the callers pass only calls that touch no memory of ours.
    unsafe { asm!("int $0x80", inlateout("eax") number => answer, options(att_syntax, nostack)) };
    answer
}

/// Makes a system call with three arguments. An address among them must be that of the caller's own
/// buffer.
#[inline(always)]
pub fn call3(number: u32, one: u32, two: u32, three: u32) -> u32 {
    let answer: u32;
    // SAFETY: memory counts as changed, and the addresses are the caller's own buffers.
    unsafe {
        asm!("int $0x80", inlateout("eax") number => answer, in("ebx") one, in("ecx") two,
             in("edx") three, options(att_syntax, nostack));
    }
    answer
}

/// Makes a system call with four arguments. The compiler keeps esi, so the stub saves it for the
/// call.
#[inline(always)]
pub fn call4(number: u32, one: u32, two: u32, three: u32, four: u32) -> u32 {
    let answer: u32;
    // SAFETY: as in `call3`; esi is restored.
    unsafe {
        asm!("xchgl %esi, %edi", "int $0x80", "xchgl %esi, %edi",
             inlateout("eax") number => answer, in("ebx") one, in("ecx") two, in("edx") three,
             inout("edi") four => _, options(att_syntax, nostack));
    }
    answer
}

/// Makes the system call `number` through `__kernel_vsyscall`, which lies at `entry`.
#[inline(always)]
pub fn vsyscall0(entry: u32, number: u32) -> u32 {
    let answer: u32;
    // SAFETY: the kernel's own code, which keeps all registers but eax.
    unsafe {
        asm!("call *{entry}", entry = in(reg) entry, inlateout("eax") number => answer,
             options(att_syntax));
    }
    answer
}

/// Uses the x87: pushes a number on its stack, and pops it.
#[inline(always)]
pub fn x87_add() {
    // SAFETY: the stack of the x87 is as before; the programs are compiled without floats.
    unsafe { asm!("fldz", "fstp %st(0)", options(att_syntax, nomem, nostack)) };
}

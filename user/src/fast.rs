//! System calls without the detour through a stub, and an x87 operation: for measuring.
//!
//! `int $0x80` inline, so that the caller adds as little as it can.

use core::arch::asm;

/// The system call `number`, no arguments.
#[inline(always)]
pub fn call0(number: u32) -> u32 {
    let answer: u32;
    // SAFETY: only for calls that touch no memory of ours.
    unsafe { asm!("int $0x80", inlateout("eax") number => answer, options(att_syntax, nostack)) };
    answer
}

/// With three arguments. An address among them must be that of the caller's own buffer.
#[inline(always)]
pub fn call3(number: u32, one: u32, two: u32, three: u32) -> u32 {
    let answer: u32;
    // SAFETY: memory counts as changed; what the call may do to it is the caller's to know.
    unsafe {
        asm!("int $0x80", inlateout("eax") number => answer, in("ebx") one, in("ecx") two,
             in("edx") three, options(att_syntax, nostack));
    }
    answer
}

/// With four arguments. The compiler keeps esi, so it is lent for the call.
#[inline(always)]
pub fn call4(number: u32, one: u32, two: u32, three: u32, four: u32) -> u32 {
    let answer: u32;
    // SAFETY: as `call3`; esi is put back.
    unsafe {
        asm!("xchgl %esi, %edi", "int $0x80", "xchgl %esi, %edi",
             inlateout("eax") number => answer, in("ebx") one, in("ecx") two, in("edx") three,
             inout("edi") four => _, options(att_syntax, nostack));
    }
    answer
}

/// The system call `number` by `__kernel_vsyscall`, which lies at `entry`.
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

/// Uses the x87: one number on its stack, and off again.
#[inline(always)]
pub fn x87_add() {
    // SAFETY: the stack of the x87 is as before; the programs are compiled without floats.
    unsafe { asm!("fldz", "fstp %st(0)", options(att_syntax, nomem, nostack)) };
}

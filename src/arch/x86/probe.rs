//! Calls with chosen flags and registers, for the self-tests.
//!
//! A compiler gives no hold on EBP, EBX, ESI, EDI and EFLAGS across a call, and these are what
//! the switch has to keep. Called by kernel threads on their own stacks.
//!
//! SDM: volume 1, 3.4.3 "EFLAGS Register".

use core::arch::{asm, global_asm};

global_asm!(
    r#"
    .pushsection .text, "ax", @progbits
    .globl probe_call_with_registers
    .type probe_call_with_registers, @function
    .balign 16
probe_call_with_registers:              # (u32 registers[4], void (*f)(void))
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    movl  20(%esp), %eax
    movl  24(%esp), %ecx
    pushl %eax
    movl  (%eax), %ebx
    movl  4(%eax), %esi
    movl  8(%eax), %edi
    movl  12(%eax), %ebp
    call  *%ecx
    popl  %eax
    movl  %ebx, (%eax)
    movl  %esi, 4(%eax)
    movl  %edi, 8(%eax)
    movl  %ebp, 12(%eax)
    popl  %edi
    popl  %esi
    popl  %ebx
    popl  %ebp
    ret
    .size probe_call_with_registers, . - probe_call_with_registers
    .popsection
    "#,
    options(att_syntax)
);

unsafe extern "C" {
    fn probe_call_with_registers(registers: *mut u32, f: extern "C" fn());
}

/// Calls `f` with ebx, esi, edi and ebp set to `registers`; returns what they are afterwards.
pub fn call_with_registers(mut registers: [u32; 4], f: extern "C" fn()) -> [u32; 4] {
    // SAFETY: the routine keeps our registers, and `f` all but the scratch registers; nobody
    // follows ebp while it is no frame pointer, but for a back-trace, which expects anything.
    unsafe { probe_call_with_registers(registers.as_mut_ptr(), f) };
    registers
}

/// Calls `f` with `bits` set in EFLAGS; returns EFLAGS as they are when it is back, and puts
/// ours back.
///
/// # Safety
/// 1. If `bits` has DF, nothing that `f` does uses a string instruction.
/// 2. `bits` has neither TF nor VM.
pub unsafe fn call_with_eflags(bits: u32, f: extern "C" fn()) -> u32 {
    let after: u32;
    // SAFETY: the words pushed here are popped here. Interrupt gates clear NT and the entry code
    // clears DF, and both come back by `iret`.
    unsafe {
        asm!(
            "pushfd",
            "pushfd",
            "or [esp], {bits}",
            "popfd",
            "call {f}",
            "pushfd",
            "pop eax",
            "popfd",
            bits = in(reg) bits,
            f = in(reg) f,
            lateout("eax") after,
            clobber_abi("C"),
        );
    }
    after
}

/// The word at the start of the segment in %gs.
///
/// # Safety
/// 1. %gs holds a data segment whose first word is mapped.
pub unsafe fn read_gs_word() -> u32 {
    let word: u32;
    // SAFETY: only reads; by 1 there is something to read.
    unsafe { asm!("mov {}, gs:[0]", out(reg) word, options(nostack, preserves_flags, readonly)) };
    word
}

//! Calls with chosen flags and registers, for the self-tests.
//!
//! A compiler gives no control over EBP, EBX, ESI, EDI and EFLAGS across a call, and the switch has
//! to keep exactly these. Called by kernel threads on their own stacks.
//!
//! SDM: vol. 1, 3.4.3 "EFLAGS Register".

use core::arch::{asm, global_asm};

use crate::task::last::{Last, Next, Prev};
use crate::task::task_struct::TaskStruct;

global_asm!(
    r#"
    .pushsection .text, "ax", @progbits
    .globl probe_switch_to
    .type probe_switch_to, @function
    .balign 16
probe_switch_to:                        # (prev, next, u32 registers[4]) -> last
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    movl  20(%esp), %eax
    movl  24(%esp), %edx
    movl  28(%esp), %ecx
    movl  (%ecx), %ebx
    movl  4(%ecx), %esi
    movl  8(%ecx), %edi
    movl  12(%ecx), %ebp
    call  switch_to
    movl  28(%esp), %ecx
    movl  %ebx, (%ecx)
    movl  %esi, 4(%ecx)
    movl  %edi, 8(%ecx)
    movl  %ebp, 12(%ecx)
    popl  %edi
    popl  %esi
    popl  %ebx
    popl  %ebp
    ret
    .size probe_switch_to, . - probe_switch_to
    .popsection
    "#,
    options(att_syntax)
);

unsafe extern "C" {
    fn probe_switch_to(prev: *mut (), next: *mut (), registers: *mut u32) -> *mut ();
}

/// Calls `switch_to` with ebx, esi, edi and ebp set to `registers`, and stores their values there
/// when the task runs again.
///
/// # Safety
/// The conditions of [`crate::arch::x86::switch::switch_to::switch_to`] hold.
pub unsafe fn switch_to_with_registers(
    prev: Prev<TaskStruct>,
    next: Next<TaskStruct>,
    registers: &mut [u32; 4],
) -> Last<TaskStruct> {
    let (prev, next) = (prev.into_ptr().cast(), next.into_ptr().cast());
    // SAFETY: the caller vouches for the switch, which returns `last`. The routine keeps our own
    // registers; while ebp is not a frame pointer only a back-trace follows it, and that copes with
    // any value.
    let last = unsafe { probe_switch_to(prev, next, registers.as_mut_ptr()) };
    // SAFETY: the switch returned this pointer.
    unsafe { Last::from_eax(last.cast()) }
}

/// Calls `f` with `bits` set in EFLAGS, returns EFLAGS as `f` left them, and restores ours.
///
/// # Safety
/// 1. If `bits` has DF, `f` executes no string instruction.
/// 2. `bits` has neither TF nor VM.
pub unsafe fn call_with_eflags(bits: u32, f: extern "C" fn()) -> u32 {
    let after: u32;
    // SAFETY: the words pushed here are popped here. Interrupt gates clear NT and the entry code
    // clears DF, and `iret` restores both.
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

/// Returns the word at the start of the segment in %gs.
///
/// # Safety
/// 1. %gs holds a data segment whose first word is mapped.
pub unsafe fn read_gs_word() -> u32 {
    let word: u32;
    // SAFETY: this only reads, and by 1 the word is mapped.
    unsafe { asm!("mov {}, gs:[0]", out(reg) word, options(nostack, preserves_flags, readonly)) };
    word
}

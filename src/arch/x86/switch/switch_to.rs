//! `switch_to`: the process switch.
//!
//! `context_switch` calls it on prev's stack; it returns on next's. Linux has an inline macro where
//! this is a function, so the registers that a C compiler would spill around the macro are pushed
//! around the sequence.
//!
//! ```text
//!        prev's kernel stack                    next's kernel stack (it slept here)
//!   |  return to context_switch |            |  return to context_switch |
//!   |  ebx   esi   edi          |            |  ebx   esi   edi          |
//!   |  eflags   (IF = 0)        |            |  eflags   (IF = 0)        |
//!   |  ebp                      |<- esp      |  ebp                      |<- next->thread.sp
//!   +---------------------------+   |        +---------------------------+
//!                                   +-> prev->thread.sp
//!
//!   movl %esp, prev->thread.sp ; movl next->thread.sp, %esp     <- from here we are next
//!
//!                                            |  ebp                      |
//!                                            |  next->thread.ip          |<- esp at the jmp:
//!                                            +---------------------------+   ret of __switch_to
//!                                                                            goes there
//! ```
//!
//! A task that ran before has label 1 in `thread.ip`, a new one `ret_from_fork`. Therefore
//! `__switch_to` is entered by `jmp`: a `call` would push label 1 for both.
//!
//! Three parameters: when prev runs again, its frame holds the `prev` and `next` of *then*. The
//! task that ran just before it *now* arrives in `eax`, from `__switch_to`: `last`.
//!
//! With the feature `stack_protector` two more instructions before the jump copy next's canary to
//! the place where this CPU's functions look for it (`__switch_canary`).
//!
//! Every instruction of the sequence has a symbol, `switch_to_*`, for gdb and for the tests.
//!
//! Book: ch. 3, "The switch_to macro". Linux: 2.6.38 `arch/x86/include/asm/system.h`.

use core::arch::{asm, global_asm};
use core::mem::offset_of;

use crate::arch::x86::switch::__switch_to::__switch_to;
use crate::arch::x86::switch::canary::{PERCPU_CANARY, STACK_PROTECTOR};
use crate::task::last::{Last, Next, Prev};
use crate::task::task_struct::{THREAD_IP, THREAD_SP, TaskStruct};

global_asm!(
    r#"
    .pushsection .sched.text, "ax", @progbits
    .globl switch_to
    .type switch_to, @function
    .balign 16
switch_to:                              # eax = prev, edx = next, interrupts off
    pushl %ebx
    pushl %esi
    pushl %edi
    movl  %eax, %ecx                    # __switch_to takes (ecx, edx)
    .globl switch_to_save_flags
switch_to_save_flags:
    pushfl                              # prev's EFLAGS: NT, AC, IOPL must not leak to next
    .globl switch_to_save_bp
switch_to_save_bp:
    pushl %ebp                          # pushed last: wchan and gdb find it at thread.sp
    .globl switch_to_save_sp
switch_to_save_sp:
    movl  %esp, {SP}(%eax)              # prev->thread.sp
    .globl switch_to_load_sp
switch_to_load_sp:
    movl  {SP}(%edx), %esp              # the process switch: thread_info is now next's
    .globl switch_to_save_ip
switch_to_save_ip:
    movl  $switch_to_1, {IP}(%eax)      # prev->thread.ip
    .globl switch_to_push_ip
switch_to_push_ip:
    pushl {IP}(%edx)                    # next->thread.ip: label 1, or ret_from_fork
    .if {STACK_PROTECTOR}               # ebx is spilled above
    .globl switch_to_canary
switch_to_canary:
    movl  {CANARY}(%edx), %ebx
    movl  %ebx, %fs:{PERCPU_CANARY}
    .endif
    .globl switch_to_jmp
switch_to_jmp:
    jmp   {__switch_to}                 # its ret pops next->thread.ip; eax = last
    .globl switch_to_1
switch_to_1:
    popl  %ebp                          # next's, as it pushed it when it left
    .globl switch_to_restore_flags
switch_to_restore_flags:
    popfl
    .globl switch_to_end
switch_to_end:
    popl  %edi
    popl  %esi
    popl  %ebx
    ret                                 # eax = last
    .size switch_to, . - switch_to

    .globl THREAD_SP
    .set THREAD_SP, {SP}
    .globl THREAD_IP
    .set THREAD_IP, {IP}
    .popsection
    "#,
    SP = const THREAD_SP,
    IP = const THREAD_IP,
    STACK_PROTECTOR = const STACK_PROTECTOR as u32,
    CANARY = const offset_of!(TaskStruct, stack_canary),
    PERCPU_CANARY = const PERCPU_CANARY,
    __switch_to = sym __switch_to,
    options(att_syntax)
);

/// Switches from `prev`, which runs, to `next`, and returns when `prev` runs again. Returns the
/// task that ran just before that, which need not be `next`.
///
/// # Safety
/// 1. `next` is not `prev`, and its `thread.sp` and `thread.ip` were left by an earlier `switch_to`
///    or by `copy_thread`.
/// 2. Interrupts are off, and this CPU's run-queue lock is held; next releases it.
#[inline(always)]
pub unsafe fn switch_to(prev: Prev<TaskStruct>, next: Next<TaskStruct>) -> Last<TaskStruct> {
    let last: *mut TaskStruct;
    // SAFETY: the sequence keeps ebx, esi, edi, ebp and EFLAGS of the caller's own frame and
    // clobbers only the registers named here; by 1 and 2 the stack that it loads is next's alone.
    unsafe {
        asm!(
            "call switch_to",
            inlateout("eax") prev.into_ptr() => last,
            inlateout("edx") next.into_ptr() => _,
            lateout("ecx") _,
        );
    }
    // SAFETY: `__switch_to` returned this pointer.
    unsafe { Last::from_eax(last) }
}

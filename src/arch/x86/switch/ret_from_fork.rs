//! `ret_from_fork`: the first code that a new task runs after the switch to it.
//!
//! `__switch_to` returns here because `copy_thread` put this address into `thread.ip`; eax is the
//! task that ran before. The stack is the new task's, with `pt_regs` on top. A new task never
//! executes the `popfl` of `switch_to`, so EFLAGS are set here.
//!
//! ```text
//!   ret_from_fork           syscall_exit                kernel_thread_helper (cs was the kernel's)
//!   |  ss  sp      |        |  ss  sp      |            |  ss  sp      |<- esp: iret within ring 0 pops
//!   |  flags cs ip |        |  flags cs ip |            |  flags cs ip |   ip, cs and flags only
//!   |  ...  bx     |<- esp  |  ...  bx     |<- esp      |  ...  bx     |<- esp after `subl`: pt_regs are
//!                                                                          kept whole, for an exec
//! ```
//! A program's first `iret` pops the whole frame and goes to ring 3.
//!
//! Book: ch. 3, "The do_fork() Function". Linux: 2.6.38 `ret_from_fork`, `kernel_thread_helper`.

use core::arch::{asm, global_asm};
use core::mem::offset_of;

use crate::arch::x86::current::current_pt_regs;
use crate::base::pt_regs::PtRegs;
use crate::hw::eflags::Eflags;

unsafe extern "C" {
    /// Entered only by the `ret` of `__switch_to`.
    pub fn ret_from_fork();
    /// Calls the function in esi with the argument in edi, then exits. Entered by the `iret` at the
    /// end of `ret_from_fork`.
    pub fn kernel_thread_helper();
}

global_asm!(
    r#"
    .pushsection .entry.text, "ax", @progbits
    .globl ret_from_fork
    .type ret_from_fork, @function
    .balign 16
ret_from_fork:                          # eax = the task that ran before
    pushl %eax
    call  schedule_tail                 # finish_task_switch for it; interrupts on
    popl  %eax
    pushl ${NEW_TASK}                   # 0x202
    .globl ret_from_fork_popf
ret_from_fork_popf:
    popfl
    jmp   syscall_exit
    .size ret_from_fork, . - ret_from_fork

    .globl kernel_thread_helper
    .type kernel_thread_helper, @function
    .balign 16
kernel_thread_helper:                   # esi = function, edi = its argument
    subl  ${IRET_POPPED}, %esp          # keep pt_regs: an exec will fill it in
    xorl  %ebp, %ebp                    # a backtrace ends here
    pushl %edi
    call  *%esi
    pushl %eax
    call  kernel_thread_exit            # do_exit(what the function returned)
    .size kernel_thread_helper, . - kernel_thread_helper
    .popsection
    "#,
    NEW_TASK = const Eflags::NEW_TASK.bits(),
    IRET_POPPED = const offset_of!(PtRegs, sp),
    options(att_syntax)
);

/// Takes a kernel thread that has executed a program to user mode, by the `pt_regs` at the top of
/// its stack. Linux: 3.x `ret_from_kernel_execve`.
///
/// # Safety
/// 1. The running task has an address space, and its `pt_regs` are those of `start_thread`.
pub unsafe fn ret_from_kernel_execve() -> ! {
    // SAFETY: nothing below pt_regs on this stack is needed any more; by 1 the frame is complete.
    unsafe {
        asm!(
            "movl {0}, %esp",
            "jmp syscall_exit",
            in(reg) current_pt_regs(),
            options(att_syntax, noreturn)
        )
    }
}

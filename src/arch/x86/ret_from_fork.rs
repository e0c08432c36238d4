//! `ret_from_fork`: where a new task comes out of its first switch.
//!
//! `__switch_to` returns here, because `copy_thread` put this address into `thread.ip`; eax is
//! the task that ran before. The stack is the new task's, with `pt_regs` on top. A new task
//! never executes the `popfl` of `switch_to`, so EFLAGS are set here.
//!
//! Book: ch. 3, "The do_fork() Function". Linux: 2.6.38 `ret_from_fork`, `kernel_thread_helper`.

use core::arch::global_asm;

use crate::hw::eflags::Eflags;

unsafe extern "C" {
    /// Entered only by the `ret` of `__switch_to`.
    pub fn ret_from_fork();
    /// Entered by the `iret` at the end of `ret_from_fork`: calls si with di, then exits.
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
    xorl  %ebp, %ebp                    # a backtrace ends here
    pushl %edi
    call  *%esi
    pushl %eax
    call  kernel_thread_exit            # do_exit(what the function returned)
    .size kernel_thread_helper, . - kernel_thread_helper
    .popsection
    "#,
    NEW_TASK = const Eflags::NEW_TASK.bits(),
    options(att_syntax)
);

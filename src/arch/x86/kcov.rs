//! `__sanitizer_cov_trace_pc`: called at each edge of instrumented code.
//!
//! Only in kernels built with the feature `kcov`, for which the compiler inserts the calls. Notes
//! its caller's address for the running task if the task asked for it, is not in an interrupt and
//! is not being switched. It is assembly because a Rust function would be instrumented itself. It
//! first checks whether any task records, since it is called long before `%fs` leads anywhere.
//!
//! Linux: 5.4 `kernel/kcov.c`.

use core::arch::global_asm;
use core::mem::offset_of;
use core::sync::atomic::AtomicU32;

use crate::base::percpu::PERCPU_CURRENT_TASK;
use crate::base::thread_info::{THREAD_SIZE, TI_PREEMPT_COUNT};
use crate::sync::preempt::HARDIRQ_OFFSET;
use crate::task::kcov::{KCOV_MODE_TRACE_PC, KcovTask};
use crate::task::task_struct::TaskStruct;

/// Number of tasks that record coverage.
#[unsafe(export_name = "kcov_users")]
pub static KCOV_USERS: AtomicU32 = AtomicU32::new(0);

const KCOV: usize = offset_of!(TaskStruct, kcov_task);

global_asm!(
    r#"
    .pushsection .text.kcov, "ax", @progbits
    .globl  __sanitizer_cov_trace_pc
    .type   __sanitizer_cov_trace_pc, @function
    .balign 16
__sanitizer_cov_trace_pc:
    cmpl    $0, kcov_users
    je      1f
    movl    %fs:{CURRENT_TASK}, %eax
    cmpl    ${MODE_TRACE_PC}, {MODE}(%eax)
    jne     1f
    movl    $-{THREAD_SIZE}, %ecx
    andl    %esp, %ecx
    testl   ${HARDIRQ_MASK}, {PREEMPT_COUNT}(%ecx)
    jnz     1f                              # an interrupt
    movl    {AREA}(%eax), %edx              # its pages
    movl    (%edx), %ecx
    movl    (%ecx), %ecx                    # its first word: how many there are
    incl    %ecx
    cmpl    {SIZE}(%eax), %ecx
    jae     1f                              # full, or the program wrote there
    pushl   %ebx
    pushl   %esi
    movl    %ecx, %eax
    shrl    $10, %eax
    movl    (%edx,%eax,4), %ebx             # the page of the next word
    movl    %ecx, %eax
    andl    $1023, %eax
    movl    8(%esp), %esi                   # the caller
    movl    %esi, (%ebx,%eax,4)
    movl    (%edx), %edx
    movl    %ecx, (%edx)
    popl    %esi
    popl    %ebx
1:  ret
    .size   __sanitizer_cov_trace_pc, . - __sanitizer_cov_trace_pc
    .popsection
    "#,
    CURRENT_TASK = const PERCPU_CURRENT_TASK,
    MODE_TRACE_PC = const KCOV_MODE_TRACE_PC,
    MODE = const KCOV + offset_of!(KcovTask, mode),
    SIZE = const KCOV + offset_of!(KcovTask, size),
    AREA = const KCOV + offset_of!(KcovTask, area),
    THREAD_SIZE = const THREAD_SIZE,
    HARDIRQ_MASK = const 0xfff * HARDIRQ_OFFSET,
    PREEMPT_COUNT = const TI_PREEMPT_COUNT,
    options(att_syntax)
);

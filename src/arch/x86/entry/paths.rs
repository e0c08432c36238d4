//! The entry paths: system calls, exceptions, interrupts, and the ways out.
//!
//! Every entry leaves a `pt_regs` on the kernel stack. From ring 3 it is always at the very top, so
//! the fields of `thread_info` have fixed distances from `esp`:
//!
//! ```text
//!   high   sp0 + 8   end of the stack (8 KiB aligned)
//!          sp0       ss sp flags cs ip        by the processor, or by sysenter_entry
//!                    orig_ax                  call number; error code; ~vector
//!                    gs                       0: the user's stays in the register (not with canaries)
//!                    fs es ds                 then %ds = %es = user data, %fs = per-CPU
//!   esp →            ax bp di si dx cx bx     = the arguments of a system call, in order
//! ```
//!
//! A system call runs as `sys_call_table[eax]` with this frame as its arguments and returns its
//! result in eax. Like every function it keeps ebx, esi, edi and ebp, so on the short way out they
//! still hold the user's values, and only the registers that a function may change come from the
//! frame. Code that changes the frame (exec, sigreturn, iopl) sets TIF_IRET: then the way out is
//! `restore_all`, which restores the whole frame and leaves by `iret`. Both `syscall_exit` and
//! `restore_all` expect esp at the frame. Through the exception table, a selector that became
//! invalid meanwhile is replaced by 0, and a bad `iret` frame raises SIGILL. A task with an LDT may
//! have a 16-bit stack, and then leaves by `espfix.S`.
//!
//! `sysenter` arrives with interrupts off, the user's other flags still set (those that matter are
//! cleared, and then only `iret` restores them), and esp at the end of this CPU's TSS, where the
//! first instruction fetches `sp0`. A debug trap or NMI on that first instruction arrives on the
//! small stack there and moves to the task's stack.
//!
//! The return to ring 3 repeats until there is no more work, such as a task switch or a signal. A
//! return to kernel code switches tasks if preemption is allowed there.
//!
//! Book: ch. 4, "Exception Handling", "Returning from Interrupts and Exceptions";
//! ch. 10, "Entering and Exiting a System Call".
//! Linux: 2.6.38 `entry_32.S`.
//! SDM: vol. 2, SYSENTER, SYSEXIT; vol. 3, 6.12 "Exception and Interrupt Handling".

use core::{arch::global_asm, mem::offset_of};

use crate::arch::x86::switch::canary::{KERNEL_GS, STACK_PROTECTOR};
use crate::base::errno::Errno;
use crate::base::layout::PAGE_OFFSET;
use crate::base::percpu::{PERCPU_TSS_SP0, PerCpu, per_cpu};
use crate::base::pt_regs::PtRegs;
use crate::base::thread_info::{
    _TIF_ALLWORK_MASK, _TIF_WORK_MASK, STACK_TOP_GAP, THREAD_SIZE, TI_FLAGS, TI_PREEMPT_COUNT,
    TI_SYSCALL_LIMIT, TI_SYSENTER_RETURN, TIF_IRET, TIF_NEED_RESCHED, TIF_SYSCALL_TRACE,
};
use crate::hw::desc::{
    ESPFIX_SS, GDT_ENTRY_ESPFIX_SS, KERNEL_CS, KERNEL_DS, KERNEL_PERCPU, USER_CS, USER_DS,
};
use crate::hw::eflags::Eflags;
use crate::hw::tss::{TSS_SYSENTER_SP0, TssStruct};

/// Distance from the `pt_regs` at the top of a stack down to `thread_info` at its foot, in bytes.
const REGS_TO_THREAD_INFO: isize =
    STACK_TOP_GAP as isize + size_of::<PtRegs>() as isize - THREAD_SIZE as isize;
const _: () = assert!(REGS_TO_THREAD_INFO == -8116);

/// The user's flags that `sysexit` would lose.
const FLAGS_ONLY_IRET_RESTORES: u32 = Eflags::TF.bits()
    | Eflags::DF.bits()
    | Eflags::IOPL.bits()
    | Eflags::NT.bits()
    | Eflags::AC.bits()
    | Eflags::ID.bits();

/// Length of `sys_call_table`, which is an upward call: numbers from here on are unknown.
pub use crate::base::thread_info::NR_SYSCALLS;

/// Bit of a selector whose segment is in the LDT.
const SEGMENT_TI: u32 = 4;

/// Bytes from one stub of `irq_entries_start` to the next.
pub const IRQ_ENTRY_BYTES: usize = 16;

global_asm!(
    include_str!("calling.S"),
    include_str!("espfix.S"),
    r#"
    .pushsection .entry.text, "ax", @progbits

# ------------------------------------------------------------ int $0x80

    ENTRY   system_call                     # eax = number
    sti                                     # on already, unless an iopl(3) program turned them off
    pushl   %eax                            # orig_ax
    SAVE_ALL
    cmpl    {SYSCALL_LIMIT}(%esp), %eax     # 0 while a tracer is told of the calls
    jae     syscall_slow
    LABEL   syscall_call
    call    *sys_call_table(,%eax,4)
    LABEL   syscall_done                    # eax = result; ebx, esi, edi, ebp are the user's
    cli                                     # no work may arise after the test
    testl   ${ALLWORK_MASK}, {TI_FLAGS}(%esp)
    jnz     syscall_work
    movl    {PT_CX}(%esp), %ecx
    movl    {PT_DX}(%esp), %edx
    LOAD_SEGMENT {PT_DS}, %ds, syscall_ds
    LOAD_SEGMENT {PT_ES}, %es, syscall_es
    LOAD_SEGMENT {PT_FS}, %fs, syscall_fs
    LOAD_GS syscall_gs
    addl    ${PT_IP}, %esp
    LABEL   syscall_return
    iret
    EX_TABLE syscall_return, iret_exc
    .size   system_call, . - system_call

    ENTRY   syscall_slow                    # an unknown number, or a traced task
    testl   ${SYSCALL_TRACE}, {TI_FLAGS}(%esp)
    jnz     syscall_traced
    cmpl    ${NR_SYSCALLS}, %eax
    jb      syscall_call                    # the tracer has just gone
    call    sys_ni_syscall
    jmp     syscall_done
    LABEL   syscall_traced
    pushl   %esp
    call    syscall_trace_enter             # eax = number: the tracer may have changed it
    addl    $4, %esp
    cmpl    ${NR_SYSCALLS}, %eax
    jae     syscall_traced_done             # no call: the frame has the result
    call    *sys_call_table(,%eax,4)
    movl    %eax, {PT_AX}(%esp)
    LABEL   syscall_traced_done             # all registers come from the frame now
    cli
    testl   ${SYSCALL_TRACE}, {TI_FLAGS}(%esp)
    jnz     syscall_traced_exit
    jmp     resume_userspace
    .size   syscall_slow, . - syscall_slow

    ENTRY   syscall_work
    movl    %eax, {PT_AX}(%esp)
    testl   ${SYSCALL_TRACE}, {TI_FLAGS}(%esp)
    jz      work_pending
    LABEL   syscall_traced_exit
    sti
    pushl   %esp
    call    syscall_trace_leave
    addl    $4, %esp
    jmp     resume_userspace
    .size   syscall_work, . - syscall_work

    ENTRY   syscall_exit                    # a new task's first way out
    cli
    testl   ${ALLWORK_MASK}, {TI_FLAGS}(%esp)
    jnz     work_pending
    LABEL   restore_all
    popl    %ebx
    popl    %ecx
    popl    %edx
    popl    %esi
    popl    %edi
    popl    %ebp
    popl    %eax
    POP_SEGMENT %ds, restore_ds
    POP_SEGMENT %es, restore_es
    POP_SEGMENT %fs, restore_fs
    POP_GS_AND_ORIG_AX
    LABEL   irq_return
    iret
    EX_TABLE irq_return, iret_exc
    .size   syscall_exit, . - syscall_exit

# ------------------------------------------------------------- sysenter

    ENTRY   sysenter_entry                  # eax = number, ebp = user esp, IF = 0
    movl    {TSS_SYSENTER_SP0}(%esp), %esp
    LABEL   sysenter_past_esp
    sti
    pushl   ${USER_DS}                      # ss
    pushl   %ebp                            # sp
    pushfl                                  # flags: all are the user's except IF, which is on
    pushl   ${USER_CS}                      # cs
    pushl   {SYSENTER_RETURN_FROM_CS}(%esp) # ip
    pushl   %eax                            # orig_ax
    SAVE_REGS
    testl   ${FLAGS_ONLY_IRET_RESTORES}, {PT_FLAGS}(%esp)
    jnz     sysenter_fix_flags
    LABEL   sysenter_flags_fixed
    cmpl    ${PAGE_OFFSET} - 3, %ebp
    jae     syscall_fault
    LABEL   sysenter_sixth_argument
    movl    (%ebp), %ebp
    EX_TABLE sysenter_sixth_argument, syscall_fault
    movl    %ebp, {PT_BP}(%esp)
    cmpl    {SYSCALL_LIMIT}(%esp), %eax
    jae     syscall_slow
    call    *sys_call_table(,%eax,4)
    cli
    testl   ${SYSEXIT_WORK}, {TI_FLAGS}(%esp)
    jnz     syscall_work
    LABEL   sysenter_exit                   # cx, dx: the vDSO restores them
    movl    {PT_IP}(%esp), %edx             # sysexit: eip = edx, esp = ecx
    movl    {PT_SP}(%esp), %ecx
    LOAD_SEGMENT {PT_FS}, %fs, sysexit_fs
    LOAD_GS sysexit_gs
    LOAD_SEGMENT {PT_ES}, %es, sysexit_es
    LOAD_SEGMENT {PT_DS}, %ds, sysexit_ds
    sti                                     # takes effect after sysexit
    sysexit
    .size   sysenter_entry, . - sysenter_entry

    ENTRY   sysenter_fix_flags
    pushl   ${KERNEL_EFLAGS}                # NT, AC, TF, DF and IOPL end here
    popfl
    lock orl ${IRET}, {TI_FLAGS}(%esp)
    sti
    jmp     sysenter_flags_fixed
    .size   sysenter_fix_flags, . - sysenter_fix_flags

    ENTRY   syscall_fault                   # the sixth argument cannot be read
    movl    $-{EFAULT}, {PT_AX}(%esp)
    jmp     syscall_exit
    .size   syscall_fault, . - syscall_fault

# ---------------------------------------------------------- the ways out

    ENTRY   ret_from_intr
    LABEL   ret_from_exception
    testl   $3, {PT_CS}(%esp)
    jz      resume_kernel
    LABEL   resume_userspace
    cli
    testl   ${ALLWORK_MASK}, {TI_FLAGS}(%esp)
    jz      restore_all
    LABEL   work_pending                    # interrupts off; esp -> pt_regs at the top
    testl   $3, {PT_CS}(%esp)               # a new kernel thread has no such work
    jz      restore_all
    testl   ${WORK_MASK}, {TI_FLAGS}(%esp)
    jz      to_any_stack
    testl   ${NEED_RESCHED}, {TI_FLAGS}(%esp)
    jz      work_notify
    call    schedule
    jmp     resume_userspace
    LABEL   work_notify
    sti
    pushl   %esp
    call    notify_resume
    addl    $4, %esp
    jmp     resume_userspace
    .size   ret_from_intr, . - ret_from_intr

    ENTRY   resume_kernel                   # the frame lies anywhere on the stack
    cli
    movl    $-{THREAD_SIZE}, %ebx
    andl    %esp, %ebx
    LABEL   need_resched
    cmpl    $0, {TI_PREEMPT_COUNT_AT_FOOT}(%ebx)
    jnz     restore_all
    testl   ${NEED_RESCHED}, {TI_FLAGS_AT_FOOT}(%ebx)
    jz      restore_all
    testl   ${IF}, {PT_FLAGS}(%esp)
    jz      restore_all
    call    preempt_schedule_irq
    jmp     need_resched
    .size   resume_kernel, . - resume_kernel

    ENTRY   iret_exc                        # iret refused the user's frame
    pushl   $0
    pushl   $do_iret_error
    jmp     error_code
    .size   iret_exc, . - iret_exc

# ----------------------------------------------------------- exceptions

    .macro EXCEPTION name, handler          # the processor pushes no error code
    ENTRY   \name
    pushl   $0
    pushl   $\handler
    jmp     error_code
    .size   \name, . - \name
    .endm

    .macro EXCEPTION_OF_IRET name, handler  # with a code, and iret may raise it on the stack of espfix
    ENTRY   \name
    ON_ESPFIX_STACK iret_from_espfix
    pushl   $\handler
    jmp     error_code
    .size   \name, . - \name
    .endm

    .macro EXCEPTION_WITH_CODE name, handler
    ENTRY   \name
    pushl   $\handler
    jmp     error_code
    .size   \name, . - \name
    .endm

    EXCEPTION divide_error, do_divide_error
    EXCEPTION int3, do_int3
    EXCEPTION overflow, do_overflow
    EXCEPTION bounds, do_bounds
    EXCEPTION invalid_op, do_invalid_op
    EXCEPTION device_not_available, do_device_not_available
    EXCEPTION coprocessor_segment_overrun, do_coprocessor_segment_overrun
    EXCEPTION_WITH_CODE invalid_TSS, do_invalid_TSS
    EXCEPTION_OF_IRET segment_not_present, do_segment_not_present
    EXCEPTION_OF_IRET stack_segment, do_stack_segment
    EXCEPTION_OF_IRET general_protection, do_general_protection
    EXCEPTION_WITH_CODE page_fault, do_page_fault
    EXCEPTION reserved_exception, do_reserved_exception
    EXCEPTION coprocessor_error, do_coprocessor_error
    EXCEPTION_WITH_CODE alignment_check, do_alignment_check
    EXCEPTION machine_check, do_machine_check
    EXCEPTION simd_coprocessor_error, do_simd_coprocessor_error

    # From virtual-8086 mode the frame has four more words, so it does not lie where this code expects
    # it. No task asks for that mode, but QEMU lets any program enter it by an `iret` whose flags have
    # VM, which a processor obeys in ring 0 only (SDM: vol. 2, IRET).
    .macro NO_VM86
    testl   ${VM}, {PT_FLAGS}(%esp)
    jnz     from_vm86
    .endm

    ENTRY   from_vm86                       # ends the program; its frame is not needed
    movl    %fs:{PERCPU_TSS_SP0}, %esp
    subl    ${PT_BYTES}, %esp               # a tracer may look there
    sti
    call    exit_from_vm86
    ud2
    .size   from_vm86, . - from_vm86

    ENTRY   error_code                      # stack: handler (in gs's slot), error code, ip ...
    pushl   %fs
    pushl   %es
    pushl   %ds
    pushl   %eax
    pushl   %ebp
    pushl   %edi
    pushl   %esi
    pushl   %edx
    pushl   %ecx
    pushl   %ebx
    cld
    movl    ${KERNEL_PERCPU}, %edx
    movl    %edx, %fs
    movl    ${USER_DS}, %edx
    movl    %edx, %ds
    movl    %edx, %es
    movl    %esp, %eax
    movl    {PT_GS}(%esp), %edi             # handler
    movl    {PT_ORIG_AX}(%esp), %edx        # error code
    .if {STACK_PROTECTOR}
    movl    %gs, %ecx
    movl    %ecx, {PT_GS}(%esp)
    .else
    movl    $0, {PT_GS}(%esp)
    .endif
    SET_KERNEL_GS %ecx
    movl    $-1, {PT_ORIG_AX}(%esp)         # no system call to restart
    NO_VM86
    pushl   %edx
    pushl   %eax
    call    *%edi                           # handler(regs, error code)
    addl    $8, %esp
    jmp     ret_from_exception
    .size   error_code, . - error_code

    # An exception without error code hit `sysenter_entry` itself, so it has pushed ip, cs and
    # flags onto the small stack at the end of the TSS. Moves over to sp0, with a frame that goes
    # on behind the instruction which would have done that. eax and ebx pass through the small
    # stack; %ds is the user's here, hence %ss.
    .macro LEAVE_SYSENTER_STACK
    pushl   %eax
    pushl   %ebx
    movl    %esp, %ebx
    movl    16(%esp), %eax                  # flags
    movl    {TSS_SYSENTER_SP0} + 20(%esp), %esp
    pushl   %eax
    pushl   ${KERNEL_CS}
    pushl   $sysenter_past_esp
    movl    %ss:4(%ebx), %eax
    movl    %ss:(%ebx), %ebx
    .endm

    ENTRY   debug
    cmpl    $sysenter_entry, (%esp)
    jne     debug_stack_correct
    LEAVE_SYSENTER_STACK
    LABEL   debug_stack_correct
    pushl   $0
    pushl   $do_debug
    jmp     error_code
    .size   debug, . - debug

    ENTRY   nmi
    ON_ESPFIX_STACK nmi_from_espfix
    cmpl    $sysenter_entry, (%esp)
    jne     nmi_not_at_sysenter
    LEAVE_SYSENTER_STACK
    jmp     nmi_stack_correct
    LABEL   nmi_not_at_sysenter
    cmpl    $debug, (%esp)                  # while debug was leaving the small stack:
    jb      nmi_stack_correct
    cmpl    $debug_stack_correct, (%esp)
    jae     nmi_stack_correct
    iret                                    # there is no stack to report it on
    LABEL   nmi_stack_correct
    pushl   $-1
    SAVE_ALL
    pushl   %esp
    call    do_nmi
    addl    $4, %esp
    jmp     to_any_stack                    # no preemption: the NMI may have hit anything
    .size   nmi, . - nmi

# ----------------------------------------------------------- interrupts

    ENTRY   irq_entries_start               # one stub a vector, from 0x20 on
    .set    vector, {FIRST_EXTERNAL_VECTOR}
    .rept   256 - {FIRST_EXTERNAL_VECTOR}
    .balign {IRQ_ENTRY_BYTES}
    pushl   $~vector
    jmp     common_interrupt
    .set    vector, vector + 1
    .endr
    .size   irq_entries_start, . - irq_entries_start

    ENTRY   common_interrupt
    SAVE_ALL
    pushl   %esp
    call    do_IRQ
    addl    $4, %esp
    NO_VM86
    jmp     ret_from_intr
    .size   common_interrupt, . - common_interrupt

    .popsection
    "#,
    USER_DS = const USER_DS.bits(),
    USER_CS = const USER_CS.bits(),
    KERNEL_CS = const KERNEL_CS.bits(),
    KERNEL_PERCPU = const KERNEL_PERCPU.bits(),
    STACK_PROTECTOR = const STACK_PROTECTOR as u32,
    KERNEL_GS = const KERNEL_GS,
    NR_SYSCALLS = const NR_SYSCALLS,
    PAGE_OFFSET = const PAGE_OFFSET,
    THREAD_SIZE = const THREAD_SIZE,
    EFAULT = const Errno::EFAULT as u32,
    IF = const Eflags::IF.bits(),
    VM = const Eflags::VM.bits(),
    KERNEL_EFLAGS = const Eflags::FIXED.bits(),
    FLAGS_ONLY_IRET_RESTORES = const FLAGS_ONLY_IRET_RESTORES,
    WORK_MASK = const _TIF_WORK_MASK.bits(),
    ALLWORK_MASK = const _TIF_ALLWORK_MASK.bits(),
    SYSEXIT_WORK = const _TIF_WORK_MASK.union(TIF_SYSCALL_TRACE).bits(),
    SYSCALL_TRACE = const TIF_SYSCALL_TRACE.bits(),
    SYSCALL_LIMIT = const REGS_TO_THREAD_INFO + TI_SYSCALL_LIMIT as isize,
    NEED_RESCHED = const TIF_NEED_RESCHED.bits(),
    IRET = const TIF_IRET.bits(),
    TI_FLAGS = const REGS_TO_THREAD_INFO + TI_FLAGS as isize,
    TI_FLAGS_AT_FOOT = const TI_FLAGS,
    TI_PREEMPT_COUNT_AT_FOOT = const TI_PREEMPT_COUNT,
    // With ss, sp, flags and cs pushed.
    SYSENTER_RETURN_FROM_CS = const 16 + STACK_TOP_GAP as isize - THREAD_SIZE as isize + TI_SYSENTER_RETURN as isize,
    TSS_SYSENTER_SP0 = const TSS_SYSENTER_SP0,
    FIRST_EXTERNAL_VECTOR = const crate::hw::gates::FIRST_EXTERNAL_VECTOR,
    IRQ_ENTRY_BYTES = const IRQ_ENTRY_BYTES,
    PT_BYTES = const size_of::<PtRegs>(),
    PT_CX = const offset_of!(PtRegs, cx),
    PT_DX = const offset_of!(PtRegs, dx),
    PT_BP = const offset_of!(PtRegs, bp),
    PT_AX = const offset_of!(PtRegs, ax),
    PT_DS = const offset_of!(PtRegs, ds),
    PT_ES = const offset_of!(PtRegs, es),
    PT_FS = const offset_of!(PtRegs, fs),
    PT_GS = const offset_of!(PtRegs, gs),
    PT_ORIG_AX = const offset_of!(PtRegs, orig_ax),
    PT_IP = const offset_of!(PtRegs, ip),
    PT_CS = const offset_of!(PtRegs, cs),
    PT_FLAGS = const offset_of!(PtRegs, flags),
    PT_SP = const offset_of!(PtRegs, sp),
    PT_SS = const offset_of!(PtRegs, ss),
    SEGMENT_TI = const SEGMENT_TI,
    ESPFIX_SS = const ESPFIX_SS.bits(),
    KERNEL_DS = const KERNEL_DS.bits(),
    GDT_ESPFIX = const GDT_ENTRY_ESPFIX_SS * 8,
    PERCPU_TSS_SP0 = const PERCPU_TSS_SP0,
    options(att_syntax)
);

unsafe extern "C" {
    /// The entry of `sysenter`, in MSR SYSENTER_EIP.
    pub fn sysenter_entry();
}

/// Returns the value of `esp` after `sysenter` on CPU `cpu`: the end of its TSS.
pub fn sysenter_stack(cpu: u32) -> u32 {
    (per_cpu(cpu) as usize + offset_of!(PerCpu, tss) + size_of::<TssStruct>()) as u32
}

/*
 * The vDSO: the code by which a program enters the kernel and returns from a signal handler.
 *
 * A small ELF shared object of one page, which exec maps into each process. AT_SYSINFO gives the
 * address of __kernel_vsyscall, AT_SYSINFO_EHDR that of the page. The tables in its .eh_frame
 * describe how to unwind from each of its instructions: a thread that is cancelled while it sleeps
 * in the kernel unwinds its stack from here, and a debugger walks through a handler to the code
 * that it interrupted.
 *
 * Assembled and linked by build.rs with vdso.lds; vdso.rs includes the result.
 *
 * Book: ch. 10, "Issuing a System Call via the sysenter Instruction"; ch. 11, "Returning from a Signal
 * Handler". Linux: 2.6.38 vdso32/sysenter.S, sigreturn.S, note.S; the restart instruction as in 3.x.
 * SDM: vol. 2, SYSENTER, SYSEXIT.
 */

	.text

/*
 * sysexit needs ecx and edx, and the kernel needs esp, so the user's stack keeps all three; the
 * sixth argument is then at (%ebp). An interrupted call restarts two bytes before the return, at
 * the int $0x80, with all registers set up.
 */
	.globl	__kernel_vsyscall
	.type	__kernel_vsyscall, @function
	.balign	16
__kernel_vsyscall:
	.cfi_startproc
	pushl	%ecx
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset ecx, 0
	pushl	%edx
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset edx, 0
	pushl	%ebp
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset ebp, 0
	movl	%esp, %ebp
	sysenter
	int	$0x80
VDSO32_SYSENTER_RETURN:			/* where sysexit returns */
	popl	%ebp
	.cfi_adjust_cfa_offset -4
	.cfi_restore ebp
	popl	%edx
	.cfi_adjust_cfa_offset -4
	.cfi_restore edx
	popl	%ecx
	.cfi_adjust_cfa_offset -4
	.cfi_restore ecx
	ret
	.cfi_endproc
	.size	__kernel_vsyscall, . - __kernel_vsyscall

/*
 * A handler returns to one of the two functions below. The interrupted registers are in a struct
 * sigcontext on the stack, at a known distance above esp. The table gives the place of each of the
 * caller's registers in that structure, and the esp saved there as the frame address. The offsets
 * are those of the structure.
 */
	.equ	SC_EDI, 16
	.equ	SC_ESI, 20
	.equ	SC_EBP, 24
	.equ	SC_ESP, 28
	.equ	SC_EBX, 32
	.equ	SC_EDX, 36
	.equ	SC_ECX, 40
	.equ	SC_EAX, 44
	.equ	SC_EIP, 56

	/* Numbers of the registers in .eh_frame, and of the operations used here. */
	.equ	DW_EAX, 0
	.equ	DW_ECX, 1
	.equ	DW_EDX, 2
	.equ	DW_EBX, 3
	.equ	DW_EBP, 5
	.equ	DW_ESI, 6
	.equ	DW_EDI, 7
	.equ	DW_EIP, 8
	.equ	DW_CFA_def_cfa_expression, 0x0f
	.equ	DW_CFA_expression, 0x10
	.equ	DW_OP_breg_esp, 0x74
	.equ	DW_OP_deref, 0x06

/* The caller's register is at esp + at, encoded as a signed number of two times 7 bits. */
	.macro	SAVED	reg, at
	.cfi_escape	DW_CFA_expression, \reg, 3, DW_OP_breg_esp, ((\at) & 0x7f) | 0x80, (\at) >> 7
	.endm

/* The caller's registers are in a sigcontext at esp + base. */
	.macro	SIGCONTEXT	base
	.cfi_escape	DW_CFA_def_cfa_expression, 4, DW_OP_breg_esp, ((\base + SC_ESP) & 0x7f) | 0x80, (\base + SC_ESP) >> 7, DW_OP_deref
	SAVED	DW_EAX, \base + SC_EAX
	SAVED	DW_ECX, \base + SC_ECX
	SAVED	DW_EDX, \base + SC_EDX
	SAVED	DW_EBX, \base + SC_EBX
	SAVED	DW_EBP, \base + SC_EBP
	SAVED	DW_ESI, \base + SC_ESI
	SAVED	DW_EDI, \base + SC_EDI
	SAVED	DW_EIP, \base + SC_EIP
	.endm

/*
 * struct sigframe without the return address, which has been popped: the signal's number, then the
 * sigcontext. An unwinder looks one byte before the return address, so the table begins with a nop
 * that is never executed.
 */
	.balign	16
	.cfi_startproc simple
	.cfi_signal_frame
	SIGCONTEXT	4
	nop
	.globl	__kernel_sigreturn
	.type	__kernel_sigreturn, @function
__kernel_sigreturn:
	popl	%eax			/* the number of the signal */
	SIGCONTEXT	0
	movl	$119, %eax		/* sigreturn */
	int	$0x80
	.cfi_endproc
	.size	__kernel_sigreturn, . - __kernel_sigreturn

/*
 * struct rt_sigframe: the signal's number, two pointers, a siginfo_t of 128 bytes, and a ucontext whose
 * first 20 bytes are not the sigcontext.
 */
	.balign	16
	.cfi_startproc simple
	.cfi_signal_frame
	SIGCONTEXT	12 + 128 + 20
	nop
	.globl	__kernel_rt_sigreturn
	.type	__kernel_rt_sigreturn, @function
__kernel_rt_sigreturn:
	movl	$173, %eax		/* rt_sigreturn */
	int	$0x80
	.cfi_endproc
	.size	__kernel_rt_sigreturn, . - __kernel_rt_sigreturn

/* The version of Linux that a dynamic linker finds here: 2.6.38. */
	.section	.note.Linux, "a", @note
	.balign	4
	.long	6, 4, 0			/* bytes of name and number; type: the version */
	.asciz	"Linux"
	.balign	4
	.long	2 << 16 | 6 << 8 | 38

	.section	.note.GNU-stack, "", @progbits

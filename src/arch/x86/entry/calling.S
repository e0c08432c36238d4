# The first work of every entry and the last of every exit: pt_regs, segments, and a substitute for
# a selector that cannot be loaded. Used by `entry`.
#
# Linux: 2.6.38 entry_32.S (SAVE_ALL, RESTORE_REGS, SET_KERNEL_GS).

        .macro SAVE_ALL
        cld
        SAVE_REGS
        .endm

        # In a kernel with canaries %gs becomes the kernel's here; otherwise it stays the user's.
        .macro PUSH_GS
        .if {STACK_PROTECTOR}
        pushl   %gs
        .else
        pushl   $0
        .endif
        .endm

        .macro SET_KERNEL_GS reg
        .if {STACK_PROTECTOR}
        movl    ${KERNEL_GS}, \reg
        movl    \reg, %gs
        .endif
        .endm

        .macro SAVE_REGS
        PUSH_GS
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
        movl    ${USER_DS}, %edx
        movl    %edx, %ds
        movl    %edx, %es
        movl    ${KERNEL_PERCPU}, %edx
        movl    %edx, %fs
        SET_KERNEL_GS %edx
        .endm

        .macro EX_TABLE from, to
        .pushsection __ex_table, "a", @progbits
        .balign 4
        .long   \from, \to
        .popsection
        .endm

        # A selector that cannot be loaded is replaced by 0, which can be loaded.
        .macro POP_SEGMENT reg, label
\label: popl \reg
        .pushsection .entry.text, "ax", @progbits
        .subsection 1
\label\()_fixup:
        movl    $0, (%esp)
        jmp     \label
        .popsection
        EX_TABLE \label, \label\()_fixup
        .endm

        # Loads a segment register like POP_SEGMENT, without popping the frame.
        .macro LOAD_SEGMENT offset, reg, label
\label: movw \offset(%esp), \reg
        .pushsection .entry.text, "ax", @progbits
        .subsection 1
\label\()_fixup:
        movl    $0, \offset(%esp)
        jmp     \label
        .popsection
        EX_TABLE \label, \label\()_fixup
        .endm

        .macro POP_GS_AND_ORIG_AX
        .if {STACK_PROTECTOR}
        POP_SEGMENT %gs, restore_gs
        addl    $4, %esp
        .else
        addl    $8, %esp
        .endif
        .endm

        .macro LOAD_GS label
        .if {STACK_PROTECTOR}
        LOAD_SEGMENT {PT_GS}, %gs, \label
        .endif
        .endm

        .macro ENTRY name
        .globl  \name
        .type   \name, @function
        .balign 16
\name:
        .endm

        .macro LABEL name
        .globl  \name
\name:
        .endm

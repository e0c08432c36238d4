# The way back to a stack whose segment has 16 bits, from an LDT: such a return loads only the low
# half of esp, and the user would see the high half of the kernel's esp.
#
# Therefore the last two instructions address the same stack through the segment ESPFIX_SS, with a
# base that makes the high half of esp equal to the user's.
#
#      esp      = (user's esp & 0xffff0000) | (where the frame is & 0xffff)
#      its base = where the frame is - esp
#
# Only a task whose address space has an LDT takes this way: TIF_LDT keeps it from the short ones.
# Interrupts are off. A fault of the `iret` or an NMI is still possible: both go back to the frame
# at its usual address and continue as if they came from ring 3, whose registers these are.
#
# Linux: since 2.6.12; 2.6.38 entry_32.S (ldt_ss). SDM: vol. 1, 6.2.3; vol. 3, 3.4.5 (D/B flag).

        .pushsection .entry.text, "ax", @progbits

        .set    DESC_D_B, 1 << 22       # in the result of lar

        ENTRY   to_any_stack            # interrupts off, esp -> pt_regs of a task with an LDT
        testl   $3, {PT_CS}(%esp)       # or, after an NMI, of any code
        jz      restore_all
        testb   ${SEGMENT_TI}, {PT_SS}(%esp)
        jz      restore_all
        larl    {PT_SS}(%esp), %eax
        jnz     restore_all             # no such segment: the iret faults
        testl   $DESC_D_B, %eax
        jnz     restore_all
        LOAD_GS espfix_gs
        leal    {PT_IP}(%esp), %edx
        movl    {PT_SP}(%esp), %eax
        movw    %dx, %ax
        subl    %eax, %edx
        shrl    $16, %edx               # the low half of the base is 0
        movb    %dl, %fs:{GDT_ESPFIX} + 4
        movb    %dh, %fs:{GDT_ESPFIX} + 7
        movl    %eax, {PT_GS}(%esp)     # both are no longer needed
        movl    ${ESPFIX_SS}, {PT_ORIG_AX}(%esp)
        popl    %ebx
        popl    %ecx
        popl    %edx
        popl    %esi
        popl    %edi
        popl    %ebp
        popl    %eax
        POP_SEGMENT %ds, espfix_ds
        POP_SEGMENT %es, espfix_es
        POP_SEGMENT %fs, espfix_fs
        LABEL   espfix_lss
        lss     (%esp), %esp
        LABEL   espfix_return
        iret
        .size   to_any_stack, . - to_any_stack

        # Used at the first instruction of an entry: tests whether the `iret` above was interrupted.
        .macro ON_ESPFIX_STACK where
        pushl   %eax
        movl    %ss, %eax
        cmpw    ${ESPFIX_SS}, %ax
        je      \where
        popl    %eax
        .endm

        # Turns esp into its usual address. The stack ends at sp0, within the same 64 KiB.
        .macro LEAVE_ESPFIX_STACK label
        pushl   %fs
        movl    ${KERNEL_PERCPU}, %eax
        movl    %eax, %fs
        movl    %fs:{PERCPU_TSS_SP0}, %eax
        movw    %sp, %ax
        pushl   ${KERNEL_DS}
        pushl   %eax
        lss     (%esp), %esp
        POP_SEGMENT %fs, \label
        popl    %eax
        .endm

        ENTRY   iret_from_espfix
        LEAVE_ESPFIX_STACK iret_from_espfix_fs
        addl    $16, %esp               # error code, ip, cs, flags: of the fault
        jmp     iret_exc
        .size   iret_from_espfix, . - iret_from_espfix

        ENTRY   nmi_from_espfix
        LEAVE_ESPFIX_STACK nmi_from_espfix_fs
        addl    $12, %esp               # ip, cs, flags: of the NMI
        jmp     nmi_stack_correct
        .size   nmi_from_espfix, . - nmi_from_espfix

        .popsection

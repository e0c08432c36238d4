# From the boot loader to Rust. On entry: 32-bit protected mode, paging off, flat segments of the
# loader, eax = the loader's magic, ebx = its data (physical).
#
# No Rust may run before two things are certain: CPUID exists, and so does CMOV, which the compiler
# emits freely. The code here checks both, and prints a message on a CPU without them.
#
#   physical          linear after start_high
#   0x00100000  .boot 0x00100000 (gone)   _start .. enable paging
#   +0x1000     rest  0xC0000000 + phys   everything else
#
# SDM: vol. 3, 9.9 "Mode Switching", 4.3 "32-Bit Paging".

        .section .boot.text, "ax", @progbits
        .globl  _start
        .type   _start, @function
_start:
        cli
        cld
        movl    $(init_thread_union - {PAGE_OFFSET} + {THREAD_SIZE}), %esp
        pushl   %ebx                            # second argument: mbi_phys
        pushl   %eax                            # first argument: magic

        # A CPU has CPUID if EFLAGS.ID can be changed.
        pushfl
        popl    %eax
        movl    %eax, %ecx
        xorl    ${EFLAGS_ID}, %eax
        pushl   %eax
        popfl
        pushfl
        popl    %eax
        pushl   %ecx
        popfl
        movl    $.Lno_cpuid, %esi
        xorl    %ecx, %eax
        testl   ${EFLAGS_ID}, %eax
        jz      boot_fatal

        movl    $1, %eax
        cpuid
        movl    $.Lno_cmov, %esi
        testl   ${CPUID_1_EDX_CMOV}, %edx
        jz      boot_fatal

        # The first 16 MiB in pages of 4 KiB: writable at first ...
        movl    $(boot_page_tables - {PAGE_OFFSET}), %edi
        movl    ${PTE_P_RW}, %eax
1:      stosl
        addl    $0x1000, %eax
        cmpl    $({BOOT_MAPPED_BYTES} + {PTE_P_RW}), %eax
        jne     1b

        # ... then read-only from _stext to _erodata ...
        movl    $(_stext - {PAGE_OFFSET}), %eax
        movl    $(_erodata - {PAGE_OFFSET}), %ecx
        shrl    $12, %eax
        decl    %ecx
        shrl    $12, %ecx
2:      andl    $~{PTE_RW}, boot_page_tables - {PAGE_OFFSET}(,%eax,4)
        incl    %eax
        cmpl    %ecx, %eax
        jbe     2b

        # ... and nothing at all below the boot stack.
        movl    $(init_stack_guard - {PAGE_OFFSET}), %eax
        shrl    $12, %eax
        movl    $0, boot_page_tables - {PAGE_OFFSET}(,%eax,4)

        # The same tables at 0 (to survive the next jump) and at PAGE_OFFSET.
        movl    $(swapper_pg_dir - {PAGE_OFFSET}), %edi
        movl    $(boot_page_tables - {PAGE_OFFSET} + {PTE_P_RW}), %eax
        xorl    %ecx, %ecx
3:      movl    %eax, (%edi,%ecx,4)
        movl    %eax, {KERNEL_PGD_BYTES}(%edi,%ecx,4)
        addl    $0x1000, %eax
        incl    %ecx
        cmpl    ${BOOT_PAGE_TABLES}, %ecx
        jne     3b

        movl    %edi, %cr3
        movl    ${CR0_BOOT}, %eax
        movl    %eax, %cr0
        movl    $start_high, %eax
        jmp     *%eax
        .size   _start, . - _start

# Ends the run before Rust, with esi = message. It goes to COM1 and the VGA text screen; then QEMU's
# exit device gets the value for a CPU that lacks a feature.
        .type   boot_fatal, @function
boot_fatal:
        movl    $.Lcom1_setup, %edi             # pairs: register, value
        movl    ${COM1_SETUP_PAIRS}, %ecx
4:      movzbl  (%edi), %edx
        addl    ${COM1}, %edx
        movb    1(%edi), %al
        outb    %al, %dx
        addl    $2, %edi
        loop    4b
        movl    ${VGA_TEXT}, %edi
5:      lodsb
        testb   %al, %al
        jz      7f
        movb    %al, %bl
        movl    $({COM1} + 5), %edx             # line status
6:      inb     %dx, %al
        testb   $0x20, %al                      # transmitter holding register empty
        jz      6b
        movb    %bl, %al
        movl    ${COM1}, %edx
        outb    %al, %dx
        movb    $0x4f, %ah                      # white on red
        stosw
        jmp     5b
7:      movl    $({COM1} + 5), %edx
        inb     %dx, %al
        testb   $0x40, %al                      # completely sent
        jz      7b
        movl    ${EXIT_PORT}, %edx
        movl    ${EXIT_CPU_LACKS}, %eax
        outl    %eax, %dx
8:      hlt
        jmp     8b
        .size   boot_fatal, . - boot_fatal

        .section .boot.rodata, "a", @progbits
.Lno_cpuid:
        .asciz  "fatal: the CPU lacks: cpuid\r\n"
.Lno_cmov:
        .asciz  "fatal: the CPU lacks: cmov\r\n"
.Lcom1_setup:                                   # 115200 baud, 8N1, FIFO on
        .byte   1, 0x00,  3, 0x80,  0, 0x01,  1, 0x00,  3, 0x03,  2, 0x07,  4, 0x0b

# ---------------------------------------------------------------- higher half

        .section .text.start_high, "ax", @progbits
        .globl  start_high
        .type   start_high, @function
start_high:
        addl    ${PAGE_OFFSET}, %esp
        lgdt    boot_gdt_descr
        ljmp    ${KERNEL_CS}, $1f
1:      movl    ${KERNEL_DS}, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    ${PERCPU}, %eax
        movl    %eax, %fs
        .if {STACK_PROTECTOR}                   # Rust code reads %gs:0x14
        movl    $boot_canary, %eax
        movw    $0xffff, boot_gdt + {CANARY_SELECTOR}
        movw    %ax, boot_gdt + {CANARY_SELECTOR} + 2
        shrl    $16, %eax
        movb    %al, boot_gdt + {CANARY_SELECTOR} + 4
        movb    $0x93, boot_gdt + {CANARY_SELECTOR} + 5
        movb    $0x40, boot_gdt + {CANARY_SELECTOR} + 6
        movb    %ah, boot_gdt + {CANARY_SELECTOR} + 7
        .endif
        movl    ${KERNEL_GS}, %eax
        movl    %eax, %gs
        xorl    %eax, %eax
        lldt    %ax

        # Page 0 must fault from here on: forget the low mapping.
        movl    $swapper_pg_dir, %edi
        movl    ${BOOT_PAGE_TABLES}, %ecx
        rep stosl
        movl    %cr3, %eax
        movl    %eax, %cr3

        popl    %eax
        popl    %ecx
        subl    $8, %esp                        # the ABI requires esp 16-byte aligned
        pushl   %ecx
        pushl   %eax
        xorl    %ebp, %ebp                      # a back-trace ends here
        call    x86_start_kernel
        ud2
        .size   start_high, . - start_high

# The slots of Linux that are needed before the per-CPU GDT is loaded. The descriptors are marked
# accessed, so the processor does not write here.
        .section .data.boot_gdt, "aw", @progbits
        .balign 8
boot_gdt:
        .fill   12, 8, 0
        .quad   0x00cf9b000000ffff              # 12 kernel code
        .quad   0x00cf93000000ffff              # 13 kernel data
        .fill   13, 8, 0
        .quad   0x00cf93000000ffff              # 27 per-CPU: base 0 until the area exists
        .fill   4, 8, 0
boot_gdt_end:
        .word   0
        .globl  boot_gdt_descr
boot_gdt_descr:
        .word   boot_gdt_end - boot_gdt - 1
        .long   boot_gdt

        .section .bss..page_aligned, "aw", @nobits
        .balign 4096
        .globl  swapper_pg_dir, boot_page_tables
        .type   swapper_pg_dir, @object
swapper_pg_dir:
        .skip   4096
        .size   swapper_pg_dir, 4096
        .type   boot_page_tables, @object
boot_page_tables:
        .skip   4096 * {BOOT_PAGE_TABLES}
        .size   boot_page_tables, 4096 * {BOOT_PAGE_TABLES}

        .section .data..init_task, "aw", @progbits
        .balign {THREAD_SIZE}
        .globl  init_thread_union
init_thread_union:
        .skip   {THREAD_SIZE}

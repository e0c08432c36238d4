# From real mode to Rust, for every CPU but the first.
#
# A start-up message makes a CPU begin at a page below 1 MiB, in real mode, with cs = page << 8.
# `smp` copies this code there and fills in the two words at its end. The code runs there up to the
# jump to the high half; the page directory `trampoline_pg_dir` maps both the page itself and the
# high half.
#
# Linux: 2.6.38 trampoline_32.S, head_32.S (startup_32_smp).
# SDM: vol. 3, 8.4.4 "MP Initialization Example", 9.9 "Mode Switching".

        .section .rodata.trampoline, "a", @progbits
        .balign 16
        .globl  trampoline_start, trampoline_end, trampoline_cr4, trampoline_cr3
        .type   trampoline_start, @object
trampoline_start:
        .code16
        cli
        cld
        movw    %cs, %ax
        movw    %ax, %ds
        lgdtl   trampoline_gdt_descr - trampoline_start
        movl    %cr0, %eax
        orl     $1, %eax                        # PE
        movl    %eax, %cr0
        ljmpl   $0x08, $({TRAMPOLINE_PHYS} + 1f - trampoline_start)

        .code32
1:      movl    $0x10, %eax
        movl    %eax, %ds
        movl    {TRAMPOLINE_PHYS} + trampoline_cr4 - trampoline_start, %eax
        movl    %eax, %cr4
        movl    {TRAMPOLINE_PHYS} + trampoline_cr3 - trampoline_start, %eax
        movl    %eax, %cr3
        movl    ${CR0_BOOT}, %eax               # turns on the caches, which INIT left off
        movl    %eax, %cr0
        movl    $startup_secondary, %eax
        jmp     *%eax

        .balign 8
trampoline_gdt:
        .quad   0
        .quad   0x00cf9b000000ffff              # 0x08 code
        .quad   0x00cf93000000ffff              # 0x10 data
trampoline_gdt_descr:
        .word   . - trampoline_gdt - 1
        .long   {TRAMPOLINE_PHYS} + trampoline_gdt - trampoline_start
        .balign 4
trampoline_cr4:
        .long   0
trampoline_cr3:
        .long   0
trampoline_end:
        .size   trampoline_start, . - trampoline_start

# ---------------------------------------------------------------- higher half

        .section .text.startup_secondary, "ax", @progbits
        .globl  startup_secondary
        .type   startup_secondary, @function
startup_secondary:
        lgdt    boot_gdt_descr
        ljmp    ${KERNEL_CS}, $1f
1:      movl    ${KERNEL_DS}, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    ${PERCPU}, %eax
        movl    %eax, %fs
        movl    ${KERNEL_GS}, %eax
        movl    %eax, %gs
        xorl    %eax, %eax
        lldt    %ax

        # The kernel's own page directory, without the low mapping. Only now may translations be
        # global; otherwise the low ones would stay.
        movl    $(swapper_pg_dir - {PAGE_OFFSET}), %eax
        movl    %eax, %cr3
        movl    secondary_cr4, %eax
        movl    %eax, %cr4

        movl    secondary_stack, %esp           # sp0 of this CPU's idle task
        pushl   $0
        popfl
        xorl    %ebp, %ebp                      # a back-trace ends here
        subl    $12, %esp                       # the ABI requires esp 16-byte aligned
        andl    $-16, %esp
        subl    $12, %esp
        pushl   secondary_cpu
        call    start_secondary
        ud2
        .size   startup_secondary, . - startup_secondary

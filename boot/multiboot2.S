# The headers that a boot loader looks for in the first kilobytes of the file.
#
# The kernel boots by Multiboot2. The Multiboot1 header only makes an older loader start it too, so
# that the kernel can report the problem.

        .section .multiboot2, "a", @progbits
        .balign 8
.Lmb2_start:
        .long   {MB2_HEADER_MAGIC}
        .long   0                               # architecture: i386, protected mode
        .long   .Lmb2_end - .Lmb2_start
        .long   -({MB2_HEADER_MAGIC} + (.Lmb2_end - .Lmb2_start))

        # Tags that the kernel needs.
        .balign 8
.Lmb2_request:
        .word   1, 0                            # information request, required
        .long   .Lmb2_request_end - .Lmb2_request
        .long   1                               # command line
        .long   3                               # modules
        .long   6                               # memory map
        .long   9                               # ELF symbols
.Lmb2_request_end:

        .balign 8
        .word   4, 0                            # console flags, required
        .long   12
        .long   2                               # EGA text is understood

        .balign 8
        .word   6, 0                            # modules on page boundaries
        .long   8

        .balign 8
        .word   0, 0                            # end
        .long   8
.Lmb2_end:

        .section .multiboot1, "a", @progbits
        .balign 4
        .long   {MB1_HEADER_MAGIC}
        .long   0                               # flags: no requests
        .long   -{MB1_HEADER_MAGIC}

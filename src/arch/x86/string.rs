//! `memcpy`, `memmove`, `memset` and `memcmp`: the functions that the compiler calls by these
//! names.
//!
//! The standard library has them only where there is a C library. They use string instructions,
//! four bytes at a time, and cdecl, and run on any stack.
//!
//! Linux: `asm/string_32.h`.
//! SDM: vol. 2, MOVS, STOS, CMPS.

use core::arch::global_asm;

global_asm!(
    r#"
    .section .text.memcpy, "ax", @progbits
    .globl  memcpy
    .type   memcpy, @function
memcpy:                                 # (to, from, bytes) -> to
    pushl   %edi
    pushl   %esi
    movl    12(%esp), %edi
    movl    16(%esp), %esi
    movl    20(%esp), %ecx
    movl    %edi, %eax
    movl    %ecx, %edx
    shrl    $2, %ecx
    rep movsl
    movl    %edx, %ecx
    andl    $3, %ecx
    rep movsb
    popl    %esi
    popl    %edi
    ret
    .size   memcpy, . - memcpy

    .section .text.memmove, "ax", @progbits
    .globl  memmove
    .type   memmove, @function
memmove:                                # (to, from, bytes) -> to
    movl    4(%esp), %eax
    subl    8(%esp), %eax
    cmpl    12(%esp), %eax              # to - from >= bytes, unsigned: upwards is safe
    jae     memcpy
    pushl   %edi
    pushl   %esi
    movl    20(%esp), %ecx
    movl    12(%esp), %edi
    movl    16(%esp), %esi
    movl    %edi, %eax
    leal    -1(%edi,%ecx), %edi
    leal    -1(%esi,%ecx), %esi
    std                                 # from the end down: the bytes above the last word,
    movl    %ecx, %edx
    andl    $3, %ecx
    rep movsb
    subl    $3, %edi                    # then words
    subl    $3, %esi
    movl    %edx, %ecx
    shrl    $2, %ecx
    rep movsl
    cld
    popl    %esi
    popl    %edi
    ret
    .size   memmove, . - memmove

    .section .text.memset, "ax", @progbits
    .globl  memset
    .type   memset, @function
memset:                                 # (to, byte, bytes) -> to
    pushl   %edi
    movl    8(%esp), %edi
    movzbl  12(%esp), %eax
    imull   $0x01010101, %eax
    movl    16(%esp), %ecx
    movl    %ecx, %edx
    shrl    $2, %ecx
    rep stosl
    movl    %edx, %ecx
    andl    $3, %ecx
    rep stosb
    movl    8(%esp), %eax
    popl    %edi
    ret
    .size   memset, . - memset

    .section .text.memcmp, "ax", @progbits
    .globl  memcmp
    .type   memcmp, @function
    .globl  bcmp
    .type   bcmp, @function
bcmp:
memcmp:                                 # (a, b, bytes) -> sign of the first difference
    pushl   %edi
    pushl   %esi
    movl    12(%esp), %esi
    movl    16(%esp), %edi
    movl    20(%esp), %ecx
    xorl    %eax, %eax                  # also sets ZF, for zero bytes
    repe cmpsb
    je      2f
    movzbl  -1(%esi), %eax
    movzbl  -1(%edi), %edx
    subl    %edx, %eax
2:  popl    %esi
    popl    %edi
    ret
    .size   memcmp, . - memcmp
    .size   bcmp, . - bcmp
    .text
    "#,
    options(att_syntax)
);

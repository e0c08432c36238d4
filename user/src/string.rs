//! memcpy, memmove, memset, memcmp, strlen: functions that the compiler expects to find.
//!
//! They are in assembly, so the compiler cannot turn a loop into a call of itself. Every call
//! enters with DF clear, as the i386 ABI says, and leaves it clear.

use core::arch::global_asm;

global_asm!(
    ".pushsection .text.string, \"ax\", @progbits",
    ".globl memcpy, memmove, memset, memcmp, bcmp, strlen",
    //
    "memmove:",
    "movl 4(%esp), %eax",  // to
    "subl 8(%esp), %eax",  // minus from
    "cmpl 12(%esp), %eax", // below count, unsigned: the end would be overwritten
    "jae memcpy",
    "pushl %esi",
    "pushl %edi",
    "movl 12(%esp), %edi",
    "movl 16(%esp), %esi",
    "movl 20(%esp), %ecx",
    "leal -1(%edi, %ecx), %edi",
    "leal -1(%esi, %ecx), %esi",
    "std",
    "rep movsb",
    "cld",
    "jmp 1f",
    //
    "memcpy:",
    "pushl %esi",
    "pushl %edi",
    "movl 12(%esp), %edi",
    "movl 16(%esp), %esi",
    "movl 20(%esp), %ecx",
    "rep movsb",
    "1: movl 12(%esp), %eax",
    "popl %edi",
    "popl %esi",
    "ret",
    //
    "memset:",
    "pushl %edi",
    "movl 8(%esp), %edi",
    "movl 12(%esp), %eax",
    "movl 16(%esp), %ecx",
    "rep stosb",
    "movl 8(%esp), %eax",
    "popl %edi",
    "ret",
    //
    "bcmp:",
    "memcmp:",
    "pushl %esi",
    "pushl %edi",
    "movl 12(%esp), %esi",
    "movl 16(%esp), %edi",
    "movl 20(%esp), %ecx",
    "xorl %eax, %eax", // and ZF, for a count of 0
    "repe cmpsb",
    "je 2f",
    "movzbl -1(%esi), %eax",
    "movzbl -1(%edi), %ecx",
    "subl %ecx, %eax",
    "2: popl %edi",
    "popl %esi",
    "ret",
    //
    "strlen:",
    "movl 4(%esp), %ecx",
    "movl %ecx, %eax",
    "jmp 4f",
    "3: incl %eax",
    "4: cmpb $0, (%eax)",
    "jne 3b",
    "subl %ecx, %eax",
    "ret",
    ".popsection",
    options(att_syntax)
);

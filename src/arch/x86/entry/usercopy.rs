//! Instructions that access user memory and may fault, with their fix-ups.
//!
//! Each instruction here that touches a user address has an entry in `__ex_table`: its own address
//! and the address to continue at if the access is impossible. `do_page_fault` brings the page in
//! if there is one; otherwise it looks the instruction up in that table.
//!
//! `uaccess` checks that an address is the user's; nothing here does.
//!
//! Book: ch. 10, "Dynamic Address Checking: The Fix-up Code", "The Exception Tables".
//! Linux: 2.6.38 `arch/x86/lib/usercopy_32.c`, `arch/x86/mm/extable.c`.

use core::arch::{asm, global_asm};

/// Copies `bytes` bytes and returns the number that could not be copied. One of the two addresses
/// is the user's and may fault; the other is the kernel's and does not.
///
/// # Safety
/// 1. The kernel's side is ours and has that length.
#[inline(always)]
pub unsafe fn __copy_user(to: *mut u8, from: *const u8, bytes: u32) -> u32 {
    let left;
    // SAFETY: by 1, and a fault on the user's side continues at 4 with the bytes left in ecx.
    // `asm!` cannot name esi, which the compiler may use, so the code restores it.
    unsafe {
        asm!(
            "xchgl %esi, %eax",
            "movl %ecx, %edx",
            "shrl $2, %ecx",
            "andl $3, %edx",
            "2: rep movsl",
            "movl %edx, %ecx",
            "3: rep movsb",
            "4: movl %eax, %esi",
            ".pushsection .text.fixup, \"ax\", @progbits",
            "5: leal (%edx, %ecx, 4), %ecx", // words left, and the bytes after them
            "jmp 4b",
            ".popsection",
            ".pushsection __ex_table, \"a\", @progbits",
            ".balign 4",
            ".long 2b, 5b",
            ".long 3b, 4b",
            ".popsection",
            inout("eax") from => _,
            out("edx") _,
            inout("ecx") bytes => left,
            inout("edi") to => _,
            options(att_syntax, nostack)
        );
    }
    left
}

/// Returns whether the eight bytes at user address `from` can be read and are 0. Inline, since it
/// is used at every switch.
///
/// # Safety
/// 1. All eight bytes at `from` are user memory.
#[inline(always)]
pub unsafe fn __user_8_is_zero(from: u32) -> bool {
    // SAFETY: by 1 it only reads user memory; a fault continues at the label.
    unsafe {
        asm!(
            "2: cmpl $0, ({from})",
            "jne {no}",
            "3: cmpl $0, 4({from})",
            "jne {no}",
            ".pushsection __ex_table, \"a\", @progbits",
            ".balign 4",
            ".long 2b, {no}",
            ".long 3b, {no}",
            ".popsection",
            from = in(reg) from,
            no = label { return false },
            options(att_syntax, nostack)
        );
    }
    true
}

/// Stores two words at user address `to`, and returns whether that was possible. Inline, since it
/// is used at every switch.
///
/// # Safety
/// 1. All eight bytes at `to` are user memory.
#[inline(always)]
pub unsafe fn __put_user_8(to: u32, words: [u32; 2]) -> bool {
    // SAFETY: by 1 it only writes user memory; a fault continues at the label.
    unsafe {
        asm!(
            "2: movl {first}, ({to})",
            "3: movl {second}, 4({to})",
            ".pushsection __ex_table, \"a\", @progbits",
            ".balign 4",
            ".long 2b, {fault}",
            ".long 3b, {fault}",
            ".popsection",
            to = in(reg) to,
            first = in(reg) words[0],
            second = in(reg) words[1],
            fault = label { return false },
            options(att_syntax, nostack, preserves_flags)
        );
    }
    true
}

unsafe extern "C" {
    /// Clears `bytes` bytes at a user address and returns the number that could not be cleared.
    pub fn __clear_user(to: *mut u8, bytes: u32) -> u32;
    /// Copies the word at user address `from` to `to`. Returns 0, or 1 if the word could not be
    /// read.
    pub fn __get_user_4(to: *mut u32, from: *const u32) -> u32;
    /// Stores `value` at user address `to`. Returns 0, or 1 if that was impossible.
    pub fn __put_user_4(to: *mut u32, value: u32) -> u32;
    /// Does a `lock cmpxchg` on the user's word at `at`: stores `new` there if the word is
    /// `*expected`, and its old value in `*expected`. Returns 0, or 1 if the word could not be
    /// accessed.
    pub fn __cmpxchg_user_4(at: *mut u32, expected: *mut u32, new: u32) -> u32;
}

global_asm!(
    r#"
    .macro  _ASM_EXTABLE from, to
    .pushsection __ex_table, "a", @progbits
    .balign 4
    .long   \from, \to
    .popsection
    .endm

    .section .text.uaccess, "ax", @progbits
    .globl  __clear_user
    .type   __clear_user, @function
__clear_user:                           # (to, bytes) -> bytes not cleared
    pushl   %edi
    movl    8(%esp), %edi
    movl    12(%esp), %ecx
    movl    %ecx, %edx
    andl    $3, %edx
    shrl    $2, %ecx
    xorl    %eax, %eax
2:  rep stosl
    movl    %edx, %ecx
3:  rep stosb
4:  movl    %ecx, %eax
    popl    %edi
    ret
5:  leal    (%edx,%ecx,4), %ecx
    jmp     4b
    _ASM_EXTABLE 2b, 5b
    _ASM_EXTABLE 3b, 4b
    .size   __clear_user, . - __clear_user

    .globl  __get_user_4
    .type   __get_user_4, @function
__get_user_4:                           # (to, from) -> 0 or 1
    movl    8(%esp), %ecx
2:  movl    (%ecx), %edx
    movl    4(%esp), %ecx
    movl    %edx, (%ecx)
    xorl    %eax, %eax
    ret
3:  movl    $1, %eax
    ret
    _ASM_EXTABLE 2b, 3b
    .size   __get_user_4, . - __get_user_4

    .globl  __put_user_4
    .type   __put_user_4, @function
__put_user_4:                           # (to, value) -> 0 or 1
    movl    4(%esp), %ecx
    movl    8(%esp), %edx
2:  movl    %edx, (%ecx)
    xorl    %eax, %eax
    ret
3:  movl    $1, %eax
    ret
    _ASM_EXTABLE 2b, 3b
    .size   __put_user_4, . - __put_user_4

    .globl  __cmpxchg_user_4
    .type   __cmpxchg_user_4, @function
__cmpxchg_user_4:                       # (at, expected, new) -> 0 or 1
    pushl   %ebx
    movl    8(%esp), %ecx
    movl    12(%esp), %ebx
    movl    16(%esp), %edx
    movl    (%ebx), %eax
2:  lock cmpxchgl %edx, (%ecx)
    movl    %eax, (%ebx)
    xorl    %eax, %eax
    popl    %ebx
    ret
3:  movl    $1, %eax
    popl    %ebx
    ret
    _ASM_EXTABLE 2b, 3b
    .size   __cmpxchg_user_4, . - __cmpxchg_user_4

    .purgem _ASM_EXTABLE
    .text
    "#,
    options(att_syntax)
);

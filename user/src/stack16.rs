//! A stack whose segment has 16 bits, from an LDT: with it, a return from the kernel loads only the
//! low half of esp. Nothing is kept on it; it is in use only while the program is in the kernel.
//!
//! Linux: 2.6.12, the return to a 16-bit stack in entry.S. SDM: vol. 1, 6.2.3.

use crate::tls::UserDesc;
use core::arch::global_asm;

const SYS_GETPID: u32 = 20;
const SYS_KILL: u32 = 37;
const SYS_MODIFY_LDT: u32 = 123;
const SYS_SCHED_YIELD: u32 = 158;
const SPIN: u32 = u32::MAX;

/// Selector and stack pointer of the other stack.
#[derive(Clone, Copy)]
pub struct Stack {
    pub ss: u16,
    pub esp: u32,
}

impl Stack {
    /// Returns esp after a system call.
    pub fn after_getpid(self) -> u32 {
        self.after(SYS_GETPID, [0; 3])
    }

    /// Returns esp after a signal to the caller, whose handler has returned.
    pub fn after_kill(self, pid: u32, signal: u32) -> u32 {
        self.after(SYS_KILL, [pid, signal, 0])
    }

    /// Returns esp after a system call during which other tasks have run.
    pub fn after_yield(self) -> u32 {
        self.after(SYS_SCHED_YIELD, [0; 3])
    }

    /// Returns esp after `turns` turns, or as soon as it has changed.
    pub fn after_spinning(self, turns: u32) -> u32 {
        self.after(SPIN, [turns, 0, 0])
    }

    /// Returns esp after an entry of the LDT was written.
    pub fn after_writing_ldt(self, desc: &UserDesc) -> u32 {
        self.after(SYS_MODIFY_LDT, [0x11, core::ptr::from_ref(desc) as u32, 16])
    }

    fn after(self, call: u32, arguments: [u32; 3]) -> u32 {
        let [a, b, c] = arguments;
        // SAFETY: returns with the stack it was called with; the call is one of those above.
        unsafe { rt_on_stack(u32::from(self.ss), self.esp, call, a, b, c) }
    }
}

unsafe extern "C" {
    /// Makes a system call, or spins `a` times if it is `SPIN`, with this ss and esp; returns esp.
    fn rt_on_stack(ss: u32, esp: u32, call: u32, a: u32, b: u32, c: u32) -> u32;
}

global_asm!(
    ".pushsection .text.stack16, \"ax\", @progbits",
    ".globl rt_on_stack",
    ".type rt_on_stack, @function",
    "rt_on_stack:",
    "pushl %ebx",
    "pushl %esi",
    "pushl %edi",
    "pushl %ebp",
    "movl 20(%esp), %esi", // ss
    "movl 24(%esp), %edi", // esp
    "movl 28(%esp), %eax", // call
    "movl 32(%esp), %ebx",
    "movl 36(%esp), %ecx",
    "movl 40(%esp), %edx",
    "movl %esp, %ebp",
    "movl %esi, %ss",
    "movl %edi, %esp",
    "cmpl $-1, %eax",
    "je 2f",
    "int $0x80",
    "1: movl %esp, %eax",
    "movl %ds, %ecx", // as ss is at other times
    "movl %ecx, %ss",
    "movl %ebp, %esp",
    "popl %ebp",
    "popl %edi",
    "popl %esi",
    "popl %ebx",
    "ret",
    "2: cmpl %edi, %esp",
    "jne 1b",
    "decl %ebx",
    "jnz 2b",
    "jmp 1b",
    ".size rt_on_stack, . - rt_on_stack",
    ".popsection",
    options(att_syntax)
);

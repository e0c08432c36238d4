//! The ways into the kernel: `int $0x80`, the vDSO, a bare `sysenter`.
//!
//! The number is in eax, the arguments in ebx, ecx, edx, esi, edi, ebp, the result in eax. The
//! stubs are assembly functions because the compiler keeps esi and ebp for itself.
//!
//! Linux: entry_32.S, vdso32/sysenter.S. SDM: vol. 2, INT, SYSENTER.

use crate::{Errno, start};
use core::{
    arch::global_asm,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

/// Turns the kernel's answer into a result: -1 to -4095 are errors.
pub fn result(answer: i32) -> Result<u32, Errno> {
    match answer {
        -4095..=-1 => Err(Errno(-answer)),
        value => Ok(value as u32),
    }
}

/// Makes the system call `number` by `int $0x80`; missing arguments are 0.
pub fn syscall<const N: usize>(number: u32, arguments: [u32; N]) -> Result<u32, Errno> {
    result(raw_int80(number, arguments))
}

/// As [`syscall`], but returns the kernel's answer as it is.
pub fn raw_int80<const N: usize>(number: u32, arguments: [u32; N]) -> i32 {
    // SAFETY: the stub keeps the C convention. The typed wrappers answer for what a system call
    // does to memory.
    unsafe { rt_int80(number, six(arguments).as_ptr()) }
}

/// Makes the system call `number` by `call *AT_SYSINFO`: sysenter, or what the vDSO prefers.
pub fn raw_vdso<const N: usize>(number: u32, arguments: [u32; N]) -> i32 {
    assert!(RT_VSYSCALL.load(Relaxed) != 0, "no AT_SYSINFO");
    // SAFETY: as above, and the address is the kernel's own.
    unsafe { rt_vdso(number, six(arguments).as_ptr()) }
}

/// Runs `sched_yield` with `eflags` loaded just before `int $0x80`; returns EFLAGS as they were
/// just after it.
pub fn yield_with_eflags(eflags: u32) -> u32 {
    // SAFETY: the stub restores the caller's flags.
    unsafe { rt_yield_int80(eflags) }
}

/// As [`yield_with_eflags`], through a bare `sysenter` with the vDSO's stack frame: not even one
/// instruction lies between `popfl` and the kernel.
pub fn yield_with_eflags_sysenter(eflags: u32) -> u32 {
    // SAFETY: the stub restores the caller's flags; the kernel returns into its vDSO, which pops
    // the frame that the stub has pushed.
    unsafe { rt_yield_sysenter(eflags) }
}

/// Runs `sched_yield` through the vDSO with all registers filled; returns whether ebx, ecx, edx,
/// esi, edi, ebp and esp are unchanged.
pub fn vdso_keeps_registers() -> bool {
    // SAFETY: the stub keeps the C convention.
    unsafe { rt_vdso_keeps_registers() == 0 }
}

/// As [`vdso_keeps_registers`], for `int $0x80`.
pub fn int80_keeps_registers() -> bool {
    // SAFETY: the stub keeps the C convention.
    unsafe { rt_int80_keeps_registers() == 0 }
}

fn six<const N: usize>(arguments: [u32; N]) -> [u32; 6] {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&arguments);
    all
}

/// AT_SYSINFO, or 0. The assembly calls through it.
static RT_VSYSCALL: AtomicU32 = AtomicU32::new(0);

pub(crate) fn find_vdso() {
    RT_VSYSCALL.store(start::getauxval(start::at::SYSINFO).unwrap_or(0), Relaxed);
}

unsafe extern "C" {
    fn rt_int80(number: u32, arguments: *const u32) -> i32;
    fn rt_vdso(number: u32, arguments: *const u32) -> i32;
    fn rt_yield_int80(eflags: u32) -> u32;
    fn rt_yield_sysenter(eflags: u32) -> u32;
    fn rt_int80_keeps_registers() -> u32;
    fn rt_vdso_keeps_registers() -> u32;
}

global_asm!(
    // A C function of (number, pointer to six words) around one way into the kernel.
    ".macro rt_gate name, enter:vararg",
    ".globl \\name",
    ".type \\name, @function",
    "\\name:",
    "pushl %ebp",
    "pushl %ebx",
    "pushl %esi",
    "pushl %edi",
    "movl 20(%esp), %eax", // number
    "movl 24(%esp), %ebp", // arguments
    "movl 0(%ebp), %ebx",
    "movl 4(%ebp), %ecx",
    "movl 8(%ebp), %edx",
    "movl 12(%ebp), %esi",
    "movl 16(%ebp), %edi",
    "movl 20(%ebp), %ebp",
    "\\enter",
    "popl %edi",
    "popl %esi",
    "popl %ebx",
    "popl %ebp",
    "ret",
    ".size \\name, . - \\name",
    ".endm",
    //
    // A C function that fills the registers, yields, and counts those that changed.
    ".macro rt_keeps name, enter:vararg",
    ".globl \\name",
    ".type \\name, @function",
    "\\name:",
    "pushl %ebp",
    "pushl %ebx",
    "pushl %esi",
    "pushl %edi",
    "movl $0x11111111, %ebx",
    "movl $0x22222222, %ecx",
    "movl $0x33333333, %edx",
    "movl $0x44444444, %esi",
    "movl $0x55555555, %edi",
    "movl %esp, %ebp", // so ebp proves esp too
    "movl ${sched_yield}, %eax",
    "\\enter",
    "subl %esp, %ebp", // each is 0 if unchanged
    "subl $0x11111111, %ebx",
    "subl $0x22222222, %ecx",
    "subl $0x33333333, %edx",
    "subl $0x44444444, %esi",
    "subl $0x55555555, %edi",
    "orl %ebp, %eax",
    "orl %ebx, %eax",
    "orl %ecx, %eax",
    "orl %edx, %eax",
    "orl %esi, %eax",
    "orl %edi, %eax",
    "popl %edi",
    "popl %esi",
    "popl %ebx",
    "popl %ebp",
    "ret",
    ".size \\name, . - \\name",
    ".endm",
    //
    ".pushsection .text.gates, \"ax\", @progbits",
    "rt_gate rt_int80, int $0x80",
    "rt_gate rt_vdso, call *{vsyscall}",
    "rt_keeps rt_int80_keeps_registers, int $0x80",
    "rt_keeps rt_vdso_keeps_registers, call *{vsyscall}",
    //
    ".globl rt_yield_int80",
    ".type rt_yield_int80, @function",
    "rt_yield_int80:",
    "pushfl",              // the caller's flags
    "pushl 8(%esp)",       // the wanted ones
    "movl ${sched_yield}, %eax",
    "popfl",
    "int $0x80",
    "pushfl",
    "popl %eax",           // result: flags after the call
    "popfl",
    "ret",
    ".size rt_yield_int80, . - rt_yield_int80",
    //
    ".globl rt_yield_sysenter",
    ".type rt_yield_sysenter, @function",
    "rt_yield_sysenter:",
    "pushfl",              // the caller's flags
    "movl 8(%esp), %eax",  // the wanted ones
    "call 1f",             // the vDSO's ret comes back to the next line
    "pushfl",
    "popl %eax",
    "popfl",
    "ret",
    "1: pushl %ecx",       // the frame of __kernel_vsyscall
    "pushl %edx",
    "pushl %ebp",
    "movl %esp, %ebp",
    "pushl %eax",
    "movl ${sched_yield}, %eax",
    "popfl",               // esp is ebp again
    "sysenter",
    "ud2",                 // never: the kernel returns into the vDSO
    ".size rt_yield_sysenter, . - rt_yield_sysenter",
    ".popsection",
    ".purgem rt_gate",
    ".purgem rt_keeps",
    vsyscall = sym RT_VSYSCALL,
    sched_yield = const crate::sched::SYS_SCHED_YIELD,
    options(att_syntax)
);

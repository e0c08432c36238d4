//! The kernel and the processor that the program runs on.
//!
//! switch_to has the selectors and slots of 32-bit Linux. Under a 64-bit Linux the same program
//! finds other numbers; the few cases that depend on them ask here.

use crate::{
    gates::syscall,
    insn,
    process::signal::{SIGILL, SIGSEGV},
};

const SYS_UNAME: u32 = 122;

/// `__USER_CS` of a 32-bit kernel.
pub const USER_CS: u16 = 0x73;
/// `__USER_DS` of a 32-bit kernel.
pub const USER_DS: u16 = 0x7b;

/// Returns whether this is a 32-bit kernel: Linux/i386 or switch_to.
pub fn is_i386_kernel() -> bool {
    insn::cs() == USER_CS
}

/// Returns the signal that ends a program whose registers no return to ring 3 can load: SIGILL on a
/// 32-bit kernel.
pub fn signal_of_bad_iret() -> u32 {
    if is_i386_kernel() { SIGILL } else { SIGSEGV }
}

/// Returns the first of the three TLS slots in the GDT: 6, or 12 under a 64-bit kernel.
pub fn tls_min() -> u32 {
    if is_i386_kernel() { 6 } else { 12 }
}

/// Returns the selector of TLS slot `nth` of three, ring 3: 0x33, 0x3b, 0x43.
pub fn tls_selector(nth: u32) -> u16 {
    ((tls_min() + nth) << 3 | 3) as u16
}

/// Returns the end of user space: 3 GiB, or nearly 4 under a 64-bit kernel.
pub fn task_size() -> u32 {
    if is_i386_kernel() {
        0xc000_0000
    } else {
        0xffff_e000
    }
}

/// Returns (major, minor) of the kernel's release.
pub fn kernel_version() -> (u32, u32) {
    let mut utsname = [0u8; 6 * 65];
    syscall(SYS_UNAME, [utsname.as_mut_ptr() as u32]).expect("uname");
    let mut numbers = utsname[2 * 65..3 * 65]
        .split(|c| !c.is_ascii_digit())
        .map(|digits| digits.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0')));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Returns whether the kernel grants `iopl` by an I/O bitmap and leaves EFLAGS.IOPL at 0, as Linux
/// 5.5
/// and later do. switch_to follows 2.6.38, where the level is in EFLAGS and has to be switched.
pub fn iopl_is_emulated() -> bool {
    kernel_version() >= (5, 5)
}

/// Returns whether this is QEMU's interpreter, which never checks segment limits, nor, before 9.2,
/// alignment.
pub fn is_tcg() -> bool {
    let [_, b, c, d] = insn::cpuid(0x4000_0000);
    [b, c, d] == [*b"TCGT", *b"CGTC", *b"GTCG"].map(u32::from_le_bytes)
}

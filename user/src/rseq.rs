//! Restartable sequences: registration, and two critical sections in assembly.
//!
//! A section announces itself (`rseq_cs`) before its first instruction. If the thread is preempted,
//! moved or interrupted by a signal before the last one, the commit, it continues at the abort
//! handler, which the signature precedes.
//!
//! Linux: rseq(2), `kernel/rseq.c`.

use crate::{Errno, gates::syscall};
use core::{
    arch::global_asm,
    mem::offset_of,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
};

pub const SYS_RSEQ: u32 = 386;
pub const UNREGISTER: u32 = 1;
/// The word before each abort handler of these programs.
pub const SIGNATURE: u32 = 0x5350_5250;

pub const NO_RESTART_ON_PREEMPT: u32 = 1;
pub const NO_RESTART_ON_SIGNAL: u32 = 2;
pub const NO_RESTART_ON_MIGRATE: u32 = 4;

/// `struct rseq`, one for each thread.
#[repr(C, align(32))]
pub struct Rseq {
    pub cpu_id_start: AtomicU32,
    pub cpu_id: AtomicU32,
    /// The descriptor of the current section: a pointer of 64 bits.
    pub rseq_cs: [AtomicU32; 2],
    pub flags: AtomicU32,
    unused: [u32; 3],
}

const _: () = assert!(size_of::<Rseq>() == 32);
const CPU_ID: usize = offset_of!(Rseq, cpu_id);
const RSEQ_CS: usize = offset_of!(Rseq, rseq_cs);

impl Rseq {
    pub const fn new() -> Self {
        Self {
            cpu_id_start: AtomicU32::new(77),
            cpu_id: AtomicU32::new(78),
            rseq_cs: [const { AtomicU32::new(0) }; 2],
            flags: AtomicU32::new(0),
            unused: [0; 3],
        }
    }

    pub fn address(&self) -> u32 {
        self as *const Self as u32
    }

    pub fn register(&self) -> Result<(), Errno> {
        rseq(self.address(), 32, 0, SIGNATURE)
    }

    pub fn unregister(&self) -> Result<(), Errno> {
        rseq(self.address(), 32, UNREGISTER, SIGNATURE)
    }

    /// Returns the section that the thread has announced.
    pub fn section(&self) -> u32 {
        self.rseq_cs[0].load(SeqCst)
    }
}

impl Default for Rseq {
    fn default() -> Self {
        Self::new()
    }
}

pub fn rseq(address: u32, bytes: u32, flags: u32, signature: u32) -> Result<(), Errno> {
    syscall(SYS_RSEQ, [address, bytes, flags, signature]).map(drop)
}

/// `struct rseq_cs`: the addresses of a section.
#[repr(C, align(32))]
#[derive(Clone, Copy)]
pub struct Section {
    pub version: u32,
    pub flags: u32,
    pub start_ip: u64,
    pub post_commit_offset: u64,
    pub abort_ip: u64,
}

impl Section {
    /// Returns the section of [`spin`].
    pub fn of_spin(flags: u32) -> Self {
        Self::between(
            rt_rseq_spin_start,
            rt_rseq_spin_end,
            rt_rseq_spin_abort,
            flags,
        )
    }

    /// Returns the section of [`count`].
    pub fn of_count() -> Self {
        Self::between(
            rt_rseq_count_start,
            rt_rseq_count_end,
            rt_rseq_count_abort,
            0,
        )
    }

    fn between(
        start: unsafe extern "C" fn(),
        end: unsafe extern "C" fn(),
        abort: unsafe extern "C" fn(),
        flags: u32,
    ) -> Self {
        let [start, end, abort] = [start, end, abort].map(|f| f as usize as u64);
        Self {
            version: 0,
            flags,
            start_ip: start,
            post_commit_offset: end - start,
            abort_ip: abort,
        }
    }

    pub fn contains(&self, ip: u32) -> bool {
        u64::from(ip).wrapping_sub(self.start_ip) < self.post_commit_offset
    }
}

/// How a section ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    Committed,
    Aborted,
}

fn ending(answer: u32) -> Ending {
    match answer {
        0 => Ending::Committed,
        _ => Ending::Aborted,
    }
}

/// Loops in `section` until `stop` is not 0, adding 1 to `turned` each time: another task ends it,
/// not a number of turns, however slow the machine.
///
/// A section that is interrupted before its first turn is begun again.
pub fn spin(rseq: &Rseq, section: &Section, turned: &AtomicU32, stop: &AtomicU32) -> Ending {
    loop {
        // SAFETY: the stub keeps the C convention, and writes only to the two that it is given.
        let answer = unsafe { rt_rseq_spin(rseq, section, turned.as_ptr(), stop.as_ptr()) };
        if turned.load(SeqCst) != 0 {
            return ending(answer);
        }
    }
}

/// Adds 1 to this CPU's counter without a lock: reads it, lets `delay` turns pass, and commits by
/// writing it.
pub fn count(rseq: &Rseq, section: &Section, counters: &[AtomicU32], delay: u32) -> Ending {
    // SAFETY: as above; the kernel's CPU numbers are below the number of counters.
    ending(unsafe { rt_rseq_count(rseq, section, counters.as_ptr(), delay) })
}

unsafe extern "C" {
    fn rt_rseq_spin(rseq: &Rseq, section: &Section, turned: *mut u32, stop: *const u32) -> u32;
    fn rt_rseq_spin_start();
    fn rt_rseq_spin_end();
    fn rt_rseq_spin_abort();
    fn rt_rseq_count(rseq: &Rseq, section: &Section, counters: *const AtomicU32, delay: u32)
    -> u32;
    fn rt_rseq_count_start();
    fn rt_rseq_count_end();
    fn rt_rseq_count_abort();
}

global_asm!(
    ".pushsection .text.rseq, \"ax\", @progbits",
    ".globl rt_rseq_spin",
    ".type rt_rseq_spin, @function",
    "rt_rseq_spin:",
    "movl 4(%esp), %ecx",  // rseq
    "movl 8(%esp), %eax",  // section
    "movl 16(%esp), %edx", // stop
    "movl %eax, {RSEQ_CS}(%ecx)",
    ".globl rt_rseq_spin_start",
    "rt_rseq_spin_start:",
    "movl 12(%esp), %eax", // turned
    "1: incl (%eax)",
    "cmpl $0, (%edx)",
    "je 1b",
    ".globl rt_rseq_spin_end",
    "rt_rseq_spin_end:",
    "movl $0, {RSEQ_CS}(%ecx)",
    "xorl %eax, %eax",
    "ret",
    ".long {SIGNATURE}",
    ".globl rt_rseq_spin_abort",
    "rt_rseq_spin_abort:",
    "movl $1, %eax",
    "ret",
    ".size rt_rseq_spin, . - rt_rseq_spin",
    //
    ".globl rt_rseq_count",
    ".type rt_rseq_count, @function",
    "rt_rseq_count:",
    "pushl %ebx",
    "pushl %esi",
    "movl 12(%esp), %ecx", // rseq
    "movl 16(%esp), %eax", // section
    "movl 20(%esp), %ebx", // counters
    "movl 24(%esp), %edx", // delay
    "movl %eax, {RSEQ_CS}(%ecx)",
    ".globl rt_rseq_count_start",
    "rt_rseq_count_start:",
    "movl {CPU_ID}(%ecx), %eax",
    "movl (%ebx,%eax,4), %esi",
    "1: decl %edx",
    "jnz 1b",
    "incl %esi",
    "movl %esi, (%ebx,%eax,4)", // the commit
    ".globl rt_rseq_count_end",
    "rt_rseq_count_end:",
    "xorl %eax, %eax",
    "popl %esi",
    "popl %ebx",
    "ret",
    ".long {SIGNATURE}",
    ".globl rt_rseq_count_abort",
    "rt_rseq_count_abort:",
    "movl $1, %eax",
    "popl %esi",
    "popl %ebx",
    "ret",
    ".size rt_rseq_count, . - rt_rseq_count",
    ".popsection",
    RSEQ_CS = const RSEQ_CS,
    CPU_ID = const CPU_ID,
    SIGNATURE = const SIGNATURE,
    options(att_syntax)
);

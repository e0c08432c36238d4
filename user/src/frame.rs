//! A handler that copies the whole frame it was called with and changes words of it; and a fault
//! with chosen registers.
//!
//! Linux: 2.6.38 `asm/sigframe.h`. Book: ch. 11, "Setting up the frame".

use crate::{
    gates::syscall,
    signals::{Action, SA_NODEFER, SA_RESTART, SA_SIGINFO},
};
use core::{
    arch::global_asm,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

const SYS_SIGALTSTACK: u32 = 186;
const SYS_RT_SIGPROCMASK: u32 = 175;
const SIG_SETMASK: u32 = 2;

// Indices of the words of a sigcontext.
pub const GS: usize = 0;
pub const FS: usize = 1;
pub const ES: usize = 2;
pub const DS: usize = 3;
pub const DI: usize = 4;
pub const SI: usize = 5;
pub const BP: usize = 6;
pub const SP: usize = 7;
pub const BX: usize = 8;
pub const DX: usize = 9;
pub const CX: usize = 10;
pub const AX: usize = 11;
pub const TRAPNO: usize = 12;
pub const ERR: usize = 13;
pub const IP: usize = 14;
pub const CS: usize = 15;
pub const FLAGS: usize = 16;
pub const SP_AT_SIGNAL: usize = 17;
pub const SS: usize = 18;
pub const FPSTATE: usize = 19;
pub const OLDMASK: usize = 20;
pub const CR2: usize = 21;

/// The arithmetic flags: CF, PF, AF, ZF, SF, DF, OF.
pub const ARITHMETIC: u32 = 0x0cd5;
pub const CF: u32 = 1;
pub const ZF: u32 = 0x40;
pub const TF: u32 = 0x100;
pub const DF: u32 = 0x400;
pub const RF: u32 = 0x1_0000;
/// The address of an earlier page fault, which `cr2` in later frames still shows.
pub const LAST_FAULT: u32 = 0x1230;
/// The length of `int $0x21`, which ring 3 may not execute: #GP with error code 0x10a.
pub const TRAP_BYTES: u32 = 2;

pub type Words<const N: usize> = [AtomicU32; N];

/// The registers to fault with, by the indices above.
pub static WANT: Words<22> = [const { AtomicU32::new(0) }; 22];
/// The registers after sigreturn.
pub static GOT: Words<22> = [const { AtomicU32::new(0) }; 22];
/// The registers with which the handler began.
pub static ENTRY: Words<22> = [const { AtomicU32::new(0) }; 22];
/// The runtime's own registers: esp, ds, es, fs, gs, ss.
pub static OWN: Words<6> = [const { AtomicU32::new(0) }; 6];
/// The frame that the last handler found.
pub static FRAME: Words<183> = [const { AtomicU32::new(0) }; 183];
/// Whether that frame is one with siginfo.
pub static RT: AtomicU32 = AtomicU32::new(0);
/// The words to change in the frame: byte offset and value; the first pair with offset 0 ends them.
pub static CHANGES: Words<64> = [const { AtomicU32::new(0) }; 64];
pub static CALLS: AtomicU32 = AtomicU32::new(0);
/// A stack on which the program can go on after sigreturn.
pub static OTHER_STACK: Words<4096> = [const { AtomicU32::new(0) }; 4096];

pub fn load<const N: usize>(words: &Words<N>) -> [u32; N] {
    core::array::from_fn(|n| words[n].load(Relaxed))
}

pub fn sigcontext_at() -> usize {
    if RT.load(Relaxed) != 0 { 164 } else { 8 }
}

pub fn change(changes: &[(usize, u32)]) {
    let pairs = changes.iter().copied().chain([(0, 0)]);
    for (slot, (at, value)) in CHANGES.chunks_exact(2).zip(pairs) {
        slot[0].store(at as u32, Relaxed);
        slot[1].store(value, Relaxed);
    }
}

/// Copies and changes the frame at this address; the handlers below call it.
extern "C" fn look_at_frame(frame: u32) {
    CALLS.fetch_add(1, Relaxed);
    let words = if RT.load(Relaxed) != 0 { 67 } else { 183 };
    for (n, shown) in FRAME.iter().take(words).enumerate() {
        // SAFETY: within the frame that the kernel has made.
        let word = unsafe { (frame as *const u32).add(n).read_volatile() };
        shown.store(word, Relaxed);
    }
    for slot in CHANGES.chunks_exact(2) {
        let (at, value) = (slot[0].load(Relaxed), slot[1].load(Relaxed));
        if at == 0 {
            break;
        }
        // SAFETY: a word of the frame.
        unsafe { ((frame + at) as *mut u32).write_volatile(value) };
    }
}

unsafe extern "C" {
    /// Loads WANT, faults, and stores the registers after the return in GOT.
    pub fn rt_frame_fault();
    /// The instruction that faults.
    pub static rt_frame_at: u8;
    /// Stores the registers in ENTRY.
    fn rt_frame_handler();
}

global_asm!(
    ".pushsection .text.frame, \"ax\", @progbits",
    ".globl rt_frame_fault, rt_frame_at, rt_frame_handler",
    "rt_frame_fault:",
    "pushl %ebp",
    "pushl %ebx",
    "pushl %esi",
    "pushl %edi",
    "movl %esp, {own}",
    "movl %ds, %eax", "movl %eax, {own}+4",
    "movl %es, %eax", "movl %eax, {own}+8",
    "movl %fs, %eax", "movl %eax, {own}+12",
    "movl %gs, %eax", "movl %eax, {own}+16",
    "movl %ss, %eax", "movl %eax, {own}+20",
    "movw {want}, %gs",
    "movw {want}+4, %fs",
    "movw {want}+8, %es",
    "movw {want}+12, %ds",
    "pushl {want}+64",
    "popfl",
    "movl {want}+16, %edi",
    "movl {want}+20, %esi",
    "movl {want}+24, %ebp",
    "movl {want}+32, %ebx",
    "movl {want}+36, %edx",
    "movl {want}+40, %ecx",
    "movl {want}+44, %eax",
    "movw {want}+72, %ss",
    "movl {want}+28, %esp",
    "rt_frame_at:",
    "int $0x21",
    "movl %eax, {got}+44",
    "movl %edi, {got}+16",
    "movl %esi, {got}+20",
    "movl %ebp, {got}+24",
    "movl %esp, {got}+28",
    "movl %ebx, {got}+32",
    "movl %edx, {got}+36",
    "movl %ecx, {got}+40",
    "movl %gs, %eax", "movl %eax, {got}",
    "movl %fs, %eax", "movl %eax, {got}+4",
    "movl %es, %eax", "movl %eax, {got}+8",
    "movl %ds, %eax", "movl %eax, {got}+12",
    "movl %ss, %eax", "movl %eax, {got}+72",
    "pushfl",
    "popl {got}+64",
    "cld",
    "movw {own}+4, %ds",
    "movw {own}+8, %es",
    "movw {own}+12, %fs",
    "movw {own}+16, %gs",
    "movw {own}+20, %ss",
    "movl {own}, %esp",
    "popl %edi",
    "popl %esi",
    "popl %ebx",
    "popl %ebp",
    "ret",
    "rt_frame_handler:",
    "movl %eax, {entry}+44",
    "movl %ecx, {entry}+40",
    "movl %edx, {entry}+36",
    "movl %esp, {entry}+28",
    "movl %fs, %eax", "movl %eax, {entry}+4",
    "movl %es, %eax", "movl %eax, {entry}+8",
    "movl %ds, %eax", "movl %eax, {entry}+12",
    "movl %cs, %eax", "movl %eax, {entry}+60",
    "movl %ss, %eax", "movl %eax, {entry}+72",
    "pushfl",
    "popl {entry}+64",
    "pushl {entry}+28",
    "call {look}",
    "addl $4, %esp",
    "ret",
    ".popsection",
    own = sym OWN,
    want = sym WANT,
    got = sym GOT,
    entry = sym ENTRY,
    look = sym look_at_frame,
    options(att_syntax)
);

pub fn handler() -> u32 {
    rt_frame_handler as *const () as u32
}

pub fn handle(signal: u32, rt: bool) {
    RT.store(rt.into(), Relaxed);
    let flags = if rt { SA_SIGINFO } else { 0 };
    let action = Action::new(handler(), flags | SA_NODEFER | SA_RESTART);
    action.set(signal).expect("rt_sigaction");
}

pub fn blocked(new: Option<[u32; 2]>) -> [u32; 2] {
    let mut old = [0u32; 2];
    let new = new.as_ref().map_or(0, |set| set.as_ptr() as u32);
    let arguments = [SIG_SETMASK, new, old.as_mut_ptr() as u32, 8];
    syscall(SYS_RT_SIGPROCMASK, arguments).expect("rt_sigprocmask");
    old
}

pub fn altstack(new: Option<[u32; 3]>) -> [u32; 3] {
    let mut old = [0u32; 3];
    let new = new.as_ref().map_or(0, |stack| stack.as_ptr() as u32);
    syscall(SYS_SIGALTSTACK, [new, old.as_mut_ptr() as u32]).expect("sigaltstack");
    old
}

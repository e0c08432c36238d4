//! Threads: tasks that share their memory, by `clone`.
//!
//! A thread has a stack of its own and may be given a TLS descriptor. `join` waits for a word that
//! the kernel clears when the thread is gone (CLONE_CHILD_CLEARTID).
//!
//! Linux: clone(2). Book: ch. 3, "The clone(), fork(), and vfork() System Calls".

use crate::{
    Errno,
    clock::{PATIENCE_NS, monotonic_ns},
    gates::{result, syscall},
    memory::{MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous},
    sched::sched_yield,
    tls::UserDesc,
};
use core::{
    arch::global_asm,
    ptr::null_mut,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
};

pub const CLONE_VM: u32 = 0x100;
pub const CLONE_FS: u32 = 0x200;
pub const CLONE_FILES: u32 = 0x400;
pub const CLONE_SIGHAND: u32 = 0x800;
pub const CLONE_VFORK: u32 = 0x4000;
pub const CLONE_PARENT: u32 = 0x8000;
pub const CLONE_THREAD: u32 = 0x1_0000;
pub const CLONE_NEWNS: u32 = 0x2_0000;
pub const CLONE_SETTLS: u32 = 0x8_0000;
pub const CLONE_PARENT_SETTID: u32 = 0x10_0000;
pub const CLONE_CHILD_CLEARTID: u32 = 0x20_0000;
pub const CLONE_CHILD_SETTID: u32 = 0x100_0000;
/// The signal to the parent, in the low byte of the flags.
pub const SIGCHLD: u32 = 17;

/// The flags that pthread_create uses.
pub const THREAD: u32 = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;

const STACK_BYTES: u32 = 16 * PAGE_SIZE;

/// A thread's function; its result is the exit status.
pub type Body = extern "C" fn(argument: u32) -> i32;

/// Returns the calling thread's number.
pub fn gettid() -> u32 {
    syscall(SYS_GETTID, []).expect("gettid cannot fail")
}

/// A running thread.
pub struct Thread {
    alive: &'static AtomicU32,
}

impl Thread {
    /// Waits until the kernel says that the thread is gone; returns false if it never does.
    pub fn join(self) -> bool {
        let end = monotonic_ns() + PATIENCE_NS;
        while self.alive.load(SeqCst) != 0 {
            if monotonic_ns() > end {
                return false;
            }
            sched_yield();
        }
        true
    }
}

/// Starts `body(argument)` on a stack of its own, with `tls` in the slot that it names.
pub fn spawn(body: Body, argument: u32, tls: Option<&UserDesc>) -> Result<Thread, Errno> {
    let bottom = mmap_anonymous(STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE)?;
    // SAFETY: the lowest word of a fresh mapping that stays for good; the stack grows towards it,
    // and is never that deep.
    let alive = unsafe { &*(bottom as *const AtomicU32) };
    alive.store(1, SeqCst);
    let flags = THREAD | CLONE_CHILD_CLEARTID | tls.map_or(0, |_| CLONE_SETTLS);
    let tls = tls.map_or(null_mut(), |desc| (&raw const *desc).cast_mut());
    let top = bottom + STACK_BYTES;
    // SAFETY: the child runs on the new stack only, and ends in `exit`.
    result(unsafe { rt_clone(flags, top, null_mut(), tls, alive.as_ptr(), body, argument) })?;
    Ok(Thread { alive })
}

/// Starts `body(argument)` as a process of its own in the caller's memory, which also shares what
/// `flags` say; returns its number, for `wait4`.
pub fn spawn_process(flags: u32, body: Body, argument: u32) -> Result<u32, Errno> {
    let bottom = mmap_anonymous(STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE)?;
    let (flags, top) = (flags | CLONE_VM | SIGCHLD, bottom + STACK_BYTES);
    let none = null_mut();
    // SAFETY: as in `spawn`.
    result(unsafe { rt_clone(flags, top, none, null_mut(), none, body, argument) })
}

unsafe extern "C" {
    /// Calls clone; the child calls `body(argument)` on the stack that ends at `top`, a multiple of
    /// 16, and exits with the result.
    fn rt_clone(
        flags: u32,
        top: u32,
        parent_tid: *mut u32,
        tls: *mut UserDesc,
        child_tid: *mut u32,
        body: Body,
        argument: u32,
    ) -> i32;
}

global_asm!(
    ".pushsection .text.thread, \"ax\", @progbits",
    ".globl rt_clone",
    ".type rt_clone, @function",
    "rt_clone:",
    "pushl %ebx",
    "pushl %esi",
    "pushl %edi",
    "movl 16(%esp), %ebx", // flags
    "movl 20(%esp), %ecx", // top
    "movl 24(%esp), %edx", // parent_tid
    "movl 28(%esp), %esi", // tls
    "movl 32(%esp), %edi", // child_tid
    "movl 40(%esp), %eax", // the argument, where the callee looks for it
    "subl $20, %ecx",
    "movl %eax, 4(%ecx)",
    "movl 36(%esp), %eax", // the body, which the child pops
    "movl %eax, (%ecx)",
    "movl ${clone}, %eax",
    "int $0x80",
    "testl %eax, %eax",
    "jz 1f",
    "popl %edi",
    "popl %esi",
    "popl %ebx",
    "ret",
    "1: popl %eax", // the child
    "xorl %ebp, %ebp",
    "call *%eax",
    "movl %eax, %ebx",
    "movl ${exit}, %eax",
    "int $0x80",
    "ud2",
    ".size rt_clone, . - rt_clone",
    ".popsection",
    clone = const SYS_CLONE,
    exit = const crate::process::SYS_EXIT,
    options(att_syntax)
);

pub const SYS_CLONE: u32 = 120;
const SYS_GETTID: u32 = 224;

//! `thread_info`: the structure at the foot of every kernel stack, found from `esp` alone.
//!
//! The stack is 8 KiB and aligned to 8 KiB, so clearing the low 13 bits of `esp` gives this
//! structure. The book's kernel finds `current` here; from 2.6.22 on a per-CPU pointer names it
//! too, and this kernel keeps both.
//!
//! ```text
//!     task_struct (on the heap)             the kernel stack, 8 KiB
//!   +---------------------------+         +-------------------------+  stack + 8192
//!   |  thread.sp0  -------------+-------->|  8 bytes free; below    |
//!   |                           |         |  them pt_regs           |
//!   |  thread.sp   -------------+----+    |          |              |
//!   |                           |    |    |          v grows down   |
//!   |                           |    +--->|  ebp, as it left        |
//!   |                           |         |                         |
//!   |                           |         |  STACK_END_MAGIC        |
//!   |  stack  ------------------+-------->|  thread_info: .task ----+---> back to the task_struct
//!   +---------------------------+         +-------------------------+  esp & !8191
//! ```
//!
//! Ground floor: the task pointer is opaque here.
//!
//! Book: ch. 3, "Identifying a Process". Linux: 2.6.38 `struct thread_info`.

use core::mem::offset_of;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use bitflags::bitflags;

use crate::base::flags::AtomicFlags;

/// Size of a kernel stack in bytes.
pub const THREAD_SIZE: usize = 8192;
/// Bytes left free above the `pt_regs` of an empty stack: the frame of an interrupt in ring 0 has
/// no ss and esp, yet code may read them.
pub const STACK_TOP_GAP: usize = 8;
/// Written just above `thread_info`; another value there means that the stack overran.
pub const STACK_END_MAGIC: u32 = 0x57ac_6e9d;

bitflags! {
    /// The flags of a thread that any CPU may set: `ThreadInfo::flags`. Linux numbers them; here
    /// TIF_* is the flag itself.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct ThreadFlags: u32 {
        const _ = !0;
    }
}

/// A tracer is told of this task's system calls, or steps over them (ptrace). Set and cleared together
/// with `ThreadInfo::syscall_limit`.
pub const TIF_SYSCALL_TRACE: ThreadFlags = ThreadFlags::from_bits_retain(1 << 0);
/// Work is due just before the return to user mode.
pub const TIF_NOTIFY_RESUME: ThreadFlags = ThreadFlags::from_bits_retain(1 << 1);
/// A signal is pending.
pub const TIF_SIGPENDING: ThreadFlags = ThreadFlags::from_bits_retain(1 << 2);
/// The scheduler must be called.
pub const TIF_NEED_RESCHED: ThreadFlags = ThreadFlags::from_bits_retain(1 << 3);
/// A system call by `sysenter` or `int 0x80` must be single-stepped: TF was set on entry.
pub const TIF_SINGLESTEP: ThreadFlags = ThreadFlags::from_bits_retain(1 << 4);
/// The user's registers in `pt_regs` were changed: all of them must be loaded, by `iret`.
pub const TIF_IRET: ThreadFlags = ThreadFlags::from_bits_retain(1 << 5);
/// The task's address space has an LDT: the way back must check for a 16-bit stack. The flag stays
/// set and is not work. Linux has no such flag.
pub const TIF_LDT: ThreadFlags = ThreadFlags::from_bits_retain(1 << 6);

/// The flags that send a return to user mode through the work loop.
pub const _TIF_WORK_MASK: ThreadFlags = TIF_SIGPENDING
    .union(TIF_NEED_RESCHED)
    .union(TIF_SINGLESTEP)
    .union(TIF_NOTIFY_RESUME)
    .union(TIF_IRET);
/// The flags that keep a task from the short way back to ring 3 by `iret`.
pub const _TIF_ALLWORK_MASK: ThreadFlags = _TIF_WORK_MASK.union(TIF_LDT).union(TIF_SYSCALL_TRACE);

/// Number of system calls: numbers from here on are unknown.
pub const NR_SYSCALLS: usize = 451;

/// The structure at the foot of a kernel stack.
#[repr(C)]
pub struct ThreadInfo {
    /// The `task_struct` whose stack this is. Constant.
    pub task: *mut (),
    /// TIF_* flags, which any CPU may set.
    pub flags: AtomicFlags<ThreadFlags>,
    /// The CPU on which this task runs or last ran. Guarded by the run-queue lock.
    pub cpu: AtomicU32,
    /// See `sync::preempt`. Only the owner of the stack writes it.
    preempt_count: AtomicI32,
    /// The address to which `sysexit` returns: `SYSENTER_RETURN` in this process's vDSO, or 0
    /// without one.
    pub sysenter_return: AtomicU32,
    /// System calls from this number on take the slow path: [`NR_SYSCALLS`], or 0 with
    /// [`TIF_SYSCALL_TRACE`].
    syscall_limit: AtomicU32,
    /// Holds [`STACK_END_MAGIC`].
    pub stack_end: AtomicU32,
}

/// Offset of `flags`, for the entry code.
pub const TI_FLAGS: usize = offset_of!(ThreadInfo, flags);
/// Offset of `preempt_count`, for the entry code.
pub const TI_PREEMPT_COUNT: usize = offset_of!(ThreadInfo, preempt_count);
/// Offset of `sysenter_return`, for the entry code.
pub const TI_SYSENTER_RETURN: usize = offset_of!(ThreadInfo, sysenter_return);
/// Offset of `syscall_limit`, for the entry code.
pub const TI_SYSCALL_LIMIT: usize = offset_of!(ThreadInfo, syscall_limit);
#[cfg(target_os = "none")]
const _: () = assert!(offset_of!(ThreadInfo, task) == 0 && TI_FLAGS == 4 && TI_PREEMPT_COUNT == 12);

impl ThreadInfo {
    /// Returns the foot of a fresh stack for `task`, which will start on `cpu`.
    pub const fn new(task: *mut (), cpu: u32, preempt_count: i32) -> Self {
        Self {
            task,
            flags: AtomicFlags::empty(),
            cpu: AtomicU32::new(cpu),
            preempt_count: AtomicI32::new(preempt_count),
            sysenter_return: AtomicU32::new(0),
            syscall_limit: AtomicU32::new(NR_SYSCALLS as u32),
            stack_end: AtomicU32::new(STACK_END_MAGIC),
        }
    }

    /// Sends the task's system calls through the slow path, or no longer. The entry of a call tests
    /// the limit and the way out tests the flag, so neither costs an instruction more.
    pub fn trace_syscalls(&self, on: bool) {
        let (limit, flags) = (&self.syscall_limit, &self.flags);
        match on {
            true => {
                flags.insert(TIF_SYSCALL_TRACE);
                limit.store(0, Ordering::Release);
            }
            false => {
                limit.store(NR_SYSCALLS as u32, Ordering::Release);
                flags.remove(TIF_SYSCALL_TRACE);
            }
        }
    }

    /// Returns the number of nested reasons not to preempt.
    #[inline(always)]
    pub fn preempt_count(&self) -> i32 {
        self.preempt_count.load(Ordering::Relaxed)
    }

    /// Overwrites the count; for the owner of the stack, and for code that builds a new stack.
    #[inline(always)]
    pub fn set_preempt_count(&self, count: i32) {
        self.preempt_count.store(count, Ordering::Relaxed);
    }
}

/// Returns the `thread_info` of the current stack: `esp & ~(THREAD_SIZE - 1)`.
#[cfg(target_os = "none")]
#[inline(always)]
pub fn current_thread_info() -> &'static ThreadInfo {
    let base = crate::base::insn::stack_address() as usize & !(THREAD_SIZE - 1);
    // SAFETY: we run on a kernel stack. Every kernel stack is 8 KiB, aligned to its size, and has a
    // ThreadInfo at its foot from before its first use until after its last.
    unsafe { &*(base as *const ThreadInfo) }
}

/// Returns whether all of `flags` are set in the current `thread_info`.
#[inline(always)]
pub fn test_flag(ti: &ThreadInfo, flags: ThreadFlags) -> bool {
    ti.flags.contains(flags)
}

/// Sets `flags`.
#[inline(always)]
pub fn set_flag(ti: &ThreadInfo, flags: ThreadFlags) {
    ti.flags.insert(flags);
}

/// Clears `flags`.
#[inline(always)]
pub fn clear_flag(ti: &ThreadInfo, flags: ThreadFlags) {
    ti.flags.remove(flags);
}

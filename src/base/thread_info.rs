//! `thread_info`: what lies at the foot of every kernel stack, found from `esp` alone.
//!
//! The stack is 8 KiB and aligned to 8 KiB, so clearing the low 13 bits of `esp` gives this
//! structure. In the book's kernel `current` is found here; from 2.6.22 on a per-CPU pointer
//! says so too, and both are live in this kernel.
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
/// Bytes left free above the `pt_regs` of an empty stack: a frame of an interrupt in ring 0
/// has no ss and esp, yet code may look at them.
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

/// Something wants to run just before the return to user mode.
pub const TIF_NOTIFY_RESUME: ThreadFlags = ThreadFlags::from_bits_retain(1 << 1);
/// A signal is pending.
pub const TIF_SIGPENDING: ThreadFlags = ThreadFlags::from_bits_retain(1 << 2);
/// The scheduler must be called.
pub const TIF_NEED_RESCHED: ThreadFlags = ThreadFlags::from_bits_retain(1 << 3);
/// A system call by `sysenter` or `int 0x80` must be single-stepped: TF was set on entry.
pub const TIF_SINGLESTEP: ThreadFlags = ThreadFlags::from_bits_retain(1 << 4);
/// The user's registers in `pt_regs` were changed: all of them must be loaded, by `iret`.
pub const TIF_IRET: ThreadFlags = ThreadFlags::from_bits_retain(1 << 5);
/// Its address space has an LDT: the way back must ask for a stack of 16 bits. Stays set, and is no
/// work. (Not a flag of Linux's.)
pub const TIF_LDT: ThreadFlags = ThreadFlags::from_bits_retain(1 << 6);

/// The bits that send a return to user mode round the work loop.
pub const _TIF_WORK_MASK: ThreadFlags = TIF_SIGPENDING
    .union(TIF_NEED_RESCHED)
    .union(TIF_SINGLESTEP)
    .union(TIF_NOTIFY_RESUME)
    .union(TIF_IRET);
/// What keeps a task from the short way back to ring 3 by `iret`.
pub const _TIF_ALLWORK_MASK: ThreadFlags = _TIF_WORK_MASK.union(TIF_LDT);

/// Foot of a kernel stack.
#[repr(C)]
pub struct ThreadInfo {
    /// The `task_struct` whose stack this is. Constant.
    pub task: *mut (),
    /// TIF_* bits. Any CPU may set one.
    pub flags: AtomicFlags<ThreadFlags>,
    /// The CPU that this task runs on, or ran on last. Guarded by the run-queue lock.
    pub cpu: AtomicU32,
    /// See `sync::preempt`. Only the owner of the stack writes it.
    preempt_count: AtomicI32,
    /// Where `sysexit` returns to: `SYSENTER_RETURN` in this process's vDSO, 0 without one.
    pub sysenter_return: AtomicU32,
    /// [`STACK_END_MAGIC`].
    pub stack_end: AtomicU32,
}

/// Offset of `flags`, for the entry code.
pub const TI_FLAGS: usize = offset_of!(ThreadInfo, flags);
/// Offset of `preempt_count`, for the entry code.
pub const TI_PREEMPT_COUNT: usize = offset_of!(ThreadInfo, preempt_count);
/// Offset of `sysenter_return`, for the entry code.
pub const TI_SYSENTER_RETURN: usize = offset_of!(ThreadInfo, sysenter_return);
#[cfg(target_os = "none")]
const _: () = assert!(offset_of!(ThreadInfo, task) == 0 && TI_FLAGS == 4 && TI_PREEMPT_COUNT == 12);

impl ThreadInfo {
    /// The foot of a fresh stack of `task`, which will start on `cpu`.
    pub const fn new(task: *mut (), cpu: u32, preempt_count: i32) -> Self {
        Self {
            task,
            flags: AtomicFlags::empty(),
            cpu: AtomicU32::new(cpu),
            preempt_count: AtomicI32::new(preempt_count),
            sysenter_return: AtomicU32::new(0),
            stack_end: AtomicU32::new(STACK_END_MAGIC),
        }
    }

    /// Nested reasons not to preempt.
    #[inline(always)]
    pub fn preempt_count(&self) -> i32 {
        self.preempt_count.load(Ordering::Relaxed)
    }

    /// Overwrites the count; for its owner, and for who builds a new stack.
    #[inline(always)]
    pub fn set_preempt_count(&self, count: i32) {
        self.preempt_count.store(count, Ordering::Relaxed);
    }
}

/// `thread_info` of the stack on which this runs: `esp & ~(THREAD_SIZE - 1)`.
#[cfg(target_os = "none")]
#[inline(always)]
pub fn current_thread_info() -> &'static ThreadInfo {
    let base = crate::base::insn::stack_address() as usize & !(THREAD_SIZE - 1);
    // SAFETY: every kernel stack is 8 KiB, aligned so, and has a ThreadInfo at its foot from
    // before it is first used until after it is last used, and we are on it.
    unsafe { &*(base as *const ThreadInfo) }
}

/// Whether all of `flags` are set.
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

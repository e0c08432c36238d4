#![forbid(unsafe_code)]
//! `thread_struct`: the part of the hardware context that a task keeps while it is off the CPU.
//!
//! The words that assembly and the switch read come first and are 32 bits each, so that their
//! offsets are Linux's on every host. `switch_to` writes `sp` and `ip`; `__switch_to` and the
//! system calls of the task itself write the rest.
//!
//! Book: ch. 3, "The thread field". Linux: 2.6.38 `struct thread_struct` (x86-32).

use core::mem::offset_of;

use bitflags::bitflags;

use super::fpu_state::FpuState;
use super::io_bitmap::IoBitmap;
use crate::hw::desc::{DescStruct, KERNEL_CS};

bitflags! {
    /// The work of a switch from or to a task beyond the common steps: `ThreadStruct::work`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Work: u32 {
        const _ = !0;
    }
}

/// The live x87/SSE registers belong to this task and CR0.TS is clear (Linux: thread_info.status).
pub const TS_USEDFPU: Work = Work::from_bits_retain(1 << 0);
/// `fpu_counter` may differ from 0: the switch has to reset it or to preload.
pub const TS_FPU_COUNTED: Work = Work::from_bits_retain(1 << 1);
/// A descriptor other than the first TLS slot is in use, so all three are loaded.
pub const TIF_TLS_ALL: Work = Work::from_bits_retain(1 << 2);
/// `sysenter_cs` is not the kernel's code segment.
pub const TIF_SYSENTER_CS: Work = Work::from_bits_retain(1 << 3);
/// The paravirtual back end batches, so every switch has work.
pub const TIF_PARAVIRT: Work = Work::from_bits_retain(1 << 4);
/// The task was switched away from while it batched page-table entries.
pub const TIF_LAZY_MMU_UPDATES: Work = Work::from_bits_retain(1 << 27);
/// RDTSC faults in this task.
pub const TIF_NOTSC: Work = Work::from_bits_retain(1 << 16);
/// The task has debug registers to load.
pub const TIF_DEBUG: Work = Work::from_bits_retain(1 << 21);
/// The task has an I/O permission bitmap.
pub const TIF_IO_BITMAP: Work = Work::from_bits_retain(1 << 22);

/// The flags for which `__switch_to_xtra` is called, if either task has one.
pub const _TIF_WORK_CTXSW: Work = TIF_NOTSC.union(TIF_DEBUG).union(TIF_IO_BITMAP);

/// Hardware context of a task that is not running.
#[repr(C)]
pub struct ThreadStruct {
    /// GDT entries 6, 7 and 8 while this task runs.
    pub tls_array: [DescStruct; 3],
    /// Top of the kernel stack, which the TSS gives the processor on an entry from ring 3.
    pub sp0: u32,
    /// Kernel `esp` while the task does not run.
    pub sp: u32,
    /// Value of SYSENTER_CS for this task.
    pub sysenter_cs: u32,
    /// Address at which the task continues: label 1 of `switch_to`, or `ret_from_fork`.
    pub ip: u32,
    /// User `%gs` selector while the task does not run.
    pub gs: u32,
    /// TS_* and TIF_* bits: all work of the switch beyond its common path, in one word, so one test
    /// is enough. The task itself and the switch write it. (Linux spreads them over
    /// `thread_info.flags`, `.status` and `fpu_counter`.)
    pub work: Work,
    /// The addresses in DR0–DR3.
    pub debugreg: [u32; 4],
    /// DR6 from the last #DB of this task.
    pub debugreg6: u32,
    /// DR7; 0 when the task has no breakpoints.
    pub debugreg7: u32,
    /// Time slices in a row in which the task used the FPU; wraps at 256.
    pub fpu_counter: u32,
    /// Ports that the task may use, from its first successful `ioperm` on.
    pub io_bitmap: Option<IoBitmap>,
    /// Vector, error code and address of its last exception in ring 3. A signal frame shows them,
    /// so fork copies them and exec keeps them.
    pub trap: TrapInfo,
    /// x87/SSE state. Only the transitions of `fpu_state` change it.
    pub(super) fpu: FpuState,
}

/// The data about an exception that a signal handler gets: the fields of 2.6.38's `thread_struct`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TrapInfo {
    /// The vector of the exception.
    pub trap_no: u32,
    /// The processor's error code; 0 for vectors without one.
    pub error_code: u32,
    /// Address of the last page fault that became a signal.
    pub cr2: u32,
}

const _: () = assert!(offset_of!(ThreadStruct, sp0) == 24);
const _: () = assert!(offset_of!(ThreadStruct, sp) == 28);
const _: () = assert!(offset_of!(ThreadStruct, sysenter_cs) == 32);
const _: () = assert!(offset_of!(ThreadStruct, ip) == 36);
const _: () = assert!(offset_of!(ThreadStruct, gs) == 40);

impl ThreadStruct {
    /// Returns an empty context.
    pub const fn new() -> Self {
        Self {
            tls_array: [DescStruct::EMPTY; 3],
            sp0: 0,
            sp: 0,
            sysenter_cs: KERNEL_CS.0 as u32,
            ip: 0,
            gs: 0,
            work: Work::empty(),
            debugreg: [0; 4],
            debugreg6: 0,
            debugreg7: 0,
            fpu_counter: 0,
            io_bitmap: None,
            trap: TrapInfo {
                trap_no: 0,
                error_code: 0,
                cr2: 0,
            },
            fpu: FpuState::NONE,
        }
    }

    /// Returns the number of bytes of the I/O bitmap that matter; 0 without one.
    pub fn io_bitmap_max(&self) -> usize {
        self.io_bitmap.as_ref().map_or(0, IoBitmap::io_bitmap_max)
    }

    /// Sets or clears bits of `work`.
    pub fn set_work(&mut self, bits: Work, on: bool) {
        self.work.set(bits, on);
    }
}

impl Default for ThreadStruct {
    fn default() -> Self {
        Self::new()
    }
}

#![forbid(unsafe_code)]
//! What a task keeps to have its coverage recorded: read by `__sanitizer_cov_trace_pc` at each edge.
//!
//! Only in kernels built with the feature `kcov`. Written by the task itself, and by the switch.
//!
//! Linux: 5.4 `include/linux/kcov.h`, the `kcov_*` fields of `struct task_struct`.

use core::sync::atomic::{AtomicPtr, AtomicU32};

/// Whether this kernel is built with the feature.
pub const KCOV: bool = cfg!(feature = "kcov");
/// `mode`: addresses are recorded.
pub const KCOV_MODE_TRACE_PC: u32 = 2;
/// A bit of `mode`: not now, the task is being switched.
pub const KCOV_IN_CTXSW: u32 = 1 << 30;

/// One task's.
#[repr(C)]
#[derive(Debug, Default)]
pub struct KcovTask {
    /// 0, or `KCOV_MODE_TRACE_PC`, or that and `KCOV_IN_CTXSW`.
    pub mode: AtomicU32,
    /// Words of the buffer, the first of which is the count.
    pub size: AtomicU32,
    /// Where each of its pages lies in the kernel.
    pub area: AtomicPtr<*mut u32>,
}

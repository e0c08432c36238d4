#![forbid(unsafe_code)]
//! A task's data for the recording of its coverage, which `__sanitizer_cov_trace_pc` reads at each
//! edge.
//!
//! Only in kernels built with the feature `kcov`. The task itself and the switch write it.
//!
//! Linux: 5.4 `include/linux/kcov.h`, the `kcov_*` fields of `struct task_struct`.

use core::sync::atomic::{AtomicPtr, AtomicU32};

/// Whether this kernel is built with the feature.
pub const KCOV: bool = cfg!(feature = "kcov");
/// `mode`: addresses are recorded.
pub const KCOV_MODE_TRACE_PC: u32 = 2;
/// A bit of `mode`: recording is suspended, since the task is being switched.
pub const KCOV_IN_CTXSW: u32 = 1 << 30;

/// The recording state of one task.
#[repr(C)]
#[derive(Debug, Default)]
pub struct KcovTask {
    /// Either 0 or `KCOV_MODE_TRACE_PC`, the latter possibly with `KCOV_IN_CTXSW`.
    pub mode: AtomicU32,
    /// Number of words of the buffer, the first of which is the count.
    pub size: AtomicU32,
    /// The kernel addresses of the buffer's pages.
    pub area: AtomicPtr<*mut u32>,
}

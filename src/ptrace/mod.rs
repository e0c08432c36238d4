//! ptrace: a task looks into another, changes it, and decides when it goes on.
//!
//! The other task stops for its tracer in `process::trace_stop`; here are the tracer's requests. In
//! reading order:
//! - `request`: the system call; `attach`: the beginning and the end of tracing
//! - `held`: a stopped task that nobody wakes while its tracer looks into it
//! - `resume`: how the task goes on: freely, by a step, to the next system call
//! - `memory`: its memory; `regs`: its registers; `fpu`: its x87 and SSE state
//! - `debugreg`: its breakpoints; `user_area`: registers and breakpoints by their offsets
//! - `regset`: registers as a core file has them; `tls`: its TLS descriptors; `signals`: the
//!   signal for which it stopped, and those that it blocks
//!
//! Linux: 2.6.38 `kernel/ptrace.c`, `arch/x86/kernel/ptrace.c`; 3.4 for PTRACE_SEIZE.

#[cfg(target_os = "none")]
pub mod attach;
#[cfg(target_os = "none")]
pub mod debugreg;
#[cfg(target_os = "none")]
pub mod fpu;
#[cfg(target_os = "none")]
pub mod held;
#[cfg(target_os = "none")]
pub mod memory;
#[cfg(target_os = "none")]
pub mod regs;
#[cfg(target_os = "none")]
pub mod regset;
#[cfg(target_os = "none")]
pub mod request;
#[cfg(target_os = "none")]
pub mod resume;
#[cfg(target_os = "none")]
pub mod signals;
#[cfg(target_os = "none")]
pub mod tls;
#[cfg(target_os = "none")]
pub mod user_area;

/// The result of a request: a value, or the error number whose negative goes to eax.
pub type SysResult = Result<u32, crate::base::errno::Errno>;

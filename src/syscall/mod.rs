//! The Linux/i386 system-call interface.
//!
//! In reading order:
//! - [`errno`]: error numbers, and where their sign is flipped
//! - `uaccess`: user memory
//! - `process`, `sched`: births, deaths, who runs
//! - `thread_area`, `ioport`, `prctl`: TLS, ports, the time-stamp counter

pub mod errno;
#[cfg(target_os = "none")]
pub mod ioport;
#[cfg(target_os = "none")]
pub mod prctl;
#[cfg(target_os = "none")]
pub mod process;
#[cfg(target_os = "none")]
pub mod sched;
#[cfg(target_os = "none")]
pub mod thread_area;
#[cfg(target_os = "none")]
pub mod uaccess;

/// What a system call answers: a value, or the error number whose negative goes to eax.
pub type SysResult = Result<u32, errno::Errno>;

//! The machine: all code that works only on an i386.

pub mod vdso;
#[cfg(target_os = "none")]
pub mod x86;

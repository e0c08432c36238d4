//! The machine: everything that only an i386 can do.

pub mod vdso;
#[cfg(target_os = "none")]
pub mod x86;

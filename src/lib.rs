//! switch_to: an i386 kernel whose process switch is Linux's.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod arch;
pub mod boot_info;
pub mod drivers;
pub mod exit_value;
pub mod hw;
#[cfg(target_os = "none")]
pub mod init;
pub mod mm;
pub mod syscall;
pub mod task;

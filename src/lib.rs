//! switch_to: an i386 kernel whose process switch is Linux's.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod hw;
pub mod mm;
pub mod syscall;
pub mod task;

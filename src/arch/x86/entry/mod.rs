//! The ways into the kernel from ring 3, and out again.
//!
//! In reading order:
//! - [`paths`]: system calls, exceptions, interrupts, and the ways out; with `calling.S` and `espfix.S`
//! - [`notify_resume`]: work that is due before ring 3
//! - [`idt`]: the gates
//! - [`traps`]: exceptions become signals, or the end
//! - [`page_fault`]: the exception #PF
//! - [`doublefault`]: the exception #DF, on a separate stack
//! - [`uaccess`]: user memory, checked; [`usercopy`]: the instructions that may fault there
//! - [`extable`]: instructions that may fault, and the places where the kernel then continues

pub mod doublefault;
pub mod extable;
pub mod idt;
pub mod notify_resume;
pub mod page_fault;
pub mod paths;
pub mod traps;
pub mod uaccess;
pub mod usercopy;

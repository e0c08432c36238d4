//! The life of a process.
//!
//! In reading order:
//! - [`tasklist`]: who is whose child
//! - [`fork`]: a new task; [`kthread`]: one without user mode
//! - [`exit`]: the end of one; [`wait4`]: who hears of it

pub mod exit;
pub mod fork;
pub mod kthread;
pub mod tasklist;
pub mod wait4;

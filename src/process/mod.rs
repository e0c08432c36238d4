//! The life of a process.
//!
//! In reading order:
//! - [`cred`]: whose it is
//! - `tasklist`: who is whose child
//! - `fork`: a new task; `kthread`: one without user mode
//! - `exit`: the end of one; `wait4`: who hears of it

pub mod cred;
#[cfg(target_os = "none")]
pub mod exit;
#[cfg(target_os = "none")]
pub mod fork;
#[cfg(target_os = "none")]
pub mod kthread;
#[cfg(target_os = "none")]
pub mod tasklist;
#[cfg(target_os = "none")]
pub mod wait4;

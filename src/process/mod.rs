//! The life of a process.
//!
//! In reading order:
//! - [`cred`]: whose it is
//! - `tasklist`: who is whose child
//! - `fork`: a new task; `kthread`: one without user mode
//! - [`initial_stack`]: what a program finds on its stack
//! - [`sigset`]: signals and their defaults
//! - `exit`: the end of one; `wait4`: who hears of it

pub mod cred;
#[cfg(target_os = "none")]
pub mod exit;
#[cfg(target_os = "none")]
pub mod fork;
pub mod initial_stack;
#[cfg(target_os = "none")]
pub mod kthread;
pub mod sigset;
#[cfg(target_os = "none")]
pub mod tasklist;
#[cfg(target_os = "none")]
pub mod wait4;

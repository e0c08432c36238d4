//! What the files of `/proc` hold.
//!
//! - [`format`]: the texts, from plain numbers (pure)
//! - `ops`: who is there
//! - `task_files`: what is known of a process or thread; `status`: the same for people; `wchan`: where
//!   it sleeps
//! - `task_mm`: its address space
//! - `system_files`: what is known of the system; `cpuinfo`: of its processors; [`cpu_flags`]: what
//!   they can do, by name (pure)
//!
//! Called by open files of `/proc`, in process context, with no lock held.
//!
//! Linux: 2.6.38 `fs/proc`.

pub mod cpu_flags;
#[cfg(target_os = "none")]
mod cpuinfo;
pub mod format;
#[cfg(target_os = "none")]
pub mod ops;
#[cfg(target_os = "none")]
mod status;
#[cfg(target_os = "none")]
mod system_files;
#[cfg(target_os = "none")]
mod task_files;
#[cfg(target_os = "none")]
mod task_mm;
#[cfg(target_os = "none")]
pub mod wchan;

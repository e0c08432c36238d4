//! The contents of the files in `/proc`.
//!
//! - [`format`]: the texts, from plain numbers (pure)
//! - `ops`: which files and processes exist
//! - `task_files`: the files of a process or thread; `status`: its readable summary; `wchan`: where
//!   it sleeps
//! - `task_mm`: a task's address space
//! - `system_files`: the files about the system; `cpuinfo`: its processors; [`cpu_flags`]: the
//!   names of their features (pure)
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

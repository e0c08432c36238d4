//! Files: the formats they come in, and what a program opens.
//!
//! In reading order:
//!
//! - [`cpio`] — the newc format: an archive as a list of entries
//! - [`initramfs`] — the root file system: an archive, indexed by path
//! - [`elf`] — what to map for a static program
//! - [`fd_table`] — descriptors
//! - [`ring`] — the bytes in a pipe
//! - [`poll_events`] — what poll tells of a file
//! - [`termios`] — how a terminal behaves; [`n_tty`] — the line discipline of the console;
//!   [`opost`] — what becomes of its output
//! - [`stat`] — what is told about a file; [`permission`] — whether a user may use it
//! - [`procfs`] — the names below `/proc`; `proc_file` — one that is open
//! - `rootfs` — where all paths begin
//! - `file`, `files_struct` — open files, and who has them
//! - `pipe`, `tty`, `epoll`, `random`, `perf_event`, `kcov`, `trace_marker` — what is opened

pub mod cpio;
pub mod elf;
#[cfg(target_os = "none")]
pub mod epoll;
pub mod fd_table;
#[cfg(target_os = "none")]
pub mod file;
#[cfg(target_os = "none")]
pub mod files_struct;
pub mod initramfs;
#[cfg(target_os = "none")]
pub mod kcov;
pub mod n_tty;
pub mod opost;
#[cfg(target_os = "none")]
pub mod perf_event;
pub mod permission;
#[cfg(target_os = "none")]
pub mod pipe;
pub mod poll_events;
#[cfg(target_os = "none")]
pub mod proc_file;
pub mod procfs;
#[cfg(target_os = "none")]
pub mod random;
pub mod ring;
#[cfg(target_os = "none")]
pub mod rootfs;
pub mod stat;
pub mod termios;
#[cfg(target_os = "none")]
pub mod trace_marker;
#[cfg(target_os = "none")]
pub mod tty;

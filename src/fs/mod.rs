//! Files: their formats, and the objects that a program opens.
//!
//! In reading order:
//!
//! - [`cpio`] — the newc format: an archive as a list of entries
//! - [`initramfs`] — the root file system: an archive, indexed by path
//! - [`elf`] — what to map for a program; [`elf_error`] — why it cannot be loaded
//! - [`fd_table`] — descriptors
//! - [`ring`] — the bytes in a pipe
//! - [`poll_events`] — the events that poll reports
//! - [`termios`] — how a terminal behaves; [`n_tty`] — the line discipline of the console;
//!   [`opost`] — its output processing
//! - [`stat`] — the data that `stat` returns; [`permission`] — whether a user may access a file
//! - [`procfs`] — the names below `/proc`; `proc_file` — an open file of `/proc`
//! - [`tmpfs`] — files and directories in memory
//! - `rootfs` — where all paths begin; `namei` — where they lead
//! - `file`, `open`, `readdir`, `files_struct` — open files, and the tasks' tables of them
//! - `pipe`, `tty`, `epoll`, `random`, `perf_event`, `kcov`, `trace_marker` — the objects behind
//!   open files
//! - [`range_lock`] — conflicts, splitting and merging of locks; `locks` — the locks on files
//! - `eventfd`, `timerfd`, `signalfd` — a counter, a timer and signals as files; [`countdown`] — the
//!   arithmetic of such a timer

pub mod countdown;
pub mod cpio;
pub mod elf;
pub mod elf_error;
#[cfg(target_os = "none")]
pub mod epoll;
#[cfg(target_os = "none")]
pub mod eventfd;
pub mod fd_table;
#[cfg(target_os = "none")]
pub mod file;
#[cfg(target_os = "none")]
pub mod files_struct;
pub mod initramfs;
#[cfg(target_os = "none")]
pub mod kcov;
#[cfg(target_os = "none")]
pub mod locks;
pub mod n_tty;
#[cfg(target_os = "none")]
pub mod namei;
#[cfg(target_os = "none")]
pub mod open;
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
pub mod range_lock;
#[cfg(target_os = "none")]
pub mod readdir;
pub mod ring;
#[cfg(target_os = "none")]
pub mod rootfs;
#[cfg(target_os = "none")]
pub mod signalfd;
pub mod stat;
pub mod termios;
#[cfg(target_os = "none")]
pub mod timerfd;
pub mod tmpfs;
#[cfg(target_os = "none")]
pub mod trace_marker;
#[cfg(target_os = "none")]
pub mod tty;

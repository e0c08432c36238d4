//! Files: the formats they come in, and what a program opens.
//!
//! In reading order:
//!
//! - [`cpio`] — the newc format: an archive as a list of entries
//! - [`initramfs`] — the root file system: an archive, indexed by path
//! - [`elf`] — what to map for a static program
//! - [`fd_table`] — descriptors
//! - [`ring`] — the bytes in a pipe
//! - [`n_tty`] — the line discipline of the console
//! - [`stat`] — what is told about a file

pub mod cpio;
pub mod elf;
pub mod fd_table;
pub mod initramfs;
pub mod n_tty;
pub mod ring;
pub mod stat;

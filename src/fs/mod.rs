//! Files: the formats they come in, and what a program opens.
//!
//! In reading order:
//!
//! - [`cpio`] — the newc format: an archive as a list of entries
//! - [`initramfs`] — the root file system: an archive, indexed by path
//! - [`elf`] — what to map for a static program

pub mod cpio;
pub mod elf;
pub mod initramfs;

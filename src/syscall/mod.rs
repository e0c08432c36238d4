//! The Linux/i386 system-call interface.
//!
//! In reading order:
//! - [`errno`]: error numbers, and where their sign is flipped

pub mod errno;

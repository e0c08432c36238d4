//! What Intel defines: the formats that the processor itself reads and writes.
//!
//! Data and arithmetic only: no instruction is executed here and nothing is
//! unsafe, so every file is tested on the host. Any room may use this one.
//! In reading order:
//!
//! - [`desc`] — segment descriptors, selectors, the numbers of Linux's GDT
//! - [`tss`] — the hardware TSS, its I/O bitmap, the limit around both
//! - [`gates`] — IDT gates and the exception vectors
//! - [`eflags`] — EFLAGS
//! - [`cr`] — CR0, CR3, CR4
//! - [`pte`] — page-table entries, the page-fault error code

pub mod cr;
pub mod desc;
pub mod eflags;
pub mod gates;
pub mod pte;
pub mod tss;

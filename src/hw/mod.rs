//! Intel's formats, which the processor itself reads and writes.
//!
//! Only data and arithmetic: no file here executes a special instruction or has unsafe code, so
//! every file is tested on the host. Any room may use this one. Sections of the SDM have the
//! numbers of 2019; later editions number them differently but keep the titles.
//!
//! In reading order:
//!
//! - [`desc`] — segment descriptors, selectors, the numbers of Linux's GDT
//! - [`tss`] — the hardware TSS, its I/O bitmap, the limit around both
//! - [`gates`] — IDT gates and the exception vectors
//! - [`eflags`] — EFLAGS
//! - [`cr`] — CR0, CR3, CR4
//! - [`debugreg`] — DR6 and DR7, and the breakpoints that a program may have
//! - [`fxsave`] — the image of FXSAVE and FXRSTOR
//! - [`math_error`] — the floating-point exception in an FPU image
//! - [`apic`] — local APIC and I/O APIC
//! - [`madt`] — the ACPI table of processors
//! - [`fadt`] — the ACPI tables that tell how the machine is switched off
//! - [`rtc`] — the clock chip's registers
//! - [`topology`] — packages and cores, from APIC numbers
//! - [`pte`] — page-table entries, the page-fault error code

pub mod apic;
pub mod cr;
pub mod debugreg;
pub mod desc;
pub mod eflags;
pub mod fadt;
pub mod fxsave;
pub mod gates;
pub mod madt;
pub mod math_error;
pub mod pte;
pub mod rtc;
pub mod topology;
pub mod tss;

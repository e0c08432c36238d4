#![forbid(unsafe_code)]
//! Where the kernel and a program lie in the 4 GiB of linear addresses.
//!
//! ```text
//! 0           a program: its own in each address space
//! 0xc0000000  PAGE_OFFSET: the direct map; the kernel's image lies in it, 1 MiB up
//!             mapped areas (`mm::ioremap`, `mm::thread_stack`), at the top
//! ```
//!
//! Book: ch. 2, "Process Page Tables". Linux: 2.6.38 `asm/page_32_types.h`.

/// Where the direct map begins, and a program ends: linear address of physical address 0.
pub const PAGE_OFFSET: u32 = 0xc000_0000;

/// Bytes that the boot page tables map, from physical address 0.
pub const BOOT_MAPPED_BYTES: u32 = 16 << 20;

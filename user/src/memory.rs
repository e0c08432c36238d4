//! Memory: mmap, munmap, brk, and words that parent and children share.

use crate::{Errno, gates::syscall};
use core::sync::atomic::AtomicU32;

const SYS_BRK: u32 = 45;
const SYS_MUNMAP: u32 = 91;
const SYS_MMAP2: u32 = 192;

pub const PAGE_SIZE: u32 = 4096;

pub const PROT_READ: u32 = 1;
pub const PROT_WRITE: u32 = 2;
pub const MAP_SHARED: u32 = 1;
pub const MAP_PRIVATE: u32 = 2;
pub const MAP_ANONYMOUS: u32 = 0x20;

/// An address that belongs to the kernel: page_offset, 3 GiB.
pub const KERNEL_ADDRESS: u32 = 0xc010_0000;

/// An address at which nothing is ever mapped: the page below the program.
pub const UNMAPPED_ADDRESS: u32 = 0x0804_7000;

/// Maps `bytes` of zeroed anonymous memory and returns their address.
pub fn mmap_anonymous(bytes: u32, prot: u32, sharing: u32) -> Result<u32, Errno> {
    let no_file = u32::MAX;
    syscall(
        SYS_MMAP2,
        [0, bytes, prot, sharing | MAP_ANONYMOUS, no_file, 0],
    )
}

pub fn munmap(address: u32, bytes: u32) -> Result<(), Errno> {
    syscall(SYS_MUNMAP, [address, bytes]).map(drop)
}

/// Moves the end of the data segment and returns it; 0 only asks.
pub fn brk(end: u32) -> u32 {
    syscall(SYS_BRK, [end]).expect("brk never answers an error number")
}

/// A page of words that the caller and its later children share.
pub type SharedPage = &'static [AtomicU32; 1024];

pub fn shared_page() -> SharedPage {
    let address = mmap_anonymous(PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED)
        .expect("a shared anonymous page");
    // SAFETY: a fresh page, zeroed, never unmapped; atomics allow for other tasks.
    unsafe { &*(address as *const [AtomicU32; 1024]) }
}

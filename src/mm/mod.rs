//! Address spaces: physical memory, the holders of each frame, and what each process sees of it.
//!
//! In reading order:
//! - [`memblock`]: memory before there is an allocator
//! - [`page`], [`zone`]: a page frame and its holders; the free frames, in blocks that join
//! - [`slab`]: frames cut into small objects
//! - `frame`, `quicklist`, `heap`: the kernel's frames, ready page tables, the allocator behind
//!   `alloc`
//! - [`fallible`]: boxes, vectors and texts whose allocation may fail; [`fail_alloc`]: makes it
//!   fail, for tests (pure)
//! - `pgtable`, `ioremap`, [`slot_set`], `thread_stack`: the kernel's page tables and what they map
//! - [`mm_count`], `mm_struct`: an address space and its two counts
//! - [`active_mm`]: the four kinds of switch
//! - [`ldt_struct`]: the descriptors of a process (pure)
//! - [`membarrier`]: the memory order that its processes asked of other CPUs (pure)
//! - [`shared_pages`]: memory that several processes share
//! - [`vma`]: the areas of an address space; [`backing`]: the source of their bytes (pure)
//! - `rlimit`: how large a process's stack, data and areas may be
//! - `mmap`, `fault`: areas and page tables changed together; pages brought in when touched
//! - `setup`: initialises all of this at boot

#[cfg(target_os = "none")]
pub mod access;
pub mod active_mm;
pub mod backing;
pub mod fail_alloc;
pub mod fallible;
#[cfg(target_os = "none")]
pub mod fault;
#[expect(
    clippy::arithmetic_side_effects,
    reason = "frames of the machine's memory, which no program numbers"
)]
#[cfg(target_os = "none")]
pub mod frame;
#[expect(
    clippy::arithmetic_side_effects,
    reason = "frames of the machine's memory, which no program numbers"
)]
#[cfg(target_os = "none")]
pub mod heap;
#[expect(
    clippy::arithmetic_side_effects,
    reason = "frames of the machine's memory, which no program numbers"
)]
#[cfg(target_os = "none")]
pub mod ioremap;
pub mod ldt_struct;
pub mod membarrier;
#[expect(
    clippy::arithmetic_side_effects,
    reason = "frames of the machine's memory, which no program numbers"
)]
pub mod memblock;
pub mod mm_count;
#[cfg(target_os = "none")]
pub mod mm_struct;
#[cfg(target_os = "none")]
pub mod mmap;
pub mod page;
#[cfg(target_os = "none")]
pub mod pgtable;
#[expect(
    clippy::arithmetic_side_effects,
    reason = "frames of the machine's memory, which no program numbers"
)]
#[cfg(target_os = "none")]
pub mod quicklist;
#[cfg(target_os = "none")]
pub mod rlimit;
#[cfg(target_os = "none")]
pub mod setup;
pub mod shared_pages;
#[expect(
    clippy::arithmetic_side_effects,
    reason = "frames of the machine's memory, which no program numbers"
)]
pub mod slab;
pub mod slot_set;
#[expect(
    clippy::arithmetic_side_effects,
    reason = "frames of the machine's memory, which no program numbers"
)]
#[cfg(target_os = "none")]
pub mod thread_stack;
pub mod vma;
#[expect(
    clippy::arithmetic_side_effects,
    reason = "frames of the machine's memory, which no program numbers"
)]
pub mod zone;

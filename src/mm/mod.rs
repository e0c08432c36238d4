//! Address spaces: memory that is there, who holds it, and what each process sees of it.
//!
//! In reading order:
//! - [`memblock`]: memory before there is an allocator
//! - [`zone`]: page frames, free and held
//! - [`shared_pages`]: memory that several processes share
//! - [`vma`]: the areas of an address space

pub mod memblock;
pub mod shared_pages;
pub mod vma;
pub mod zone;

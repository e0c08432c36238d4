#![forbid(unsafe_code)]
//! The source of a memory area's bytes.
//!
//! Book: ch. 9, "Memory Regions"; ch. 16, "Memory Mapping".
//! Linux: 2.6.38 `vm_file`, `vm_pgoff`, `vm_ops`.

use alloc::sync::Arc;

use super::shared_pages::SharedPages;
use crate::base::errno::Errno;
use crate::hw::pte::PAGE_SIZE;

/// A file whose pages processes can map.
pub trait Mapping: Send + Sync + core::fmt::Debug {
    /// Returns the physical address of the frame with page `page` of the file, with one reference
    /// for the caller.
    ///
    /// # Errors
    /// ENOMEM; any other error for a page that the file does not have, or for which the file system
    /// has no room.
    fn fault(&self, page: u32) -> Result<u32, Errno>;

    /// Returns a number that tells the file from others: the address of its bytes in the archive, if
    /// it has been there.
    fn identity(&self) -> u32;
}

/// The source of an area's bytes.
#[derive(Clone, Debug)]
pub enum Backing {
    /// Zeroes at first; writes stay private to the process.
    Anonymous,
    /// Zeroes at first; all processes that share the object see the writes.
    Shared {
        /// The shared pages.
        object: Arc<SharedPages>,
        /// Index of the object's page at the start of the area.
        first: u32,
    },
    /// Bytes of a file of the initramfs, copied when touched. Beyond the end of `data`, the rest of
    /// its last page is zero and later pages raise SIGBUS.
    File {
        /// The file, or its beginning.
        data: &'static [u8],
        /// Offset in `data` of the area's start, in bytes; a multiple of the page size.
        offset: u32,
    },
    /// Pages of a file that can be written: a shared area shows its frames, a private one copies them
    /// on write.
    Mapped {
        /// The file.
        object: Arc<dyn Mapping>,
        /// Number of the file's page at the start of the area.
        first: u32,
    },
    /// One frame of the kernel: the vDSO.
    Special {
        /// Physical address of the frame.
        frame: u32,
    },
}

impl Backing {
    /// Returns the backing of the same area from `delta` bytes after its start.
    pub(super) fn advanced(&self, delta: u32) -> Backing {
        match self {
            Backing::Shared { object, first } => Backing::Shared {
                object: object.clone(),
                first: first.saturating_add(delta / PAGE_SIZE),
            },
            Backing::Mapped { object, first } => Backing::Mapped {
                object: object.clone(),
                first: first.saturating_add(delta / PAGE_SIZE),
            },
            Backing::File { data, offset } => Backing::File {
                data,
                offset: offset.saturating_add(delta),
            },
            other => other.clone(),
        }
    }

    /// Returns whether `next` continues an area of `length` bytes backed by `self`.
    pub(super) fn continues_in(&self, length: u32, next: &Backing) -> bool {
        match (self, next) {
            (Backing::Anonymous, Backing::Anonymous) => true,
            (
                Backing::Shared {
                    object: a,
                    first: i,
                },
                Backing::Shared {
                    object: b,
                    first: j,
                },
            ) => Arc::ptr_eq(a, b) && i.checked_add(length / PAGE_SIZE) == Some(*j),
            (
                Backing::Mapped {
                    object: a,
                    first: i,
                },
                Backing::Mapped {
                    object: b,
                    first: j,
                },
            ) => is_same(a, b) && i.checked_add(length / PAGE_SIZE) == Some(*j),
            (Backing::File { data: a, offset: i }, Backing::File { data: b, offset: j }) => {
                core::ptr::eq(*a, *b) && i.checked_add(length) == Some(*j)
            }
            _ => false,
        }
    }
}

fn is_same(a: &Arc<dyn Mapping>, b: &Arc<dyn Mapping>) -> bool {
    core::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
}

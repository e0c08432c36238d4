//! The contents of a file: pages in memory, over the bytes that the archive gave it.
//!
//! A page gets a frame when it is first written or mapped. Before that it shows the archive's bytes,
//! or zeroes. Read, write and all mappings see the same frames.
//!
//! ```text
//!   page       0        1        2        3        4
//!           +--------+--------+--------+--------+--------+
//!   index   |        | frame  |        |        | frame  |    written or mapped
//!           +--------+--------+--------+--------+--------+
//!   base    | archive's bytes          |  zeroes ...          where there is no frame
//! ```
//! The caller holds the node's mutex where the size changes. `mm::fault` calls with the address
//! space locked.
//!
//! Book: ch. 15, "The Page Cache"; ch. 16, "Memory Mapping". Linux: 2.6.38 `mm/shmem.c`.

use alloc::sync::Arc;
use core::fmt;

use arrayvec::ArrayVec;

use super::frame_ref::FrameRef;
use super::page_index::PageIndex;
use super::quota::BLOCKS;
use crate::base::errno::Errno;
use crate::base::upward::unmap_mapping_range;
use crate::hw::pte::{PAGE_MASK, PAGE_SHIFT, PAGE_SIZE};
use crate::mm::frame::may_alloc;
use crate::mm::vma::Mapping;
use crate::sync::{LockClass, SpinLock};

/// Largest size of a file: pages are numbered by 32 bits, with some to spare.
pub const MAX_LFS_FILESIZE: u64 = 0x7ff_ffff_ffff;
/// Frames that files leave to processes.
const RESERVE: u32 = 128;
/// Frames that are given back while the lock is held once.
const BATCH: usize = 64;

/// The contents of a regular file.
pub struct Pages {
    /// The bytes that the archive gave the file at first.
    archived: &'static [u8],
    inner: SpinLock<Inner>,
}

struct Inner {
    base: &'static [u8],
    size: u64,
    index: PageIndex<FrameRef>,
}

impl Inner {
    /// Returns the archive's bytes of a page.
    fn base_of(&self, page: u32) -> &'static [u8] {
        let start = page as usize;
        let rest = start
            .checked_mul(PAGE_SIZE as usize)
            .and_then(|start| self.base.get(start..))
            .unwrap_or_default();
        &rest[..rest.len().min(PAGE_SIZE as usize)]
    }
}

/// What a page shows.
pub enum Shown {
    /// The contents of a frame.
    Frame(FrameRef),
    /// The archive's bytes, then zeroes.
    Base(&'static [u8]),
}

impl Pages {
    /// Returns the contents that the archive gives a file.
    pub const fn new(base: &'static [u8]) -> Self {
        Self {
            archived: base,
            inner: SpinLock::new(
                LockClass::TmpfsPages,
                Inner {
                    base,
                    size: base.len() as u64,
                    index: PageIndex::new(),
                },
            ),
        }
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        self.inner.lock().size
    }

    /// Returns the number of pages that take memory of their own.
    pub fn frames(&self) -> usize {
        self.inner.lock().index.len()
    }

    /// Returns the archive's bytes if they are the whole contents and no page has a frame.
    pub fn pristine(&self) -> Option<&'static [u8]> {
        let inner = self.inner.lock();
        let is_whole = inner.base.len() as u64 == inner.size && inner.index.is_empty();
        is_whole.then_some(inner.base)
    }

    /// Returns what a page shows.
    pub fn page(&self, page: u32) -> Shown {
        let inner = self.inner.lock();
        match inner.index.get(page) {
            Some(frame) => Shown::Frame(frame.clone()),
            None => Shown::Base(inner.base_of(page)),
        }
    }

    /// Returns the frame of a page, which gets one if it has none. With `inside`, the page must not
    /// be beyond the end.
    ///
    /// # Errors
    /// ENOSPC; EFAULT for a page beyond the end.
    pub fn frame(&self, page: u32, inside: bool) -> Result<FrameRef, Errno> {
        let mut own: Option<FrameRef> = None;
        loop {
            let mut inner = self.inner.lock();
            if inside && u64::from(page) << PAGE_SHIFT >= inner.size {
                return Err(Errno::EFAULT);
            }
            if let Some(frame) = inner.index.get(page) {
                // Another task may have been faster.
                return Ok(frame.clone());
            }
            if let Some(mut frame) = own.take() {
                BLOCKS.take()?;
                frame.copy_from(0, inner.base_of(page));
                let inserted = inner.index.insert(page, frame.clone());
                return inserted.map(|()| frame).inspect_err(|_| BLOCKS.give());
            }
            drop(inner);
            let frame = may_alloc(RESERVE).then(FrameRef::zeroed).flatten();
            own = Some(frame.ok_or(Errno::ENOSPC)?);
        }
    }

    /// Makes the file at least `size` bytes long.
    pub fn grow_to(&self, size: u64) {
        let mut inner = self.inner.lock();
        inner.size = inner.size.max(size);
    }

    /// Fills `to` from byte `at` on, and returns how many bytes there were.
    pub fn read_kernel(&self, to: &mut [u8], at: u64) -> usize {
        let left = self.size().saturating_sub(at);
        let end = usize::try_from(left).unwrap_or(usize::MAX).min(to.len());
        let (mut done, mut rest) = (0_usize, &mut to[..end]);
        while !rest.is_empty() {
            let (page, offset) = split(at.saturating_add(done as u64));
            let now = rest.len().min((PAGE_SIZE as usize).saturating_sub(offset));
            let (part, later) = rest.split_at_mut(now);
            match self.page(page) {
                Shown::Frame(frame) => frame.copy_to(offset, part),
                Shown::Base(base) => {
                    let bytes = base.get(offset..).unwrap_or_default();
                    let length = bytes.len().min(now);
                    part[..length].copy_from_slice(&bytes[..length]);
                    part[length..].fill(0);
                }
            }
            (done, rest) = (done.saturating_add(now), later);
        }
        end
    }
}

/// Sets the size of a file. Whoever maps pages beyond the new end loses them.
pub fn truncate(pages: &Arc<Pages>, size: u64) {
    let first = page_after(size);
    let (last, in_last) = split(size);
    {
        let mut inner = pages.inner.lock();
        inner.size = size;
        let length = usize::try_from(size).unwrap_or(usize::MAX);
        inner.base = &inner.base[..inner.base.len().min(length)];
        // What comes after the end must be zero once the file grows again.
        if let Some(frame) = inner.index.get(last).filter(|_| in_last != 0) {
            frame.clone().clear(in_last, PAGE_SIZE as usize);
        }
    }
    give_back(pages, |index| index.pop_from(first));
    if Arc::strong_count(pages) > 1 {
        unmap_mapping_range(Arc::as_ptr(pages).cast(), first, u32::MAX);
    }
}

/// Makes a hole of `first..end` bytes: zeroes that take no memory.
///
/// # Errors
/// ENOSPC: where the archive has bytes, zeroes do take memory.
pub fn punch_hole(pages: &Arc<Pages>, start: u64, end: u64) -> Result<(), Errno> {
    let end = end.min(pages.size());
    let mut at = start;
    while at < end {
        let (page, offset) = split(at);
        let next = (u64::from(page).saturating_add(1) << PAGE_SHIFT).min(end);
        let whole = offset == 0 && next.saturating_sub(at) == u64::from(PAGE_SIZE);
        let shown = pages.page(page);
        let is_zero = matches!(shown, Shown::Base(base) if base.len() <= offset);
        if whole && matches!(pages.page(page), Shown::Frame(_)) && pages.is_beyond_base(page) {
            let next_page = page.saturating_add(1);
            give_back(pages, |index| index.take_in(page, next_page));
        } else if !is_zero {
            let length = next.saturating_sub(at) as usize;
            let mut frame = pages.frame(page, true)?;
            frame.clear(offset, offset.saturating_add(length));
        }
        at = next;
    }
    if Arc::strong_count(pages) > 1 && start < end {
        let first = page_after(start);
        unmap_mapping_range(Arc::as_ptr(pages).cast(), first, split(end).0);
    }
    Ok(())
}

/// Gives back the frames that `take` removes from the index, a few at a time.
fn give_back(pages: &Pages, mut take: impl FnMut(&mut PageIndex<FrameRef>) -> Option<FrameRef>) {
    loop {
        let mut gone = ArrayVec::<FrameRef, BATCH>::new();
        {
            let mut inner = pages.inner.lock();
            while !gone.is_full()
                && let Some(frame) = take(&mut inner.index)
            {
                gone.push(frame);
            }
        }
        if gone.is_empty() {
            return;
        }
        for frame in gone {
            drop(frame);
            BLOCKS.give();
        }
    }
}

impl Pages {
    fn is_beyond_base(&self, page: u32) -> bool {
        self.inner.lock().base_of(page).is_empty()
    }
}

/// Returns the page of a position, and the offset in it.
pub fn split(at: u64) -> (u32, usize) {
    let page = u32::try_from(at >> PAGE_SHIFT).unwrap_or(u32::MAX);
    (page, (at as u32 & !PAGE_MASK) as usize)
}

/// Returns the first page that begins at a position or after it.
fn page_after(at: u64) -> u32 {
    split(at.saturating_add(u64::from(!PAGE_MASK))).0
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a file of {} bytes", self.size())
    }
}

impl Mapping for Pages {
    fn fault(&self, page: u32) -> Result<u32, Errno> {
        self.frame(page, true).map(FrameRef::into_raw)
    }

    fn identity(&self) -> u32 {
        match self.archived {
            [] => core::ptr::from_ref(self) as u32,
            bytes => bytes.as_ptr() as u32,
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        give_back(self, |index| index.pop_from(0));
    }
}

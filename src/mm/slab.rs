#![forbid(unsafe_code)]
//! Small objects: each size has page frames of its own, cut into equal pieces.
//!
//! ```text
//!   frame      | object 0 | object 1 | object 2 | object 3 | rest |
//!                 in use     free  ------------> free         never used yet: `fresh`
//!   its Page   size, objects in use, first free object, first object never used
//! ```
//! A free object holds the number of the next free one. Frames with a free object are in the list
//! of their size. A frame whose last object is freed goes back at once, so that after a burst of
//! allocations as many frames are free as before.
//!
//! `mm::heap` uses this; it adds a lock and access to the memory.
//!
//! Book: ch. 8, "The Slab Allocator", "General Purpose Objects".
//! Linux: 2.6.38 `mm/slub.c` (free lists inside the objects, counts in `struct page`), `kmalloc`.

use super::page::{Page, PageList};
use crate::hw::pte::PAGE_SIZE;

/// Object sizes, in bytes.
const SIZES: [u16; 17] = [
    16, 32, 48, 64, 96, 128, 192, 256, 320, 448, 512, 576, 672, 816, 1024, 1360, 2048,
];
/// Size of the largest object, in bytes; larger requests get page frames to themselves.
pub const MAX_SIZE: usize = SIZES[SIZES.len() - 1] as usize;
/// For a size divided by 16, rounded up: the index of the first sufficient entry of [`SIZES`].
const ENOUGH: [u8; MAX_SIZE / 16 + 1] = {
    let mut table = [0; MAX_SIZE / 16 + 1];
    let (mut index, mut size) = (0, 0);
    while size < table.len() {
        if size * 16 > SIZES[index] as usize {
            index += 1;
        }
        table[size] = index as u8;
        size += 1;
    }
    table
};

/// The source of frames, and access to the first word of each object.
pub trait Memory {
    /// Takes a frame for objects; the caller of this method holds it.
    fn take_frame(&mut self) -> Option<u32>;
    /// Gives back a frame that contains no object.
    fn give_frame(&mut self, frame: u32);
    /// Loads the word at byte `offset` of a frame taken earlier. No object in use is there.
    fn load(&self, frame: u32, offset: u32) -> u32;
    /// Stores the word at byte `offset` of a frame taken earlier. No object in use is there.
    fn store(&mut self, frame: u32, offset: u32, value: u32);
    /// Returns the descriptors of all frames.
    fn mem_map(&self) -> &'static [Page];
}

/// The state of the objects in a frame, as its `Page` stores it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Slab {
    /// Index into [`SIZES`].
    size: usize,
    in_use: u32,
    /// The first free object that has been used before; [`Slab::objects`] if there is none.
    free: u32,
    /// The first object that has never been used.
    fresh: u32,
}

const FIELD_BITS: u32 = 9;
const FIELD: u32 = (1 << FIELD_BITS) - 1;

impl Slab {
    fn load(page: &Page) -> Self {
        let word = page.private();
        Self {
            size: (word >> (3 * FIELD_BITS)) as usize,
            in_use: word >> (2 * FIELD_BITS) & FIELD,
            free: word >> FIELD_BITS & FIELD,
            fresh: word & FIELD,
        }
    }

    fn store(self, page: &Page) {
        let Self {
            size,
            in_use,
            free,
            fresh,
        } = self;
        let counts = in_use << (2 * FIELD_BITS) | free << FIELD_BITS | fresh;
        page.set_private((size as u32) << (3 * FIELD_BITS) | counts);
    }

    fn bytes(self) -> u32 {
        u32::from(SIZES[self.size])
    }

    fn objects(self) -> u32 {
        PAGE_SIZE / self.bytes()
    }

    fn is_full(self) -> bool {
        self.in_use == self.objects()
    }
}

/// The frames of all sizes. A frame number and a byte offset name an object.
#[derive(Debug)]
pub struct Slabs<M> {
    /// For each size, the frames with a free object.
    partial: [PageList; SIZES.len()],
    memory: M,
}

impl<M: Memory> Slabs<M> {
    /// Returns a set without frames; it takes them from `memory`.
    pub const fn new(memory: M) -> Self {
        Self {
            partial: [PageList::new(); SIZES.len()],
            memory,
        }
    }

    /// Allocates an object of a `size` that [`size_for`] returned; `None` if memory is short.
    pub fn alloc(&mut self, size: usize) -> Option<(u32, u32)> {
        let mem_map = self.memory.mem_map();
        let frame = match self.partial[size].first() {
            Some(frame) => frame,
            None => self.new_frame(size)?,
        };
        let page = &mem_map[frame as usize];
        let mut slab = Slab::load(page);
        let object = slab.free;
        let (object, offset) = if object < slab.objects() {
            let offset = object * slab.bytes();
            slab.free = self.memory.load(frame, offset);
            (object, offset)
        } else {
            let object = slab.fresh;
            slab.fresh += 1;
            (object, object * slab.bytes())
        };
        assert!(
            object < slab.objects() && slab.free <= slab.objects(),
            "BUG: a freed object of {} bytes was written to",
            slab.bytes()
        );
        slab.in_use += 1;
        slab.store(page);
        if slab.is_full() {
            self.partial[size].remove(mem_map, frame);
        }
        Some((frame, offset))
    }

    /// Frees an object.
    pub fn free(&mut self, frame: u32, offset: u32) {
        let mem_map = self.memory.mem_map();
        let page = &mem_map[frame as usize];
        let mut slab = Slab::load(page);
        let object = offset / slab.bytes();
        assert!(
            offset == object * slab.bytes() && object < slab.fresh && slab.in_use > 0,
            "BUG: freed what is no object of {} bytes",
            slab.bytes()
        );
        let list = &mut self.partial[slab.size];
        if slab.is_full() {
            list.push(mem_map, frame);
        }
        slab.in_use -= 1;
        if slab.in_use == 0 {
            list.remove(mem_map, frame);
            page.set_private(0);
            return self.memory.give_frame(frame);
        }
        self.memory.store(frame, offset, slab.free);
        slab.free = object;
        slab.store(page);
    }

    fn new_frame(&mut self, size: usize) -> Option<u32> {
        let frame = self.memory.take_frame()?;
        let mem_map = self.memory.mem_map();
        let mut slab = Slab {
            size,
            in_use: 0,
            free: 0,
            fresh: 0,
        };
        slab.free = slab.objects();
        slab.store(&mem_map[frame as usize]);
        self.partial[size].push(mem_map, frame);
        Some(frame)
    }
}

/// Returns the object size for `bytes` bytes at multiples of `align`, a power of two; `None` if
/// they need frames to themselves.
pub fn size_for(bytes: usize, align: usize) -> Option<usize> {
    let mut size = usize::from(*ENOUGH.get(bytes.div_ceil(16))?);
    while !usize::from(*SIZES.get(size)?).is_multiple_of(align) {
        size += 1;
    }
    Some(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A model of memory whose frames and words exist only in its tables.
    struct Model {
        mem_map: &'static [Page],
        free: Vec<u32>,
        words: BTreeMap<(u32, u32), u32>,
    }

    impl Memory for Model {
        fn take_frame(&mut self) -> Option<u32> {
            self.free.pop()
        }
        fn give_frame(&mut self, frame: u32) {
            assert_eq!(self.mem_map[frame as usize].private(), 0);
            self.free.push(frame);
        }
        fn load(&self, frame: u32, offset: u32) -> u32 {
            self.words[&(frame, offset)]
        }
        fn store(&mut self, frame: u32, offset: u32, value: u32) {
            self.words.insert((frame, offset), value);
        }
        fn mem_map(&self) -> &'static [Page] {
            self.mem_map
        }
    }

    fn slabs(frames: u32) -> Slabs<Model> {
        let mem_map: Vec<Page> = (0..frames).map(|_| Page::reserved()).collect();
        let free = (0..frames).collect();
        Slabs::new(Model {
            mem_map: mem_map.leak(),
            free,
            words: BTreeMap::new(),
        })
    }

    #[test]
    fn the_smallest_size_that_is_enough_and_aligned() {
        let bytes = |bytes, align| size_for(bytes, align).map(|size| SIZES[size]);
        assert_eq!(bytes(1, 1), Some(16));
        assert_eq!(bytes(16, 16), Some(16));
        assert_eq!(bytes(17, 4), Some(32));
        assert_eq!(bytes(40, 32), Some(64));
        assert_eq!(bytes(100, 64), Some(128));
        assert_eq!(bytes(513, 16), Some(576));
        assert_eq!(bytes(8, 4096), None);
        assert_eq!(bytes(2048, 2048), Some(2048));
        assert_eq!(bytes(2049, 1), None);
        assert_eq!(bytes(usize::MAX, 1), None);
    }

    #[test]
    #[should_panic(expected = "BUG: a freed object of 64 bytes was written to")]
    fn a_write_after_free_is_noticed() {
        let mut slabs = slabs(1);
        let size = size_for(64, 1).unwrap();
        let (first, _) = (slabs.alloc(size).unwrap(), slabs.alloc(size).unwrap());
        slabs.free(first.0, first.1);
        slabs.memory.store(first.0, first.1, 0xdead_beef);
        slabs.alloc(size);
    }

    proptest! {
        /// Objects do not overlap, each is aligned to its size, none is lost, and at the end every
        /// frame is back.
        #[test]
        fn every_byte_has_one_owner(steps in prop::collection::vec((any::<bool>(), 0usize..SIZES.len(), 0usize..64), 0..400)) {
            let mut slabs = slabs(24);
            let mut held: Vec<(u32, u32, u32)> = Vec::new();
            for (takes, size, index) in steps {
                if takes {
                    let bytes = u32::from(SIZES[size]);
                    match slabs.alloc(size) {
                        Some((frame, offset)) => {
                            prop_assert!(offset + bytes <= PAGE_SIZE && offset % bytes == 0);
                            let apart = |(f, o, b): &(u32, u32, u32)| {
                                *f != frame || o + b <= offset || offset + bytes <= *o
                            };
                            prop_assert!(held.iter().all(apart));
                            held.push((frame, offset, bytes));
                        }
                        None => prop_assert!(slabs.memory.free.is_empty()),
                    }
                } else if !held.is_empty() {
                    let (frame, offset, _) = held.swap_remove(index % held.len());
                    slabs.free(frame, offset);
                }
                let mut frames: Vec<u32> = held.iter().map(|(frame, ..)| *frame).collect();
                frames.sort_unstable();
                frames.dedup();
                prop_assert_eq!(frames.len() + slabs.memory.free.len(), 24);
            }
            for (frame, offset, _) in held {
                slabs.free(frame, offset);
            }
            prop_assert_eq!(slabs.memory.free.len(), 24);
        }
    }
}

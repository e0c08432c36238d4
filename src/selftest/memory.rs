//! Cases of the page allocator and the heap: what is given back is there again, in one piece.
//!
//! Red without: the join of buddies, empty frames given back by the heap, frames given back by kernel stacks,
//! a slot of stacks that every CPU has forgotten before it has other frames.

extern crate alloc;
use alloc::vec::Vec;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, expect, expect_true};
use super::crew::pass;
use crate::arch::x86::irq::smp::on_each_cpu;
use crate::hw::pte::{PAGE_SIZE, Pte};
use crate::mm::fallible::TryVec;
use crate::mm::frame::{alloc_contiguous, nr_free_pages, phys_to_virt, put_page};
use crate::mm::pgtable::{swapper_phys, walk_pte};
use crate::mm::quicklist;
use crate::mm::thread_stack::{KEPT, alloc_thread_stack, free_thread_stack, thread_stack_counts};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case {
        name: "heap_gives_frames_back",
        run: heap_gives_frames_back,
    },
    Case {
        name: "freed_frames_are_one_block_again",
        run: freed_frames_are_one_block_again,
    },
    Case {
        name: "stacks_beyond_those_kept_give_frames_back",
        run: stacks_beyond_those_kept_give_frames_back,
    },
];

/// Objects of every size, held at a time and then freed in another order: no frame stays with the heap.
fn heap_gives_frames_back() -> Outcome {
    pass();
    quicklist::drain();
    let before = nr_free_pages();
    let mut held: Vec<Vec<u8>> = Vec::new();
    for round in 0..4 {
        for size in (1..3000)
            .step_by(17)
            .chain([PAGE_SIZE as usize + 1, 1 << 20])
        {
            let mut bytes = Vec::new();
            bytes.try_room(size + round)?;
            held.try_push(bytes)?;
        }
    }
    let taken = before - nr_free_pages();
    expect_true("frames were taken", taken > 4 * (1 << 20) / PAGE_SIZE)?;
    while held.len() > 1 {
        held.swap_remove(held.len() / 2);
    }
    drop(held);
    expect("free frames afterwards", nr_free_pages(), before)
}

/// All blocks of 4 MiB, given back frame by frame, even ones first: there are as many blocks again.
fn freed_frames_are_one_block_again() -> Outcome {
    const FRAMES: u32 = 1024;
    let take_all = || -> Result<Vec<u32>, super::check::Verdict> {
        let mut blocks = Vec::new();
        blocks.try_room(256)?;
        while let Some(block) = alloc_contiguous(FRAMES) {
            blocks.try_push(block)?;
        }
        Ok(blocks)
    };
    let give_back = |blocks: &[u32]| {
        for odd in [0, 1] {
            for block in blocks {
                let frames = (odd..FRAMES).step_by(2);
                frames.for_each(|frame| put_page(block + frame * PAGE_SIZE));
            }
        }
    };
    let first = take_all()?;
    expect_true("there are such blocks", !first.is_empty())?;
    give_back(&first);
    let second = take_all()?;
    give_back(&second);
    expect("blocks of 4 MiB", second.len(), first.len())
}

/// More stacks than are kept, so often that every slot is used again: their frames come back, and each CPU
/// sees what was written to a stack, not what it knew of the slot.
fn stacks_beyond_those_kept_give_frames_back() -> Outcome {
    const KEEP: usize = KEPT as usize;
    /// Rounds after which no slot is new, with so many stacks beyond those kept.
    const MANY: usize = 2 * KEEP;
    const ROUNDS_OF_MANY: usize = 8192 / MANY;
    /// Few enough that a CPU still knows them from the round before when it reads them.
    const FEW: usize = 16;
    const ROUNDS_OF_FEW: usize = 40;
    let free = || {
        let (_, kept) = thread_stack_counts();
        nr_free_pages() + 2 * kept
    };
    pass();
    quicklist::drain();
    let before = free();
    let mut stacks = Vec::new();
    stacks.try_room(KEEP + MANY)?;
    let wrong = AtomicU32::new(0);
    for round in 0..ROUNDS_OF_MANY + ROUNDS_OF_FEW {
        let beyond = if round < ROUNDS_OF_MANY { MANY } else { FEW };
        for _ in 0..KEEP + beyond {
            let Some(stack) = alloc_thread_stack() else {
                break;
            };
            stacks.try_push(stack)?;
        }
        expect("stacks", stacks.len(), KEEP + beyond)?;
        if beyond == FEW {
            let number = |nth| (round * FEW + nth) as u32;
            let few = Stacks(&stacks[KEEP..]);
            few.write(number);
            on_each_cpu(&|| {
                let read = few.numbers().enumerate();
                let bad = read.filter(|(nth, read)| *read != number(*nth)).count();
                wrong.fetch_add(bad as u32, Ordering::Relaxed);
            });
        }
        for stack in stacks.drain(..) {
            // SAFETY: from above, and no task has it.
            unsafe { free_thread_stack(stack) };
        }
    }
    expect("words that a CPU saw wrongly", wrong.into_inner(), 0)?;
    let (mapped, kept) = thread_stack_counts();
    expect_true("few stacks are kept", kept <= KEPT && mapped >= kept)?;
    drop(stacks);
    expect("free frames afterwards", free(), before)
}

/// Stacks that no task has, for all CPUs to read.
struct Stacks<'a>(&'a [NonNull<u8>]);

// SAFETY: their owner does not write while others read.
unsafe impl Sync for Stacks<'_> {}

impl Stacks<'_> {
    /// Writes the second word of each by the direct map, whose translations do not change.
    fn write(&self, number: impl Fn(usize) -> u32) {
        for (nth, stack) in self.0.iter().enumerate() {
            let foot = stack.as_ptr() as u32;
            let entry = walk_pte(swapper_phys(), foot).map(|entry| entry.load(Ordering::Relaxed));
            let word: *mut u32 = phys_to_virt(Pte(entry.unwrap_or(0)).phys()).cast();
            // SAFETY: a frame of a stack that no task has is ours alone.
            unsafe { word.add(1).write(number(nth)) };
        }
    }

    /// The second word of each: the first is the list's.
    fn numbers(&self) -> impl Iterator<Item = u32> {
        // SAFETY: mapped, and written by their owner before the others were called.
        self.0
            .iter()
            .map(|stack| unsafe { stack.cast::<u32>().add(1).read_volatile() })
    }
}

#![forbid(unsafe_code)]
//! Where the parts of a new program go: stack, mappings, position-independent code and heap.
//!
//! The places are random, so that an attacker cannot know them beforehand, unless the command line
//! (`norandmaps`) or the task's personality (`ADDR_NO_RANDOMIZE`) asks for fixed ones. Called by
//! exec.
//!
//! Book: ch. 20, "Program Segments and Process Memory Regions". Linux: 2.6.38 `arch/x86/mm/mmap.c`,
//! `arch_randomize_brk`, `randomize_stack_top`; the place of position-independent code is that of
//! 5.4 (`ELF_ET_DYN_BASE`).

use core::sync::atomic::{AtomicBool, Ordering};

use crate::hw::pte::PAGE_SIZE;
use crate::mm::vma::{MMAP_BASE, TASK_SIZE};

/// Bit of a task's personality: the programs that it starts have fixed addresses.
pub const ADDR_NO_RANDOMIZE: u32 = 0x4_0000;

/// Number of places where the stack may end, one page apart: 8 MiB.
const STACK_PLACES: u32 = 0x800;
/// Number of places of mappings and of position-independent code, one page apart: 1 MiB.
const MMAP_PLACES: u32 = 0x100;
/// Number of places of the heap, one page apart: 32 MiB.
const BRK_PLACES: u32 = 0x2000;
/// Lowest address of a position-independent program that has a dynamic linker.
const ELF_ET_DYN_BASE: u32 = 0x40_0000;

static NORANDMAPS: AtomicBool = AtomicBool::new(false);

/// Gives all programs fixed addresses from now on: the command line has `norandmaps`.
pub fn norandmaps() {
    NORANDMAPS.store(true, Ordering::Relaxed);
}

/// Returns whether the programs that a task with this personality starts have random addresses.
pub fn is_random(personality: u32) -> bool {
    personality & ADDR_NO_RANDOMIZE == 0 && !NORANDMAPS.load(Ordering::Relaxed)
}

/// The places of a program's parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// First address after the stack.
    pub stack_top: u32,
    /// Mappings are placed downwards from here.
    pub mmap_base: u32,
    /// Address of position-independent code, where the program has a dynamic linker.
    pub dyn_base: u32,
    /// Bytes between the end of the program's data and its heap.
    pub brk_gap: u32,
    /// Start of the heap of a program that lies among the mappings, less the gap.
    pub low_brk: u32,
}

impl Layout {
    /// The places without randomisation.
    pub const FIXED: Self = Self {
        stack_top: TASK_SIZE,
        mmap_base: MMAP_BASE,
        dyn_base: ELF_ET_DYN_BASE,
        brk_gap: 0,
        low_brk: ELF_ET_DYN_BASE,
    };

    /// Returns the places that four random numbers choose.
    pub fn random(numbers: [u32; 4]) -> Self {
        let pages = |number: u32, places: u32| {
            let place = number.checked_rem(places).unwrap_or(0);
            place.saturating_mul(PAGE_SIZE)
        };
        let [stack, mmap, code, brk] = numbers;
        let stack_range = STACK_PLACES.saturating_mul(PAGE_SIZE);
        let below_stacks = Self::FIXED.mmap_base.saturating_sub(stack_range);
        Self {
            stack_top: TASK_SIZE.saturating_sub(pages(stack, STACK_PLACES)),
            mmap_base: below_stacks.saturating_sub(pages(mmap, MMAP_PLACES)),
            dyn_base: ELF_ET_DYN_BASE.saturating_add(pages(code, MMAP_PLACES)),
            brk_gap: pages(brk, BRK_PLACES),
            ..Self::FIXED
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::vma::{STACK_GUARD_GAP, STACK_LIMIT};
    use proptest::prelude::*;

    #[test]
    fn the_personality_turns_it_off() {
        assert!(is_random(0));
        assert!(!is_random(ADDR_NO_RANDOMIZE));
    }

    proptest! {
        /// A stack of any place grows to its limit above all mappings.
        #[test]
        fn the_stack_has_room(numbers: [u32; 4]) {
            for layout in [Layout::random(numbers), Layout::FIXED] {
                prop_assert!(layout.stack_top - STACK_LIMIT - STACK_GUARD_GAP > layout.mmap_base);
                prop_assert!(layout.stack_top <= TASK_SIZE);
                for at in [layout.stack_top, layout.mmap_base, layout.dyn_base, layout.brk_gap] {
                    prop_assert!(at.is_multiple_of(PAGE_SIZE));
                }
                prop_assert!(layout.dyn_base < 0x50_0000);
            }
        }
    }
}

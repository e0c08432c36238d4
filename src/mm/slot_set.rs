#![forbid(unsafe_code)]
//! A set of slots in an address range, one bit each.
//!
//! `mm::thread_stack` uses it for slots of kernel stacks that are not mapped.

/// A set of slot numbers below `32 * WORDS`.
#[derive(Debug)]
pub struct SlotSet<const WORDS: usize> {
    words: [u32; WORDS],
    /// Number of slots in the set.
    count: u32,
}

impl<const WORDS: usize> SlotSet<WORDS> {
    /// Returns an empty set.
    pub const fn new() -> Self {
        Self {
            words: [0; WORDS],
            count: 0,
        }
    }

    /// Returns whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a slot.
    ///
    /// # Panics
    /// If the set already contains it, or it is not below `32 * WORDS`.
    pub fn insert(&mut self, slot: u32) {
        let (word, bit) = (&mut self.words[(slot / 32) as usize], 1 << (slot % 32));
        assert!(*word & bit == 0, "BUG: slot {slot} is given up twice");
        *word |= bit;
        self.count = self.count.wrapping_add(1);
    }

    /// Removes and returns the lowest slot.
    pub fn take_first(&mut self) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        let at = self.words.iter().position(|word| *word != 0)?;
        let word = &mut self.words[at];
        let bit = word.trailing_zeros();
        *word &= word.wrapping_sub(1);
        self.count = self.count.wrapping_sub(1);
        Some((at as u32).wrapping_mul(32).wrapping_add(bit))
    }
}

impl<const WORDS: usize> Default for SlotSet<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    #[should_panic(expected = "BUG: slot 33 is given up twice")]
    fn a_slot_is_in_it_once() {
        let mut set = SlotSet::<2>::new();
        set.insert(33);
        set.insert(33);
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((any::<bool>(), 0u32..96), 0..200)) {
            let (mut set, mut model) = (SlotSet::<3>::new(), BTreeSet::new());
            for (adds, slot) in steps {
                if !adds {
                    prop_assert_eq!(set.take_first(), model.pop_first());
                } else if model.insert(slot) {
                    set.insert(slot);
                }
                prop_assert_eq!(set.is_empty(), model.is_empty());
            }
        }
    }
}

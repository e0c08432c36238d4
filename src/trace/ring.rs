#![forbid(unsafe_code)]
//! The ring of one CPU, which holds its records until a reader takes them.
//!
//! ```text
//!   slots  |  free  | tail … records … head |  free  |
//! ```
//! The CPU itself writes, with interrupts off; one reader, on any CPU, takes the oldest record.
//! `head` and `tail` count for ever. A full ring accepts no more records, so the oldest are not
//! lost; when there is room again, a separate record gives the number of events that were lost.

use core::sync::atomic::{AtomicU32, Ordering};

use super::record::RECORD_WORDS;

/// The place of one record.
pub type Slot = [AtomicU32; RECORD_WORDS];

/// A ring over slots that each call passes.
pub struct Ring {
    /// Number of records ever written.
    head: AtomicU32,
    /// Number of records ever taken.
    tail: AtomicU32,
    /// Number of events lost since the last record. Only the writer uses it.
    lost: AtomicU32,
}

impl Ring {
    /// Returns an empty ring.
    pub const fn new() -> Self {
        Self {
            head: AtomicU32::new(0),
            tail: AtomicU32::new(0),
            lost: AtomicU32::new(0),
        }
    }

    /// Writes a record, preceded by the record that `lost` makes of the number of lost events, if
    /// any. The number of slots is a power of two.
    pub fn push(
        &self,
        slots: &[Slot],
        words: &[u32; RECORD_WORDS],
        lost: impl FnOnce(u32) -> [u32; RECORD_WORDS],
    ) {
        let head = self.head.load(Ordering::Relaxed);
        let used = head.wrapping_sub(self.tail.load(Ordering::Acquire));
        let room = (slots.len() as u32).saturating_sub(used);
        let missing = self.lost.load(Ordering::Relaxed);
        if room <= u32::from(missing != 0) {
            self.lost
                .store(missing.saturating_add(1), Ordering::Relaxed);
            return;
        }
        let mut head = head;
        if missing != 0 {
            store(slots, head, &lost(missing));
            self.lost.store(0, Ordering::Relaxed);
            head = head.wrapping_add(1);
        }
        store(slots, head, words);
        self.head.store(head.wrapping_add(1), Ordering::Release);
    }

    /// Takes the oldest record. Only one caller at a time may do this.
    pub fn pop(&self, slots: &[Slot]) -> Option<[u32; RECORD_WORDS]> {
        let tail = self.tail.load(Ordering::Relaxed);
        if tail == self.head.load(Ordering::Acquire) {
            return None;
        }
        let slot = &slots[tail as usize & slots.len().saturating_sub(1)];
        let words = core::array::from_fn(|i| slot[i].load(Ordering::Relaxed));
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        Some(words)
    }

    /// Returns the number of lost events that no record reports. Used at the end of the run, when
    /// nothing writes any more, or later events do not matter.
    pub fn take_lost(&self) -> u32 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// Returns the number of waiting records.
    pub fn used(&self) -> u32 {
        let tail = self.tail.load(Ordering::Relaxed);
        self.head.load(Ordering::Relaxed).wrapping_sub(tail)
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns whether a ring of so many slots, of which `used` have a record, should be emptied: when a
/// quarter is full, or anything is there at a moment at which `few` are enough.
pub fn is_due(used: u32, slots: usize, few: bool) -> bool {
    used >= if few { 1 } else { slots as u32 / 4 }
}

fn store(slots: &[Slot], number: u32, words: &[u32; RECORD_WORDS]) {
    let slot = &slots[number as usize & slots.len().saturating_sub(1)];
    for (place, word) in slot.iter().zip(words) {
        place.store(*word, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots<const N: usize>() -> [Slot; N] {
        core::array::from_fn(|_| core::array::from_fn(|_| AtomicU32::new(0)))
    }

    const LOST: u32 = 1 << 31;

    fn push(ring: &Ring, slots: &[Slot], value: u32) {
        ring.push(slots, &[value; RECORD_WORDS], |n| [LOST | n; RECORD_WORDS]);
    }

    fn pop(ring: &Ring, slots: &[Slot]) -> Option<u32> {
        let words = ring.pop(slots)?;
        assert!(words.iter().all(|&word| word == words[0]));
        Some(words[0])
    }

    #[test]
    fn first_in_first_out_many_times_round() {
        let (ring, slots) = (Ring::new(), slots::<4>());
        for n in 0..100 {
            push(&ring, &slots, 2 * n);
            push(&ring, &slots, 2 * n + 1);
            assert_eq!(ring.used(), 2);
            assert_eq!(pop(&ring, &slots), Some(2 * n));
            assert_eq!(pop(&ring, &slots), Some(2 * n + 1));
            assert_eq!(pop(&ring, &slots), None);
        }
    }

    #[test]
    fn a_full_ring_says_how_many_it_lost() {
        let (ring, slots) = (Ring::new(), slots::<4>());
        (0..7).for_each(|n| push(&ring, &slots, n));
        assert_eq!(pop(&ring, &slots), Some(0));
        // One free slot is not enough for both records.
        push(&ring, &slots, 7);
        assert_eq!(pop(&ring, &slots), Some(1));
        push(&ring, &slots, 8);
        let rest: Vec<u32> = core::iter::from_fn(|| pop(&ring, &slots)).collect();
        assert_eq!(rest, [2, 3, LOST | 4, 8]);
        push(&ring, &slots, 9);
        assert_eq!(pop(&ring, &slots), Some(9), "it is said once");
        (0..6).for_each(|n| push(&ring, &slots, n));
        assert_eq!((ring.take_lost(), ring.take_lost()), (2, 0));
    }

    #[test]
    fn a_ring_is_emptied_when_a_quarter_is_full_or_few_are_enough() {
        assert!(!is_due(0, 64, true) && is_due(1, 64, true));
        assert!(!is_due(1, 64, false) && !is_due(15, 64, false) && is_due(16, 64, false));
    }

    #[test]
    fn the_counters_may_wrap() {
        let (ring, slots) = (Ring::new(), slots::<4>());
        ring.head.store(u32::MAX, Ordering::Relaxed);
        ring.tail.store(u32::MAX, Ordering::Relaxed);
        (0..5).for_each(|n| push(&ring, &slots, n));
        let all: Vec<u32> = core::iter::from_fn(|| pop(&ring, &slots)).collect();
        assert_eq!(all, [0, 1, 2, 3]);
    }
}

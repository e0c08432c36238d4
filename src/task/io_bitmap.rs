#![forbid(unsafe_code)]
//! The ports that a task may use, and the part that a switch copies.
//!
//! A task that called `ioperm` owns an [`IoBitmap`]; the processor looks only at the one in this
//! CPU's TSS, so `__switch_to_xtra` writes next's there, on next's stack with interrupts off. Every
//! byte of the TSS's bitmap from the running task's `io_bitmap_max` on is ones. Therefore it is
//! enough to copy the larger of prev's and next's maximum, and copying less would leave prev's
//! ports open.
//!
//! Book: ch. 3, "Task State Segment", "Performing the Process Switch" (step on the I/O bitmap).
//! Linux: `kernel/ioport.c` and `__switch_to_xtra` of 2.6.30–2.6.38.
//! SDM: vol. 1, 18.5.2 "I/O Permission Bit Map".

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::base::errno::Errno;
use crate::hw::tss::{IO_BITMAP_BITS, IO_BITMAP_BYTES};
use crate::mm::fallible::try_zeroed_bytes;

/// The bytes of a bitmap as they stand in the TSS: bit clear = port granted.
pub type Bits = [u8; IO_BITMAP_BYTES];

/// A task's own bitmap.
#[derive(Debug, PartialEq, Eq)]
pub struct IoBitmap {
    bits: Box<Bits>,
    io_bitmap_max: usize,
    /// A number that is unique for each bitmap, and changes with each change of it.
    sequence: u32,
}

/// The last sequence number given out; no bitmap has 0.
static SEQUENCE: AtomicU32 = AtomicU32::new(0);

fn next_sequence() -> u32 {
    loop {
        // The numbers wrap after 2³² changes, and skip 0.
        match SEQUENCE.fetch_add(1, Ordering::Relaxed).wrapping_add(1) {
            0 => {}
            number => return number,
        }
    }
}

impl IoBitmap {
    /// Returns a bitmap that grants nothing, or ENOMEM.
    pub fn new() -> Result<Self, Errno> {
        Ok(IoBitmap {
            bits: all_ones()?,
            io_bitmap_max: 0,
            sequence: next_sequence(),
        })
    }

    /// Makes this bitmap grant the ports of `other`, when fork copies it for the child.
    pub fn copy_from(&mut self, other: &Self) {
        self.bits.copy_from_slice(&other.bits[..]);
        self.io_bitmap_max = other.io_bitmap_max;
        self.sequence = next_sequence();
    }

    /// Returns the length that matters at a switch: the bytes up to the end of the last 4-byte word
    /// that grants a port, but at least one word.
    pub const fn io_bitmap_max(&self) -> usize {
        self.io_bitmap_max
    }

    /// Returns the number of this bitmap in its present state: a TSS with this number has these
    /// bytes.
    pub const fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Returns the bytes of the bitmap.
    pub const fn bits(&self) -> &Bits {
        &self.bits
    }

    /// Returns whether this port is granted.
    pub const fn grants(&self, port: u16) -> bool {
        self.bits[port as usize / 8] & 1 << (port % 8) == 0
    }

    fn set(&mut self, from: usize, num: usize, granted: bool) {
        for port in from..from.saturating_add(num) {
            let bit = 1 << (port % 8);
            match granted {
                true => self.bits[port / 8] &= !bit,
                false => self.bits[port / 8] |= bit,
            }
        }
        let last = self
            .bits
            .chunks_exact(4)
            .rposition(|word| word != [0xff; 4]);
        self.io_bitmap_max = last.unwrap_or(0).saturating_add(1) << 2;
        self.sequence = next_sequence();
    }
}

/// Returns a bitmap of ones, built directly on the heap: the array would fill a whole kernel stack.
fn all_ones() -> Result<Box<Bits>, Errno> {
    let mut bits = try_zeroed_bytes()?;
    bits.fill(0xff);
    Ok(bits)
}

/// Does `ioperm(from, num, turn_on)` on the caller's own `bitmap`. Returns the number of bytes that
/// the caller must copy to this CPU's TSS with [`switch_to_bitmap`] before it returns to ring 3, or
/// 0.
///
/// `capable` says whether the caller has CAP_SYS_RAWIO. Revoking without a bitmap does not create one.
///
/// # Errors
/// In this order: EINVAL for an empty or impossible range; EPERM for granting without the
/// capability, which revoking does not need; ENOMEM.
pub fn ioperm(
    bitmap: &mut Option<IoBitmap>,
    from: u32,
    num: u32,
    turn_on: bool,
    capable: bool,
) -> Result<usize, Errno> {
    match from.checked_add(num) {
        Some(end) if num > 0 && end as usize <= IO_BITMAP_BITS => {}
        _ => return Err(Errno::EINVAL),
    }
    if turn_on && !capable {
        return Err(Errno::EPERM);
    }
    let own = match bitmap {
        Some(own) => own,
        None if !turn_on => return Ok(0),
        None => bitmap.insert(IoBitmap::new()?),
    };
    let before = own.io_bitmap_max;
    own.set(from as usize, num as usize, turn_on);
    Ok(copy_len(before, own.io_bitmap_max))
}

/// Returns the number of bytes that a switch between tasks with these maxima copies; a maximum of 0
/// means no bitmap.
pub const fn copy_len(prev_max: usize, next_max: usize) -> usize {
    if prev_max > next_max {
        prev_max
    } else {
        next_max
    }
}

/// Puts next's ports into the TSS: copies `max(prev, next)` bytes, or fills
/// prev's length with ones when next has no bitmap. `prev_max` is prev's
/// `io_bitmap_max`, 0 if it has none. Returns the number of bytes written.
pub fn switch_to_bitmap(tss_bitmap: &mut Bits, prev_max: usize, next: Option<&IoBitmap>) -> usize {
    match next {
        Some(next) => {
            let len = copy_len(prev_max, next.io_bitmap_max);
            tss_bitmap[..len].copy_from_slice(&next.bits[..len]);
            len
        }
        None => {
            tss_bitmap[..prev_max].fill(0xff);
            prev_max
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::tss::{KERNEL_TSS_LIMIT, TssStruct};
    use proptest::prelude::*;

    fn granting(from: u32, num: u32) -> IoBitmap {
        let mut bitmap = None;
        ioperm(&mut bitmap, from, num, true, true).unwrap();
        bitmap.unwrap()
    }

    #[test]
    fn the_range_is_judged_before_the_privilege() {
        let bad = [
            (0, 0),
            (80, 0),
            (0, 65537),
            (65535, 2),
            (65536, 1),
            (u32::MAX, 1),
            (1, u32::MAX),
        ];
        for (from, num) in bad {
            for capable in [true, false] {
                for turn_on in [true, false] {
                    assert_eq!(
                        ioperm(&mut None, from, num, turn_on, capable),
                        Err(Errno::EINVAL)
                    );
                }
            }
        }
        assert_eq!(ioperm(&mut None, 0x80, 1, true, false), Err(Errno::EPERM));
        assert_eq!(ioperm(&mut None, 0, 65536, true, true), Ok(8192));
    }

    #[test]
    fn revoking_needs_no_privilege_and_makes_no_bitmap() {
        let mut bitmap = None;
        assert_eq!(ioperm(&mut bitmap, 0x80, 1, false, false), Ok(0));
        assert_eq!(bitmap, None);
        let mut bitmap = Some(granting(0x80, 2));
        assert_eq!(ioperm(&mut bitmap, 0x80, 1, false, false), Ok(20));
        let bitmap = bitmap.unwrap();
        assert!(!bitmap.grants(0x80) && bitmap.grants(0x81) && !bitmap.grants(0x82));
    }

    #[test]
    fn the_maximum_counts_whole_words() {
        assert_eq!(granting(0, 1).io_bitmap_max(), 4);
        assert_eq!(granting(31, 1).io_bitmap_max(), 4);
        assert_eq!(granting(32, 1).io_bitmap_max(), 8);
        assert_eq!(granting(0x80, 1).io_bitmap_max(), 20);
        assert_eq!(granting(65535, 1).io_bitmap_max(), 8192);
        let mut bitmap = Some(granting(65535, 1));
        // The ports granted until now must still be removed from the TSS.
        assert_eq!(ioperm(&mut bitmap, 65535, 1, false, true), Ok(8192));
        assert_eq!(bitmap.unwrap().io_bitmap_max(), 4);
    }

    #[test]
    fn a_switch_writes_the_larger_maximum() {
        let mut tss = TssStruct::default();
        let (low, high) = (granting(0x80, 1), granting(0x3f8, 8));
        assert_eq!(switch_to_bitmap(&mut tss.io_bitmap, 0, Some(&high)), 128);
        assert_eq!(switch_to_bitmap(&mut tss.io_bitmap, 128, Some(&low)), 128);
        assert!(!tss.io_permitted(KERNEL_TSS_LIMIT, 0x3f8, 1));
        assert!(tss.io_permitted(KERNEL_TSS_LIMIT, 0x80, 1));
        assert_eq!(switch_to_bitmap(&mut tss.io_bitmap, 20, None), 20);
        assert_eq!(switch_to_bitmap(&mut tss.io_bitmap, 0, None), 0);
        assert!(tss.io_bitmap.iter().all(|&byte| byte == 0xff));
    }

    #[test]
    fn only_0x80_means_no_neighbour_and_no_word() {
        let mut tss = TssStruct::default();
        switch_to_bitmap(&mut tss.io_bitmap, 0, Some(&granting(0x80, 1)));
        assert!(tss.io_permitted(KERNEL_TSS_LIMIT, 0x80, 1));
        assert!(!tss.io_permitted(KERNEL_TSS_LIMIT, 0x80, 2));
        assert!(!tss.io_permitted(KERNEL_TSS_LIMIT, 0x7f, 1));
        assert!(!tss.io_permitted(KERNEL_TSS_LIMIT, 0x81, 1));
    }

    #[test]
    fn a_duplicate_is_a_copy_of_its_own() {
        let mut parent = Some(granting(0x80, 1));
        let mut child = IoBitmap::new().unwrap();
        child.copy_from(parent.as_ref().unwrap());
        let (own, copy) = (parent.as_ref().unwrap().sequence(), child.sequence());
        assert_eq!(parent.as_ref().unwrap().bits(), child.bits());
        assert_ne!(own, copy);
        ioperm(&mut parent, 0x80, 1, false, true).unwrap();
        assert!(child.grants(0x80));
    }

    /// An action of a running task, or a switch to another.
    #[derive(Clone, Debug)]
    enum Step {
        Ioperm { from: u32, num: u32, turn_on: bool },
        SwitchTo(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let edge = prop_oneof![Just(0u32), Just(0x3e0), Just(65536 - 80), 0u32..65536];
        prop_oneof![
            (edge, 0u32..90, any::<bool>()).prop_map(|(from, num, turn_on)| Step::Ioperm {
                from,
                num,
                turn_on
            }),
            (0usize..4).prop_map(Step::SwitchTo),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_hardware_grants_exactly_the_running_tasks_ports(
            steps in proptest::collection::vec(step(), 1..40),
        ) {
            let mut tss = Box::new(TssStruct::default());
            let mut tasks: [Option<IoBitmap>; 4] = Default::default();
            let mut expected = [[false; IO_BITMAP_BITS]; 4].to_vec();
            let mut current = 0;
            for step in steps {
                match step {
                    Step::Ioperm { from, num, turn_on } => {
                        let result = ioperm(&mut tasks[current], from, num, turn_on, true);
                        let valid = num > 0 && from + num <= 65536;
                        prop_assert_eq!(result.is_ok(), valid);
                        if let Ok(bytes) = result {
                            let range = from as usize..(from + num) as usize;
                            expected[current][range].fill(turn_on);
                            switch_to_bitmap(&mut tss.io_bitmap, bytes, tasks[current].as_ref());
                        }
                    }
                    Step::SwitchTo(next) => {
                        let prev_max = tasks[current].as_ref().map_or(0, IoBitmap::io_bitmap_max);
                        switch_to_bitmap(&mut tss.io_bitmap, prev_max, tasks[next].as_ref());
                        current = next;
                    }
                }
                let granted = |port: usize| expected[current].get(port).copied().unwrap_or(false);
                for port in 0..65536usize {
                    let hardware = tss.io_permitted(KERNEL_TSS_LIMIT, port as u16, 1);
                    prop_assert_eq!(hardware, granted(port), "port {:#x}", port);
                }
                for port in 65500..65536usize {
                    let word = tss.io_permitted(KERNEL_TSS_LIMIT, port as u16, 2);
                    prop_assert_eq!(word, granted(port) && granted(port + 1), "word at {:#x}", port);
                }
            }
        }
    }
}

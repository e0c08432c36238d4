#![forbid(unsafe_code)]
//! The four kinds of switch, and what each does to the address space and its counts.
//!
//! `context_switch` asks this table and then acts. A kernel task has no `mm` of its own. It runs on
//! whatever address space was loaded and borrows it as `active_mm`, which is never null while the
//! task runs.
//!
//! Book: ch. 7, "Actions performed by schedule() to make the process switch"; ch. 9, "Memory
//! Descriptor of Kernel Threads".
//! Linux: 5.4 `context_switch` (2.6 counts kernel to kernel as +1 and -1 instead).

/// What `context_switch` does with the page tables and with `active_mm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MmSwitch {
    /// Kernel to kernel: lazy TLB; the borrowed `active_mm` moves on, no count changes.
    HandOver,
    /// User to kernel: lazy TLB; next borrows prev's address space: `mmgrab`.
    Borrow,
    /// Kernel to user: `switch_mm`; `finish_task_switch` drops what prev had borrowed, which
    /// `rq.prev_mm` carries over the switch.
    Return,
    /// User to user: `switch_mm`, which writes no CR3 when both share one address space.
    Switch,
}

/// Returns the kind of switch, given whether each task has an address space of its own.
#[inline(always)]
pub const fn mm_switch(prev_has_mm: bool, next_has_mm: bool) -> MmSwitch {
    match (prev_has_mm, next_has_mm) {
        (false, false) => MmSwitch::HandOver,
        (true, false) => MmSwitch::Borrow,
        (false, true) => MmSwitch::Return,
        (true, true) => MmSwitch::Switch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::mm_count::MmCount;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn the_table() {
        assert_eq!(mm_switch(false, false), MmSwitch::HandOver);
        assert_eq!(mm_switch(true, false), MmSwitch::Borrow);
        assert_eq!(mm_switch(false, true), MmSwitch::Return);
        assert_eq!(mm_switch(true, true), MmSwitch::Switch);
    }

    proptest! {
        /// A model CPU runs kernel tasks (no `mm`) and user tasks in any order. Each address space
        /// is counted once for its users, and once more exactly while a kernel task borrows it.
        #[test]
        fn counts_balance(order in proptest::collection::vec(0usize..6, 1..200)) {
            let mms: Vec<MmCount> = (0..3).map(|_| MmCount::new()).collect();
            let own = |t: usize| if t < 3 { Some(t) } else { None };
            let (mut prev, mut active) = (0usize, 0usize);
            for next in order {
                if next == prev { continue; }
                let mut prev_mm = None;
                match mm_switch(own(prev).is_some(), own(next).is_some()) {
                    MmSwitch::HandOver => {}
                    MmSwitch::Borrow => mms[active].grab(),
                    MmSwitch::Return => { prev_mm = Some(active); active = next; }
                    MmSwitch::Switch => active = next,
                }
                if let Some(m) = prev_mm { prop_assert!(!mms[m].drop_count()); }
                prev = next;
                for (i, m) in mms.iter().enumerate() {
                    let borrowed = own(prev).is_none() && active == i;
                    prop_assert_eq!(m.count(), 1 + u32::from(borrowed));
                }
            }
        }
    }
}

#![forbid(unsafe_code)]
//! The rules that decide whether a CPU may wait for a lock, by the table of all locks.
//!
//! The rules look only at one CPU and one moment, so a misuse shows at once, not only when another
//! CPU does the other half. If all CPUs keep the rules, there is no deadlock: the tests run random
//! programs and interrupts of several CPUs against each other.
//!
//! Linux: 2.6.38 `kernel/lockdep.c`.

use super::lock_class::{Context, LockClass, Several};

/// The context of a CPU.
#[derive(Clone, Copy, Debug)]
pub struct Here {
    /// Whether EFLAGS.IF is set, or interrupts have not begun at all.
    pub interrupts_on: bool,
    /// Whether the CPU is in a handler of an NMI.
    pub in_nmi: bool,
}

/// A lock that the CPU holds or wants to wait for.
#[derive(Clone, Copy, Debug)]
pub struct Lock {
    /// The class of the lock.
    pub class: LockClass,
    /// The address of the lock, which distinguishes locks of a class.
    pub address: usize,
}

/// The reason for which a CPU must not wait for a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misuse {
    /// The CPU is in an NMI, which may have interrupted the holder.
    InNmi,
    /// A `Task` lock is wanted with interrupts off: an interrupt that waits for this CPU may have
    /// interrupted the holder.
    InterruptsOff,
    /// The held lock of this index stands further down in the table.
    OutOfOrder(usize),
    /// The held lock of this index is of the same class, and the class forbids that or its address
    /// is greater.
    SameClass(usize),
}

impl Misuse {
    /// Returns the reason in words.
    pub fn what(self) -> &'static str {
        match self {
            Misuse::InNmi => "lock taken in an NMI",
            Misuse::InterruptsOff => "lock of task context taken with interrupts off",
            Misuse::OutOfOrder(_) => "locks taken out of order",
            Misuse::SameClass(_) => "two locks of a class not in order",
        }
    }
}

/// Checks that a CPU in the context `here` which holds the locks of `held` may wait for `new`.
pub fn may_wait_for(new: Lock, here: Here, held: impl Iterator<Item = Lock>) -> Result<(), Misuse> {
    let row = new.class.row();
    if here.in_nmi {
        return Err(Misuse::InNmi);
    }
    if row.context == Context::Task && !here.interrupts_on {
        return Err(Misuse::InterruptsOff);
    }
    for (index, old) in held.enumerate() {
        let by_address = row.several == Several::ByAddress && old.address < new.address;
        if old.class > new.class {
            return Err(Misuse::OutOfOrder(index));
        }
        if old.class == new.class && !by_address {
            return Err(Misuse::SameClass(index));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "lock_order_tests.rs"]
mod tests;

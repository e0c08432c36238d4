#![forbid(unsafe_code)]
//! Whether a lock may be waited for here, by the table of all locks.
//!
//! The rules look at one CPU and one moment only, so a misuse shows at once, and not only when another
//! CPU has done the other half. Kept by all, they exclude a deadlock: the tests below let random
//! programs and interrupts of several CPUs run against each other.
//!
//! Linux: 2.6.38 `kernel/lockdep.c`.

use super::lock_class::{Context, LockClass, Several};

/// Where a CPU is.
#[derive(Clone, Copy, Debug)]
pub struct Here {
    /// EFLAGS.IF is set, or interrupts have not begun at all.
    pub interrupts_on: bool,
    /// In a handler of an NMI.
    pub in_nmi: bool,
}

/// A lock that the CPU holds, or is to wait for.
#[derive(Clone, Copy, Debug)]
pub struct Lock {
    /// Its class.
    pub class: LockClass,
    /// Its address: tells locks of a class apart.
    pub address: usize,
}

/// Why a lock must not be waited for here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misuse {
    /// An NMI may have hit its holder.
    InNmi,
    /// A `Task` lock with interrupts off: whoever holds it may be interrupted by something that
    /// waits for this CPU.
    InterruptsOff,
    /// The lock of that index among those held stands further down in the table.
    OutOfOrder(usize),
    /// The lock of that index is of the same class, which forbids it, or its address is greater.
    SameClass(usize),
}

impl Misuse {
    /// In words.
    pub fn what(self) -> &'static str {
        match self {
            Misuse::InNmi => "lock taken in an NMI",
            Misuse::InterruptsOff => "lock of task context taken with interrupts off",
            Misuse::OutOfOrder(_) => "locks taken out of order",
            Misuse::SameClass(_) => "two locks of a class not in order",
        }
    }
}

/// Whether a CPU that is `here` and holds the locks of `held` may wait for `new`.
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

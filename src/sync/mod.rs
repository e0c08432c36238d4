//! Locks and guards, which exclude contexts from each other.
//!
//! In reading order:
//! - `irq`: interrupts of this CPU off and on again
//! - `irqsoff`: how long interrupts are off at most, in a kernel that measures it
//! - `preempt`: the preemption count in `thread_info`
//! - [`lock_word`]: the word of a lock; a run queue uses it bare
//! - `spinlock`: `SpinLock` (preemption off), `IrqSpinLock` (interrupts off as well)
//! - [`counter`]: counters that one context writes and any CPU reads
//! - [`list`]: lists whose links lie inside the listed objects
//! - [`timerqueue`]: timers by their ends, through nodes that lie in what they are for
//! - [`lock_class`]: the table of all locks, in their order
//! - [`lock_order`], `lockdep`: the checker of kernels with debug assertions; `no_lockdep`: others
//!
//! This room implements the word of a lock, the preemption count and the interrupt flag around it,
//! and the checker; the crate `lock_api` makes a mutex of them.

pub mod counter;
#[cfg(target_os = "none")]
pub mod irq;
#[cfg(target_os = "none")]
pub mod irqsoff;
pub mod list;
pub mod lock_class;
pub mod lock_order;
pub mod lock_word;
#[expect(
    clippy::arithmetic_side_effects,
    reason = "numbers of CPUs and lock classes, bounded by its tables"
)]
#[cfg(all(target_os = "none", debug_assertions))]
pub mod lockdep;
#[cfg(all(target_os = "none", not(debug_assertions)))]
pub mod no_lockdep;
#[cfg(target_os = "none")]
pub mod preempt;
#[cfg(target_os = "none")]
pub mod spinlock;
pub mod timerqueue;

#[cfg(target_os = "none")]
pub use irq::IrqGuard;
pub use lock_class::LockClass;
#[cfg(all(target_os = "none", debug_assertions))]
pub use lockdep::LockMap;
#[cfg(all(target_os = "none", not(debug_assertions)))]
pub use no_lockdep::LockMap;
#[cfg(target_os = "none")]
pub use preempt::PreemptGuard;
#[cfg(target_os = "none")]
pub use spinlock::{IrqSpinLock, SpinLock};

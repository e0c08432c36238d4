//! Locks and guards: what keeps two contexts out of each other's way.
//!
//! In reading order:
//! - [`irq`]: interrupts of this CPU off and on again
//! - [`preempt`]: the preemption count in `thread_info`
//! - [`spinlock`]: `SpinLock` (preemption off), `IrqSpinLock` (interrupts off as well)
//!
//! The locks spin by the `spin` crate; what is ours is the preemption count and
//! the interrupt flag around them.

pub mod irq;
pub mod preempt;
pub mod spinlock;

pub use irq::IrqGuard;
pub use preempt::PreemptGuard;
pub use spinlock::{IrqSpinLock, SpinLock};

//! Spin locks that also hold off preemption, or interrupts as well.
//!
//! `SpinLock` is for data that no interrupt handler touches; `IrqSpinLock` for the rest.
//! The spinning itself is the `spin` crate's.
//!
//! Book: ch. 5, "Spin Locks".
//! Linux: 2.6.38 `spin_lock`, `spin_lock_irqsave`.

use core::ops::{Deref, DerefMut};

use super::{IrqGuard, PreemptGuard};

/// A spin lock; preemption is off while it is held.
pub struct SpinLock<T: ?Sized>(spin::mutex::SpinMutex<T>);

/// Proof that a [`SpinLock`] is held. Fields drop in order: lock first, then preemption.
pub struct SpinLockGuard<'a, T: ?Sized> {
    guard: spin::mutex::SpinMutexGuard<'a, T>,
    _preempt: PreemptGuard,
}

impl<T> SpinLock<T> {
    /// An unlocked lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(spin::mutex::SpinMutex::new(value))
    }
}

impl<T: ?Sized> SpinLock<T> {
    /// Spins until the lock is ours.
    #[inline(always)]
    pub fn lock(&self) -> SpinLockGuard<'_, T> {
        let preempt = PreemptGuard::new();
        SpinLockGuard {
            guard: self.0.lock(),
            _preempt: preempt,
        }
    }

    /// The lock if it is free; for a report that must not wait.
    pub fn try_lock(&self) -> Option<SpinLockGuard<'_, T>> {
        let preempt = PreemptGuard::new();
        let guard = self.0.try_lock()?;
        Some(SpinLockGuard {
            guard,
            _preempt: preempt,
        })
    }

    /// Whether anybody holds the lock just now; for reports only.
    pub fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

impl<T: ?Sized> Deref for SpinLockGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T: ?Sized> DerefMut for SpinLockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// A spin lock; interrupts and preemption are off while it is held.
pub struct IrqSpinLock<T: ?Sized>(spin::mutex::SpinMutex<T>);

/// Proof that an [`IrqSpinLock`] is held. Fields drop in order: lock, interrupts, preemption.
pub struct IrqSpinLockGuard<'a, T: ?Sized> {
    guard: spin::mutex::SpinMutexGuard<'a, T>,
    _irq: IrqGuard,
    _preempt: PreemptGuard,
}

impl<T> IrqSpinLock<T> {
    /// An unlocked lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(spin::mutex::SpinMutex::new(value))
    }
}

impl<T: ?Sized> IrqSpinLock<T> {
    /// Turns interrupts off and spins until the lock is ours.
    #[inline(always)]
    pub fn lock(&self) -> IrqSpinLockGuard<'_, T> {
        let preempt = PreemptGuard::new();
        let irq = IrqGuard::new();
        IrqSpinLockGuard {
            guard: self.0.lock(),
            _irq: irq,
            _preempt: preempt,
        }
    }

    /// The lock if it is free; for a panic that must not wait.
    pub fn try_lock(&self) -> Option<IrqSpinLockGuard<'_, T>> {
        let preempt = PreemptGuard::new();
        let irq = IrqGuard::new();
        let guard = self.0.try_lock()?;
        Some(IrqSpinLockGuard {
            guard,
            _irq: irq,
            _preempt: preempt,
        })
    }

    /// Whether anybody holds the lock just now; for reports only.
    pub fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

impl<T: ?Sized> Deref for IrqSpinLockGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T: ?Sized> DerefMut for IrqSpinLockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

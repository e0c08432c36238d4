//! Spin locks that also hold off preemption, or interrupts as well.
//!
//! `SpinLock` is for data that no interrupt handler touches; `IrqSpinLock` for the rest.
//! The word is that of a run queue's lock, [`lock_word`]; around it is the `lock_api` crate.
//!
//! Book: ch. 5, "Spin Locks".
//! Linux: 2.6.38 `spin_lock`, `spin_lock_irqsave`.

use core::ops::{Deref, DerefMut};

use core::sync::atomic::{AtomicU32, Ordering};

use super::{IrqGuard, LockMap, PreemptGuard, lock_word};

/// The word, as `lock_api` wants it.
struct LockWord(AtomicU32);

// SAFETY: `lock` and a successful `try_lock` come back when they alone have changed the word from 0 to
// 1, and nobody changes it until `unlock`.
unsafe impl lock_api::RawMutex for LockWord {
    const INIT: Self = Self(AtomicU32::new(0));

    /// A guard stays on the CPU that took it.
    type GuardMarker = lock_api::GuardNoSend;

    #[inline(always)]
    fn lock(&self) {
        lock_word::acquire(&self.0);
    }

    #[inline(always)]
    fn try_lock(&self) -> bool {
        lock_word::try_acquire(&self.0)
    }

    #[inline(always)]
    unsafe fn unlock(&self) {
        lock_word::release(&self.0);
    }

    fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }
}

/// A spin lock; preemption is off while it is held.
pub struct SpinLock<T: ?Sized> {
    map: LockMap,
    lock: lock_api::Mutex<LockWord, T>,
}

/// Proof that a [`SpinLock`] is held. Fields drop in order: lock first, then preemption.
pub struct SpinLockGuard<'a, T: ?Sized> {
    map: &'a LockMap,
    guard: lock_api::MutexGuard<'a, LockWord, T>,
    _preempt: PreemptGuard,
}

impl<T> SpinLock<T> {
    /// An unlocked lock around `value`.
    #[track_caller]
    pub const fn new(value: T) -> Self {
        Self {
            map: LockMap::new(),
            lock: lock_api::Mutex::from_raw(lock_api::RawMutex::INIT, value),
        }
    }

    /// What the lock guards, for who need not take it: says at each use why.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut T {
        self.lock.data_ptr()
    }
}

impl<T: ?Sized> SpinLock<T> {
    /// Spins until the lock is ours.
    #[inline(always)]
    pub fn lock(&self) -> SpinLockGuard<'_, T> {
        let preempt = PreemptGuard::new();
        self.map.acquire();
        let guard = self.lock.lock();
        self.map.acquired();
        SpinLockGuard {
            map: &self.map,
            guard,
            _preempt: preempt,
        }
    }

    /// As [`SpinLock::lock`], while another lock of the same kind is held: nobody else takes the two
    /// the other way round, since one of them nobody else knows yet (Linux: `spin_lock_nested`).
    #[inline(always)]
    pub fn lock_nested(&self) -> SpinLockGuard<'_, T> {
        let preempt = PreemptGuard::new();
        let guard = self.lock.lock();
        self.map.acquired();
        SpinLockGuard {
            map: &self.map,
            guard,
            _preempt: preempt,
        }
    }

    /// The lock if it is free; for a report that must not wait.
    pub fn try_lock(&self) -> Option<SpinLockGuard<'_, T>> {
        let preempt = PreemptGuard::new();
        let guard = self.lock.try_lock()?;
        self.map.acquired();
        Some(SpinLockGuard {
            map: &self.map,
            guard,
            _preempt: preempt,
        })
    }

    /// Whether anybody holds the lock just now; for reports only.
    pub fn is_locked(&self) -> bool {
        self.lock.is_locked()
    }
}

impl<T: ?Sized> Drop for SpinLockGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.map.release();
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
pub struct IrqSpinLock<T: ?Sized> {
    map: LockMap,
    lock: lock_api::Mutex<LockWord, T>,
}

/// Proof that an [`IrqSpinLock`] is held. Fields drop in order: lock, interrupts, preemption.
pub struct IrqSpinLockGuard<'a, T: ?Sized> {
    map: &'a LockMap,
    guard: lock_api::MutexGuard<'a, LockWord, T>,
    _irq: IrqGuard,
    _preempt: PreemptGuard,
}

impl<T> IrqSpinLock<T> {
    /// An unlocked lock around `value`.
    #[track_caller]
    pub const fn new(value: T) -> Self {
        Self {
            map: LockMap::new(),
            lock: lock_api::Mutex::from_raw(lock_api::RawMutex::INIT, value),
        }
    }
}

impl<T: ?Sized> IrqSpinLock<T> {
    /// Turns interrupts off and spins until the lock is ours.
    #[inline(always)]
    pub fn lock(&self) -> IrqSpinLockGuard<'_, T> {
        let preempt = PreemptGuard::new();
        let irq = IrqGuard::new();
        self.map.acquire();
        let guard = self.lock.lock();
        self.map.acquired();
        IrqSpinLockGuard {
            map: &self.map,
            guard,
            _irq: irq,
            _preempt: preempt,
        }
    }

    /// As [`IrqSpinLock::lock`], while another lock of the same kind is held: who takes two takes
    /// them in the order of their addresses (Linux: `spin_lock_irqsave_nested`).
    #[inline(always)]
    pub fn lock_nested(&self) -> IrqSpinLockGuard<'_, T> {
        let preempt = PreemptGuard::new();
        let irq = IrqGuard::new();
        let guard = self.lock.lock();
        self.map.acquired();
        IrqSpinLockGuard {
            map: &self.map,
            guard,
            _irq: irq,
            _preempt: preempt,
        }
    }

    /// The lock if it is free; for a panic that must not wait.
    pub fn try_lock(&self) -> Option<IrqSpinLockGuard<'_, T>> {
        let preempt = PreemptGuard::new();
        let irq = IrqGuard::new();
        let guard = self.lock.try_lock()?;
        self.map.acquired();
        Some(IrqSpinLockGuard {
            map: &self.map,
            guard,
            _irq: irq,
            _preempt: preempt,
        })
    }

    /// Whether anybody holds the lock just now; for reports only.
    pub fn is_locked(&self) -> bool {
        self.lock.is_locked()
    }
}

impl<T: ?Sized> Drop for IrqSpinLockGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.map.release();
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

//! Spin locks that also hold off preemption, or preemption and interrupts.
//!
//! `SpinLock` is for data that no interrupt handler touches, and that no holder of an interrupt
//! handler's lock waits for; `IrqSpinLock` is for the rest. Each lock has a class, for which the
//! table of all locks, `lock_class`, fixes the kind of lock: another kind does not compile. The
//! `lock_api` crate wraps the word, [`lock_word`], which a run queue's lock uses too.
//!
//! Book: ch. 5, "Spin Locks".
//! Linux: 2.6.38 `spin_lock`, `spin_lock_irqsave`.

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

use super::lock_class::{Context, LockClass};
use super::{IrqGuard, LockMap, PreemptGuard, lock_word};

/// The lock word with the trait of `lock_api`.
struct LockWord(AtomicU32);

// SAFETY: `lock` and a successful `try_lock` return after they alone have changed the word from 0
// to 1, and nothing changes it until `unlock`.
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
pub type SpinLock<T> = Lock<T, PreemptGuard>;
/// Proof that a [`SpinLock`] is held.
pub type SpinLockGuard<'a, T> = LockGuard<'a, T, PreemptGuard>;
/// A spin lock; interrupts and preemption are off while it is held.
pub type IrqSpinLock<T> = Lock<T, IrqPreemptGuard>;
/// Proof that an [`IrqSpinLock`] is held.
pub type IrqSpinLockGuard<'a, T> = LockGuard<'a, T, IrqPreemptGuard>;

/// The guard that holds something off while a lock is held.
pub trait HeldOff: Default {
    /// The context in which such a lock may be taken.
    const CONTEXT: Context;
}

impl HeldOff for PreemptGuard {
    const CONTEXT: Context = Context::Task;
}

impl HeldOff for IrqPreemptGuard {
    const CONTEXT: Context = Context::Any;
}

/// Keeps interrupts and preemption off. Fields drop in order: the one turned off last is on again
/// first.
pub struct IrqPreemptGuard {
    _irq: IrqGuard,
    _preempt: PreemptGuard,
}

impl Default for IrqPreemptGuard {
    #[inline(always)]
    fn default() -> Self {
        let preempt = PreemptGuard::new();
        Self {
            _irq: IrqGuard::new(),
            _preempt: preempt,
        }
    }
}

/// A spin lock around a `T`; a guard `H` lives while it is held.
pub struct Lock<T, H> {
    map: LockMap,
    lock: lock_api::Mutex<LockWord, T>,
    held_off: PhantomData<fn() -> H>,
}

/// Proof that a [`Lock`] is held. Fields drop in order: the lock first, then the guard `H`.
pub struct LockGuard<'a, T, H> {
    map: &'a LockMap,
    guard: lock_api::MutexGuard<'a, LockWord, T>,
    _held_off: H,
}

impl<T, H: HeldOff> Lock<T, H> {
    /// Returns an unlocked lock of `class` around `value`. With a class of the other context, a
    /// static lock does not compile, and another lock panics.
    pub const fn new(class: LockClass, value: T) -> Self {
        assert!(
            class.row().context as u8 == H::CONTEXT as u8,
            "BUG: a lock of the other kind than the table says"
        );
        Self {
            map: LockMap::new(class),
            lock: lock_api::Mutex::from_raw(lock_api::RawMutex::INIT, value),
            held_off: PhantomData,
        }
    }
}

impl<T, H> Lock<T, H> {
    /// Returns the guarded data of a lock that nobody else knows.
    pub fn get_mut(&mut self) -> &mut T {
        self.lock.get_mut()
    }

    /// Returns a pointer to the guarded data, for code that need not take the lock; each use says
    /// why.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut T {
        self.lock.data_ptr()
    }

    /// Returns whether any CPU holds the lock; for reports only.
    pub fn is_locked(&self) -> bool {
        self.lock.is_locked()
    }
}

impl<T, H: HeldOff> Lock<T, H> {
    /// Takes the lock, and spins while another CPU holds it.
    #[inline(always)]
    pub fn lock(&self) -> LockGuard<'_, T, H> {
        let held_off = H::default();
        self.map.acquire();
        self.taken(self.lock.lock(), held_off)
    }

    /// Takes two locks of a class in the order of their addresses, so that a caller with the
    /// opposite arguments cannot deadlock with us (Linux: `double_lock_hb`). The second guard is
    /// `None` if both are the same lock. The guards may be released in any order, so the caller
    /// must not change interrupts until both are.
    #[inline(always)]
    pub fn lock_both<'a>(
        first: &'a Self,
        second: &'a Self,
    ) -> (LockGuard<'a, T, H>, Option<LockGuard<'a, T, H>>) {
        if core::ptr::eq(first, second) {
            return (first.lock(), None);
        }
        if core::ptr::from_ref(first) < core::ptr::from_ref(second) {
            let first = first.lock();
            return (first, Some(second.lock()));
        }
        let second = second.lock();
        (first.lock(), Some(second))
    }

    /// Takes the lock if it is free, for a report or a panic that must not wait.
    pub fn try_lock(&self) -> Option<LockGuard<'_, T, H>> {
        let held_off = H::default();
        Some(self.taken(self.lock.try_lock()?, held_off))
    }

    #[inline(always)]
    fn taken<'a>(
        &'a self,
        guard: lock_api::MutexGuard<'a, LockWord, T>,
        held_off: H,
    ) -> LockGuard<'a, T, H> {
        self.map.acquired();
        LockGuard {
            map: &self.map,
            guard,
            _held_off: held_off,
        }
    }
}

impl<T, H> Drop for LockGuard<'_, T, H> {
    #[inline(always)]
    fn drop(&mut self) {
        self.map.release();
    }
}

impl<T, H> Deref for LockGuard<'_, T, H> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T, H> DerefMut for LockGuard<'_, T, H> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

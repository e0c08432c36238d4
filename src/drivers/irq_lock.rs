//! A spin lock with interrupts off, until `sync` has one.

use core::ops::{Deref, DerefMut};

use crate::arch::x86::insn;

/// Interrupts off while it lives.
pub struct IrqGuard(u32);

impl IrqGuard {
    pub fn new() -> Self {
        let flags = insn::read_eflags();
        insn::cli();
        Self(flags)
    }
}

impl Drop for IrqGuard {
    fn drop(&mut self) {
        if self.0 & 0x200 != 0 {
            insn::sti();
        }
    }
}

pub struct IrqSpinLock<T>(spin::Mutex<T>);

pub struct Guard<'a, T> {
    guard: spin::MutexGuard<'a, T>,
    _irq: IrqGuard,
}

impl<T> IrqSpinLock<T> {
    pub const fn new(value: T) -> Self {
        Self(spin::Mutex::new(value))
    }

    pub fn lock(&self) -> Guard<'_, T> {
        let irq = IrqGuard::new();
        Guard { guard: self.0.lock(), _irq: irq }
    }

    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let irq = IrqGuard::new();
        self.0.try_lock().map(|guard| Guard { guard, _irq: irq })
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

//! What only one processor at a time may have in its hands.

use loom::cell::UnsafeCell;

/// A value that is checked for two processors at it at once.
pub struct Private<T>(UnsafeCell<T>);

impl<T: Copy> Private<T> {
    /// Holds `value`.
    pub fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Reads it. Fails the model if another processor may be writing.
    pub fn get(&self) -> T {
        // SAFETY: `loom` runs one thread at a time, and the pointer does not leave this line.
        self.0.with(|value| unsafe { *value })
    }

    /// Writes it. Fails the model if another processor may be at it.
    pub fn set(&self, value: T) {
        // SAFETY: as in `get`.
        self.0.with_mut(|place| unsafe { *place = value });
    }
}

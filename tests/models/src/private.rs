//! State that only one processor may use at a time.

use loom::cell::UnsafeCell;

/// A value that fails the model if two processors use it at once.
pub struct Private<T>(UnsafeCell<T>);

impl<T: Copy> Private<T> {
    /// Returns a cell with `value`.
    pub fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Reads the value. Fails the model if another processor may be writing it.
    pub fn get(&self) -> T {
        // SAFETY: `loom` runs one thread at a time, and the pointer does not leave this line.
        self.0.with(|value| unsafe { *value })
    }

    /// Writes the value. Fails the model if another processor may be using it.
    pub fn set(&self, value: T) {
        // SAFETY: as in `get`.
        self.0.with_mut(|place| unsafe { *place = value });
    }
}

#![forbid(unsafe_code)]
//! `Prev` and `Last`: the book's "three parameters" as types.
//!
//! Before the switch there is a `Prev`; `switch_to` takes it away and gives a `Last`, which only
//! `finish_task_switch` takes. To use the old `prev` after the switch does not compile:
//!
//! ```compile_fail,E0382
//! use switch_to::task::last::{Last, Prev};
//! fn switch_to(prev: Prev<u8>) -> Last<u8> { Last::from_eax(prev.into_ptr()) }
//! fn context_switch(prev: Prev<u8>) {
//!     let _last = switch_to(prev);
//!     let _ = prev.into_ptr(); // stale: who ran last is in `_last`
//! }
//! ```
//!
//! Book: ch. 3, "The switch_to macro". Linux: 2.6.38 `switch_to(prev, next, last)`.

/// The task that runs and is about to leave the CPU. Neither `Copy` nor `Clone`.
pub struct Prev<T>(*mut T);

/// The task that ran on this CPU just before `switch_to` returned.
#[must_use = "finish_task_switch must be told which task ran last"]
pub struct Last<T>(*mut T);

impl<T> Prev<T> {
    /// Names the running task.
    pub fn new(prev: *mut T) -> Self {
        Self(prev)
    }

    /// For `switch_to`: the value for eax.
    #[inline(always)]
    pub fn into_ptr(self) -> *mut T {
        self.0
    }
}

impl<T> Last<T> {
    /// What `__switch_to` left in eax.
    #[inline(always)]
    pub fn from_eax(last: *mut T) -> Self {
        Self(last)
    }

    /// For `finish_task_switch`.
    #[inline(always)]
    pub fn into_ptr(self) -> *mut T {
        self.0
    }
}

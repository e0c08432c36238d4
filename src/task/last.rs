//! `Prev`, `Next` and `Last`: the book's "three parameters" as types.
//!
//! Before the switch there are a `Prev` and a `Next`; `switch_to` consumes both and returns a
//! `Last`, which only `finish_task_switch` takes. Code that uses the old `prev`, or a borrow from
//! it, after the switch does not compile:
//!
//! ```compile_fail,E0505
//! use switch_to::task::last::{Last, Prev};
//! fn switch_to(prev: Prev<u8>) -> Last<u8> { unsafe { Last::from_eax(prev.into_ptr()) } }
//! fn context_switch(prev: Prev<u8>) {
//!     let stale: &u8 = &prev;
//!     let _last = switch_to(prev);
//!     let _ = *stale; // `_last` names the task that ran last
//! }
//! ```
//!
//! Book: ch. 3, "The switch_to macro". Linux: 2.6.38 `switch_to(prev, next, last)`.

use core::ops::Deref;

/// The task that runs and is about to leave the CPU. Neither `Copy` nor `Clone`.
pub struct Prev<T>(*mut T);

/// The task that the switch goes to. Neither `Copy` nor `Clone`.
pub struct Next<T>(*mut T);

/// The task that ran on this CPU just before `switch_to` returned.
#[must_use = "finish_task_switch must be told which task ran last"]
pub struct Last<T>(*mut T);

impl<T> Prev<T> {
    /// Names the running task.
    ///
    /// # Safety
    /// 1. `prev` is the task that runs here, and stays live until another task has run
    ///    `finish_task_switch` for it.
    #[inline(always)]
    pub unsafe fn new(prev: *mut T) -> Self {
        Self(prev)
    }

    /// Returns the task as a pointer, for comparison.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut T {
        self.0
    }

    /// Returns the value for eax, for `switch_to`.
    #[inline(always)]
    pub fn into_ptr(self) -> *mut T {
        self.0
    }
}

impl<T> Deref for Prev<T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: live since `new` until it leaves the CPU; after that there is no `Prev` of it.
        unsafe { &*self.0 }
    }
}

impl<T> Next<T> {
    /// Names the task that runs next.
    ///
    /// # Safety
    /// 1. `next` is live, runnable here and on no CPU, and the switch to it follows.
    #[inline(always)]
    pub unsafe fn new(next: *mut T) -> Self {
        Self(next)
    }

    /// Returns the value for edx, for `switch_to`.
    #[inline(always)]
    pub fn into_ptr(self) -> *mut T {
        self.0
    }
}

impl<T> Deref for Next<T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: live since `new` until it runs; after that there is no `Next` of it.
        unsafe { &*self.0 }
    }
}

impl<T> Last<T> {
    /// Names the task that `__switch_to` left in eax.
    ///
    /// # Safety
    /// 1. The switch has just returned `last`, and `finish_task_switch` has not been called for it.
    #[inline(always)]
    pub unsafe fn from_eax(last: *mut T) -> Self {
        Self(last)
    }

    /// Returns the task as a pointer, for `finish_task_switch`.
    #[inline(always)]
    pub fn into_ptr(self) -> *mut T {
        self.0
    }
}

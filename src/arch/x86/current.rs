//! `current`: the task that runs on this CPU, found in two ways that must agree.
//!
//! Book's kernel: `current_thread_info()->task`, from `esp` alone. From 2.6.22 on: the per-CPU
//! `current_task`. Between the `esp` load in `switch_to` and the last step of `__switch_to` the
//! first already names next and the second still prev.
//!
//! Book: ch. 3, "Identifying the current process". Linux: 2.6.38 `get_current`.

use core::marker::PhantomData;
use core::ops::Deref;
use core::sync::atomic::Ordering;

use crate::base::pt_regs::PtRegs;
use crate::base::thread_info::{STACK_TOP_GAP, THREAD_SIZE, current_thread_info};
use crate::mm::mm_struct::MmStruct;
use crate::task::task_struct::{TaskRef, TaskStruct};
use crate::task::thread_struct::ThreadStruct;
use crate::this_cpu_read;

/// A borrow of the running task that lasts while the task runs; it cannot be handed to another
/// task.
#[derive(Clone, Copy)]
pub struct Current(*mut TaskStruct, PhantomData<*mut ()>);

/// Returns `current`, from the per-CPU variable.
#[inline(always)]
pub fn current() -> Current {
    Current(this_cpu_read!(current_task) as *mut TaskStruct, PhantomData)
}

/// Returns `current_thread_info()->task`, the book's `current`.
#[inline(always)]
pub fn current_by_stack() -> *mut TaskStruct {
    current_thread_info().task.cast()
}

/// Returns the running task's user registers, at the top of its stack.
#[inline(always)]
pub fn current_pt_regs() -> *mut PtRegs {
    let top = (core::ptr::from_ref(current_thread_info()) as usize) + THREAD_SIZE - STACK_TOP_GAP;
    (top - size_of::<PtRegs>()) as *mut PtRegs
}

impl Current {
    /// Returns the task as a pointer.
    #[inline(always)]
    pub fn as_ptr(self) -> *mut TaskStruct {
        self.0
    }

    /// Takes one more reference to the task.
    pub fn get_task_struct(self) -> TaskRef {
        // SAFETY: a running task is live.
        unsafe { TaskRef::get(self.0) }
    }

    /// Returns the task's own address space, or `None` for a kernel thread.
    #[inline(always)]
    pub fn mm_struct(&self) -> Option<&MmStruct> {
        // SAFETY: the running task uses it until it exits or executes a program. Exit does not
        // return to the borrower, and `exec_mmap` is `unsafe` for the sake of the borrow.
        unsafe { self.mm.load(Ordering::Relaxed).as_ref() }
    }

    /// Returns the task's own hardware context.
    ///
    /// # Safety
    /// 1. No other reference to the context lives as long as this one: the caller does not nest.
    #[inline(always)]
    #[allow(
        clippy::mut_from_ref,
        reason = "a task's context is its own while it runs"
    )]
    pub unsafe fn thread_mut<'a>(self) -> &'a mut ThreadStruct {
        // SAFETY: only the task itself writes `thread` while it runs, and we are that task; there
        // is one reference by 1.
        unsafe { &mut *(*self.0).thread() }
    }
}

impl Deref for Current {
    type Target = TaskStruct;
    #[inline(always)]
    fn deref(&self) -> &TaskStruct {
        // SAFETY: a running task is live until its last switch.
        unsafe { &*self.0 }
    }
}

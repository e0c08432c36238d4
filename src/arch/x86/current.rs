//! `current`: the task that runs here, found in two ways that must agree.
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

/// The running task, borrowed for as long as it runs: it cannot be given to another.
#[derive(Clone, Copy)]
pub struct Current(*mut TaskStruct, PhantomData<*mut ()>);

/// `current`.
#[inline(always)]
pub fn current() -> Current {
    Current(this_cpu_read!(current_task) as *mut TaskStruct, PhantomData)
}

/// `current_thread_info()->task`, the book's `current`.
#[inline(always)]
pub fn current_by_stack() -> *mut TaskStruct {
    current_thread_info().task.cast()
}

/// The user registers of the running task, at the top of its stack.
#[inline(always)]
pub fn current_pt_regs() -> *mut PtRegs {
    let top = (core::ptr::from_ref(current_thread_info()) as usize) + THREAD_SIZE - STACK_TOP_GAP;
    (top - size_of::<PtRegs>()) as *mut PtRegs
}

impl Current {
    /// The task as a pointer.
    #[inline(always)]
    pub fn as_ptr(self) -> *mut TaskStruct {
        self.0
    }

    /// One more reference to the task.
    pub fn get_task_struct(self) -> TaskRef {
        // SAFETY: a running task is live.
        unsafe { TaskRef::get(self.0) }
    }

    /// The task's own address space; none for a kernel thread.
    #[inline(always)]
    pub fn mm_struct(&self) -> Option<&MmStruct> {
        // SAFETY: the running task is a user of it until it exits, which does not return to whoever
        // has the borrow, or executes a program: `exec_mmap` is `unsafe` for the sake of the borrow.
        unsafe { self.mm.load(Ordering::Relaxed).as_ref() }
    }

    /// The task's own hardware context.
    ///
    /// # Safety
    /// 1. No other reference to it lives while this one does: the caller does not nest.
    #[inline(always)]
    #[allow(
        clippy::mut_from_ref,
        reason = "a task's context is its own while it runs"
    )]
    pub unsafe fn thread_mut<'a>(self) -> &'a mut ThreadStruct {
        // SAFETY: `thread` is written only by the task itself while it runs, and that is us;
        // not twice by 1.
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

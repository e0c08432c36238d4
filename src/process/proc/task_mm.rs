//! `get_task_mm`: another task's address space, kept while somebody looks at it.
//!
//! Linux: 2.6.38 `get_task_mm`, `task_lock`.

use core::ops::Deref;
use core::sync::atomic::Ordering;

use crate::mm::mm_struct::{MmStruct, mmput};
use crate::task::task_struct::TaskStruct;

/// One more user of an address space, for as long as this lives.
pub struct TaskMm(*mut MmStruct);

impl Deref for TaskMm {
    type Target = MmStruct;

    fn deref(&self) -> &MmStruct {
        // SAFETY: live by our user.
        unsafe { &*self.0 }
    }
}

impl Drop for TaskMm {
    fn drop(&mut self) {
        // SAFETY: our user, given back once.
        unsafe { mmput(self.0) };
    }
}

/// The address space of `task`; none for a kernel thread and a zombie.
pub fn get_task_mm(task: &TaskStruct) -> Option<TaskMm> {
    let _locked = task.alloc_lock.lock();
    let mm = task.mm.load(Ordering::Relaxed);
    // SAFETY: the task gives its user back only after it has changed `mm`, under the lock.
    unsafe { mm.as_ref() }?.counts.get_user();
    Some(TaskMm(mm))
}

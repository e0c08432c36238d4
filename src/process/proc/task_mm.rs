//! `get_task_mm`: another task's address space, kept while somebody looks at it; and `maps`, which
//! says what is in it.
//!
//! A C library asks `maps` for the bounds of the first thread's stack (`pthread_getattr_np`).
//!
//! Linux: 2.6.38 `get_task_mm`, `task_lock`, `show_map_vma`.

use alloc::string::String;
use core::ops::Deref;
use core::sync::atomic::Ordering;

use super::format::{Area, area_line};
use crate::arch::x86::current::current;
use crate::mm::mm_struct::{MmStruct, mmput};
use crate::mm::vma::{Backing, MemoryMap, VmFlags, Vma};
use crate::syscall::errno::Errno;
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

/// Whether the running task may know what only `task` itself, its user and root know.
pub fn ptrace_may_access(task: &TaskStruct) -> bool {
    let me = current();
    if me.tgid == task.tgid {
        return true;
    }
    let target = *task.cred.lock();
    me.cred.lock().may_trace(&target)
}

/// The areas, a line each. EACCES for another user's.
pub fn maps(task: &TaskStruct) -> Result<String, Errno> {
    if !ptrace_may_access(task) {
        return Err(Errno::EACCES);
    }
    let mut out = String::new();
    if let Some(mm) = get_task_mm(task) {
        let map = mm.map.lock();
        for vma in map.areas() {
            let can = |flag, letter| {
                if vma.flags.contains(flag) {
                    letter
                } else {
                    '-'
                }
            };
            let shared = vma.flags.contains(VmFlags::SHARED);
            let area = Area {
                range: vma.start..vma.end,
                rights: [
                    can(VmFlags::READ, 'r'),
                    can(VmFlags::WRITE, 'w'),
                    can(VmFlags::EXEC, 'x'),
                    if shared { 's' } else { 'p' },
                ],
                offset: match vma.backing {
                    Backing::File { offset, .. } => offset,
                    _ => 0,
                },
                name: name(&map, vma),
            };
            out += &area_line(&area);
        }
    }
    Ok(out)
}

/// What is in an area, if it can be told. Of files only the program is: it lies below the heap.
fn name(map: &MemoryMap, vma: &Vma) -> [&'static [u8]; 2] {
    match vma.backing {
        Backing::Special { .. } => [b"", b"[vdso]"],
        Backing::File { .. } if vma.start < map.start_brk => [b"/", map.exe_file],
        Backing::Anonymous if vma.start < map.brk && vma.end > map.start_brk => [b"", b"[heap]"],
        _ if (vma.start..vma.end).contains(&map.start_stack) => [b"", b"[stack]"],
        _ => [b"", b""],
    }
}

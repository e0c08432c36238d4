//! The operations that `/proc` needs from the process code: which tasks exist, and what a file
//! contains.
//!
//! Called by path lookup, open files and getdents64, in process context, with no lock held.
//!
//! Linux: 2.6.38 `fs/proc/base.c` (`pid_revalidate`, `next_tgid`, `proc_pid_readdir`).

use alloc::vec::Vec;

use super::task_mm::get_task_mm;
use super::{system_files, task_files};
use crate::base::errno::Errno;
use crate::fs::procfs::{Part, ProcInode, ProcOps, Who};
use crate::mm::fallible::{Text, try_concat};
use crate::mm::mmap::unmap_mapping;
use crate::process::pid::PID_MAX;
use crate::process::ptrace::{PtraceMode, is_dumpable, ptrace_may_access};
use crate::process::tasklist::{BATCH, TASKLIST, find_task_by_pid};
use crate::provides_upward;
use crate::task::task_struct::TaskRef;

/// The operations, for `fs::procfs::register_filesystem`.
pub static OPS: ProcOps = ProcOps {
    is_there,
    next_id,
    show,
    exe,
    owner,
};

/// Returns the task that a name denotes; ESRCH if there is none.
fn find(who: Who) -> Result<TaskRef, Errno> {
    let task = find_task_by_pid(who.tid.unwrap_or(who.pid)).ok_or(Errno::ESRCH)?;
    // A thread appears only below its own process.
    match who.tid.is_none() || task.tgid == who.pid {
        true => Ok(task),
        false => Err(Errno::ESRCH),
    }
}

fn who(inode: ProcInode) -> Option<Who> {
    match inode {
        ProcInode::Root | ProcInode::SelfLink | ProcInode::System(_) => None,
        ProcInode::Task(who) | ProcInode::Exe(who) | ProcInode::TaskFile(who, _) => Some(who),
        ProcInode::Threads(pid) => Some(Who { pid, tid: None }),
    }
}

fn is_there(inode: ProcInode) -> bool {
    who(inode).is_none_or(|who| find(who).is_ok())
}

fn owner(inode: ProcInode) -> (u32, u32) {
    let task = who(inode).and_then(|who| find(who).ok());
    // A process's directory belongs to its user, and so do its files if that user may see them.
    let is_shown = |task: &TaskRef| inode.is_directory() || is_dumpable(task);
    task.filter(is_shown).map_or((0, 0), |task| {
        let cred = task.cred();
        (cred.uid.effective, cred.gid.effective)
    })
}

/// Returns the next listed number above `after`. Locks the list for a few numbers at a time.
fn next_id(inode: ProcInode, after: i32) -> Option<i32> {
    let is_listed = |task: &TaskRef| match inode {
        ProcInode::Root => task.pid() == task.tgid,
        ProcInode::Threads(pid) => task.tgid == pid,
        _ => false,
    };
    let mut at = after.saturating_add(1);
    while at < PID_MAX {
        let list = TASKLIST.lock();
        for _ in 0..BATCH {
            match list.pids.find_ge_pid(at, BATCH) {
                Ok((pid, entry)) if is_listed(&entry.task) => return Some(pid),
                Ok((pid, _)) => at = pid.wrapping_add(1),
                Err(next) => at = next,
            }
        }
    }
    None
}

/// Returns the first process whose number is above `after`.
pub fn next_process(after: i32) -> Option<i32> {
    next_id(ProcInode::Root, after)
}

/// Unmaps pages of a file from all processes.
#[unsafe(no_mangle)]
extern "Rust" fn unmap_mapping_range(object: *const (), first: u32, last: u32) {
    let mut at = 0;
    while let Some(pid) = next_process(at) {
        at = pid;
        if let Some(mm) = find_task_by_pid(pid).and_then(|task| get_task_mm(&task)) {
            unmap_mapping(&mm, object, first, last);
        }
    }
}

provides_upward!(unmap_mapping_range);

fn show(inode: ProcInode, mark: u32) -> Result<Part, Errno> {
    match inode {
        ProcInode::System(file) => system_files::show(file)
            .map(Text::into_bytes)
            .map(Part::from),
        ProcInode::TaskFile(who, file) => {
            task_files::show(&find(who)?, who.tid.is_none(), file, mark)
        }
        _ => Err(Errno::EISDIR),
    }
}

fn exe(who: Who) -> Result<Vec<u8>, Errno> {
    let task = find(who)?;
    if !ptrace_may_access(&task, PtraceMode::FsCreds) {
        return Err(Errno::EACCES);
    }
    let mm = get_task_mm(&task).ok_or(Errno::ENOENT)?;
    let program = mm.map.lock().exe_file.clone();
    try_concat(&[program.ok_or(Errno::ENOENT)?.path()])
}

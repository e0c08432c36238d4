//! What `/proc` asks of the room of processes: who is there, and what a file holds.
//!
//! Called by path lookup, open files and getdents64, in process context, with no lock held.
//!
//! Linux: 2.6.38 `fs/proc/base.c` (`pid_revalidate`, `next_tgid`, `proc_pid_readdir`).

use alloc::vec::Vec;
use core::ops::Bound;

use super::task_mm::{get_task_mm, ptrace_may_access};
use super::{system_files, task_files};
use crate::fs::procfs::{ProcInode, ProcOps, Who};
use crate::process::tasklist::{TASKLIST, find_task_by_pid};
use crate::syscall::errno::Errno;
use crate::task::task_struct::TaskRef;

/// For `fs::procfs::register_filesystem`.
pub static OPS: ProcOps = ProcOps {
    is_there,
    next_id,
    show,
    exe,
    owner,
};

/// Whom a name is about; ESRCH.
fn find(who: Who) -> Result<TaskRef, Errno> {
    let task = find_task_by_pid(who.tid.unwrap_or(who.pid)).ok_or(Errno::ESRCH)?;
    // A thread is only below its own process.
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
    task.map_or((0, 0), |task| {
        let cred = *task.cred.lock();
        (cred.uid.effective, cred.gid.effective)
    })
}

fn next_id(inode: ProcInode, after: i32) -> Option<i32> {
    let list = TASKLIST.lock();
    let mut rest = list
        .tasks
        .range((Bound::Excluded(after), Bound::Unbounded))
        .map(|(_, entry)| &entry.task);
    let next = match inode {
        ProcInode::Root => rest.find(|task| task.pid() == task.tgid),
        ProcInode::Threads(pid) => rest.find(|task| task.tgid == pid),
        _ => None,
    };
    next.map(|task| task.pid())
}

fn show(inode: ProcInode) -> Result<Vec<u8>, Errno> {
    match inode {
        ProcInode::System(file) => Ok(system_files::show(file).into_bytes()),
        ProcInode::TaskFile(who, file) => task_files::show(&find(who)?, who.tid.is_none(), file),
        _ => Err(Errno::EISDIR),
    }
}

fn exe(who: Who) -> Result<&'static [u8], Errno> {
    let task = find(who)?;
    if !ptrace_may_access(&task) {
        return Err(Errno::EACCES);
    }
    let name = get_task_mm(&task).map_or(&[][..], |mm| mm.map.lock().exe_file);
    match name {
        [] => Err(Errno::ENOENT),
        name => Ok(name),
    }
}

//! The identity of a process: its numbers, its user and its group.
//!
//! Linux: 2.6.38 `kernel/timer.c` (getpid), `kernel/sys.c` (setuid and its like).

use core::sync::atomic::Ordering;

use super::SysResult;
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::put_user;
use crate::base::errno::Errno;
use crate::process::pid::PidType;
use crate::process::ptrace::set_not_dumpable;
use crate::process::tasklist::{TASKLIST, find_task_by_pid};
use crate::task::cred::{Cred, Ids};
use crate::task::state::PF_FORKNOEXEC;
use crate::task::task_struct::TaskRef;

/// Returns the number of the process.
pub fn sys_getpid() -> SysResult {
    Ok(current().tgid as u32)
}

/// Returns the number of the thread.
pub fn sys_gettid() -> SysResult {
    Ok(current().pid() as u32)
}

/// Returns the number of the parent process.
#[inline(always)]
pub fn sys_getppid() -> SysResult {
    Ok(current().ppid.load(Ordering::Relaxed) as u32)
}

/// Returns the process group.
pub fn sys_getpgrp() -> SysResult {
    Ok(current().signal.pgrp.load(Ordering::Relaxed) as u32)
}

/// Makes the process the leader of a new session and group.
///
/// # Errors
/// EPERM when the process leads a group already.
pub fn sys_setsid() -> SysResult {
    let me = current();
    let mut list = TASKLIST.lock();
    // Another process may be in a group with this number, made by an earlier program.
    if list.pids.first(PidType::Pgid, me.tgid).is_some() {
        return Err(Errno::EPERM);
    }
    let leader = list.find_task_by_pid(me.tgid).ok_or(Errno::ESRCH)?.clone();
    list.change_pgrp(&leader, me.tgid, me.tgid);
    Ok(me.tgid as u32)
}

fn process(pid: u32) -> Result<TaskRef, Errno> {
    match pid as i32 {
        0 => Ok(current().get_task_struct()),
        pid => find_task_by_pid(pid).ok_or(Errno::ESRCH),
    }
}

/// Moves the caller or a child of it to a process group.
///
/// # Errors
/// EINVAL, also for a thread that leads no process; ESRCH for another process; EACCES for a child
/// that has called execve; EPERM for a process of another session, for a session leader, and for a
/// group outside the session.
pub fn sys_setpgid(pid: u32, pgid: u32) -> SysResult {
    if (pgid as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let me = current();
    let pid = if pid == 0 { me.tgid } else { pid as i32 };
    let mut list = TASKLIST.lock();
    let task = list.find_task_by_pid(pid).ok_or(Errno::ESRCH)?.clone();
    if task.pid() != task.tgid {
        return Err(Errno::EINVAL);
    }
    if task.tgid != me.tgid && task.ppid.load(Ordering::Relaxed) != me.tgid {
        return Err(Errno::ESRCH);
    }
    let session = task.signal.session.load(Ordering::Relaxed);
    if session != me.signal.session.load(Ordering::Relaxed) {
        return Err(Errno::EPERM);
    }
    // A parent may no longer move a child that has executed a program.
    if task.tgid != me.tgid && !task.has_flags(PF_FORKNOEXEC) {
        return Err(Errno::EACCES);
    }
    if session == task.tgid {
        return Err(Errno::EPERM);
    }
    let pgid = if pgid == 0 { task.tgid } else { pgid as i32 };
    if pgid != task.tgid {
        let member = list.each(PidType::Pgid, pgid).next();
        if member.is_none_or(|it| it.signal.session.load(Ordering::Relaxed) != session) {
            return Err(Errno::EPERM);
        }
    }
    list.change_pgrp(&task, pgid, session);
    Ok(0)
}

/// Returns the process group of a process.
pub fn sys_getpgid(pid: u32) -> SysResult {
    Ok(process(pid)?.signal.pgrp.load(Ordering::Relaxed) as u32)
}

/// Returns the session of a process.
pub fn sys_getsid(pid: u32) -> SysResult {
    Ok(process(pid)?.signal.session.load(Ordering::Relaxed) as u32)
}

fn cred() -> Cred {
    current().cred()
}

fn change(set: impl FnOnce(&mut Cred) -> Result<(), Errno>) -> SysResult {
    let me = current();
    // Only the task itself writes them, so the copy is still true when it is written back.
    let old = me.cred();
    let mut new = old;
    set(&mut new)?;
    me.set_cred(new);
    if new.acts_otherwise_than(&old) {
        set_not_dumpable(me);
        me.pdeath_signal.store(0, Ordering::Relaxed);
    }
    Ok(0)
}

fn put_ids(ids: Ids, real: u32, effective: u32, saved: u32) -> SysResult {
    put_user(real, ids.real)?;
    put_user(effective, ids.effective)?;
    put_user(saved, ids.saved)?;
    Ok(0)
}

/// Returns the real user ID.
pub fn sys_getuid() -> SysResult {
    Ok(cred().uid.real)
}

/// Returns the real group ID.
pub fn sys_getgid() -> SysResult {
    Ok(cred().gid.real)
}

/// Returns the effective user ID.
pub fn sys_geteuid() -> SysResult {
    Ok(cred().uid.effective)
}

/// Returns the effective group ID.
pub fn sys_getegid() -> SysResult {
    Ok(cred().gid.effective)
}

/// Sets the user IDs as setuid(2).
pub fn sys_setuid(id: u32) -> SysResult {
    change(|c| c.setuid(id))
}

/// Sets the group IDs as setgid(2).
pub fn sys_setgid(id: u32) -> SysResult {
    change(|c| c.setgid(id))
}

/// Sets the user ID for file access; returns the former one, even if it stays.
pub fn sys_setfsuid(id: u32) -> SysResult {
    let mut old = 0;
    change(|c| {
        old = c.setfsuid(id);
        Ok(())
    })?;
    Ok(old)
}

/// Sets the group ID for file access; returns the former one, even if it stays.
pub fn sys_setfsgid(id: u32) -> SysResult {
    let mut old = 0;
    change(|c| {
        old = c.setfsgid(id);
        Ok(())
    })?;
    Ok(old)
}

/// Sets the real and effective user IDs.
pub fn sys_setreuid(real: u32, effective: u32) -> SysResult {
    change(|c| c.setreuid(real, effective))
}

/// Sets the real and effective group IDs.
pub fn sys_setregid(real: u32, effective: u32) -> SysResult {
    change(|c| c.setregid(real, effective))
}

/// Sets the real, effective and saved user IDs.
pub fn sys_setresuid(real: u32, effective: u32, saved: u32) -> SysResult {
    change(|c| c.setresuid([real, effective, saved]))
}

/// Sets the real, effective and saved group IDs.
pub fn sys_setresgid(real: u32, effective: u32, saved: u32) -> SysResult {
    change(|c| c.setresgid([real, effective, saved]))
}

/// Stores the real, effective and saved user IDs.
pub fn sys_getresuid(real: u32, effective: u32, saved: u32) -> SysResult {
    put_ids(cred().uid, real, effective, saved)
}

/// Stores the real, effective and saved group IDs.
pub fn sys_getresgid(real: u32, effective: u32, saved: u32) -> SysResult {
    put_ids(cred().gid, real, effective, saved)
}

//! perf_event_open: counts the events of a task.
//!
//! Linux: 5.4 `kernel/events/core.c`, with `kernel.perf_event_paranoid` at its default of 2.

use core::sync::atomic::Ordering;

use super::SysResult;
use super::read_write::{fget, files};
use crate::arch::x86::current::current;
use crate::base::errno::Errno;
use crate::base::percpu::NR_CPUS;
use crate::fs::file::{File, Object};
use crate::fs::perf_event::{PerfEventFile, perf_copy_attr};
use crate::mm::fallible::try_arc;
use crate::process::ptrace::{PtraceMode, ptrace_may_access};
use crate::process::tasklist::find_task_by_pid;
use crate::sched::hooks::perf_event::PerfEvent;
use crate::task::task_struct::TaskRef;

const FLAG_FD_NO_GROUP: u32 = 1;
const FLAG_FD_OUTPUT: u32 = 2;
const FLAG_PID_CGROUP: u32 = 4;
const FLAG_FD_CLOEXEC: u32 = 8;
const O_RDWR: u32 = 2;

/// Opens an event that counts for task `pid` (0: the caller), on CPU `cpu` only or, with -1, on any
/// CPU; it joins the group of `group_fd`, unless that is -1.
///
/// # Errors
/// E2BIG (with the supported size written to the structure), EINVAL, EFAULT; EACCES for counting
/// the kernel, or another user's task, without privilege; EBADF for `group_fd`, and for a control
/// group, since no descriptor leads to one; ESRCH; ENOENT for an unknown event; EOPNOTSUPP for
/// samples and whole CPUs; EMFILE, ENOMEM.
pub fn sys_perf_event_open(attr: u32, pid: u32, cpu: u32, group_fd: u32, flags: u32) -> SysResult {
    let known = FLAG_FD_NO_GROUP | FLAG_FD_OUTPUT | FLAG_PID_CGROUP | FLAG_FD_CLOEXEC;
    if flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let attr = perf_copy_attr(attr)?;
    let privileged = current().cred().capable();
    if !attr.exclude_kernel() && !privileged {
        return Err(Errno::EACCES);
    }
    attr.check_period()?;
    let of_cgroup = flags & FLAG_PID_CGROUP != 0;
    if of_cgroup && (pid == u32::MAX || cpu == u32::MAX) {
        return Err(Errno::EINVAL);
    }
    let leader_file = match group_fd {
        u32::MAX => None,
        fd => Some(fget(fd)?),
    };
    let leader = match leader_file.as_ref().map(|file| &file.object) {
        None => None,
        Some(Object::PerfEvent(leader)) => Some(leader.event()),
        Some(_) => return Err(Errno::EBADF),
    };
    let leader = leader.filter(|_| flags & FLAG_FD_NO_GROUP == 0);
    let task = match pid as i32 {
        -1 => None,
        _ if of_cgroup => None,
        _ => Some(find_lively_task(pid)?),
    };
    if let (Some(_), Some(leader)) = (&task, leader)
        && leader.attr.inherit() != attr.inherit()
    {
        return Err(Errno::EINVAL);
    }
    if let Some(task) = &task
        && !ptrace_may_access(task, PtraceMode::RealCreds)
    {
        return Err(Errno::EACCES);
    }
    let cpu = match cpu {
        u32::MAX if task.is_some() => None,
        cpu if cpu < NR_CPUS as u32 => Some(cpu),
        _ => return Err(Errno::EINVAL),
    };
    if of_cgroup {
        return Err(Errno::EBADF);
    }
    attr.event()?;
    // No task means all tasks on one CPU.
    let task = task.ok_or(if privileged {
        Errno::EOPNOTSUPP
    } else {
        Errno::EACCES
    })?;
    let event = PerfEvent::open(&task, attr, cpu, leader)?;
    let event = PerfEventFile::new(event);
    if let Some(file) = leader_file.filter(|_| flags & FLAG_FD_OUTPUT != 0) {
        event.set_output(Some(&file))?;
    }
    let object = Object::PerfEvent(event);
    let file = try_arc(File::new(object, O_RDWR))?;
    files()?.install(file, 0, flags & FLAG_FD_CLOEXEC != 0)
}

fn find_lively_task(pid: u32) -> Result<TaskRef, Errno> {
    match pid as i32 {
        0 => Ok(current().get_task_struct()),
        pid => find_task_by_pid(pid)
            .filter(|task| task.exit_state.load(Ordering::Relaxed) == 0)
            .ok_or(Errno::ESRCH),
    }
}

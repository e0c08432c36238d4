//! getrlimit, setrlimit, prlimit64: the limits of a process.
//!
//! Linux: 2.6.38 `kernel/sys.c` (`do_prlimit`, `check_prlimit_permission`).

use super::SysResult;
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{get_user, put_user};
use crate::base::errno::Errno;
use crate::fs::fd_table::NR_OPEN;
use crate::process::itimer_cpu::update_rlimit_cpu;
use crate::process::tasklist::find_task_by_pid;
use crate::task::cred::Cred;
use crate::task::rlimit::{RLIM_INFINITY, RLIM_NLIMITS, RLIMIT_CPU, RLIMIT_NOFILE, Rlimit};
use crate::task::task_struct::TaskRef;

/// Returns the place of the limit with number `resource`. EINVAL.
fn index(resource: u32) -> Result<usize, Errno> {
    let index = resource as usize;
    match index < RLIM_NLIMITS {
        true => Ok(index),
        false => Err(Errno::EINVAL),
    }
}

fn get(resource: u32) -> Result<Rlimit, Errno> {
    Ok(current().signal.rlim.get(index(resource)?))
}

/// Sets a limit of the process of `leader`, and returns the former one.
fn set(leader: &TaskRef, resource: u32, mut new: Rlimit) -> Result<Rlimit, Errno> {
    let resource = index(resource)?;
    if new.cur > new.max {
        return Err(Errno::EINVAL);
    }
    if resource == RLIMIT_NOFILE && new.max > NR_OPEN {
        return Err(Errno::EPERM);
    }
    if resource == RLIMIT_CPU {
        // A limit of no time would not bind: the first tick is over it.
        new.cur = new.cur.max(1);
        new.max = new.max.max(new.cur);
    }
    let rlim = &leader.signal.rlim;
    let old = rlim.get(resource);
    old.check_change(new, current().cred().capable())?;
    rlim.set(resource, new);
    if resource == RLIMIT_CPU {
        update_rlimit_cpu(leader);
    }
    Ok(old)
}

/// Returns the process `pid`, 0 for the caller's, if the caller may see and set its limits.
///
/// # Errors
/// ESRCH; EPERM for a process that has other rights than the caller's user.
fn find(pid: u32) -> Result<TaskRef, Errno> {
    let me = current();
    let task = match pid as i32 {
        0 => find_task_by_pid(me.tgid),
        pid => find_task_by_pid(pid),
    };
    let task = task.ok_or(Errno::ESRCH)?;
    let leader = find_task_by_pid(task.tgid).ok_or(Errno::ESRCH)?;
    // Two statements, never both locks at once: the two may be the same task.
    let mine = me.cred();
    let theirs = task.cred();
    let is_own = task.tgid == me.tgid || Cred::is_only(&theirs, mine.uid.real, mine.gid.real);
    match is_own || mine.capable() {
        true => Ok(leader),
        false => Err(Errno::EPERM),
    }
}

/// Stores a limit as two 32-bit words.
pub fn sys_getrlimit(resource: u32, rlim: u32) -> SysResult {
    let Rlimit { cur, max } = get(resource)?;
    put_user(rlim, [cur, max])?;
    Ok(0)
}

/// Stores a limit for old programs, which read it as a `long`: at most 0x7fffffff.
pub fn sys_old_getrlimit(resource: u32, rlim: u32) -> SysResult {
    let Rlimit { cur, max } = get(resource)?;
    put_user(rlim, [cur, max].map(|word| word.min(i32::MAX as u32)))?;
    Ok(0)
}

/// Sets a limit of the caller's process from two 32-bit words.
///
/// # Errors
/// EFAULT; EINVAL for an unknown resource or a value above its maximum; EPERM for a higher maximum
/// without privilege, and for more descriptors than there can be.
pub fn sys_setrlimit(resource: u32, rlim: u32) -> SysResult {
    let [cur, max] = get_user(rlim)?;
    set(&find(0)?, resource, Rlimit { cur, max })?;
    Ok(0)
}

/// Sets, if `new` is not null, and stores at `old`, if that is not null, a limit of process `pid`, in
/// 64 bits. A value that needs more than 32 bits is no limit.
///
/// # Errors
/// As [`sys_setrlimit`]; ESRCH; EPERM for another user's process.
pub fn sys_prlimit64(pid: u32, resource: u32, new: u32, old: u32) -> SysResult {
    let narrow = |value: u64| u32::try_from(value).unwrap_or(RLIM_INFINITY);
    let wide = |value: u32| match value {
        RLIM_INFINITY => u64::MAX,
        value => value.into(),
    };
    let new = match new {
        0 => None,
        at => Some(get_user::<[u64; 2]>(at)?.map(narrow)),
    };
    let leader = find(pid)?;
    let was = match new {
        Some([cur, max]) => set(&leader, resource, Rlimit { cur, max })?,
        None => leader.signal.rlim.get(index(resource)?),
    };
    if old != 0 {
        put_user(old, [was.cur, was.max].map(wide))?;
    }
    Ok(0)
}

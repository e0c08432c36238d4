//! sched_yield, sched_setscheduler and similar calls, nanosleep.
//!
//! Book: ch. 7, "System Calls Related to Scheduling". Linux: 2.6.38 `kernel/sched.c`.

use super::SysResult;
use super::restart::{end_us, keep_end, take_end};
use super::timespec::{Timespec32, Timespec64};
use super::user_time::{get_ns, put_us, ticks};
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{copy_from_user, get_user, put_user};
use crate::base::errno::Errno;
use crate::base::percpu::smp_processor_id;
use crate::base::thread_info::{TIF_SIGPENDING, test_flag};
use crate::drivers::tsc::since_boot_us;
use crate::process::tasklist::find_task_by_pid;
use crate::sched::migration::{get_cpus_allowed, set_cpus_allowed};
use crate::sched::policy::{check_scheduler, get_scheduler, set_scheduler, yield_current};
use crate::sched::timer::{TICK_US, schedule_timeout};
use crate::task::rlimit::RLIMIT_RTPRIO;
use crate::task::sched_entity::{
    SCHED_BATCH, SCHED_FIFO, SCHED_IDLE, SCHED_NORMAL, SCHED_RR, rt_policy,
};
use crate::task::state::TASK_INTERRUPTIBLE;
use crate::task::task_struct::TaskRef;

/// Lets other tasks run first.
pub fn sys_sched_yield() -> SysResult {
    yield_current();
    Ok(0)
}

fn find(pid: u32) -> Result<TaskRef, Errno> {
    match pid as i32 {
        0 => Ok(current().get_task_struct()),
        pid if pid < 0 => Err(Errno::EINVAL),
        pid => find_task_by_pid(pid).ok_or(Errno::ESRCH),
    }
}

fn change(pid: u32, policy: Option<u32>, param: u32) -> SysResult {
    if param == 0 || (pid as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let priority: u32 = get_user(param)?;
    let task = find(pid)?;
    let policy = policy.unwrap_or_else(|| get_scheduler(&task).0);
    let priority = priority as i32;
    // Checked before permissions, as in Linux.
    check_scheduler(policy, priority)?;
    // Two statements, never both locks at once: the two may be the same task.
    let mine = current().cred();
    let theirs = task.cred();
    if !mine.capable() {
        let (was, was_priority, _) = get_scheduler(&task);
        let limit = task.signal.rlim.cur(RLIMIT_RTPRIO).min(i32::MAX as u32) as i32;
        // Leaving SCHED_IDLE is a gain, as is a lower nice value.
        let gains = match rt_policy(policy) {
            true => policy != was && limit == 0 || priority > (was_priority as i32).max(limit),
            false => was == SCHED_IDLE && policy != SCHED_IDLE,
        };
        if gains || !mine.check_same_owner(&theirs) {
            return Err(Errno::EPERM);
        }
    }
    set_scheduler(&task, policy, priority)?;
    Ok(0)
}

/// Sets policy and priority.
///
/// # Errors
/// EINVAL, EFAULT, ESRCH, EPERM for another user's task, and for a real-time priority above
/// `RLIMIT_RTPRIO`, without privilege.
pub fn sys_sched_setscheduler(pid: u32, policy: u32, param: u32) -> SysResult {
    if policy as i32 <= -1 {
        return Err(Errno::EINVAL);
    }
    change(pid, Some(policy), param)
}

/// Sets the priority within the policy.
pub fn sys_sched_setparam(pid: u32, param: u32) -> SysResult {
    change(pid, None, param)
}

/// Returns the policy of a task.
pub fn sys_sched_getscheduler(pid: u32) -> SysResult {
    Ok(get_scheduler(&*find(pid)?).0)
}

/// Stores the real-time priority of a task.
pub fn sys_sched_getparam(pid: u32, param: u32) -> SysResult {
    if param == 0 {
        return Err(Errno::EINVAL);
    }
    put_user(param, get_scheduler(&*find(pid)?).1)?;
    Ok(0)
}

/// Returns the best priority of a policy.
pub fn sys_sched_get_priority_max(policy: u32) -> SysResult {
    match policy {
        SCHED_FIFO | SCHED_RR => Ok(99),
        SCHED_NORMAL | SCHED_BATCH | SCHED_IDLE => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// Returns the worst priority of a policy.
pub fn sys_sched_get_priority_min(policy: u32) -> SysResult {
    match policy {
        SCHED_FIFO | SCHED_RR => Ok(1),
        SCHED_NORMAL | SCHED_BATCH | SCHED_IDLE => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// Stores the length of the round-robin slice.
pub fn sys_sched_rr_get_interval(pid: u32, interval: u32) -> SysResult {
    put_us::<Timespec32>(interval, slice_us(pid)?)?;
    Ok(0)
}

/// Stores the length of the round-robin slice, in 64 bits.
pub fn sys_sched_rr_get_interval64(pid: u32, interval: u32) -> SysResult {
    put_us::<Timespec64>(interval, slice_us(pid)?)?;
    Ok(0)
}

fn slice_us(pid: u32) -> Result<u64, Errno> {
    let (policy, _, _) = get_scheduler(&*find(pid)?);
    Ok(if policy == SCHED_FIFO { 0 } else { 100_000 })
}

/// Sleeps for the time at `request`; stores the time left after a signal at `remaining`.
///
/// # Errors
/// EFAULT, EINVAL for an invalid time, ERESTARTNOHAND.
pub fn sys_nanosleep(request: u32, remaining: u32) -> SysResult {
    let taken = take_end();
    let ticks = ticks(get_ns::<Timespec32>(request)?);
    do_nanosleep(taken, ticks, remaining, put_us::<Timespec32>)
}

/// Sleeps for `ticks`, or until the end that was `taken`; stores the time left after a signal at
/// `remaining` by `put_us`, unless that address is null.
///
/// The end is a clock time: late ticks that come all at once must not end a sleep early.
#[inline(never)]
pub fn do_nanosleep(
    taken: Option<u64>,
    ticks: u64,
    remaining: u32,
    put_us: fn(u32, u64) -> Result<(), Errno>,
) -> SysResult {
    let me = current();
    let end_us = end_us(taken, ticks);
    loop {
        let left_us = end_us.saturating_sub(since_boot_us());
        if left_us == 0 {
            return Ok(0);
        }
        if test_flag(me.thread_info(), TIF_SIGPENDING) {
            if remaining != 0 {
                put_us(remaining, left_us)?;
            }
            keep_end(end_us);
            return Err(Errno::ERESTARTNOHAND);
        }
        me.state.set_current_state(TASK_INTERRUPTIBLE);
        schedule_timeout(left_us.div_ceil(TICK_US));
    }
}

/// Finds a task as [`find`] does, for the calls that treat a negative number like any unused one.
fn find_any(pid: u32) -> Result<TaskRef, Errno> {
    find(pid).map_err(|_| Errno::ESRCH)
}

/// Sets the CPUs that a task may run on: a mask of `length` bytes.
///
/// # Errors
/// EFAULT, ESRCH, EPERM for another user's task, EINVAL when the mask has no online CPU.
pub fn sys_sched_setaffinity(pid: u32, length: u32, mask: u32) -> SysResult {
    let mut bytes = [0u8; 4];
    let used = bytes.len().min(length as usize);
    copy_from_user(&mut bytes[..used], mask)?;
    let task = find_any(pid)?;
    let mine = current().cred();
    let theirs = task.cred();
    if !mine.capable() && !mine.check_same_owner(&theirs) {
        return Err(Errno::EPERM);
    }
    set_cpus_allowed(&task, u32::from_le_bytes(bytes))?;
    Ok(0)
}

/// Stores the CPUs that a task may run on; returns the number of bytes stored.
///
/// # Errors
/// EINVAL for a length that is not a multiple of 4, EFAULT, ESRCH.
pub fn sys_sched_getaffinity(pid: u32, length: u32, mask: u32) -> SysResult {
    if length < 4 || !length.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    put_user(mask, get_cpus_allowed(&*find_any(pid)?))?;
    Ok(4)
}

/// Stores the running CPU's number, and its node's, which is 0; the third argument is obsolete.
///
/// # Errors
/// EFAULT.
pub fn sys_getcpu(cpu: u32, node: u32, _cache: u32) -> SysResult {
    if cpu != 0 {
        put_user(cpu, smp_processor_id())?;
    }
    if node != 0 {
        put_user(node, 0u32)?;
    }
    Ok(0)
}

//! epoll_create, epoll_ctl, epoll_wait: watching many files at once.
//!
//! Linux: 2.6.38 `fs/eventpoll.c`; epoll_ctl(2), epoll_wait(2).

use super::SysResult;
use super::poll::{ms_end, poll_schedule_timeout, with_mask};
use super::read_write::{fget, files};
use crate::arch::x86::entry::uaccess::{access_ok, get_user, put_user};
use crate::base::errno::Errno;
use crate::fs::epoll::{EpollEvent, EventPoll};
use crate::fs::file::{File, O_CLOEXEC, Object};
use crate::mm::fallible::try_arc;

const EPOLL_CTL_ADD: u32 = 1;
const EPOLL_CTL_DEL: u32 = 2;
const EPOLL_CTL_MOD: u32 = 3;
const EVENT_BYTES: u32 = size_of::<EpollEvent>() as u32;
const _: () = assert!(EVENT_BYTES == 12);

/// Makes a list; `size` is ignored, but must be positive.
///
/// # Errors
/// EINVAL, EMFILE, ENOMEM.
pub fn sys_epoll_create(size: u32) -> SysResult {
    match size as i32 {
        ..=0 => Err(Errno::EINVAL),
        _ => sys_epoll_create1(0),
    }
}

/// Makes a list; `flags` may have EPOLL_CLOEXEC.
///
/// # Errors
/// EINVAL, EMFILE, ENOMEM.
pub fn sys_epoll_create1(flags: u32) -> SysResult {
    if flags & !O_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    let file = File::new(Object::Epoll(EventPoll::new()), 2);
    files()?.install(try_arc(file)?, 0, flags != 0)
}

/// Calls `body` with the list behind a descriptor. EBADF, EINVAL.
fn with_list<T>(epfd: u32, body: impl FnOnce(&EventPoll) -> Result<T, Errno>) -> Result<T, Errno> {
    match &fget(epfd)?.object {
        Object::Epoll(list) => body(list),
        _ => Err(Errno::EINVAL),
    }
}

/// Adds a file to a list, changes the events it is watched for, or removes it.
///
/// # Errors
/// EFAULT, EBADF, EPERM for a file that is always ready, EINVAL, EEXIST, ENOENT, ENOSPC, ENOMEM.
pub fn sys_epoll_ctl(epfd: u32, op: u32, fd: u32, event: u32) -> SysResult {
    let event = match op {
        EPOLL_CTL_DEL => EpollEvent {
            events: 0,
            data: [0; 2],
        },
        _ => get_user(event)?,
    };
    fget(epfd)?;
    let file = fget(fd)?;
    with_list(epfd, |list| match op {
        EPOLL_CTL_ADD => list.add(fd, &file, event),
        EPOLL_CTL_DEL => list.delete(fd, &file),
        EPOLL_CTL_MOD => list.modify(fd, &file, event),
        _ => Err(Errno::EINVAL),
    })?;
    Ok(0)
}

/// Waits until files of a list have events, and stores at most `most` of them; returns their
/// number.
///
/// # Errors
/// EINVAL, EFAULT, EBADF, EINTR.
pub fn sys_epoll_wait(epfd: u32, events: u32, most: u32, timeout_ms: u32) -> SysResult {
    if !(1..=i32::MAX as u32 / EVENT_BYTES).contains(&most) {
        return Err(Errno::EINVAL);
    }
    access_ok(events, most.saturating_mul(EVENT_BYTES))?;
    let end = ms_end(None, timeout_ms);
    with_list(epfd, |list| {
        poll_schedule_timeout(end, || {
            let (mut left, mut told) = (list.nr_watched(), 0_u32);
            while told < most
                && let Some(event) = list.next_ready(&mut left)
            {
                match put_user(events.wrapping_add(told.wrapping_mul(EVENT_BYTES)), event) {
                    Err(errno) if told == 0 => return Err(errno),
                    Err(_) => break,
                    Ok(()) => told = told.saturating_add(1),
                }
            }
            Ok(told)
        })
    })
    .map_err(|errno| match errno {
        // A wait on a list is never restarted: the program gets EINTR.
        Errno::ERESTARTNOHAND => super::restart::forget_end(Errno::EINTR),
        other => other,
    })
}

/// Waits as [`sys_epoll_wait`] does, with a set of signals blocked meanwhile.
pub fn sys_epoll_pwait(
    epfd: u32,
    events: u32,
    most: u32,
    timeout_ms: u32,
    mask: u32,
    mask_bytes: u32,
) -> SysResult {
    with_mask(mask, mask_bytes, || {
        sys_epoll_wait(epfd, events, most, timeout_ms)
    })
}

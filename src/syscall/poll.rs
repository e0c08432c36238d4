//! poll and select: waiting for the first of several files.
//!
//! While none is ready the caller sleeps and looks again at each tick. Wait queues of several
//! files at once would wake it sooner; at a few files and 250 ticks a second nobody notices.
//!
//! Linux: 2.6.38 `fs/select.c`.

use super::SysResult;
use super::errno::Errno;
use super::read_write::{fget, files};
use super::restart::{end_us, keep_end, take_end};
use super::sched::{ns_to_ticks, ticks_of};
use super::time::timespec_of;
use crate::arch::x86::current::current;
use crate::arch::x86::uaccess::{copy_from_user, copy_to_user, get_user, put_user};
use crate::drivers::tsc::since_boot_us;
use crate::fs::fd_table::NR_OPEN;
use crate::process::signal::{set_blocked, signal_pending};
use crate::process::sigset::SigSet;
use crate::sched::timer::schedule_timeout;
use crate::task::state::{TASK_INTERRUPTIBLE, TASK_RUNNING};
use core::sync::atomic::Ordering;

const POLLIN: u32 = 0x1;
const POLLOUT: u32 = 0x4;
const POLLERR: u32 = 0x8;
const POLLHUP: u32 = 0x10;
const POLLNVAL: u32 = 0x20;
const POLLRDNORM: u32 = 0x40;
const POLLWRNORM: u32 = 0x100;

/// poll: `timeout_ms` negative waits for ever.
pub fn sys_poll(fds: u32, count: u32, timeout_ms: u32) -> SysResult {
    let taken = take_end();
    let end = match timeout_ms as i32 {
        ..0 => None,
        ms => Some(end_us(
            taken,
            ns_to_ticks(u64::from(ms as u32).saturating_mul(1_000_000)),
        )),
    };
    do_poll(fds, count, end)
}

/// ppoll with 32-bit times: a timespec, and a set of signals to block meanwhile.
pub fn sys_ppoll(fds: u32, count: u32, address: u32, mask: u32, mask_bytes: u32) -> SysResult {
    let taken = take_end();
    let end = timespec(address)?.map(|ticks| end_us(taken, ticks));
    let result = with_mask(mask, mask_bytes, || do_poll(fds, count, end));
    tell_rest(result, end, |rest| put_user(address, rest))
}

/// _newselect: three sets of descriptors, and a timeval, in which the time that was left is stored.
pub fn sys_newselect(count: u32, read: u32, write: u32, except: u32, address: u32) -> SysResult {
    let taken = take_end();
    let timeout = match address {
        0 => None,
        address => match get_user::<[i32; 2]>(address)? {
            [seconds @ 0..=i32::MAX, micros @ 0..1_000_000] => Some(ticks_of(
                seconds as u32,
                (micros as u32).saturating_mul(1000),
            )?),
            _ => return Err(Errno::EINVAL),
        },
    };
    let end = timeout.map(|ticks| end_us(taken, ticks));
    let result = do_select(count, [read, write, except], end);
    tell_rest(result, end, |[seconds, nanos]| {
        put_user(address, [seconds, nanos / 1000])
    })
}

/// pselect6: the same with a timespec, and a pointer to a set of signals and its size.
pub fn sys_pselect6(
    count: u32,
    read: u32,
    write: u32,
    except: u32,
    address: u32,
    signals: u32,
) -> SysResult {
    let taken = take_end();
    let end = timespec(address)?.map(|ticks| end_us(taken, ticks));
    let [mask, bytes] = if signals != 0 {
        get_user::<[u32; 2]>(signals)?
    } else {
        [0, 0]
    };
    let result = with_mask(mask, bytes, || do_select(count, [read, write, except], end));
    tell_rest(result, end, |rest| put_user(address, rest))
}

fn do_poll(fds: u32, count: u32, end: Option<u64>) -> SysResult {
    if count > NR_OPEN {
        return Err(Errno::EINVAL);
    }
    poll_schedule_timeout(end, || {
        let mut ready = 0_u32;
        for i in 0..count {
            let at = fds.wrapping_add(i.wrapping_mul(8));
            let [fd, events] = get_user::<[u32; 2]>(at)?;
            let result = if (fd as i32) < 0 {
                0
            } else {
                revents(fd, events & 0xffff)
            };
            put_user(at.wrapping_add(6), result as u16)?;
            ready = ready.wrapping_add(u32::from(result != 0));
        }
        Ok(ready)
    })
}

fn do_select(count: u32, sets: [u32; 3], end: Option<u64>) -> SysResult {
    if count as i32 <= -1 {
        return Err(Errno::EINVAL);
    }
    let count = count.min(NR_OPEN);
    let bytes = (count.div_ceil(32) as usize) << 2;
    let mut wanted = [[0u8; NR_OPEN as usize / 8]; 3];
    for (set, address) in wanted
        .iter_mut()
        .zip(sets)
        .filter(|(_, address)| *address != 0)
    {
        copy_from_user(&mut set[..bytes], address)?;
    }
    let mut found = [[0u8; NR_OPEN as usize / 8]; 3];
    let ready = poll_schedule_timeout(end, || {
        let mut ready = 0_u32;
        for fd in 0..count {
            let (byte, bit) = (fd as usize / 8, 1 << (fd % 8));
            let asked = [0, 1, 2].map(|set: usize| wanted[set][byte] & bit != 0);
            if asked == [false; 3] {
                continue;
            }
            let events = revents(fd, POLLIN | POLLOUT);
            if events & POLLNVAL != 0 {
                return Err(Errno::EBADF);
            }
            let is = [
                events & (POLLIN | POLLHUP | POLLERR) != 0,
                events & (POLLOUT | POLLERR) != 0,
                false,
            ];
            for set in (0..3).filter(|set| asked[*set] && is[*set]) {
                found[set][byte] |= bit;
                ready = ready.wrapping_add(1);
            }
        }
        Ok(ready)
    })?;
    for (set, address) in found.iter().zip(sets).filter(|(_, address)| *address != 0) {
        copy_to_user(address, &set[..bytes])?;
    }
    Ok(ready)
}

/// Which of `events` hold for a descriptor, and what is told unasked.
fn revents(fd: u32, events: u32) -> u32 {
    let Ok(file) = fget(fd) else { return POLLNVAL };
    let (readable, writable, hung_up) = file.poll();
    let mut result = 0;
    if readable {
        result |= POLLIN | POLLRDNORM;
    }
    if writable {
        result |= POLLOUT | POLLWRNORM;
    }
    let unasked = match (hung_up, writable) {
        (false, _) => 0,
        (true, false) => POLLHUP,
        (true, true) => POLLERR,
    };
    result & events | unasked
}

/// Calls `look` until it finds something, fails, or the time ends (in microseconds since boot; none:
/// never).
#[inline(never)]
fn poll_schedule_timeout(end: Option<u64>, mut look: impl FnMut() -> SysResult) -> SysResult {
    files()?;
    let me = current();
    loop {
        let ready = look()?;
        if ready > 0 || end.is_some_and(|end_us| since_boot_us() >= end_us) {
            return Ok(ready);
        }
        me.state.store(TASK_INTERRUPTIBLE, Ordering::SeqCst);
        if signal_pending(&me) {
            me.state.store(TASK_RUNNING, Ordering::Relaxed);
            if let Some(end_us) = end {
                keep_end(end_us);
            }
            return Err(Errno::ERESTARTNOHAND);
        }
        schedule_timeout(1);
    }
}

/// Has what is left of a time stored, in seconds and nanoseconds. Who gave one that cannot be written
/// does not want to know; but then the call is not run again either, as in Linux.
fn tell_rest(
    result: SysResult,
    end: Option<u64>,
    put: impl FnOnce([u32; 2]) -> Result<(), Errno>,
) -> SysResult {
    let Some(end_us) = end else { return result };
    let left_us = end_us.saturating_sub(since_boot_us());
    let rest = timespec_of(left_us);
    match (put(rest.map(|part| part as u32)), result) {
        (Err(_), Err(Errno::ERESTARTNOHAND)) => {
            let _forgotten = take_end();
            Err(Errno::EINTR)
        }
        _ => result,
    }
}

/// Runs `wait` with the signals of the set at `mask` blocked instead of the usual ones; 0: does not.
fn with_mask(mask: u32, bytes: u32, wait: impl FnOnce() -> SysResult) -> SysResult {
    if mask == 0 {
        return wait();
    }
    if bytes != 8 {
        return Err(Errno::EINVAL);
    }
    let me = current();
    let new = SigSet(get_user::<u64>(mask)?);
    let old = me.signals.lock().blocked;
    set_blocked(me, new);
    let result = wait();
    match result {
        // The handler runs under `new`; delivery puts `old` back.
        Err(Errno::ERESTARTNOHAND) => me.signals.lock().saved_blocked = Some(old),
        _ => set_blocked(me, old),
    }
    result
}

/// A timespec as ticks; none if `address` is 0.
fn timespec(address: u32) -> Result<Option<u64>, Errno> {
    match address {
        0 => Ok(None),
        _ => {
            let [seconds, nanos] = get_user::<[u32; 2]>(address)?;
            ticks_of(seconds, nanos).map(Some)
        }
    }
}

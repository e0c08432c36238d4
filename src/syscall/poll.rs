//! poll and select: waiting for the first of several files.
//!
//! While no file is ready the caller sleeps and checks again at each tick. Wait queues of several
//! files at once would wake it sooner; with a few files and 250 ticks a second the difference is
//! small.
//!
//! Linux: 2.6.38 `fs/select.c`.

use super::SysResult;
use super::read_write::{fget, files};
use super::restart::{end_us, keep_end, take_end};
use super::timespec::{Timespec32, Timespec64, Timeval32, UserTime};
use super::user_time::{get_ticks, put_us, ticks};
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{Pod, copy_from_user, copy_to_user, get_user, put_user};
use crate::base::errno::Errno;
use crate::drivers::tsc::since_boot_us;
use crate::fs::fd_table::NR_OPEN;
use crate::fs::poll_events::PollEvents;
use crate::process::signal::{set_blocked, signal_pending};
use crate::process::sigset::SigSet;
use crate::sched::timer::schedule_timeout;
use crate::task::state::TASK_INTERRUPTIBLE;

/// Waits for events of several files; a negative `timeout_ms` waits for ever.
pub fn sys_poll(fds: u32, count: u32, timeout_ms: u32) -> SysResult {
    let end = ms_end(take_end(), timeout_ms);
    do_poll(fds, count, end)
}

/// Returns the end of a wait of `timeout_ms`, in microseconds since boot, unless an interrupted
/// call has `taken` one; `None` for a negative time, which never ends.
pub fn ms_end(taken: Option<u64>, timeout_ms: u32) -> Option<u64> {
    match timeout_ms as i32 {
        ..0 => None,
        ms => Some(end_us(
            taken,
            ticks(u64::from(ms as u32).saturating_mul(1_000_000)),
        )),
    }
}

/// Waits as poll does, with a 32-bit timespec and a set of signals to block meanwhile.
pub fn sys_ppoll(fds: u32, count: u32, address: u32, mask: u32, mask_bytes: u32) -> SysResult {
    ppoll::<Timespec32>(fds, count, address, mask, mask_bytes)
}

/// Waits as [`sys_ppoll`] does, with a 64-bit timespec.
pub fn sys_ppoll64(fds: u32, count: u32, address: u32, mask: u32, mask_bytes: u32) -> SysResult {
    ppoll::<Timespec64>(fds, count, address, mask, mask_bytes)
}

fn ppoll<T: UserTime + Pod>(
    fds: u32,
    count: u32,
    address: u32,
    mask: u32,
    mask_bytes: u32,
) -> SysResult {
    let end = wait_end::<T>(address)?;
    let result = with_mask(mask, mask_bytes, || do_poll(fds, count, end));
    tell_rest::<T>(result, end, address)
}

/// Waits for events of three sets of descriptors, for at most a timeval, in which the remaining
/// time is stored.
pub fn sys_newselect(count: u32, read: u32, write: u32, except: u32, address: u32) -> SysResult {
    let end = wait_end::<Timeval32>(address)?;
    let result = do_select(count, [read, write, except], end);
    tell_rest::<Timeval32>(result, end, address)
}

/// Waits as [`sys_newselect`] does, with a timespec, and a pointer to a set of signals and its
/// size.
pub fn sys_pselect6(
    count: u32,
    read: u32,
    write: u32,
    except: u32,
    address: u32,
    signals: u32,
) -> SysResult {
    pselect6::<Timespec32>(count, [read, write, except], address, signals)
}

/// Waits as [`sys_pselect6`] does, with a 64-bit time.
pub fn sys_pselect6_64(
    count: u32,
    read: u32,
    write: u32,
    except: u32,
    address: u32,
    signals: u32,
) -> SysResult {
    pselect6::<Timespec64>(count, [read, write, except], address, signals)
}

fn pselect6<T: UserTime + Pod>(
    count: u32,
    sets: [u32; 3],
    address: u32,
    signals: u32,
) -> SysResult {
    let end = wait_end::<T>(address)?;
    let [mask, bytes] = if signals != 0 {
        get_user::<[u32; 2]>(signals)?
    } else {
        [0, 0]
    };
    let result = with_mask(mask, bytes, || do_select(count, sets, end));
    tell_rest::<T>(result, end, address)
}

/// Returns the end of a wait of the time at `address`, in microseconds since boot; `None` for a
/// null pointer.
fn wait_end<T: UserTime + Pod>(address: u32) -> Result<Option<u64>, Errno> {
    let taken = take_end();
    Ok(get_ticks::<T>(address)?.map(|ticks| end_us(taken, ticks)))
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
                PollEvents::empty()
            } else {
                revents(fd, PollEvents::from_bits_truncate(events & 0xffff))
            };
            put_user(at.wrapping_add(6), result.bits() as u16)?;
            ready = ready.wrapping_add(u32::from(!result.is_empty()));
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
            let events = revents(fd, PollEvents::ALWAYS);
            if events.contains(PollEvents::POLLNVAL) {
                return Err(Errno::EBADF);
            }
            let is = [
                events.intersects(PollEvents::READABLE | PollEvents::UNASKED),
                events.intersects(PollEvents::WRITABLE | PollEvents::POLLERR),
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

/// Returns the `events` that hold for a descriptor, and those that are always reported.
fn revents(fd: u32, events: PollEvents) -> PollEvents {
    match fget(fd) {
        Ok(file) => file.poll() & (events | PollEvents::UNASKED),
        Err(_) => PollEvents::POLLNVAL,
    }
}

/// Calls `look` until it finds something, fails, or the time ends (in microseconds since boot;
/// `None` never ends).
#[inline(never)]
pub fn poll_schedule_timeout(end: Option<u64>, mut look: impl FnMut() -> SysResult) -> SysResult {
    files()?;
    let me = current();
    loop {
        let ready = look()?;
        if ready > 0 || end.is_some_and(|end_us| since_boot_us() >= end_us) {
            return Ok(ready);
        }
        me.state.set_current_state(TASK_INTERRUPTIBLE);
        if signal_pending(&me) {
            me.state.set_running();
            if let Some(end_us) = end {
                keep_end(end_us);
            }
            return Err(Errno::ERESTARTNOHAND);
        }
        schedule_timeout(1);
    }
}

/// Stores the remaining time at `address`. If that fails the error is ignored; but then the call is
/// not restarted either, as in Linux.
fn tell_rest<T: UserTime + Pod>(result: SysResult, end: Option<u64>, address: u32) -> SysResult {
    let Some(end_us) = end else { return result };
    let left_us = end_us.saturating_sub(since_boot_us());
    match (put_us::<T>(address, left_us), result) {
        (Err(_), Err(Errno::ERESTARTNOHAND)) => {
            let _forgotten = take_end();
            Err(Errno::EINTR)
        }
        _ => result,
    }
}

/// Runs `wait` with the signals of the set at `mask` blocked instead of the usual ones; with `mask`
/// 0, runs it without a change.
pub fn with_mask(mask: u32, bytes: u32, wait: impl FnOnce() -> SysResult) -> SysResult {
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
        // The handler runs under `new`; signal delivery restores `old`.
        Err(Errno::ERESTARTNOHAND | Errno::EINTR) => me.signals.lock().saved_blocked = Some(old),
        _ => set_blocked(me, old),
    }
    result
}

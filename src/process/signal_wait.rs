//! Sleeping until a signal of a set comes: for rt_sigtimedwait and signalfd.
//!
//! Called in process context with no lock held.
//!
//! Linux: 2.6.38 `do_sigtimedwait`, `fs/signalfd.c` (`signalfd_dequeue`, `signalfd_read`).

use core::sync::atomic::{AtomicU64, Ordering};

use super::signal::{recalc_sigpending, set_blocked, signal_pending};
use super::signal_delivery::dequeue_signal;
use super::signalfd_siginfo::SignalfdSiginfo;
use super::sigset::SigSet;
use crate::arch::x86::current::{Current, current};
use crate::arch::x86::entry::uaccess::put_user;
use crate::base::errno::Errno;
use crate::provides_upward;
use crate::sched::schedule::schedule;
use crate::sched::timer::{HZ, schedule_timeout};
use crate::task::siginfo::SigInfo;
use crate::task::state::TASK_INTERRUPTIBLE;

/// Bytes of a signal that is read.
const SIGINFO_BYTES: u32 = size_of::<SignalfdSiginfo>() as u32;
/// Ticks after which a reader looks at the set of its file again, which another task may change.
const LOOK_AGAIN: u64 = HZ as u64 / 10;

/// Sleeps with the `wanted` signals unblocked, so that they wake it; returns the error to report if
/// no such signal came.
#[inline(never)]
pub fn do_sigtimedwait(me: Current, wanted: SigSet, ticks: Option<u64>) -> Errno {
    let blocked = {
        let mut own = me.signals.lock();
        own.awaited = own.blocked;
        own.blocked
    };
    set_blocked(me, blocked.without(wanted));
    me.state.set_current_state(TASK_INTERRUPTIBLE);
    let left = match ticks {
        None => {
            schedule();
            1
        }
        Some(ticks) => schedule_timeout(ticks),
    };
    me.state.set_running();
    set_blocked(me, blocked);
    me.signals.lock().awaited = SigSet::EMPTY;
    match left {
        0 => Errno::EAGAIN,
        _ => Errno::EINTR,
    }
}

/// Returns whether a signal of `set` is pending for the running task.
#[unsafe(no_mangle)]
extern "Rust" fn has_signal_of(set: u64) -> bool {
    let me = current();
    let own = me.signals.lock().pending.set();
    let shared = me.signal.shared_pending.lock().set();
    own.union(shared).0 & set != 0
}

/// Takes pending signals of `set`, and stores them: see the table of upward calls.
#[unsafe(no_mangle)]
extern "Rust" fn read_signals_of(
    set: &AtomicU64,
    to: u32,
    count: u32,
    nonblocking: bool,
) -> Result<u32, Errno> {
    if count < SIGINFO_BYTES {
        return Err(Errno::EINVAL);
    }
    let mut done = 0_u32;
    while count.saturating_sub(done) >= SIGINFO_BYTES {
        let stored = next_signal(set, nonblocking || done > 0)
            .and_then(|info| put_user(to.wrapping_add(done), SignalfdSiginfo::from(info)));
        match stored {
            Ok(()) => done = done.saturating_add(SIGINFO_BYTES),
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Takes the next pending signal of `set`, or waits for one. Fails with EAGAIN (if `nonblocking`)
/// or ERESTARTSYS.
fn next_signal(set: &AtomicU64, nonblocking: bool) -> Result<SigInfo, Errno> {
    let me = current();
    loop {
        let wanted = SigSet(set.load(Ordering::Relaxed));
        let found = dequeue_signal(me, SigSet(!wanted.0));
        recalc_sigpending(me);
        if let Some(info) = found {
            return Ok(info);
        }
        if nonblocking {
            return Err(Errno::EAGAIN);
        }
        if signal_pending(&me) {
            return Err(Errno::ERESTARTSYS);
        }
        let _looks_again = do_sigtimedwait(me, wanted, Some(LOOK_AGAIN));
    }
}

provides_upward!(has_signal_of);
provides_upward!(read_signals_of);

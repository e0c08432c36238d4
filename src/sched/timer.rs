//! Sleeping until a time comes.
//!
//! Time is counted in ticks of the timer interrupt, `HZ` a second.
//!
//! Book: ch. 6, "Dynamic timers". Linux: 2.6.38 `schedule_timeout`.

extern crate alloc;
use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::schedule::schedule;
use super::wake_up::wake_up_process;
use crate::arch::x86::current::current;
use crate::drivers::tsc::since_boot_us;
use crate::sync::IrqSpinLock;
use crate::task::state::TASK_RUNNING;
use crate::task::task_struct::TaskRef;

/// Timer interrupts a second.
pub const HZ: u32 = 250;

static JIFFIES: AtomicU64 = AtomicU64::new(0);
static SEQUENCE: AtomicU32 = AtomicU32::new(0);
/// Length of a tick in microseconds.
const TICK_US: u64 = 1_000_000 / HZ as u64;
/// Sleepers by (time since boot in microseconds, sequence).
static TIMERS: IrqSpinLock<BTreeMap<(u64, u32), TaskRef>> = IrqSpinLock::new(BTreeMap::new());

/// Ticks since boot.
pub fn jiffies() -> u64 {
    JIFFIES.load(Ordering::Relaxed)
}

/// Sleeps for at most `ticks`, in the state that the caller has set; returns what is left when
/// something else woke the task.
///
/// The end is a time of the clock and not a number of ticks: ticks that come late, and then
/// several at once, must not end a sleep early.
pub fn schedule_timeout(ticks: u64) -> u64 {
    let me = current();
    let expires_us = since_boot_us().saturating_add(ticks.saturating_mul(TICK_US));
    let key = (expires_us, SEQUENCE.fetch_add(1, Ordering::Relaxed));
    TIMERS.lock().insert(key, me.get_task_struct());
    schedule();
    me.state.store(TASK_RUNNING, Ordering::Relaxed);
    let entry = TIMERS.lock().remove(&key);
    drop(entry);
    expires_us.saturating_sub(since_boot_us()).div_ceil(TICK_US)
}

/// Counts a tick and wakes whose time has come. From the timer interrupt of the boot CPU.
pub fn run_timers() {
    JIFFIES.fetch_add(1, Ordering::Relaxed);
    let now_us = since_boot_us();
    loop {
        let due = {
            let mut timers = TIMERS.lock();
            match timers.first_entry() {
                Some(first) if first.key().0 <= now_us => Some(first.remove()),
                _ => None,
            }
        };
        let Some(task) = due else { break };
        wake_up_process(&task);
    }
}

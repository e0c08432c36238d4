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
use crate::sync::IrqSpinLock;
use crate::task::state::TASK_RUNNING;
use crate::task::task_struct::TaskRef;

/// Timer interrupts a second.
pub const HZ: u32 = 250;

static JIFFIES: AtomicU64 = AtomicU64::new(0);
static SEQUENCE: AtomicU32 = AtomicU32::new(0);
/// Sleepers by (tick, sequence).
static TIMERS: IrqSpinLock<BTreeMap<(u64, u32), TaskRef>> = IrqSpinLock::new(BTreeMap::new());

/// Ticks since boot.
pub fn jiffies() -> u64 {
    JIFFIES.load(Ordering::Relaxed)
}

/// Sleeps for at most `ticks`, in the state that the caller has set; returns what is left when
/// something else woke the task.
pub fn schedule_timeout(ticks: u64) -> u64 {
    let me = current();
    // One more: the tick in progress does not count.
    let expires = jiffies() + ticks + 1;
    let key = (expires, SEQUENCE.fetch_add(1, Ordering::Relaxed));
    TIMERS.lock().insert(key, me.get_task_struct());
    schedule();
    me.state.store(TASK_RUNNING, Ordering::Relaxed);
    let entry = TIMERS.lock().remove(&key);
    drop(entry);
    expires.saturating_sub(jiffies()).min(ticks)
}

/// Counts a tick and wakes whose time has come. From the timer interrupt of the boot CPU.
pub fn run_timers() {
    let now = JIFFIES.fetch_add(1, Ordering::Relaxed) + 1;
    loop {
        let due = {
            let mut timers = TIMERS.lock();
            match timers.first_entry() {
                Some(first) if first.key().0 <= now => Some(first.remove()),
                _ => None,
            }
        };
        let Some(task) = due else { break };
        wake_up_process(&task);
    }
}

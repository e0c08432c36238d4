//! Timers: wake sleeping tasks and ring alarms when their time comes.
//!
//! Time is counted in ticks of the timer interrupt, `HZ` a second. Each CPU has its own timers and
//! ends them in its own tick. So many short sleeps slow down the CPU that begins them. If one CPU
//! had all timers, the others could keep it in its tick for ever.
//!
//! Book: ch. 6, "Dynamic timers". Linux: 2.6.38 `schedule_timeout`.

extern crate alloc;
use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicU64, Ordering};

use super::schedule::schedule;
use super::wake_up::wake_up_process;
use crate::arch::x86::current::current;
use crate::base::percpu::{NR_CPUS, smp_processor_id};
use crate::drivers::tsc::since_boot_us;
use crate::sync::{IrqSpinLock, LockClass};
use crate::task::task_struct::TaskRef;

pub use crate::drivers::pit::HZ;

static JIFFIES: AtomicU64 = AtomicU64::new(0);
/// Number of the last timer. It has 64 bits: a repeated number would let a timer replace another of
/// the same moment.
static SEQUENCE: AtomicU64 = AtomicU64::new(0);
/// Length of a tick in microseconds.
pub const TICK_US: u64 = 1_000_000 / HZ as u64;

/// The key of a running timer: its end, and its number among those of the same moment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TimerKey {
    /// End of the timer, in microseconds since boot.
    pub expires_us: u64,
    sequence: u64,
    /// The CPU whose tick ends the timer.
    cpu: u32,
    /// For its function: which of several timers of the task it is.
    pub data: u32,
}

/// The function of a timer. The timer interrupt calls it without a lock.
type Function = fn(&TaskRef, TimerKey);

type Timers = IrqSpinLock<BTreeMap<TimerKey, (TaskRef, Function)>>;

/// The timers of each CPU (Linux: `tvec_bases`).
static TIMERS: [Timers; NR_CPUS] =
    [const { IrqSpinLock::new(LockClass::Timers, BTreeMap::new()) }; NR_CPUS];

/// Makes this CPU call `function` for `task` when the clock has reached `expires_us`. `data` is for
/// the function.
pub fn add_timer(expires_us: u64, task: TaskRef, data: u32, function: Function) -> TimerKey {
    let key = TimerKey {
        expires_us,
        sequence: SEQUENCE.fetch_add(1, Ordering::Relaxed),
        // If the task moves now, its timer stays with the old CPU.
        cpu: smp_processor_id(),
        data,
    };
    TIMERS[key.cpu as usize]
        .lock()
        .insert(key, (task, function));
    key
}

/// Deletes a timer; returns its task, or `None` if the timer has ended. Its function may still be
/// running then.
pub fn del_timer(key: TimerKey) -> Option<TaskRef> {
    let timer = TIMERS[key.cpu as usize].lock().remove(&key);
    timer.map(|(task, _)| task)
}

/// Returns the ticks since boot.
pub fn jiffies() -> u64 {
    JIFFIES.load(Ordering::Relaxed)
}

/// Converts ticks to a unit of which a second has `per_second`.
pub fn ticks_in(per_second: u64, ticks: u64) -> u64 {
    const TICKS: u64 = HZ as u64;
    ticks.saturating_mul(per_second) / TICKS
}

/// Sleeps for at most `ticks`, in the state that the caller has set; returns the remaining ticks if
/// something else woke the task.
///
/// The end is a time of the clock, not a number of ticks: late ticks, several at once, must not end
/// a sleep early.
pub fn schedule_timeout(ticks: u64) -> u64 {
    let me = current();
    let expires_us = since_boot_us().saturating_add(ticks.saturating_mul(TICK_US));
    let timer = add_timer(expires_us, me.get_task_struct(), 0, |task, _| {
        wake_up_process(task);
    });
    schedule();
    me.state.set_running();
    drop(del_timer(timer));
    expires_us.saturating_sub(since_boot_us()).div_ceil(TICK_US)
}

/// Counts a tick. Called by the timer interrupt of the boot CPU.
pub fn do_timer() {
    JIFFIES.fetch_add(1, Ordering::Relaxed);
}

/// Time that the timers of one tick may take, in microseconds: the rest of the tick is for tasks.
const SHARE_US: u64 = TICK_US / 4;
/// Number of timers that end in one tick in any case, however slow the machine.
const LEAST: u32 = 16;

/// Ends the timers of this CPU that are due, the earliest first. From its timer interrupt.
///
/// Timers that do not fit into this tick's share end in the next one, so a program with many or short timers
/// does not take the CPU from the others.
pub fn run_local_timers() {
    let timers = &TIMERS[smp_processor_id() as usize];
    let now_us = since_boot_us();
    for done in 0u32.. {
        if done >= LEAST && since_boot_us().saturating_sub(now_us) >= SHARE_US {
            break;
        }
        let due = {
            let mut timers = timers.lock();
            match timers.first_entry() {
                Some(first) if first.key().expires_us <= now_us => Some(first.remove_entry()),
                _ => None,
            }
        };
        let Some((key, (task, function))) = due else {
            break;
        };
        function(&task, key);
    }
}

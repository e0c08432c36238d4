//! Timers: wake sleeping tasks and ring alarms when their time comes.
//!
//! Time is counted in ticks of the timer interrupt, `HZ` a second. Each CPU has its own timers and
//! ends them in its own tick. So many short sleeps slow down the CPU that begins them. If one CPU
//! had all timers, the others could keep it in its tick for ever.
//!
//! Book: ch. 6, "Dynamic timers". Linux: 2.6.38 `schedule_timeout`.

use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use super::schedule::schedule;
use super::wake_up::wake_up_process;
use crate::arch::x86::current::current;
use crate::base::percpu::{NR_CPUS, smp_processor_id};
use crate::drivers::tsc::since_boot_us;
use crate::sync::timerqueue::{TimerqueueHead, TimerqueueNode};
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
    /// The queue that the timer is in: the CPU whose tick ends it, or a [`CpuTime`].
    ///
    /// [`CpuTime`]: super::cpu_timer::CpuTime
    pub(super) queue: u32,
    /// For its function: which of several timers of the task it is.
    pub data: u32,
}

impl TimerKey {
    /// That of a timer that was never set.
    const NEVER: Self = Self {
        expires_us: u64::MAX,
        sequence: 0,
        queue: 0,
        data: 0,
    };
}

/// The function of a timer. The timer interrupt calls it without a lock.
pub(super) type Function = fn(&TaskRef, TimerKey);

/// The place of a timer that may run. It lies in whatever owns the timer, so that to set one
/// needs no memory. Set again and again, by one task at a time.
#[repr(C)]
pub struct TimerList {
    node: UnsafeCell<TimerqueueNode<TimerKey>>,
    running: UnsafeCell<Option<Running>>,
}

struct Running {
    task: TaskRef,
    function: Function,
}

// SAFETY: what is inside is touched only under the lock of the queue that the timer is in.
unsafe impl Sync for TimerList {}
// SAFETY: as above, and a timer that runs stays where it is.
unsafe impl Send for TimerList {}

impl TimerList {
    /// One that does not run.
    pub const fn new() -> Self {
        Self {
            node: UnsafeCell::new(TimerqueueNode::new(TimerKey::NEVER)),
            running: UnsafeCell::new(None),
        }
    }

    fn node(&self) -> NonNull<TimerqueueNode<TimerKey>> {
        NonNull::from(self).cast()
    }
}

impl Default for TimerList {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TimerList {
    fn drop(&mut self) {
        assert!(
            self.running.get_mut().is_none(),
            "BUG: a timer that runs has lost its place"
        );
    }
}

/// A queue of timers that one clock ends (Linux: `tvec_base`).
pub struct TimerBase(IrqSpinLock<TimerqueueHead<TimerKey>>);

static TIMERS: [TimerBase; NR_CPUS] = [const { TimerBase::new() }; NR_CPUS];

/// Takes a timer that runs out of its queue.
///
/// # Safety
/// 1. If `timer` runs, it is a timer of `queue`.
unsafe fn take(queue: &mut TimerqueueHead<TimerKey>, timer: NonNull<TimerList>) -> Option<Running> {
    // SAFETY: by 1 it is there, and its contents are ours.
    let running = unsafe { (*timer.as_ref().running.get()).take() }?;
    // SAFETY: it ran, so it is in the queue.
    unsafe { queue.del(timer.cast()) };
    Some(running)
}

impl TimerBase {
    /// Returns a queue without timers.
    pub const fn new() -> Self {
        Self(IrqSpinLock::new(LockClass::Timers, TimerqueueHead::new()))
    }

    /// Puts a timer into the queue, which its owner knows by the number `queue`: the queue's clock
    /// then calls `function` for `task` when it has reached `expires_us`. `data` is for the
    /// function.
    ///
    /// # Safety
    /// 1. `timer` does not run, and nobody else sets it meanwhile. 2. It stays where it is until it
    ///    has ended or is taken back.
    pub(super) unsafe fn add(
        &self,
        queue: u32,
        timer: &TimerList,
        expires_us: u64,
        task: TaskRef,
        data: u32,
        function: Function,
    ) -> TimerKey {
        let key = TimerKey {
            expires_us,
            sequence: SEQUENCE.fetch_add(1, Ordering::Relaxed),
            queue,
            data,
        };
        let mut timers = self.0.lock();
        // SAFETY: by 1 it is in no queue and nothing else uses its contents; by 2 it stays where it
        // is.
        unsafe {
            let before = (*timer.running.get()).replace(Running { task, function });
            assert!(before.is_none(), "BUG: a timer that runs is set");
            timer.node.get().write(TimerqueueNode::new(key));
            timers.add(timer.node());
        }
        key
    }

    /// Takes a timer out of the queue; returns its task, or `None` if the timer has ended. Its
    /// function may still be running then.
    ///
    /// # Safety
    /// 1. The last [`add`](Self::add) for `timer` was to this queue, and nobody sets it meanwhile.
    pub(super) unsafe fn del(&self, timer: &TimerList) -> Option<TaskRef> {
        let mut timers = self.0.lock();
        // SAFETY: by 1, if it runs it is in this queue.
        let running = unsafe { take(&mut timers, NonNull::from(timer)) };
        drop(timers);
        running.map(|running| running.task)
    }

    /// Ends the timers that are due when the queue's clock shows `now_us`, the earliest first, and
    /// returns their number.
    ///
    /// Those that do not fit into the share of a tick that began at `begin_us` end in the next one,
    /// so a program with many or short timers does not take the CPU from the others. However slow
    /// the machine, one timer ends.
    pub(super) fn run(&self, now_us: u64, begin_us: u64) -> u32 {
        let mut done = 0u32;
        loop {
            if done != 0 && since_boot_us().saturating_sub(begin_us) >= SHARE_US {
                return done;
            }
            let mut timers = self.0.lock();
            let Some(first) = timers.first() else {
                return done;
            };
            // SAFETY: it is in the queue, so in place; what it says is not changed there.
            let key = unsafe { first.as_ref() }.expires;
            if key.expires_us > now_us {
                return done;
            }
            // SAFETY: as above; a node in this queue begins a timer of this queue.
            let running = unsafe { take(&mut timers, first.cast()) };
            drop(timers);
            if let Some(running) = running {
                (running.function)(&running.task, key);
            }
            done = done.saturating_add(1);
        }
    }
}

impl Default for TimerBase {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes this CPU call `function` for `task` when the clock has reached `expires_us`. `data` is for
/// the function.
///
/// # Safety
/// 1. `timer` does not run, and nobody else sets it meanwhile. 2. It stays where it is until it has
///    ended or is taken back.
pub unsafe fn add_timer(
    timer: &TimerList,
    expires_us: u64,
    task: TaskRef,
    data: u32,
    function: Function,
) -> TimerKey {
    // If the task moves now, its timer stays with the old CPU.
    let cpu = smp_processor_id();
    let base = &TIMERS[cpu as usize];
    // SAFETY: the caller's.
    unsafe { base.add(cpu, timer, expires_us, task, data, function) }
}

/// Deletes a timer that was set as `key`; returns its task, or `None` if the timer has ended. Its
/// function may still be running then.
///
/// # Safety
/// 1. `key` is what the last [`add_timer`] for `timer` returned, and nobody sets it meanwhile.
pub unsafe fn del_timer(timer: &TimerList, key: TimerKey) -> Option<TaskRef> {
    // SAFETY: by 1, it is in this CPU's queue if it is in any.
    unsafe { TIMERS[key.queue as usize].del(timer) }
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
    let timer = TimerList::new();
    let wake = |task: &TaskRef, _| {
        wake_up_process(task);
    };
    // SAFETY: the timer is ours alone, and it stays on our stack until we have taken it back.
    let key = unsafe { add_timer(&timer, expires_us, me.get_task_struct(), 0, wake) };
    schedule();
    me.state.set_running();
    // SAFETY: as above; it was set once.
    drop(unsafe { del_timer(&timer, key) });
    expires_us.saturating_sub(since_boot_us()).div_ceil(TICK_US)
}

/// Counts a tick. Called by the timer interrupt of the boot CPU.
pub fn do_timer() {
    JIFFIES.fetch_add(1, Ordering::Relaxed);
}

/// Time that the timers of one tick may take, in microseconds: the rest of the tick is for tasks.
const SHARE_US: u64 = TICK_US / 4;

/// Ends the timers of this CPU that are due. From its timer interrupt.
pub fn run_local_timers() {
    let now_us = since_boot_us();
    TIMERS[smp_processor_id() as usize].run(now_us, now_us);
}

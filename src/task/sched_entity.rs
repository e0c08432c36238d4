#![forbid(unsafe_code)]
//! What the scheduler keeps in each task.
//!
//! All of it is guarded by the lock of the run queue of the task's CPU, so the task holds it in
//! an `UnsafeCell` that only the `sched` room opens.
//!
//! Book: ch. 7, "Data Structures Used by the Scheduler". Linux: 2.6.11 `task_t`, 2.6.38
//! `sched_entity`, `sched_rt_entity`.

use core::ptr;

/// Normal time-shared policy.
pub const SCHED_NORMAL: u32 = 0;
/// Real-time, first in, first out: runs until it sleeps or yields.
pub const SCHED_FIFO: u32 = 1;
/// Real-time, round robin: as FIFO, with time slices.
pub const SCHED_RR: u32 = 2;
/// As normal, for programs that nobody waits for.
pub const SCHED_BATCH: u32 = 3;
/// Time-shared, behind all that are normal.
pub const SCHED_IDLE: u32 = 5;

/// Whether a policy is a real-time one.
pub const fn rt_policy(policy: u32) -> bool {
    matches!(policy, SCHED_FIFO | SCHED_RR)
}

/// Priority of a task that has this policy and real-time priority, and the static priority by its nice
/// value.
pub const fn normal_prio(policy: u32, rt_priority: u32, static_prio: u32) -> u32 {
    match policy {
        SCHED_FIFO | SCHED_RR => MAX_RT_PRIO.saturating_sub(rt_priority),
        SCHED_IDLE => MAX_PRIO - 1,
        _ => static_prio,
    }
}

/// Priorities below this are real-time; 0, the best, is the migration threads' alone.
pub const MAX_RT_PRIO: u32 = 100;
/// Number of priorities.
pub const MAX_PRIO: u32 = 140;
/// Priority of a normal task with nice 0.
pub const DEFAULT_PRIO: u32 = 120;

/// A link of a run-queue list, which is a ring. With debug assertions both are null while the task is on
/// none.
#[repr(C)]
pub struct RunList {
    pub next: *mut RunList,
    pub prev: *mut RunList,
}

impl RunList {
    /// A link that is on no list.
    pub const fn new() -> Self {
        Self {
            next: ptr::null_mut(),
            prev: ptr::null_mut(),
        }
    }
}

impl Default for RunList {
    fn default() -> Self {
        Self::new()
    }
}

/// The scheduler's part of a task.
#[repr(C)]
pub struct SchedEntity {
    /// Link in the list of the task's priority. First, so that link and entity share an address.
    pub run_list: RunList,
    /// Priority in force, 0..140.
    pub prio: u32,
    /// Priority by nice alone, 100..140.
    pub static_prio: u32,
    /// 1..99 for FIFO and RR, else 0.
    pub rt_priority: u32,
    /// SCHED_*.
    pub policy: u32,
    /// Ticks left.
    pub time_slice: u32,
    /// Whether those are still of the slice that its parent shared with it.
    pub first_time_slice: bool,
    /// The `prio_array` that it is on, or was on last; opaque here.
    pub array: *mut (),
    /// CPUs it may run on, one bit each. Written with the task's `pi_lock` held as well, so
    /// that one of the two locks is enough to read it.
    pub cpus_allowed: u32,
    /// TSC at which the task last came onto a CPU.
    pub exec_start: u64,
}

impl SchedEntity {
    /// A normal task with nice 0 that may run anywhere.
    pub const fn new() -> Self {
        Self {
            run_list: RunList::new(),
            prio: DEFAULT_PRIO,
            static_prio: DEFAULT_PRIO,
            rt_priority: 0,
            policy: SCHED_NORMAL,
            time_slice: 25,
            first_time_slice: false,
            array: ptr::null_mut(),
            cpus_allowed: !0,
            exec_start: 0,
        }
    }
}

impl Default for SchedEntity {
    fn default() -> Self {
        Self::new()
    }
}

#![forbid(unsafe_code)]
//! The scheduler's data in each task.
//!
//! The run-queue lock of the task's CPU guards all of it, so the task holds it in an `UnsafeCell`
//! that only the `sched` room accesses.
//!
//! Book: ch. 7, "Data Structures Used by the Scheduler". Linux: 2.6.11 `task_t`, 2.6.38
//! `sched_entity`, `sched_rt_entity`.

use core::ptr;

/// Normal time-shared policy.
pub const SCHED_NORMAL: u32 = 0;
/// Real-time, first in, first out: runs until it sleeps or yields.
pub const SCHED_FIFO: u32 = 1;
/// Real-time, round robin: like FIFO, with time slices.
pub const SCHED_RR: u32 = 2;
/// Like normal, for programs that no user waits for.
pub const SCHED_BATCH: u32 = 3;
/// Time-shared, after all normal tasks.
pub const SCHED_IDLE: u32 = 5;

/// Returns whether a policy is a real-time one.
pub const fn rt_policy(policy: u32) -> bool {
    matches!(policy, SCHED_FIFO | SCHED_RR)
}

/// Returns the priority of a task with this policy, real-time priority and static priority, which
/// follows from its nice value.
pub const fn normal_prio(policy: u32, rt_priority: u32, static_prio: u32) -> u32 {
    match policy {
        SCHED_FIFO | SCHED_RR => MAX_RT_PRIO.saturating_sub(rt_priority),
        SCHED_IDLE => MAX_PRIO - 1,
        _ => static_prio,
    }
}

/// Priorities below this are real-time; only migration threads have 0, the best.
pub const MAX_RT_PRIO: u32 = 100;
/// Number of priorities.
pub const MAX_PRIO: u32 = 140;
/// Priority of a normal task with nice 0.
pub const DEFAULT_PRIO: u32 = 120;

/// A link of a run-queue list, which is a ring. With debug assertions both pointers are null while
/// the task is on no list.
#[repr(C)]
pub struct RunList {
    pub next: *mut RunList,
    pub prev: *mut RunList,
}

impl RunList {
    /// Returns a link that is on no list.
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
    /// Link in the list of the task's priority. It comes first, so link and entity share an
    /// address.
    pub run_list: RunList,
    /// Priority in force, 0..140.
    pub prio: u32,
    /// Priority by the nice value alone, 100..140.
    pub static_prio: u32,
    /// Real-time priority: 1..99 for FIFO and RR, otherwise 0.
    pub rt_priority: u32,
    /// The policy, SCHED_*.
    pub policy: u32,
    /// Ticks left of the time slice.
    pub time_slice: u32,
    /// Whether the time slice is still the one that the parent shared with the task.
    pub first_time_slice: bool,
    /// The `prio_array` that the task is on or was last on; opaque here.
    pub array: *mut (),
    /// CPUs on which the task may run, one bit each. A writer also holds the task's `pi_lock`, so
    /// either lock is enough for a reader.
    pub cpus_allowed: u32,
    /// TSC at which the task last came onto a CPU.
    pub exec_start: u64,
}

impl SchedEntity {
    /// Returns the entity of a normal task with nice 0 that may run anywhere.
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

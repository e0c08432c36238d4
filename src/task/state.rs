#![forbid(unsafe_code)]
//! States and flags of a task, with Linux's numbers, and how they change.
//!
//! ```text
//!                set_current_state
//!   RUNNING ---------------------------> (UN)INTERRUPTIBLE     on_rq QUEUED, on_cpu 1
//!      ^                                        |
//!      |<-------- set_running ------------------|              woken before it slept
//!      |                                        | schedule
//!      |                                        v
//!      |                                     asleep            on_rq none; on_cpu 1 until finish_task
//!      |                                        | set_waking
//!      |                                        v
//!      '<-------- set_running --------------- WAKING           on_rq none, on_cpu 0: a CPU is chosen
//!
//!   RUNNING --- set_special_state ---> STOPPED (set_running by SIGCONT, SIGKILL), DEAD
//!
//!   on_rq:   none --- set_queued ---> QUEUED --- set_dequeued ---> none
//!          QUEUED --- set_migrating -> MIGRATING --- set_queued --> QUEUED on another CPU
//! ```
//! `set_...` are the methods of [`TaskState`] and [`OnRq`]; `on_cpu` has a file of its own.
//!
//! A task that has said that it will sleep, and is preempted before it does, stays QUEUED, and may be
//! pulled to another CPU. While it is MIGRATING it is on no queue, but still counts as on one: its
//! waker waits for its new queue, and does not queue it a second time.
//!
//! Book: ch. 3, "Process State". Linux: 2.6.38 `include/linux/sched.h`; 5.4 `TASK_ON_RQ_MIGRATING`,
//! `set_special_state`.

use core::sync::atomic::{AtomicU32, Ordering};

/// Runs or waits for a CPU.
pub const TASK_RUNNING: u32 = 0;
/// Sleeps; a signal wakes it.
pub const TASK_INTERRUPTIBLE: u32 = 1;
/// Sleeps; only its event wakes it.
pub const TASK_UNINTERRUPTIBLE: u32 = 2;
/// Is stopped by a signal; SIGCONT and SIGKILL wake it.
pub const TASK_STOPPED: u32 = 4;
/// Has run its last instruction but one: `schedule` never comes back to it.
pub const TASK_DEAD: u32 = 64;

/// Is being woken: it is on no run queue, and who wakes it chooses its CPU.
pub const TASK_WAKING: u32 = 256;

/// Value of `exit_state` while the parent has not waited yet.
pub const EXIT_ZOMBIE: u32 = 16;
/// Value of `exit_state` once nobody will wait any more.
pub const EXIT_DEAD: u32 = 32;

bitflags::bitflags! {
    /// Flags of a task: `TaskStruct::flags`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct TaskFlags: u32 {
        const _ = !0;
    }
}

/// Is going away.
pub const PF_EXITING: TaskFlags = TaskFlags::from_bits_retain(0x4);
/// Has not executed a program since it was forked.
pub const PF_FORKNOEXEC: TaskFlags = TaskFlags::from_bits_retain(0x40);
/// Is a kernel thread: has no address space of its own.
pub const PF_KTHREAD: TaskFlags = TaskFlags::from_bits_retain(0x20_0000);
/// Bound to its CPU for good, at its priority.
pub const PF_THREAD_BOUND: TaskFlags = TaskFlags::from_bits_retain(0x400_0000);

/// The letter that `ps` shows for a state.
pub const fn state_letter(state: u32) -> char {
    match state {
        TASK_RUNNING => 'R',
        TASK_WAKING => 'W',
        TASK_INTERRUPTIBLE => 'S',
        TASK_UNINTERRUPTIBLE => 'D',
        TASK_STOPPED => 'T',
        TASK_DEAD => 'x',
        _ => '?',
    }
}

/// TASK_* of one task.
pub struct TaskState(AtomicU32);

impl TaskState {
    /// Runnable.
    pub const fn new() -> Self {
        Self(AtomicU32::new(TASK_RUNNING))
    }

    /// The state. It may be another by now, unless it is the running task's own.
    #[inline(always)]
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether the state is one of `states`, TASK_* in one word. Before anything else of the task is
    /// read: a waker that sees the state of a sleeper sees how the task came to sleep.
    #[inline(always)]
    pub fn is_one_of(&self, states: u32) -> bool {
        self.0.load(Ordering::Acquire) & states != 0
    }

    /// The running task says that it will sleep, and looks afterwards whether it must: whoever makes
    /// its condition true and then reads the state finds it asleep, or the task finds the condition.
    ///
    /// Only for a sleep that begins anew when a late wake-up has ended it too early; see
    /// [`set_special_state`](Self::set_special_state).
    #[inline(always)]
    pub fn set_current_state(&self, state: u32) {
        self.0.store(state, Ordering::SeqCst);
    }

    /// The task is runnable: it says so itself, as it need not sleep, or its waker does with the lock
    /// of its run queue held.
    #[inline(always)]
    pub fn set_running(&self) {
        self.0.store(TASK_RUNNING, Ordering::Relaxed);
    }

    /// The task is on no queue and on no CPU, and its waker has its `pi_lock`.
    #[inline(always)]
    pub fn set_waking(&self) {
        self.0.store(TASK_WAKING, Ordering::Relaxed);
    }

    /// The running task stops, or ends: nobody asks a condition again when it is woken by mistake. Its
    /// `pi_lock` is held, so that a wake-up for an earlier sleep is over, or finds this state.
    #[inline(always)]
    pub fn set_special_state(&self, state: u32) {
        self.0.store(state, Ordering::SeqCst);
    }
}

impl Default for TaskState {
    fn default() -> Self {
        Self::new()
    }
}

const QUEUED: u32 = 1;
const MIGRATING: u32 = 2;

/// Whether a task is on a run queue. Changed with that queue's lock held.
pub struct OnRq(AtomicU32);

impl OnRq {
    /// On none.
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Whether the task is on a run queue, or on its way from one to another: then its waker has only
    /// to change its state. Read before `on_cpu`.
    #[inline(always)]
    pub fn is_on_rq(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// Whether the task is on the run queue of its CPU. Exact with that queue's lock held.
    #[inline(always)]
    #[doc(alias = "task_on_rq_queued")]
    pub fn is_queued(&self) -> bool {
        self.0.load(Ordering::Relaxed) == QUEUED
    }

    /// Whether another CPU is pulling the task.
    #[inline(always)]
    #[doc(alias = "task_on_rq_migrating")]
    pub fn is_migrating(&self) -> bool {
        self.0.load(Ordering::Acquire) == MIGRATING
    }

    /// The task has been put on a queue.
    #[inline(always)]
    pub fn set_queued(&self) {
        debug_assert!(!self.is_queued(), "BUG: a task is queued twice");
        self.0.store(QUEUED, Ordering::Release);
    }

    /// The running task has been taken off its queue: it sleeps. Release: a waker that finds it off
    /// its queue finds all that it did before.
    #[inline(always)]
    pub fn set_dequeued(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// The task has been taken off a queue, and will be put on another one.
    #[inline(always)]
    pub fn set_migrating(&self) {
        self.0.store(MIGRATING, Ordering::Release);
    }
}

impl Default for OnRq {
    fn default() -> Self {
        Self::new()
    }
}

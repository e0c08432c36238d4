#![forbid(unsafe_code)]
//! States and flags of a task, with Linux's numbers, and their transitions.
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
//!   RUNNING --- set_special_state ---> TRACED (set_running by the tracer, SIGKILL)
//!   TRACED <--- set_held ---> TRACED_HELD (while the tracer looks into the task)
//!
//!   on_rq:   none --- set_queued ---> QUEUED --- set_dequeued ---> none
//!          QUEUED --- set_migrating -> MIGRATING --- set_queued --> QUEUED on another CPU
//! ```
//! `set_...` are the methods of [`TaskState`] and [`OnRq`]; `on_cpu` has a separate file.
//!
//! A task that has set a sleeping state and is preempted before it sleeps stays QUEUED, and may
//! move to another CPU. While it is MIGRATING it is on no queue but still counts as queued: its
//! waker waits for the new queue and does not queue it a second time.
//!
//! Book: ch. 3, "Process State". Linux: 2.6.38 `include/linux/sched.h`; 5.4 `TASK_ON_RQ_MIGRATING`,
//! `set_special_state`.

use core::sync::atomic::{AtomicU32, Ordering};

/// State: the task runs or waits for a CPU.
pub const TASK_RUNNING: u32 = 0;
/// State: the task sleeps; a signal wakes it too.
pub const TASK_INTERRUPTIBLE: u32 = 1;
/// State: the task sleeps; only its event wakes it.
pub const TASK_UNINTERRUPTIBLE: u32 = 2;
/// State: a signal has stopped the task; SIGCONT and SIGKILL wake it.
pub const TASK_STOPPED: u32 = 4;
/// State: the task has stopped for its tracer; the tracer and SIGKILL wake it.
pub const TASK_TRACED: u32 = 8;
/// State: the task has stopped for its tracer, which is looking into it: nobody wakes it.
pub const TASK_TRACED_HELD: u32 = 512;
/// State: the task has ended, and `schedule` never returns to it.
pub const TASK_DEAD: u32 = 64;

/// State: the task is being woken. It is on no run queue, and its waker chooses its CPU.
pub const TASK_WAKING: u32 = 256;

/// Value of `exit_state` while the parent has not waited yet.
pub const EXIT_ZOMBIE: u32 = 16;
/// Value of `exit_state` when no parent will wait any more.
pub const EXIT_DEAD: u32 = 32;

bitflags::bitflags! {
    /// Flags of a task: `TaskStruct::flags`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct TaskFlags: u32 {
        const _ = !0;
    }
}

/// The task is ending.
pub const PF_EXITING: TaskFlags = TaskFlags::from_bits_retain(0x4);
/// The task has not executed a program since its fork.
pub const PF_FORKNOEXEC: TaskFlags = TaskFlags::from_bits_retain(0x40);
/// The task is a kernel thread, without an address space of its own.
pub const PF_KTHREAD: TaskFlags = TaskFlags::from_bits_retain(0x20_0000);
/// The task is bound to its CPU and its priority for ever.
pub const PF_THREAD_BOUND: TaskFlags = TaskFlags::from_bits_retain(0x400_0000);

/// Returns the letter that `ps` shows for a state.
pub const fn state_letter(state: u32) -> char {
    match state {
        TASK_RUNNING => 'R',
        TASK_WAKING => 'W',
        TASK_INTERRUPTIBLE => 'S',
        TASK_UNINTERRUPTIBLE => 'D',
        TASK_STOPPED => 'T',
        TASK_TRACED | TASK_TRACED_HELD => 't',
        TASK_DEAD => 'x',
        _ => '?',
    }
}

/// The state of one task, TASK_*.
pub struct TaskState(AtomicU32);

impl TaskState {
    /// Returns the state TASK_RUNNING.
    pub const fn new() -> Self {
        Self(AtomicU32::new(TASK_RUNNING))
    }

    /// Returns the state, which may have changed already unless it is the running task's own.
    #[inline(always)]
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns whether the state is one of `states`, TASK_* in one word. A waker reads it before
    /// anything else of the task: if it sees the state of a sleeper, it also sees the writes
    /// before.
    #[inline(always)]
    pub fn is_one_of(&self, states: u32) -> bool {
        self.0.load(Ordering::Acquire) & states != 0
    }

    /// Announces that the running task will sleep; it checks its condition afterwards. Either the
    /// code that makes the condition true and then reads the state sees the sleep, or the task sees
    /// the condition.
    ///
    /// Only for a sleep that is repeated after a late wake-up has ended it too early; see
    /// [`set_special_state`](Self::set_special_state).
    #[inline(always)]
    pub fn set_current_state(&self, state: u32) {
        self.0.store(state, Ordering::SeqCst);
    }

    /// Makes the task runnable. The task itself calls this if it need not sleep, or its waker with
    /// the lock of its run queue held.
    #[inline(always)]
    pub fn set_running(&self) {
        self.0.store(TASK_RUNNING, Ordering::Relaxed);
    }

    /// Keeps a task that has stopped for its tracer from being woken, or no longer. The tracer holds
    /// its `pi_lock`, and the task is on no CPU.
    pub fn set_held(&self, held: bool) {
        let state = match held {
            true => TASK_TRACED_HELD,
            false => TASK_TRACED,
        };
        self.0.store(state, Ordering::SeqCst);
    }

    /// Marks the task as being woken. It is on no queue and on no CPU, and its waker holds its
    /// `pi_lock`.
    #[inline(always)]
    pub fn set_waking(&self) {
        self.0.store(TASK_WAKING, Ordering::Relaxed);
    }

    /// Sets the state of the running task when it stops or ends, where no condition is checked
    /// again after a false wake-up. Its `pi_lock` is held, so a wake-up for an earlier sleep is
    /// over or sees this state.
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
    /// Returns the value of a task that is on no run queue.
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Returns whether the task is on a run queue or moving between two: then its waker has only to
    /// change its state. Read before `on_cpu`.
    #[inline(always)]
    pub fn is_on_rq(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// Returns whether the task is on the run queue of its CPU. Exact with that queue's lock held.
    #[inline(always)]
    #[doc(alias = "task_on_rq_queued")]
    pub fn is_queued(&self) -> bool {
        self.0.load(Ordering::Relaxed) == QUEUED
    }

    /// Returns whether another CPU is pulling the task.
    #[inline(always)]
    #[doc(alias = "task_on_rq_migrating")]
    pub fn is_migrating(&self) -> bool {
        self.0.load(Ordering::Acquire) == MIGRATING
    }

    /// Notes that the task has been put on a queue.
    #[inline(always)]
    pub fn set_queued(&self) {
        debug_assert!(!self.is_queued(), "BUG: a task is queued twice");
        self.0.store(QUEUED, Ordering::Release);
    }

    /// Notes that the running task has been taken off its queue to sleep. The release order makes
    /// the task's earlier writes visible to a waker that sees it off its queue.
    #[inline(always)]
    pub fn set_dequeued(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Notes that the task has been taken off a queue and will be put on another.
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

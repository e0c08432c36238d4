//! Actors: the kernel threads of a case, which run in a fixed order on one CPU.
//!
//! ```text
//!   priority  99  the runner: sleeps, and wakes to end a case that hangs
//!             50  a case, while it sets up its actors
//!             40  actors, unless they ask for another: FIFO, so each runs until it passes
//!             30  a case, while it waits for them
//! ```
//! All run on the CPU of the runner unless they ask for another, and FIFO lists are in order of
//! arrival: with actors A, B and C, `pass` goes from A to B, to C, and to A again, with no other
//! task in between.
//!
//! Called on the stack of a case.

extern crate alloc;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::check::{Outcome, Verdict, failed};
use crate::arch::x86::current::current;
use crate::mm::fallible::{TryVec, try_arc, try_box, try_collect};
use crate::process::kthread::new_kernel_thread;
use crate::sched::migration::set_cpus_allowed;
use crate::sched::policy::{set_scheduler, yield_current};
use crate::sched::schedule::schedule;
use crate::sched::timer::{HZ, jiffies, schedule_timeout};
use crate::sched::wake_up::{wake_up_new_task, wake_up_process};
use crate::sync::{LockClass, SpinLock};
use crate::task::sched_entity::{SCHED_FIFO, SCHED_NORMAL};
use crate::task::state::{TASK_DEAD, TASK_UNINTERRUPTIBLE};
use crate::task::task_struct::{TaskRef, TaskStruct};

/// Priority of a case while it sets up.
pub const CASE_PRIO: i32 = 50;
/// Priority of an actor that does not ask for another.
pub const ACTOR_PRIO: i32 = 40;
/// Priority of a case while it waits for its actors.
pub const WAITING_PRIO: i32 = 30;

type Act<'a> = Box<dyn FnOnce() -> Outcome + Send + 'a>;

/// The place where a thread leaves its result.
struct Done {
    outcome: SpinLock<Option<Outcome>>,
    waiter: TaskRef,
}

/// The argument of a thread's first function.
struct Start {
    act: Act<'static>,
    done: Arc<Done>,
}

/// A thread whose end another task waits for.
pub struct Thread {
    /// Its descriptor. The reference keeps descriptor and stack beyond the thread's end.
    pub task: TaskRef,
    done: Arc<Done>,
}

impl Thread {
    /// Makes a kernel thread that the running task can join, and starts it.
    /// It may run on the CPUs of `mask`; 0 stands for those of the running task.
    pub fn start(
        name: &str,
        policy: u32,
        prio: i32,
        mask: u32,
        act: Act<'static>,
    ) -> Result<Self, Verdict> {
        let waiter = current().get_task_struct();
        let done = try_arc(Done {
            outcome: SpinLock::new(LockClass::Selftest, None),
            waiter,
        })?;
        let start = Box::into_raw(try_box(Start {
            act,
            done: done.clone(),
        })?);
        let task = match new_kernel_thread(thread_main, start as u32, name) {
            Ok(task) => task,
            Err(errno) => {
                // SAFETY: made above, and no thread exists that could take it.
                drop(unsafe { Box::from_raw(start) });
                return Err(errno.into());
            }
        };
        let valid = set_scheduler(&task, policy, prio);
        assert!(
            valid.is_ok(),
            "BUG: a case asks for policy {policy}, priority {prio}"
        );
        if mask != 0 {
            // It is on no run queue yet, so nothing has to move.
            let valid = set_cpus_allowed(&task, mask);
            assert!(valid.is_ok(), "BUG: a case asks for the CPUs {mask:#x}");
        }
        wake_up_new_task(&task);
        Ok(Self { task, done })
    }

    /// Returns the thread's result once its last switch is over; `None` if that takes longer than
    /// `ticks`.
    pub fn join_within(&self, ticks: u64) -> Option<Outcome> {
        let deadline = jiffies() + ticks;
        loop {
            let gone =
                self.task.state.get() == TASK_DEAD && self.task.on_cpu.load(Ordering::Acquire) == 0;
            if gone {
                return self.done.outcome.lock().take();
            }
            let left = deadline.checked_sub(jiffies()).filter(|&left| left > 0)?;
            let me = current();
            me.state.set_current_state(TASK_UNINTERRUPTIBLE);
            // Between its result and its last switch it runs a few steps more, which wake nobody.
            let has_result = self.done.outcome.lock().is_some();
            schedule_timeout(if has_result { 1 } else { left });
        }
    }

    /// Waits until the thread has ended, and returns its result.
    pub fn join(self) -> Outcome {
        loop {
            if let Some(outcome) = self.join_within(u64::from(HZ)) {
                return outcome;
            }
        }
    }
}

/// First function of every thread that a case starts.
extern "C" fn thread_main(start: u32) -> i32 {
    // SAFETY: `Thread::start` made it for us alone.
    let start = unsafe { Box::from_raw(start as *mut Start) };
    let Start { act, done } = *start;
    let outcome = act();
    *done.outcome.lock() = Some(outcome);
    wake_up_process(&done.waiter);
    0
}

struct Part<'a> {
    name: &'static str,
    policy: u32,
    prio: i32,
    mask: u32,
    act: Act<'a>,
}

/// The actors of a case, before they run. They may borrow from the case.
#[derive(Default)]
pub struct Crew<'a> {
    parts: Vec<Part<'a>>,
}

impl<'a> Crew<'a> {
    /// Returns a crew without actors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an actor, first in, first out, at [`ACTOR_PRIO`].
    pub fn actor(self, name: &'static str, act: impl FnOnce() -> Outcome + Send + 'a) -> Self {
        self.actor_with(name, SCHED_FIFO, ACTOR_PRIO, act)
    }

    /// Adds an actor with a policy and a priority.
    pub fn actor_with(
        self,
        name: &'static str,
        policy: u32,
        prio: i32,
        act: impl FnOnce() -> Outcome + Send + 'a,
    ) -> Self {
        self.part(name, policy, prio, 0, act)
    }

    /// Adds an actor as [`Crew::actor`] does, on CPU `cpu`.
    pub fn actor_on(
        self,
        cpu: u32,
        name: &'static str,
        act: impl FnOnce() -> Outcome + Send + 'a,
    ) -> Self {
        self.part(name, SCHED_FIFO, ACTOR_PRIO, 1 << cpu, act)
    }

    /// Adds an actor with the normal policy, on any of the CPUs of `mask`.
    pub fn actor_anywhere(
        self,
        mask: u32,
        name: &'static str,
        act: impl FnOnce() -> Outcome + Send + 'a,
    ) -> Self {
        self.part(name, SCHED_NORMAL, 0, mask, act)
    }

    fn part(
        mut self,
        name: &'static str,
        policy: u32,
        prio: i32,
        mask: u32,
        act: impl FnOnce() -> Outcome + Send + 'a,
    ) -> Self {
        let added = try_box(act).and_then(|act| {
            self.parts.try_push(Part {
                name,
                policy,
                prio,
                mask,
                act,
            })
        });
        added.expect("memory for an actor");
        self
    }

    /// Starts all actors and returns when all have ended, with the first failure.
    pub fn run(self) -> Outcome {
        let mut threads = Vec::new();
        threads.try_room(self.parts.len())?;
        let mut outcome = Ok(());
        for part in self.parts {
            // SAFETY: only the lifetime changes. Whatever the act borrows outlives this call, which
            // does not return before the thread is gone; nothing here unwinds.
            let act = unsafe { core::mem::transmute::<Act<'a>, Act<'static>>(part.act) };
            match Thread::start(part.name, part.policy, part.prio, part.mask, act) {
                Ok(thread) => threads.try_push(thread)?,
                Err(verdict) => {
                    outcome = Err(verdict);
                    break;
                }
            }
        }
        set_priority(WAITING_PRIO);
        for thread in threads {
            let ended = thread.join();
            outcome = outcome.and(ended);
        }
        set_priority(CASE_PRIO);
        outcome
    }
}

/// Gives the running task the FIFO policy at `prio`.
pub fn set_priority(prio: i32) {
    let valid = set_scheduler(&current(), SCHED_FIFO, prio);
    assert!(valid.is_ok(), "BUG: a case asks for priority {prio}");
}

/// Keeps the running task, and all tasks that it creates, on `cpu`.
pub fn pin(cpu: u32) {
    let valid = set_cpus_allowed(&current(), 1 << cpu);
    assert!(valid.is_ok(), "BUG: a case asks for CPU {cpu}");
}

/// Yields the CPU to the next actor of the same priority; returns when the turn comes back.
pub fn pass() {
    yield_current();
}

/// Sleeps until another task calls [`wake_up_process`] for this one.
pub fn sleep() {
    current().state.set_current_state(TASK_UNINTERRUPTIBLE);
    schedule();
}

/// A place where an actor registers itself, for the others to find it.
pub struct Slot(SpinLock<Option<TaskRef>>);

impl Slot {
    /// Returns an empty slot.
    pub const fn new() -> Self {
        Self(SpinLock::new(LockClass::Selftest, None))
    }

    /// Registers the running task.
    pub fn enter(&self) {
        let me = current().get_task_struct();
        let before = self.0.lock().replace(me);
        drop(before);
    }

    /// Returns the task that registered itself.
    ///
    /// # Errors
    /// A failure if no task has.
    pub fn task(&self) -> Result<TaskRef, Verdict> {
        let task = self.0.lock().clone();
        task.ok_or_else(|| {
            failed(format_args!(
                "an actor had its turn before another had come"
            ))
        })
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns a pointer to the running task.
pub fn me() -> *mut TaskStruct {
    current().as_ptr()
}

/// A list of what happened, in order.
pub struct Journal<T>(SpinLock<Vec<T>>);

impl<T: Clone> Journal<T> {
    /// Returns an empty journal.
    pub const fn new() -> Self {
        Self(SpinLock::new(LockClass::Selftest, Vec::new()))
    }

    /// Appends an entry.
    pub fn note(&self, entry: T) {
        let noted = self.0.lock().try_push(entry);
        noted.expect("memory for a note");
    }

    /// Returns a copy of all entries.
    pub fn entries(&self) -> Vec<T> {
        try_collect(self.0.lock().iter().cloned()).expect("memory for a copy of the notes")
    }
}

impl<T: Clone> Default for Journal<T> {
    fn default() -> Self {
        Self::new()
    }
}

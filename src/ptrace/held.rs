//! `Held`: a task that has stopped for its tracer, and that nobody wakes while this value lives.
//!
//! The task is off its CPU: its registers lie on its stack and in its hardware context, and nothing
//! but the tracer uses them. Even SIGKILL has to wait; it is seen to when the task is let go.
//!
//! Linux: 3.10 `ptrace_check_attach`, `ptrace_freeze_traced`, `wait_task_inactive`.

use core::sync::atomic::Ordering;

use crate::arch::x86::current::Current;
use crate::base::errno::Errno;
use crate::base::pt_regs::PtRegs;
use crate::base::thread_info::{STACK_TOP_GAP, THREAD_SIZE};
use crate::mm::mm_struct::MmStruct;
use crate::process::stop::is_killed;
use crate::process::tasklist::{TASKLIST, TaskList};
use crate::process::trace_wait::is_trapped;
use crate::sched::timer::schedule_timeout;
use crate::sched::wake_up::try_to_wake_up;
use crate::task::state::{TASK_TRACED, TASK_UNINTERRUPTIBLE};
use crate::task::task_struct::{TaskRef, TaskStruct};
use crate::task::thread_struct::ThreadStruct;

/// How often the task is looked at before the tracer sleeps for a tick: it needs a moment to leave
/// its CPU.
const LOOKS: u32 = 10_000;

/// A stopped task in its tracer's hands.
pub struct Held {
    task: TaskRef,
}

/// The outcome of one attempt to hold a task.
enum Attempt {
    Held(Held),
    /// It has stopped, but still runs.
    Runs,
}

impl Held {
    /// Holds task `pid`, which `me` traces and which has stopped.
    ///
    /// # Errors
    /// ESRCH: there is no such task, or it runs.
    pub fn hold(me: Current, pid: i32) -> Result<Self, Errno> {
        loop {
            for _ in 0..LOOKS {
                let attempt = Self::attempt(&TASKLIST.lock(), me, pid)?;
                match attempt {
                    Attempt::Held(held) => return Ok(held),
                    Attempt::Runs => core::hint::spin_loop(),
                }
            }
            me.state.set_current_state(TASK_UNINTERRUPTIBLE);
            schedule_timeout(1);
        }
    }

    fn attempt(list: &TaskList, me: Current, pid: i32) -> Result<Attempt, Errno> {
        let task = list.find_task_by_pid(pid).ok_or(Errno::ESRCH)?;
        let _pi = task.pi_lock.lock();
        if !task.ptrace.is_tracer(me.as_ptr()) || !is_trapped(task) {
            return Err(Errno::ESRCH);
        }
        if task.on_rq.is_on_rq() || task.on_cpu.load(Ordering::Acquire) != 0 {
            return Ok(Attempt::Runs);
        }
        task.state.set_held(true);
        Ok(Attempt::Held(Held { task: task.clone() }))
    }

    /// Returns the task.
    pub fn task(&self) -> &TaskRef {
        &self.task
    }

    /// Returns the task's registers in ring 3.
    pub fn regs(&mut self) -> &mut PtRegs {
        const FRAME: usize = THREAD_SIZE - STACK_TOP_GAP - size_of::<PtRegs>();
        let frame = self.task.stack().cast::<u8>().wrapping_add(FRAME);
        // SAFETY: a traced task came from ring 3, so its frame is at the top of its stack; it is off
        // its CPU as long as we hold it, and only its tracer, who has this borrow, looks into it.
        unsafe { &mut *frame.cast::<PtRegs>() }
    }

    /// Returns the task's hardware context, which is in memory.
    pub fn thread(&mut self) -> &mut ThreadStruct {
        // SAFETY: as for `regs`; the switch does not use the context of a task that nobody wakes.
        unsafe { &mut *self.task.thread() }
    }

    /// Returns the task's address space.
    ///
    /// # Errors
    /// EIO if it has none any more.
    pub fn mm(&self) -> Result<&MmStruct, Errno> {
        // SAFETY: the task gives it back only when it runs, which it does not while we hold it.
        unsafe { self.task.mm.load(Ordering::Relaxed).as_ref() }.ok_or(Errno::EIO)
    }

    /// Lets the task go on with `signal`, which is 0 for none.
    pub fn resume(self, signal: i32) {
        let task = self.task.clone();
        {
            // A wait of another thread must not take the signal for a code to report.
            let _list = TASKLIST.lock();
            task.ptrace.code.store(signal, Ordering::Relaxed);
            drop(self);
            try_to_wake_up(&task, TASK_TRACED);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let task: &TaskStruct = &self.task;
        {
            let _pi = task.pi_lock.lock();
            task.state.set_held(false);
        }
        // Whoever sent SIGKILL meanwhile could not wake it.
        if is_killed(task) {
            try_to_wake_up(task, TASK_TRACED);
        }
    }
}

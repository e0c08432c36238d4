//! Wait queues: tasks that sleep until a condition holds.
//!
//! Book: ch. 3, "How Processes Are Organized", "Wait queues".
//! Linux: 2.6.38 `prepare_to_wait`, `finish_wait`, `__wake_up`.

extern crate alloc;
use alloc::collections::VecDeque;
use core::sync::atomic::Ordering;

use super::schedule::schedule;
use super::wake_up::{TASK_NORMAL, try_to_wake_up};
use crate::arch::x86::current::current;
use crate::sync::IrqSpinLock;
use crate::syscall::errno::Errno;
use crate::task::state::{TASK_INTERRUPTIBLE, TASK_RUNNING, TASK_UNINTERRUPTIBLE};
use crate::task::task_struct::TaskRef;
use crate::task::thread_info::{TIF_SIGPENDING, test_flag};

/// Tasks that wait, in the order in which they came.
pub struct WaitQueue(IrqSpinLock<VecDeque<TaskRef>>);

impl WaitQueue {
    /// A queue with nobody on it.
    pub const fn new() -> Self {
        Self(IrqSpinLock::new(VecDeque::new()))
    }

    /// Sleeps until `condition` holds.
    ///
    /// # Errors
    /// EINTR when a signal comes first.
    pub fn wait_until(&self, mut condition: impl FnMut() -> bool) -> Result<(), Errno> {
        self.wait(TASK_INTERRUPTIBLE, &mut condition)
    }

    /// Sleeps until `condition` holds, whatever signals come.
    pub fn wait_uninterruptible(&self, mut condition: impl FnMut() -> bool) {
        let _never_interrupted = self.wait(TASK_UNINTERRUPTIBLE, &mut condition);
    }

    fn wait(&self, state: u32, condition: &mut dyn FnMut() -> bool) -> Result<(), Errno> {
        if condition() {
            return Ok(());
        }
        let me = current();
        let result = loop {
            self.prepare_to_wait(state);
            if condition() {
                break Ok(());
            }
            if state == TASK_INTERRUPTIBLE && test_flag(me.thread_info(), TIF_SIGPENDING) {
                break Err(Errno::EINTR);
            }
            schedule();
        };
        me.state.store(TASK_RUNNING, Ordering::Relaxed);
        self.0.lock().retain(|t| t.as_ptr() != me.as_ptr());
        result
    }

    /// Puts the running task on the queue, if it is not there, and sets its state: from now on
    /// a wake-up is not lost.
    fn prepare_to_wait(&self, state: u32) {
        let me = current();
        let mut queue = self.0.lock();
        if !queue.iter().any(|t| t.as_ptr() == me.as_ptr()) {
            queue.push_back(me.get_task_struct());
        }
        me.state.store(state, Ordering::SeqCst);
    }

    /// Wakes everybody.
    pub fn wake_up(&self) {
        let queue = self.0.lock();
        for task in queue.iter() {
            try_to_wake_up(task, TASK_NORMAL);
        }
    }

    /// Wakes the first that really sleeps; says whether there was one.
    pub fn wake_up_one(&self) -> bool {
        let queue = self.0.lock();
        queue.iter().any(|task| try_to_wake_up(task, TASK_NORMAL))
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

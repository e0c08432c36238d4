#![forbid(unsafe_code)]
//! The order in which a wake-up reads its sleeper, waits for it, and makes it runnable.
//!
//! The sleeper may be anywhere between setting its state and its last instruction, may be preempted
//! there, or may be moving to another CPU. `wake_up` implements each step for the machine;
//! `tests/models` runs this file against a sleeper and a pull, in every order that three processors
//! can produce.
//!
//! Linux: 5.4 `try_to_wake_up`, `ttwu_remote`, `__task_rq_lock`.

use super::on_cpu::wait_until_off_cpu;
use crate::task::state::{OnRq, TaskState};
use core::sync::atomic::AtomicU32;

/// A task from its waker's point of view. Its `pi_lock` is held in each call.
pub trait Sleeper {
    /// Returns the task's state (TASK_*).
    fn state(&self) -> &TaskState;
    /// Returns the word that says whether the task is on a run queue.
    fn on_rq(&self) -> &OnRq;
    /// Returns the word that says whether the task's registers are in a processor.
    fn on_cpu(&self) -> &AtomicU32;
    /// Returns the CPU to whose run queue the task belongs.
    fn cpu(&self) -> u32;
    /// Takes the lock of the run queue of `cpu`.
    fn lock_rq(&self, cpu: u32);
    /// Releases the lock of the run queue of `cpu`.
    fn unlock_rq(&self, cpu: u32);
    /// Requests a switch on the awakened task's CPU if the task should run. The lock is held.
    fn check_preempt_curr(&self, cpu: u32);
    /// Chooses a CPU for the task, which is on no queue and no CPU, and puts it on that CPU's
    /// queue.
    fn queue_on_some_cpu(&self);
}

/// Wakes `p`, whose state was one of those to wake.
#[inline(always)]
pub fn wake_up(p: &impl Sleeper) {
    if p.on_rq().is_on_rq() && ttwu_remote(p) {
        return;
    }
    // The task may still be leaving another CPU, with its registers not yet saved.
    wait_until_off_cpu(p.on_cpu());
    p.state().set_waking();
    p.queue_on_some_cpu();
}

/// Wakes `p` if it has not left its run queue yet, by changing only its state; returns false if it
/// has left.
#[inline(never)]
fn ttwu_remote(p: &impl Sleeper) -> bool {
    let cpu = lock_rq_of(p);
    let is_queued = p.on_rq().is_queued();
    if is_queued {
        p.check_preempt_curr(cpu);
        p.state().set_running();
    }
    p.unlock_rq(cpu);
    is_queued
}

/// Takes the lock of the run queue of `p`, even if `p` moves to another queue meanwhile, but not
/// during the move; returns the queue's CPU.
#[doc(alias = "__task_rq_lock")]
#[inline(always)]
pub fn lock_rq_of(p: &impl Sleeper) -> u32 {
    loop {
        let cpu = p.cpu();
        p.lock_rq(cpu);
        if cpu == p.cpu() && !p.on_rq().is_migrating() {
            return cpu;
        }
        p.unlock_rq(cpu);
        core::hint::spin_loop();
    }
}

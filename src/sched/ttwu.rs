#![forbid(unsafe_code)]
//! The order in which a wake-up reads its sleeper, waits for it, and makes it runnable.
//!
//! The sleeper may be anywhere between its state and its last instruction, preempted on the way, or
//! just being pulled to another CPU. `wake_up` says how each step is done on the machine;
//! `tests/models` runs this very file against a sleeper and a pull, in every order that three
//! processors can find.
//!
//! Linux: 5.4 `try_to_wake_up`, `ttwu_remote`, `__task_rq_lock`.

use super::on_cpu::wait_until_off_cpu;
use crate::task::state::{OnRq, TaskState};
use core::sync::atomic::AtomicU32;

/// A task as its waker sees it. Its `pi_lock` is held in each call.
pub trait Sleeper {
    /// TASK_*.
    fn state(&self) -> &TaskState;
    /// Whether it is on a run queue.
    fn on_rq(&self) -> &OnRq;
    /// Whether its registers are in a processor.
    fn on_cpu(&self) -> &AtomicU32;
    /// The CPU whose run queue it belongs to.
    fn cpu(&self) -> u32;
    /// Takes the lock of the run queue of `cpu`.
    fn lock_rq(&self, cpu: u32);
    /// Releases it.
    fn unlock_rq(&self, cpu: u32);
    /// It is awake: asks for a switch on its CPU if it should run. The lock is held.
    fn check_preempt_curr(&self, cpu: u32);
    /// It is on no queue and on no CPU: chooses a CPU, and puts it on that one's queue.
    fn queue_on_some_cpu(&self);
}

/// Wakes `p`, whose state was one of those that are to be woken.
#[inline(always)]
pub fn wake_up(p: &impl Sleeper) {
    if p.on_rq().is_on_rq() && ttwu_remote(p) {
        return;
    }
    // It may still be on its way off another CPU, its registers not yet saved.
    wait_until_off_cpu(p.on_cpu());
    p.state().set_waking();
    p.queue_on_some_cpu();
}

/// `p` has not left its run queue yet, so its state is all that has to change. False if it has
/// meanwhile.
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

/// Takes the lock of the run queue that `p` belongs to, wherever that moves meanwhile, but not while it
/// moves; returns its CPU.
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

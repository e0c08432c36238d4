//! `try_to_wake_up`: makes a sleeping task runnable, on a CPU of its choice.
//!
//! Called from anywhere, interrupts included.
//!
//! A task that goes to sleep leaves its run queue first and the CPU a little later. A waker in
//! between must not let another CPU run it, because its registers are not saved yet. So the waker
//! waits until `on_cpu` is 0, which `finish_task_switch` stores when the task has left its stack.
//!
//! Book: ch. 7, "The try_to_wake_up() Function". Linux: 5.4 `try_to_wake_up`, `wake_up_new_task`,
//! `kick_process`.

use core::sync::atomic::{AtomicU32, Ordering};

use super::balance::select_task_rq;
use super::hooks::trace::{trace_sched_wakeup_new, trace_sched_waking};
use super::rq::{RqLocked, cpu_rq, set_task_cpu};
use super::ttwu::{self, Sleeper};
use crate::arch::x86::current::current;
use crate::arch::x86::irq::smp::smp_send_reschedule;
use crate::base::percpu::smp_processor_id;
use crate::base::thread_info::{TIF_NEED_RESCHED, set_flag};
use crate::base::upward::put_child_tid;
use crate::sync::PreemptGuard;
use crate::task::hooks::HOOK_TRACE;
use crate::task::state::{OnRq, TASK_INTERRUPTIBLE, TASK_UNINTERRUPTIBLE, TaskState};
use crate::task::task_struct::TaskStruct;

/// The states of both kinds of sleep.
pub const TASK_NORMAL: u32 = TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE;

/// Wakes `p` if its state is one of `states`; returns whether it did.
pub fn try_to_wake_up(p: &TaskStruct, states: u32) -> bool {
    // Dropping the guard enables preemption again and checks whether a switch is due.
    let _pi = p.pi_lock.lock();
    if !p.state.is_one_of(states) {
        return false;
    }
    if p.hooks.contains(HOOK_TRACE) {
        trace_sched_waking(p);
    }
    ttwu::wake_up(p);
    true
}

impl Sleeper for TaskStruct {
    #[inline(always)]
    fn state(&self) -> &TaskState {
        &self.state
    }

    #[inline(always)]
    fn on_rq(&self) -> &OnRq {
        &self.on_rq
    }

    #[inline(always)]
    fn on_cpu(&self) -> &AtomicU32 {
        &self.on_cpu
    }

    #[inline(always)]
    fn cpu(&self) -> u32 {
        self.cpu()
    }

    #[inline(always)]
    fn lock_rq(&self, cpu: u32) {
        // The caller of `unlock_rq` inherits the lock.
        cpu_rq(cpu).lock().hand_over();
    }

    #[inline(always)]
    fn unlock_rq(&self, cpu: u32) {
        // SAFETY: `lock_rq` has taken the lock and handed it over.
        drop(unsafe { RqLocked::of_held(cpu_rq(cpu)) });
    }

    #[inline(always)]
    fn check_preempt_curr(&self, cpu: u32) {
        // SAFETY: `lock_rq` has taken the lock and handed it over, and so do we.
        let rq = unsafe { RqLocked::of_held(cpu_rq(cpu)) };
        check_preempt_curr(&rq, self);
        rq.hand_over();
    }

    #[inline(always)]
    fn queue_on_some_cpu(&self) {
        ttwu_queue(self, select_task_rq(self, self.cpu()));
    }
}

/// Wakes `p` from either kind of sleep; returns whether it slept.
pub fn wake_up_process(p: &TaskStruct) -> bool {
    try_to_wake_up(p, TASK_NORMAL)
}

/// Puts a new task on the run queue of the CPU with the fewest tasks.
pub fn wake_up_new_task(p: &TaskStruct) {
    let _pi = p.pi_lock.lock();
    let cpu = super::balance::select_task_rq_fork(p);
    // Once it is queued, others may move it.
    trace_sched_wakeup_new(p, cpu);
    ttwu_queue(p, cpu);
}

/// Puts `p`, which is on no CPU and no run queue, on the run queue of `cpu`. Its `pi_lock` is held.
#[inline(always)]
fn ttwu_queue(p: &TaskStruct, cpu: u32) {
    let p_ptr = core::ptr::from_ref(p).cast_mut();
    // SAFETY: the `pi_lock` is held, so nothing else puts it on a queue, and it is on no CPU.
    unsafe { set_task_cpu(p_ptr, cpu) };
    let mut rq = cpu_rq(cpu).raw_lock();
    // SAFETY: as above; it belongs to that CPU now.
    unsafe { rq.activate_task(p_ptr) };
    p.state.set_running();
    check_preempt_curr(&rq, p);
}

/// Requests a switch on the CPU of `rq` if `p`, one of its tasks, has a better priority than the
/// running task.
#[inline(always)]
pub fn check_preempt_curr<const COUNTS: bool>(rq: &RqLocked<COUNTS>, p: &TaskStruct) {
    let curr = rq.curr();
    // SAFETY: the running task is live; the lock guards both entities.
    let is_due = curr == rq.idle() || unsafe { (*p.se.get()).prio < (*(*curr).se.get()).prio };
    if is_due {
        resched_curr(rq);
    }
}

/// Requests a switch on the CPU of `rq`.
#[inline(always)]
pub fn resched_curr<const COUNTS: bool>(rq: &RqLocked<COUNTS>) {
    // SAFETY: the running task is live, and stays running as long as the lock is held.
    resched_task(unsafe { &*rq.curr() }, rq.cpu);
}

/// Requests a switch from `curr`, which runs on CPU `cpu`. The arguments come by value: for a borrow of
/// the locked run queue the wake-up would store it on the stack.
#[inline(never)]
fn resched_task(curr: &TaskStruct, cpu: u32) {
    set_flag(curr.thread_info(), TIF_NEED_RESCHED);
    if cpu != smp_processor_id() {
        smp_send_reschedule(cpu);
    }
}

/// Makes `p`, if it runs on another CPU, enter the kernel there and check its flags on the way out.
pub fn kick_process(p: &TaskStruct) {
    let _no_preempt = PreemptGuard::new();
    let cpu = p.cpu();
    if cpu != smp_processor_id() && p.on_cpu.load(Ordering::Relaxed) != 0 {
        smp_send_reschedule(cpu);
    }
}

/// Stores the new task's number at the address that clone(CLONE_CHILD_SETTID) gave.
pub fn set_child_tid() {
    let me = current();
    let address = me.set_child_tid.swap(0, Ordering::Relaxed);
    if address != 0 {
        put_child_tid(address, me.pid());
    }
}

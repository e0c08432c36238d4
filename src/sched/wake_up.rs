//! `try_to_wake_up`: makes a sleeping task runnable.
//!
//! Called from anywhere, interrupts included.
//!
//! Book: ch. 7, "The try_to_wake_up() Function". Linux: 2.6.38, with 5.4's `on_cpu` wait.

use core::sync::atomic::Ordering;

use super::rq::{Rq, cpu_rq, rq_lock, rq_unlock, task_rq_lock};
use crate::arch::x86::current::current;
use crate::sync::IrqGuard;
use crate::sync::preempt::preempt_check_resched;
use crate::task::state::{TASK_INTERRUPTIBLE, TASK_RUNNING, TASK_UNINTERRUPTIBLE};
use crate::task::task_struct::TaskStruct;
use crate::task::thread_info::{TIF_NEED_RESCHED, set_flag};

/// Both kinds of sleep.
pub const TASK_NORMAL: u32 = TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE;

/// Wakes `p` if its state is one of `states`; says whether it did.
pub fn try_to_wake_up(p: &TaskStruct, states: u32) -> bool {
    let p_ptr = core::ptr::from_ref(p).cast_mut();
    let woken = {
        let _irq = IrqGuard::new();
        // SAFETY: `p` is live, interrupts are off.
        let rq = unsafe { task_rq_lock(p_ptr) };
        let woken = p.state.load(Ordering::Relaxed) & states != 0;
        if woken {
            // SAFETY: the lock of its queue is held.
            unsafe {
                if !(*p.se.get()).on_rq {
                    // It may still be on its way off another CPU, its registers not yet saved.
                    while p.on_cpu.load(Ordering::Acquire) != 0 {
                        core::hint::spin_loop();
                    }
                    (*rq).activate_task(p_ptr);
                    check_preempt_curr(&*rq, p);
                }
            }
            p.state.store(TASK_RUNNING, Ordering::Relaxed);
        }
        // SAFETY: taken above.
        unsafe { rq_unlock(rq) };
        woken
    };
    preempt_check();
    woken
}

/// Wakes `p` from either kind of sleep.
pub fn wake_up_process(p: &TaskStruct) -> bool {
    try_to_wake_up(p, TASK_NORMAL)
}

/// Puts a new task on the queue of the CPU that it was made for.
pub fn wake_up_new_task(p: &TaskStruct) {
    let p_ptr = core::ptr::from_ref(p).cast_mut();
    {
        let _irq = IrqGuard::new();
        let rq = cpu_rq(p.cpu());
        // SAFETY: interrupts are off and no run-queue lock is held; `p` is live, new and on no
        // list.
        unsafe {
            rq_lock(rq);
            p.state.store(TASK_RUNNING, Ordering::Relaxed);
            (*rq).activate_task(p_ptr);
            check_preempt_curr(&*rq, p);
            rq_unlock(rq);
        }
    }
    preempt_check();
}

/// Asks for a switch on the CPU of `rq` when `p` is better than what runs there.
/// The run-queue lock is held.
fn check_preempt_curr(rq: &Rq, p: &TaskStruct) {
    // SAFETY: the lock is held; the running task is live.
    let (curr, better) = unsafe {
        let curr = &*rq.curr;
        (curr, rq.curr == rq.idle || (*p.se.get()).prio < (*curr.se.get()).prio)
    };
    if better {
        set_flag(curr.thread_info(), TIF_NEED_RESCHED);
    }
}

fn preempt_check() {
    preempt_check_resched();
}

/// Stores the new task's number where clone(CLONE_CHILD_SETTID) asked for it.
pub fn set_child_tid() {
    let me = current();
    let address = me.set_child_tid.swap(0, Ordering::Relaxed);
    if address != 0 {
        // SAFETY: the hook takes any address and checks it.
        unsafe { put_child_tid(address, me.pid) };
    }
}

unsafe extern "C" {
    /// Upward call: stores a word at a user address, or does nothing when that fails.
    fn put_child_tid(address: u32, pid: i32);
}

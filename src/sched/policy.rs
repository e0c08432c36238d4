//! Scheduling policy and priority of a task, and `sched_yield`.
//!
//! Called by the system calls of the same names.
//!
//! Book: ch. 7, "System Calls Related to Scheduling". Linux: 2.6.38 `__sched_setscheduler`.

use super::rq::{rq_lock, rq_unlock, task_rq_lock, this_rq};
use super::schedule::schedule;
use super::tick::task_timeslice;
use core::sync::atomic::Ordering;

use crate::arch::x86::current::current;
use crate::arch::x86::percpu::CPU_ONLINE_MASK;
use crate::sync::IrqGuard;
use crate::sync::irq::local_irq_enable;
use crate::syscall::errno::Errno;
use crate::task::sched_entity::{MAX_RT_PRIO, SCHED_FIFO, SCHED_NORMAL, SCHED_RR};
use crate::task::task_struct::TaskStruct;
use crate::task::thread_info::{TIF_NEED_RESCHED, set_flag};

/// Lets others of the running task's priority go first.
pub fn yield_current() {
    crate::sync::irq::local_irq_disable();
    let rq = this_rq();
    // SAFETY: interrupts are off and no lock is held; the running task is on its queue.
    unsafe {
        rq_lock(rq);
        (*rq).yield_task(current().as_ptr());
        rq_unlock(rq);
    }
    local_irq_enable();
    schedule();
}

/// Gives `p` a policy, and the priority that goes with it: 1..=99 for FIFO and RR, else 0.
///
/// # Errors
/// EINVAL for an unknown policy or a priority out of range.
pub fn set_scheduler(p: &TaskStruct, policy: u32, rt_priority: i32) -> Result<(), Errno> {
    let valid = match policy {
        SCHED_FIFO | SCHED_RR => (1..=99).contains(&rt_priority),
        SCHED_NORMAL => rt_priority == 0,
        _ => false,
    };
    if !valid {
        return Err(Errno::EINVAL);
    }
    change(p, |se| {
        se.policy = policy;
        se.rt_priority = rt_priority as u32;
        se.prio = if policy == SCHED_NORMAL {
            se.static_prio
        } else {
            MAX_RT_PRIO - 1 - se.rt_priority
        };
        se.time_slice = task_timeslice(se);
    });
    Ok(())
}

/// Gives `p` the nice value `nice`, -20..=19.
pub fn set_user_nice(p: &TaskStruct, nice: i32) {
    change(p, |se| {
        se.static_prio = (120 + nice.clamp(-20, 19)) as u32;
        if se.policy == SCHED_NORMAL {
            se.prio = se.static_prio;
        }
    });
}

/// Policy, real-time priority and static priority of `p`.
pub fn get_scheduler(p: &TaskStruct) -> (u32, u32, u32) {
    let _irq = IrqGuard::new();
    // SAFETY: `p` is live and interrupts are off; the lock guards what is read.
    unsafe {
        let rq = task_rq_lock(core::ptr::from_ref(p).cast_mut());
        let se = &*p.se.get();
        let answer = (se.policy, se.rt_priority, se.static_prio);
        rq_unlock(rq);
        answer
    }
}

/// Lets `p` run on the CPUs of `mask` only.
///
/// # Errors
/// EINVAL when none of them runs.
pub fn set_cpus_allowed(p: &TaskStruct, mask: u32) -> Result<(), Errno> {
    let mask = mask & CPU_ONLINE_MASK.load(Ordering::Relaxed);
    if mask == 0 {
        return Err(Errno::EINVAL);
    }
    change(p, |se| se.cpus_allowed = mask);
    Ok(())
}

/// CPUs that `p` may run on, of those that run.
pub fn get_cpus_allowed(p: &TaskStruct) -> u32 {
    let _irq = IrqGuard::new();
    // SAFETY: `p` is live and interrupts are off; the lock guards what is read.
    unsafe {
        let rq = task_rq_lock(core::ptr::from_ref(p).cast_mut());
        let mask = (*p.se.get()).cpus_allowed;
        rq_unlock(rq);
        mask & CPU_ONLINE_MASK.load(Ordering::Relaxed)
    }
}

fn change(p: &TaskStruct, set: impl FnOnce(&mut crate::task::sched_entity::SchedEntity)) {
    let p_ptr = core::ptr::from_ref(p).cast_mut();
    {
        let _irq = IrqGuard::new();
        // SAFETY: `p` is live and interrupts are off; the lock guards entity and queue.
        unsafe {
            let rq = task_rq_lock(p_ptr);
            let on_rq = (*p.se.get()).on_rq;
            if on_rq {
                (*rq).deactivate_task(p_ptr);
            }
            set(&mut *p.se.get());
            if on_rq {
                (*rq).activate_task(p_ptr);
                set_flag((*(*rq).curr).thread_info(), TIF_NEED_RESCHED);
            }
            rq_unlock(rq);
        }
    }
    crate::sync::preempt::preempt_check_resched();
}

//! Scheduling policy and priority of a task, and `sched_yield`.
//!
//! The system calls of the same names use these functions.
//!
//! Book: ch. 7, "System Calls Related to Scheduling". Linux: 2.6.38 `__sched_setscheduler`.

use super::rq::{task_rq_lock, this_rq};
use super::schedule::schedule;
use super::wake_up::resched_curr;

use crate::arch::x86::current::current;
use crate::base::errno::Errno;
use crate::sync::irq::local_irq_disable;
use crate::task::sched_entity::{
    DEFAULT_PRIO, MAX_RT_PRIO, SCHED_BATCH, SCHED_FIFO, SCHED_IDLE, SCHED_NORMAL, SCHED_RR,
    SchedEntity, normal_prio,
};
use crate::task::state::PF_THREAD_BOUND;
use crate::task::task_struct::TaskStruct;

/// Lets other tasks of the running task's priority run first.
#[inline(always)]
pub fn yield_current() {
    local_irq_disable();
    // SAFETY: the running task is on its queue.
    unsafe { this_rq().raw_lock().yield_task(current().as_ptr()) };
    // Interrupts stay off: `schedule` turns them off first.
    schedule();
}

/// Returns EINVAL unless the policy exists and `rt_priority` suits it: 1..=99 for FIFO and RR,
/// otherwise 0.
pub fn check_scheduler(policy: u32, rt_priority: i32) -> Result<(), Errno> {
    let valid = match policy {
        SCHED_FIFO | SCHED_RR => (1..=99).contains(&rt_priority),
        SCHED_NORMAL | SCHED_BATCH | SCHED_IDLE => rt_priority == 0,
        _ => false,
    };
    if valid { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Gives `p` a policy, and the priority for it.
///
/// # Errors
/// Those of [`check_scheduler`]; EINVAL for the migration thread of a CPU.
pub fn set_scheduler(p: &TaskStruct, policy: u32, rt_priority: i32) -> Result<(), Errno> {
    check_scheduler(policy, rt_priority)?;
    if p.has_flags(PF_THREAD_BOUND) {
        return Err(Errno::EINVAL);
    }
    change(p, |se| {
        se.policy = policy;
        se.rt_priority = rt_priority as u32;
        se.prio = normal_prio(policy, se.rt_priority, se.static_prio);
    });
    Ok(())
}

/// Gives `p` the nice value `nice`, -20..=19.
pub fn set_user_nice(p: &TaskStruct, nice: i32) {
    change(p, |se| {
        se.static_prio = DEFAULT_PRIO.saturating_add_signed(nice.clamp(-20, 19));
        se.prio = normal_prio(se.policy, se.rt_priority, se.static_prio);
    });
}

/// Returns policy, real-time priority and static priority of `p`.
pub fn get_scheduler(p: &TaskStruct) -> (u32, u32, u32) {
    let _locked = task_rq_lock(p);
    // SAFETY: the locks guard the entity.
    let se = unsafe { &*p.se.get() };
    (se.policy, se.rt_priority, se.static_prio)
}

/// Gives `p`, a kernel thread that does not run yet, SCHED_FIFO with this real-time priority and
/// binds it to `cpu`, for ever. 99 is better than any priority that a program can get.
pub fn make_thread_of_cpu(p: &TaskStruct, rt_priority: u32, cpu: u32) {
    p.flags.insert(PF_THREAD_BOUND);
    let _locked = task_rq_lock(p);
    // SAFETY: both locks are held.
    unsafe {
        let se = &mut *p.se.get();
        se.policy = SCHED_FIFO;
        se.rt_priority = rt_priority;
        se.prio = (MAX_RT_PRIO - 1).saturating_sub(rt_priority);
        se.cpus_allowed = 1 << cpu;
    }
}

/// Changes the values that determine a priority. The task goes to the end of its new list in its
/// present array, with its present time slice, so that repeated changes of policy or priority do
/// not gain CPU time.
fn change(p: &TaskStruct, set: impl FnOnce(&mut SchedEntity)) {
    let p_ptr = core::ptr::from_ref(p).cast_mut();
    let mut locked = task_rq_lock(p);
    // SAFETY: the locks guard entity and queue; a task on a run queue is on one of its lists.
    unsafe {
        if p.on_rq.is_on_rq() {
            locked.rq.requeue_changed(p_ptr, set);
            resched_curr(&locked.rq);
        } else {
            set(&mut *p.se.get());
        }
    }
}

//! `sched_fork`, `sched_exit`: a new task gets half of its parent's time slice, and returns the
//! rest when it ends.
//!
//! Only the tick creates time slices, when one is used up, and then the task goes to the expired
//! array. A fork only divides the parent's slice, and a parent with nothing left goes to the
//! expired array at once: otherwise a chain of short-lived processes would keep the CPU for ever.
//!
//! `copy_process` and `do_exit` call these, in process context.
//!
//! Book: ch. 7, "The scheduler_tick() Function", "Updating the time slice"; ch. 3, "copy_process()".
//! Linux: 2.6.11 `sched_fork`, `sched_exit`.

use super::rq::{task_rq_lock, this_rq};
use super::tick::task_timeslice;
use crate::arch::x86::current::Current;
use crate::base::thread_info::{TIF_NEED_RESCHED, set_flag};
use crate::sync::IrqGuard;
use crate::task::sched_entity::SCHED_FIFO;
use crate::task::task_struct::TaskStruct;

/// Gives `task`, to which nothing else refers yet, the policy, priority and CPUs of the running
/// task, and half of its time slice, rounded up.
pub fn sched_fork(me: Current, task: &mut TaskStruct) {
    let _irq = IrqGuard::new();
    let mut rq = this_rq().raw_lock();
    // SAFETY: the lock guards the running task's entity; a queued task is on one of the lists.
    unsafe {
        let mine = &mut *me.se.get();
        let se = task.se.get_mut();
        se.policy = mine.policy;
        se.prio = mine.prio;
        se.static_prio = mine.static_prio;
        se.rt_priority = mine.rt_priority;
        // The idle task, which creates the first tasks, is bound to its CPU; they are not.
        se.cpus_allowed = if me.pid() == 0 { !0 } else { mine.cpus_allowed };
        se.time_slice = mine.time_slice.div_ceil(2);
        se.first_time_slice = true;
        mine.time_slice /= 2;
        if mine.time_slice == 0 {
            mine.time_slice = task_timeslice(mine);
            // The idle task is on no list, and a FIFO task's time never ends.
            if me.on_rq.is_queued() && mine.policy != SCHED_FIFO {
                rq.yield_task(me.as_ptr());
                set_flag(me.thread_info(), TIF_NEED_RESCHED);
            }
        }
    }
}

/// Returns the rest of the running task's time slice to `parent` when the task ends.
pub fn sched_exit(me: Current, parent: &TaskStruct) {
    let left = {
        let _locked = task_rq_lock(&me);
        // SAFETY: both locks are held.
        let mine = unsafe { &mut *me.se.get() };
        let is_first = core::mem::take(&mut mine.first_time_slice);
        if is_first { mine.time_slice } else { 0 }
    };
    if left != 0 {
        let _locked = task_rq_lock(parent);
        // SAFETY: both locks are held.
        let se = unsafe { &mut *parent.se.get() };
        se.time_slice = se.time_slice.saturating_add(left).min(task_timeslice(se));
    }
}

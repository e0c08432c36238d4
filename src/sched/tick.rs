//! `scheduler_tick`: time slices.
//!
//! Called by the timer interrupt, on the stack of the task that it interrupted.
//!
//! Book: ch. 7, "The scheduler_tick() Function". Linux: 2.6.11.

use super::balance::rebalance_tick;
use super::rq::{rq_lock, rq_unlock, this_rq};
use super::timer::{HZ, run_timers};
use crate::arch::x86::percpu::smp_processor_id;
use crate::sync::IrqGuard;
use crate::task::sched_entity::{DEFAULT_PRIO, SCHED_FIFO, SCHED_NORMAL, SchedEntity};
use crate::task::thread_info::{TIF_NEED_RESCHED, set_flag};
use crate::{this_cpu_inc, this_cpu_read};
use core::sync::atomic::Ordering;

/// A full time slice in ticks: 100 ms at nice 0 (book: DEF_TIMESLICE), 5 ms to 200 ms in all.
pub fn task_timeslice(se: &SchedEntity) -> u32 {
    if se.policy != SCHED_NORMAL {
        return HZ / 10;
    }
    let nice = se.static_prio as i32 - DEFAULT_PRIO as i32;
    ((20 - nice).max(1) as u32 * HZ / 200).max(1)
}

/// One tick of this CPU.
#[unsafe(no_mangle)]
pub extern "C" fn timer_tick() {
    if smp_processor_id() == 0 {
        run_timers();
    }
    scheduler_tick();
    // SAFETY: in the tick, interrupts off, as it wants it.
    unsafe { watchdog_tick() };
}

unsafe extern "C" {
    /// Upward: `process::watchdog`.
    fn watchdog_tick();
}

fn scheduler_tick() {
    let _irq = IrqGuard::new();
    this_cpu_inc!(count.ticks);
    let rq = this_rq();
    // SAFETY: interrupts are off; an interrupt handler never holds this lock when it starts,
    // since who holds it has interrupts off.
    unsafe { rq_lock(rq) };
    // SAFETY: the lock is held; the running task is live and its entity is guarded by the lock.
    unsafe {
        let q = &mut *rq;
        let curr = q.curr;
        let se = &mut *(*curr).se.get();
        let on_rq = (*curr).on_rq.load(Ordering::Relaxed) != 0;
        if curr != q.idle && on_rq && se.policy != SCHED_FIFO {
            se.time_slice = se.time_slice.saturating_sub(1);
            if se.time_slice == 0 {
                se.time_slice = task_timeslice(se);
                q.yield_task(curr);
                set_flag((*curr).thread_info(), TIF_NEED_RESCHED);
            }
        }
        rebalance_tick(rq, this_cpu_read!(count.ticks));
        rq_unlock(rq);
    }
}

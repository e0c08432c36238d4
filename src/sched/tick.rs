//! `scheduler_tick`: time slices.
//!
//! The timer interrupt calls this, on the stack of the interrupted task.
//!
//! Book: ch. 7, "The scheduler_tick() Function". Linux: 2.6.11.

use super::balance::rebalance_tick;
use super::cpu_timer::run_posix_cpu_timers;
use super::loadavg::calc_global_load;
use super::rq::this_rq;
use super::status_line::status_tick;
use super::timer::{HZ, do_timer, jiffies, run_local_timers};
use super::trace_thread::trace_tick;
use crate::arch::x86::current::current;
use crate::arch::x86::irq::do_irq::with_irq_regs;
use crate::base::percpu::smp_processor_id;
use crate::base::pt_regs::PtRegs;
use crate::base::thread_info::{TIF_NEED_RESCHED, set_flag};
use crate::base::upward::watchdog_tick;
use crate::provides_upward;
use crate::sync::IrqGuard;
use crate::task::sched_entity::{DEFAULT_PRIO, SCHED_FIFO, SchedEntity, rt_policy};
use crate::{this_cpu_inc, this_cpu_read};

/// Returns a full time slice in ticks: 100 ms at nice 0 and 5 ms at nice 19, as in the book; 200 ms
/// at nice -20, where the book's kernel has 800.
pub fn task_timeslice(se: &SchedEntity) -> u32 {
    if rt_policy(se.policy) {
        return HZ / 10;
    }
    // 40 at nice -20, 20 at nice 0.
    let share = (DEFAULT_PRIO + 20).saturating_sub(se.static_prio).max(1);
    (share.saturating_mul(HZ) / 200).max(1)
}

/// Handles one tick of this CPU.
#[unsafe(no_mangle)]
pub fn timer_tick() {
    watchdog_tick();
    if smp_processor_id() == 0 {
        do_timer();
        calc_global_load(jiffies());
        status_tick(jiffies());
    }
    run_local_timers();
    scheduler_tick();
    run_posix_cpu_timers();
    trace_tick();
}

provides_upward!(timer_tick);

/// Accounts the tick to the interrupted code: the program, the kernel on its behalf, or the idle
/// task.
fn account_process_tick() {
    let me = current();
    let in_user = with_irq_regs(|regs| regs.is_some_and(PtRegs::user_mode));
    if me.pid() == 0 {
        this_cpu_inc!(cpustat.idle);
        return;
    }
    me.signal.timers.ticks.count(in_user);
    if in_user {
        me.utime.inc();
        // SAFETY: a word of a live task, for statistics: a concurrent change may or may not be
        // seen.
        let static_prio = unsafe { (&raw const (*me.se.get()).static_prio).read_volatile() };
        match static_prio > DEFAULT_PRIO {
            true => this_cpu_inc!(cpustat.nice),
            false => this_cpu_inc!(cpustat.user),
        }
    } else {
        me.stime.inc();
        this_cpu_inc!(cpustat.system);
    }
}

fn scheduler_tick() {
    let _irq = IrqGuard::new();
    this_cpu_inc!(count.ticks);
    account_process_tick();
    let mut rq = this_rq().lock();
    let curr = rq.curr();
    // SAFETY: the running task is live and its entity is guarded by the lock.
    unsafe {
        let se = &mut *(*curr).se.get();
        let on_rq = (*curr).on_rq.is_queued();
        if curr != rq.idle() && on_rq && se.policy != SCHED_FIFO {
            se.time_slice = se.time_slice.saturating_sub(1);
            if se.time_slice == 0 {
                se.time_slice = task_timeslice(se);
                se.first_time_slice = false;
                rq.yield_task(curr);
                set_flag((*curr).thread_info(), TIF_NEED_RESCHED);
            }
        }
    }
    rq.nr_switches.carry();
    rebalance_tick(&mut rq, this_cpu_read!(count.ticks));
}

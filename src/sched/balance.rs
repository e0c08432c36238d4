//! Which CPU a task runs on: chosen at its wake-up, and changed when another CPU has less to do.
//!
//! ```text
//!   wake-up      the CPU it ran on if that is idle, else an idle one, else the one it ran on
//!   fork         the CPU with the fewest tasks
//!   new idle     a CPU that finds nothing to run pulls a task from the busiest
//!   tick         an idle CPU tries each tick, a busy one every BUSY_INTERVAL ticks
//! ```
//! A task is moved with the locks of both run queues held, and never while it runs.
//!
//! Book: ch. 7, "Runqueue Balancing in Multiprocessor Systems". Linux: 2.6.11 `load_balance`,
//! `idle_balance`, `move_tasks`; 5.4 `select_task_rq`.

use core::sync::atomic::Ordering;

use super::rq::{Rq, RqLocked, cpu_rq, set_task_cpu};
use super::wake_up::check_preempt_curr;
use crate::base::percpu::CPU_ONLINE_MASK;
use crate::task::task_struct::TaskStruct;
use crate::this_cpu_inc;

/// Ticks from one look around of a busy CPU to the next.
const BUSY_INTERVAL: u32 = 25;

/// The CPU for `p`, which wakes and last ran on `prev_cpu`. Its `pi_lock` is held.
#[inline]
pub fn select_task_rq(p: &TaskStruct, prev_cpu: u32) -> u32 {
    let online = CPU_ONLINE_MASK.load(Ordering::Relaxed);
    if online == 1 {
        return 0;
    }
    let allowed = allowed(p, online);
    if allowed & 1 << prev_cpu != 0 && is_idle(prev_cpu) {
        return prev_cpu;
    }
    match cpus(allowed).find(|&cpu| is_idle(cpu)) {
        Some(idle) => idle,
        None if allowed & 1 << prev_cpu != 0 => prev_cpu,
        None => least_loaded(allowed),
    }
}

/// The CPU for `p`, which is new. Its `pi_lock` is held.
pub fn select_task_rq_fork(p: &TaskStruct) -> u32 {
    least_loaded(allowed(p, CPU_ONLINE_MASK.load(Ordering::Relaxed)))
}

/// CPUs of `online` that `p` may run on. Its `pi_lock` is held.
fn allowed(p: &TaskStruct, online: u32) -> u32 {
    // SAFETY: one of the two locks that guard it is held.
    let allowed = unsafe { (*p.se.get()).cpus_allowed } & online;
    // Nobody can take its last CPU from a task; but a CPU that never came up is not one.
    if allowed == 0 { online } else { allowed }
}

fn cpus(mask: u32) -> impl Iterator<Item = u32> {
    (0..u32::BITS).filter(move |cpu| mask & 1 << cpu != 0)
}

/// Tasks on the queue of `cpu`. It may be another number by now.
fn nr_running(cpu: u32) -> u32 {
    cpu_rq(cpu).nr_running.get()
}

fn is_idle(cpu: u32) -> bool {
    nr_running(cpu) == 0
}

fn least_loaded(mask: u32) -> u32 {
    cpus(mask).min_by_key(|&cpu| nr_running(cpu)).unwrap_or(0)
}

/// This CPU is about to be idle: pulls a task if another CPU has one waiting. `this` is its run queue.
pub fn idle_balance(this: &mut RqLocked) {
    if CPU_ONLINE_MASK.load(Ordering::Relaxed) != 1 {
        pull_task(this, 2);
    }
}

/// The tick's part. Idle CPUs take what waits; busy ones even out a difference of two. `this` is this
/// CPU's run queue.
pub fn rebalance_tick(this: &mut RqLocked, tick: u32) {
    let mine = this.nr_running.get();
    if mine == 0 {
        idle_balance(this);
    } else if tick.is_multiple_of(BUSY_INTERVAL) && CPU_ONLINE_MASK.load(Ordering::Relaxed) != 1 {
        pull_task(this, mine.saturating_add(2));
    }
}

/// Moves one task here from the CPU that has most, if that has `at_least` so many. One whose tasks
/// may all not come is passed over.
fn pull_task(this: &mut RqLocked, at_least: u32) {
    let mut others = CPU_ONLINE_MASK.load(Ordering::Relaxed) & !(1 << this.cpu);
    while let Some(busiest) = cpus(others).max_by_key(|&cpu| nr_running(cpu)) {
        if nr_running(busiest) < at_least || pull_from(this, cpu_rq(busiest)) {
            return;
        }
        others &= !(1 << busiest);
    }
}

/// Moves one task from `src`, another CPU's, to `this`; says whether there was one that might.
fn pull_from(this: &mut RqLocked, src: &'static Rq) -> bool {
    // Not waited for: we hold a lock already, and whoever holds that one may want ours.
    let Some(mut src) = src.trylock() else {
        return false;
    };
    let this_cpu = this.cpu;
    // SAFETY: both locks are held from here to the end. A task that is queued and does not run is on no
    // CPU: a switch away from it would hold the lock.
    unsafe {
        let may_come = |p: *mut TaskStruct| (*(*p).se.get()).cpus_allowed & 1 << this_cpu != 0;
        let p = src.find_queued(may_come);
        if !p.is_null() {
            let is_expired = src.detach_task(p);
            set_task_cpu(p, this_cpu);
            this.attach_task(p, is_expired);
            check_preempt_curr(this, &*p);
            this_cpu_inc!(count.migrations);
        }
        !p.is_null()
    }
}

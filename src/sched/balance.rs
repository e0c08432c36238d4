//! Load balancing: the choice of a task's CPU at its wake-up, and its move when another CPU has
//! less to do.
//!
//! ```text
//!   wake-up      the CPU it ran on if that is idle, else an idle one, else the one it ran on
//!   fork         the CPU with the fewest tasks
//!   new idle     a CPU that finds nothing to run pulls a task from the busiest
//!   tick         an idle CPU tries each tick, a busy one every BUSY_INTERVAL ticks
//! ```
//! A task moves only while it does not run, with the locks of both run queues held.
//!
//! Book: ch. 7, "Runqueue Balancing in Multiprocessor Systems". Linux: 2.6.11 `load_balance`,
//! `idle_balance`, `move_tasks`; 5.4 `select_task_rq`.

use core::sync::atomic::Ordering;

use super::rq::{Rq, RqLocked, cpu_rq, set_task_cpu};
use super::wake_up::check_preempt_curr;
use crate::base::percpu::CPU_ONLINE_MASK;
use crate::task::task_struct::TaskStruct;
use crate::this_cpu_inc;

/// Ticks between two balancing attempts of a busy CPU.
const BUSY_INTERVAL: u32 = 25;

/// Chooses a CPU for `p`, which wakes and last ran on `prev_cpu`. Its `pi_lock` is held.
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

/// Chooses a CPU for `p`, which is new. Its `pi_lock` is held.
pub fn select_task_rq_fork(p: &TaskStruct) -> u32 {
    least_loaded(allowed(p, CPU_ONLINE_MASK.load(Ordering::Relaxed)))
}

/// Returns the CPUs of `online` on which `p` may run. Its `pi_lock` is held.
fn allowed(p: &TaskStruct, online: u32) -> u32 {
    // SAFETY: one of the two locks that guard the mask is held.
    let allowed = unsafe { (*p.se.get()).cpus_allowed } & online;
    // A task always keeps one CPU of its mask, but that CPU may never have started.
    if allowed == 0 { online } else { allowed }
}

fn cpus(mask: u32) -> impl Iterator<Item = u32> {
    (0..u32::BITS).filter(move |cpu| mask & 1 << cpu != 0)
}

/// Returns the number of tasks on the queue of `cpu`, which may have changed already.
fn nr_running(cpu: u32) -> u32 {
    cpu_rq(cpu).nr_running.get()
}

fn is_idle(cpu: u32) -> bool {
    nr_running(cpu) == 0
}

fn least_loaded(mask: u32) -> u32 {
    cpus(mask).min_by_key(|&cpu| nr_running(cpu)).unwrap_or(0)
}

/// Pulls a waiting task from another CPU, if there is one, before this CPU becomes idle. `this` is
/// this CPU's run queue.
pub fn idle_balance(this: &mut RqLocked) {
    if CPU_ONLINE_MASK.load(Ordering::Relaxed) != 1 {
        pull_task(this, 2);
    }
}

/// Balances in the tick: an idle CPU pulls any waiting task, a busy one evens out a difference of
/// two. `this` is this CPU's run queue.
pub fn rebalance_tick(this: &mut RqLocked, tick: u32) {
    let mine = this.nr_running.get();
    if mine == 0 {
        idle_balance(this);
    } else if tick.is_multiple_of(BUSY_INTERVAL) && CPU_ONLINE_MASK.load(Ordering::Relaxed) != 1 {
        pull_task(this, mine.saturating_add(2));
    }
}

/// Moves one task here from the CPU with the most tasks, if it has at least `at_least`. Passes over
/// a CPU none of whose tasks may move here.
fn pull_task(this: &mut RqLocked, at_least: u32) {
    let mut others = CPU_ONLINE_MASK.load(Ordering::Relaxed) & !(1 << this.cpu);
    while let Some(busiest) = cpus(others).max_by_key(|&cpu| nr_running(cpu)) {
        if nr_running(busiest) < at_least || pull_from(this, cpu_rq(busiest)) {
            return;
        }
        others &= !(1 << busiest);
    }
}

/// Moves one task from `src`, the run queue of another CPU, to `this`; returns whether one could
/// move.
fn pull_from(this: &mut RqLocked, src: &'static Rq) -> bool {
    // We do not wait: we already hold a lock, and the CPU that holds the other may want ours.
    let Some(mut src) = src.trylock() else {
        return false;
    };
    let this_cpu = this.cpu;
    // SAFETY: both locks are held from here to the end. A queued task that does not run is on no
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

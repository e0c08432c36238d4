//! `migration/N`: moves a task off CPU N when it may no longer run there.
//!
//! A running task cannot be moved, so each CPU has a kernel thread with a better priority than all
//! others: while the thread runs, the task that it has to move does not.
//!
//! Book: ch. 7, "The sched_getaffinity() and sched_setaffinity() System Calls". Linux: 2.6.38 `migration_cpu_stop`,
//! `set_cpus_allowed_ptr`, `move_task` (`__migrate_task`).

extern crate alloc;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use super::balance::select_task_rq_fork;
use super::rq::{cpu_rq, double_rq_lock, set_task_cpu, task_rq_lock};
use super::wait_queue::WaitQueue;
use super::wake_up::check_preempt_curr;
use crate::base::errno::Errno;
use crate::base::percpu::{CPU_ONLINE_MASK, NR_CPUS};
use crate::sync::{IrqSpinLock, LockClass};
use crate::task::state::PF_THREAD_BOUND;
use crate::task::task_struct::{TaskRef, TaskStruct};

/// A task that must leave, and the queue of the caller that waits for it.
struct Request {
    task: TaskRef,
    done: Arc<Done>,
}

struct Done {
    is_done: AtomicBool,
    waiters: WaitQueue,
}

/// The requests of one CPU.
struct Stopper {
    requests: IrqSpinLock<VecDeque<Request>>,
    waiting: WaitQueue,
}

static STOPPERS: [Stopper; NR_CPUS] = [const {
    Stopper {
        requests: IrqSpinLock::new(LockClass::MigrationRequests, VecDeque::new()),
        waiting: WaitQueue::new(),
    }
}; NR_CPUS];

/// Runs the migration thread of CPU `cpu`, which serves requests for ever. It runs only on that
/// CPU, with the best priority.
pub extern "C" fn migration_thread(cpu: u32) -> i32 {
    let stopper = &STOPPERS[cpu as usize];
    loop {
        let mut request = None;
        stopper.waiting.wait_uninterruptible(|| {
            request = stopper.requests.lock().pop_front();
            request.is_some()
        });
        if let Some(request) = request {
            migrate_task(&request.task, cpu);
            request.done.is_done.store(true, Ordering::Release);
            request.done.waiters.wake_up();
        }
    }
}

/// Restricts `p` to the CPUs of `mask`. When this returns, `p` runs on no other.
///
/// # Errors
/// EINVAL if no CPU of `mask` runs, or if `p` is the migration thread of a CPU.
pub fn set_cpus_allowed(p: &TaskStruct, mask: u32) -> Result<(), Errno> {
    let online = CPU_ONLINE_MASK.load(Ordering::Relaxed);
    if mask & online == 0 || p.has_flags(PF_THREAD_BOUND) {
        return Err(Errno::EINVAL);
    }
    let wrong_cpu = {
        let _locked = task_rq_lock(p);
        // SAFETY: both locks are held.
        unsafe { (*p.se.get()).cpus_allowed = mask };
        let cpu = p.cpu();
        let must_move = mask & 1 << cpu == 0 && p.on_rq.is_on_rq();
        must_move.then_some(cpu)
    };
    if let Some(cpu) = wrong_cpu {
        stop_one_cpu(cpu, p);
    }
    Ok(())
}

/// Returns the running CPUs on which `p` may run.
pub fn get_cpus_allowed(p: &TaskStruct) -> u32 {
    let _locked = task_rq_lock(p);
    // SAFETY: both locks are held.
    let mask = unsafe { (*p.se.get()).cpus_allowed };
    mask & CPU_ONLINE_MASK.load(Ordering::Relaxed)
}

/// Makes the migration thread of `cpu` move `p`, and waits for it.
fn stop_one_cpu(cpu: u32, p: &TaskStruct) {
    // SAFETY: the caller's reference keeps it live for the length of the call.
    let task = unsafe { TaskRef::get(core::ptr::from_ref(p).cast_mut()) };
    let done = Arc::new(Done {
        is_done: AtomicBool::new(false),
        waiters: WaitQueue::new(),
    });
    let stopper = &STOPPERS[cpu as usize];
    stopper.requests.lock().push_back(Request {
        task,
        done: done.clone(),
    });
    stopper.waiting.wake_up();
    done.waiters
        .wait_uninterruptible(|| done.is_done.load(Ordering::Acquire));
}

/// Moves `p` off `from` if it is still queued there and may not run there.
fn migrate_task(p: &TaskStruct, from: u32) {
    let p_ptr = core::ptr::from_ref(p).cast_mut();
    let _pi = p.pi_lock.lock();
    // SAFETY: the `pi_lock` is held.
    let mask = unsafe { (*p.se.get()).cpus_allowed };
    if p.cpu() != from || mask & 1 << from != 0 {
        return;
    }
    let to = select_task_rq_fork(p);
    if to == from {
        return;
    }
    let (mut src, mut dst) = double_rq_lock(cpu_rq(from), cpu_rq(to));
    // SAFETY: both locks are held. We run on `from`, so `p` does not: it is on no CPU.
    unsafe {
        if p.cpu() == from && p.on_rq.is_on_rq() {
            let is_expired = src.detach_task(p_ptr);
            set_task_cpu(p_ptr, to);
            dst.attach_task(p_ptr, is_expired);
            check_preempt_curr(&dst, p);
        }
    }
}

//! `migration/N`: moves a task off CPU N when it may no longer run there.
//!
//! A running task cannot be moved, so each CPU has a kernel thread with a better priority than all
//! others: while the thread runs, the task that it has to move does not.
//!
//! Book: ch. 7, "The sched_getaffinity() and sched_setaffinity() System Calls". Linux: 2.6.38 `migration_cpu_stop`,
//! `set_cpus_allowed_ptr`, `move_task` (`__migrate_task`).

use core::sync::atomic::Ordering;

use super::balance::select_task_rq_fork;
use super::rq::{cpu_rq, double_rq_lock, set_task_cpu, task_rq_lock};
use super::wait_queue::WaitQueue;
use super::wake_up::check_preempt_curr;
use crate::base::errno::Errno;
use crate::base::percpu::{CPU_ONLINE_MASK, NR_CPUS};
use crate::sync::{IrqSpinLock, LockClass};
use crate::task::state::PF_THREAD_BOUND;
use crate::task::task_struct::{TaskRef, TaskStruct};

/// The requests of one CPU, one at a time.
struct Stopper {
    request: IrqSpinLock<Request>,
    /// Where the thread sleeps.
    waiting: WaitQueue,
    /// Where those sleep that wait for their turn, or for the end of what they asked for.
    callers: WaitQueue,
}

struct Request {
    /// The task that must go, until the thread has taken it.
    task: Option<TaskRef>,
    /// Requests made and requests done; both wrap.
    made: u32,
    done: u32,
}

static STOPPERS: [Stopper; NR_CPUS] = [const {
    Stopper {
        request: IrqSpinLock::new(
            LockClass::MigrationRequests,
            Request {
                task: None,
                made: 0,
                done: 0,
            },
        ),
        waiting: WaitQueue::new(),
        callers: WaitQueue::new(),
    }
}; NR_CPUS];

/// Runs the migration thread of CPU `cpu`, which serves requests for ever. It runs only on that
/// CPU, with the best priority.
pub extern "C" fn migration_thread(cpu: u32) -> i32 {
    let stopper = &STOPPERS[cpu as usize];
    loop {
        let mut task = None;
        stopper.waiting.wait_uninterruptible(|| {
            task = stopper.request.lock().task.take();
            task.is_some()
        });
        if let Some(task) = task {
            migrate_task(&task, cpu);
            drop(task);
            let mut request = stopper.request.lock();
            request.done = request.made;
            drop(request);
            stopper.callers.wake_up();
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

/// Makes the migration thread of `cpu` move `p`, and waits for it. Needs no memory, so it cannot fail.
fn stop_one_cpu(cpu: u32, p: &TaskStruct) {
    // SAFETY: the caller's reference keeps it live for the length of the call.
    let mut task = Some(unsafe { TaskRef::get(core::ptr::from_ref(p).cast_mut()) });
    let stopper = &STOPPERS[cpu as usize];
    let mut ticket = 0;
    stopper.callers.wait_uninterruptible(|| {
        let mut request = stopper.request.lock();
        if request.made != request.done {
            return false;
        }
        request.task = task.take();
        request.made = request.made.wrapping_add(1);
        ticket = request.made;
        true
    });
    stopper.waiting.wake_up();
    stopper.callers.wait_uninterruptible(|| {
        let done = stopper.request.lock().done;
        done.wrapping_sub(ticket).cast_signed() >= 0
    });
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

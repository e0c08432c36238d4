//! `rq`: the run queue of one CPU.
//!
//! The book's O(1) queue: two priority arrays. A normal task that has used up its time slice, or
//! yields, goes to the expired one; when the active one is empty the two change places.
//! Real-time tasks never expire.
//!
//! The lock is taken by prev in `schedule` and released by next in `finish_task_switch`, so it
//! is locked and unlocked by name here, not by a guard.
//!
//! Book: ch. 7, "The runqueue Data Structure". Linux: 2.6.11 `struct runqueue`.

use core::sync::atomic::{AtomicU32, Ordering};

use super::hooks::HOOK_SCHED_INFO;
use super::hooks::rseq::rseq_migrate;
use super::hooks::sched_info::sched_info_queued;
use super::hooks::trace::trace_sched_migrate_task;
use super::prio_array::PrioArray;
use super::ttwu::lock_rq_of;
use crate::arch::x86::percpu::per_cpu;
use crate::mm::mm_struct::MmStruct;
use crate::sync::counter::{Counter, Counter64};
use crate::sync::lock_word;
use crate::sync::preempt::{preempt_disable, preempt_enable_no_resched};
use crate::sync::spinlock::IrqSpinLockGuard;
use crate::sync::{LockClass, LockMap};
use crate::task::sched_entity::{MAX_RT_PRIO, RunList, SchedEntity};
use crate::task::task_struct::TaskStruct;
use crate::this_cpu_read;
use core::mem::offset_of;
use core::ptr::NonNull;

/// A CPU's run queue. All but the lock itself is guarded by the lock.
#[repr(C)]
pub struct Rq {
    /// 1 while locked.
    locked: AtomicU32,
    map: LockMap,
    /// CPU that this is the queue of.
    pub cpu: u32,
    /// The task that runs; set before the switch to it.
    pub curr: *mut TaskStruct,
    /// What a kernel task gave up when the CPU went from it to a user task; dropped by
    /// `finish_task_switch`, since `mmdrop` under this lock could deadlock.
    pub prev_mm: *mut MmStruct,
    /// What the address space that runs here, or is borrowed, has registered for with membarrier.
    /// Written by this CPU, read by any.
    pub membarrier_state: AtomicU32,
    /// Runs when no other can; on no list.
    pub idle: *mut TaskStruct,
    /// Tasks on both arrays. Read without the lock for statistics.
    pub nr_running: Counter,
    /// Switches on this CPU; the tick carries.
    pub nr_switches: Counter64,
    /// The array that tasks are picked from: one of `arrays`.
    active: *mut PrioArray,
    /// The other one.
    expired: *mut PrioArray,
    arrays: [PrioArray; 2],
}

impl Rq {
    /// Makes `rq` the empty queue of CPU `cpu`, in place: it points into itself.
    ///
    /// # Safety
    /// 1. `rq` is in nobody's hands yet, and stays where it is.
    pub unsafe fn init(rq: *mut Self, cpu: u32) {
        // SAFETY: by 1.
        unsafe {
            rq.write(Self {
                locked: AtomicU32::new(0),
                map: LockMap::new(LockClass::RunQueue),
                cpu,
                curr: core::ptr::null_mut(),
                prev_mm: core::ptr::null_mut(),
                membarrier_state: AtomicU32::new(0),
                idle: core::ptr::null_mut(),
                nr_running: Counter::new(0),
                nr_switches: Counter64::new(0),
                active: &raw mut (*rq).arrays[0],
                expired: &raw mut (*rq).arrays[1],
                arrays: [const { PrioArray::new() }; 2],
            });
        }
    }

    /// Puts a task at the end of its priority's list.
    ///
    /// # Safety
    /// 1. The lock is held; `p` is live, belongs to this CPU and is on no list.
    #[inline(always)]
    pub unsafe fn activate_task(&mut self, p: *mut TaskStruct) {
        // SAFETY: by 1 its entity is ours to change.
        unsafe {
            let se = (*p).se.get();
            (*self.active).enqueue_task(&raw mut (*se).run_list, (*se).prio);
            (*se).array = self.active.cast();
            (*p).on_rq.set_queued();
            if (*p).hooks.load(Ordering::Relaxed) & HOOK_SCHED_INFO != 0 {
                sched_info_queued(&*p);
            }
        }
        self.nr_running.inc();
    }

    /// Takes a task off.
    ///
    /// # Safety
    /// 1. The lock is held and `p` is on one of this queue's lists.
    #[inline(always)]
    pub unsafe fn deactivate_task(&mut self, p: *mut TaskStruct) {
        // SAFETY: by 1.
        unsafe {
            self.dequeue_task(p);
            (*p).on_rq.set_dequeued();
        }
    }

    /// Takes a task off its list.
    ///
    /// # Safety
    /// 1. As [`deactivate_task`](Self::deactivate_task); the caller says where the task is now.
    #[inline(always)]
    unsafe fn dequeue_task(&mut self, p: *mut TaskStruct) {
        // SAFETY: by 1.
        unsafe {
            let se = (*p).se.get();
            (*(*se).array.cast::<PrioArray>()).dequeue_task(&raw mut (*se).run_list, (*se).prio);
        }
        self.nr_running.dec();
    }

    /// Lets others of its priority go first: a real-time task goes to the end of its list, a
    /// normal one to the expired array.
    ///
    /// # Safety
    /// 1. The lock is held and `p` is on one of this queue's lists.
    #[inline(always)]
    pub unsafe fn yield_task(&mut self, p: *mut TaskStruct) {
        // SAFETY: by 1.
        unsafe {
            let se = (*p).se.get();
            if (*se).prio < MAX_RT_PRIO {
                (*self.active).requeue_task(&raw mut (*se).run_list, (*se).prio);
            } else {
                self.expire_task(se);
            }
        }
    }

    /// Moves the task of `se` to the expired array.
    ///
    /// # Safety
    /// 1. The lock is held and the task is on one of this queue's lists.
    #[cold]
    #[inline(never)]
    unsafe fn expire_task(&mut self, se: *mut SchedEntity) {
        // SAFETY: by 1.
        unsafe {
            let array = (*se).array.cast::<PrioArray>();
            (*array).dequeue_task(&raw mut (*se).run_list, (*se).prio);
            (*self.expired).enqueue_task(&raw mut (*se).run_list, (*se).prio);
            (*se).array = self.expired.cast();
        }
    }

    /// Changes the priority of a task on this queue: it goes to the end of its new list in the array
    /// that it is in. Only a task that is real-time now goes to the active one: those never expire.
    ///
    /// # Safety
    /// 1. The lock is held and `p` is on one of this queue's lists.
    pub unsafe fn requeue_changed(
        &mut self,
        p: *mut TaskStruct,
        set: impl FnOnce(&mut SchedEntity),
    ) {
        // SAFETY: by 1.
        unsafe {
            let se = (*p).se.get();
            let array = (*se).array.cast::<PrioArray>();
            (*array).dequeue_task(&raw mut (*se).run_list, (*se).prio);
            set(&mut *se);
            let array = match (*se).prio < MAX_RT_PRIO {
                true => self.active,
                false => array,
            };
            (*array).enqueue_task(&raw mut (*se).run_list, (*se).prio);
            (*se).array = array.cast();
        }
    }

    /// Takes `p` off, for another queue's [`attach_task`](Self::attach_task); says whether it was in
    /// the expired array. Its CPU is changed in between, and both queues' locks are held all the time.
    ///
    /// # Safety
    /// 1. The lock is held and `p` is on one of this queue's lists.
    #[must_use]
    pub unsafe fn detach_task(&mut self, p: *mut TaskStruct) -> bool {
        // SAFETY: by 1.
        unsafe {
            let is_expired = (*(*p).se.get()).array == self.expired.cast();
            // First: from here to `attach_task` a waker waits.
            (*p).on_rq.set_migrating();
            self.dequeue_task(p);
            is_expired
        }
    }

    /// Puts a task that another queue has given up in the array that it was in there: a task that has
    /// used up its time slice gets no other by moving.
    ///
    /// # Safety
    /// 1. The lock is held; `p` is live, belongs to this CPU and is on no list.
    pub unsafe fn attach_task(&mut self, p: *mut TaskStruct, is_expired: bool) {
        // SAFETY: by 1.
        unsafe {
            self.activate_task(p);
            if is_expired {
                self.expire_task((*p).se.get());
            }
        }
    }

    /// The task that is to run: the first of the best priority. None: idle is.
    #[inline(always)]
    #[must_use]
    pub fn pick_next_task(&mut self) -> Option<NonNull<TaskStruct>> {
        // SAFETY: `active` points into `arrays`, which the caller has with `self`.
        match NonNull::new(unsafe { (*self.active).first() }) {
            Some(link) => Some(task_of(link)),
            None => self.pick_expired(),
        }
    }

    /// All tasks have used up their slices, or there is none.
    #[inline(never)]
    fn pick_expired(&mut self) -> Option<NonNull<TaskStruct>> {
        core::mem::swap(&mut self.active, &mut self.expired);
        // SAFETY: `active` points into `arrays`, which the caller has with `self`.
        NonNull::new(unsafe { (*self.active).first() }).map(task_of)
    }

    /// Calls `visit` with tasks of this queue that do not run, the likeliest to have lost their
    /// cache first, until it says that one will do.
    ///
    /// The lock is held.
    pub fn find_queued(&self, mut will_do: impl FnMut(*mut TaskStruct) -> bool) -> *mut TaskStruct {
        for array in [self.expired, self.active] {
            let mut wanted = |link| {
                let p = task_of(link).as_ptr();
                p != self.curr && will_do(p)
            };
            // SAFETY: both point into `arrays`, which the caller has with `self`.
            if let Some(link) = unsafe { (*array).find(&mut wanted) } {
                return task_of(link).as_ptr();
            }
        }
        core::ptr::null_mut()
    }

    /// Whether anybody holds the lock.
    pub fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Relaxed) != 0
    }
}

/// The task whose `se.run_list` lies at `link`.
#[inline(always)]
fn task_of(link: NonNull<RunList>) -> NonNull<TaskStruct> {
    const OFFSET: usize = offset_of!(TaskStruct, se) + offset_of!(SchedEntity, run_list);
    // SAFETY: every link on a run queue lies that far inside a task.
    unsafe { link.byte_sub(OFFSET).cast() }
}

/// Takes the lock of a run queue. Interrupts are off; preemption is off until the unlock.
///
/// # Safety
/// 1. `rq` is a per-CPU run queue; interrupts are off; this CPU does not hold the lock.
#[inline(always)]
pub unsafe fn rq_lock(rq: *mut Rq) {
    preempt_disable();
    // SAFETY: by 1.
    unsafe { raw_rq_lock(rq) };
}

/// As [`rq_lock`], for who keeps interrupts off until after [`raw_rq_unlock`]: that alone forbids
/// preemption, and the count stays as it is.
///
/// # Safety
/// 1. As [`rq_lock`].
#[inline(always)]
pub unsafe fn raw_rq_lock(rq: *mut Rq) {
    // SAFETY: by 1; only the atomics are touched.
    let (lock, map) = unsafe { (&(*rq).locked, &(*rq).map) };
    map.acquire();
    lock_word::acquire(lock);
    map.acquired();
}

/// Takes the lock of a run queue if it is free, and says whether it was. For who holds another
/// run queue's already, and must not wait.
///
/// # Safety
/// 1. As [`rq_lock`].
pub unsafe fn rq_trylock(rq: *mut Rq) -> bool {
    preempt_disable();
    // SAFETY: by 1; only the atomics are touched.
    let (lock, map) = unsafe { (&(*rq).locked, &(*rq).map) };
    let taken = lock_word::try_acquire(lock);
    if taken {
        map.acquired();
    } else {
        preempt_enable_no_resched();
    }
    taken
}

/// Takes the locks of two run queues, in the order of their CPUs.
///
/// # Safety
/// 1. As [`rq_lock`], for both; they are two.
pub unsafe fn double_rq_lock(a: *mut Rq, b: *mut Rq) {
    // SAFETY: by 1; the number of the CPU never changes.
    unsafe {
        let (first, second) = if (*a).cpu < (*b).cpu { (a, b) } else { (b, a) };
        rq_lock(first);
        rq_lock(second);
    }
}

/// Releases the lock of a run queue, whoever took it.
///
/// # Safety
/// 1. This CPU holds the lock, and interrupts are off.
#[inline(always)]
pub unsafe fn rq_unlock(rq: *mut Rq) {
    // SAFETY: by 1.
    unsafe { raw_rq_unlock(rq) };
    preempt_enable_no_resched();
}

/// The other end of [`raw_rq_lock`].
///
/// # Safety
/// 1. As [`rq_unlock`].
#[inline(always)]
pub unsafe fn raw_rq_unlock(rq: *mut Rq) {
    // SAFETY: by 1.
    unsafe {
        (*rq).map.release();
        lock_word::release(&(*rq).locked);
    }
}

/// This CPU's run queue. Interrupts or preemption are off.
#[inline(always)]
pub fn this_rq() -> *mut Rq {
    this_cpu_read!(this_rq) as *mut Rq
}

/// The run queue of CPU `cpu`.
#[inline(always)]
pub fn cpu_rq(cpu: u32) -> *mut Rq {
    // SAFETY: the area exists for ever; no reference is made.
    unsafe { &raw mut (*per_cpu(cpu)).rq }
}

/// Takes the lock of the run queue that `p` belongs to, wherever that moves meanwhile.
///
/// # Safety
/// 1. `p` is live, its `pi_lock` is held and interrupts are off.
pub unsafe fn __task_rq_lock(p: *mut TaskStruct) -> *mut Rq {
    // SAFETY: live by 1.
    cpu_rq(lock_rq_of(unsafe { &*p }))
}

/// What [`task_rq_lock`] took: the task's `pi_lock` and the lock of its run queue.
pub struct TaskRq<'a> {
    /// The run queue.
    pub rq: *mut Rq,
    _pi: IrqSpinLockGuard<'a, ()>,
}

/// Takes both locks that guard what the scheduler keeps in `p`.
pub fn task_rq_lock(p: &TaskStruct) -> TaskRq<'_> {
    let pi = p.pi_lock.lock();
    // SAFETY: `p` is live, and the guard has turned interrupts off.
    let rq = unsafe { __task_rq_lock(core::ptr::from_ref(p).cast_mut()) };
    TaskRq { rq, _pi: pi }
}

impl Drop for TaskRq<'_> {
    fn drop(&mut self) {
        // SAFETY: taken by `task_rq_lock`, on this CPU; interrupts are off since.
        unsafe { rq_unlock(self.rq) };
    }
}

/// Makes `p` a task of CPU `cpu`.
///
/// # Safety
/// 1. `p` is live and on no CPU. 2. Its `pi_lock` is held and it is on no run queue, or the locks
///    of both CPUs' run queues are held.
pub unsafe fn set_task_cpu(p: *mut TaskStruct, cpu: u32) {
    // SAFETY: by 1 and 2.
    let p = unsafe { &*p };
    if p.cpu() != cpu {
        trace_sched_migrate_task(p, cpu);
        p.thread_info().cpu.store(cpu, Ordering::Relaxed);
        p.nr_migrations.inc();
        rseq_migrate(p);
    }
}

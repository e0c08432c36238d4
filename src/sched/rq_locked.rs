//! `RqLocked`: the proof that this CPU holds the lock of a run queue, and the operations that need
//! it.
//!
//! Prev takes the lock in `schedule`, and next releases it in `finish_task_switch`:
//!
//! ```text
//!            prev's stack                          next's stack
//!   schedule:       rq.lock() -> RqLocked            :  (it gave up its own when it left)
//!   context_switch: rq.hand_over()                   :
//!                   - - - - - - - - switch_to - - - - - - - - ->
//!                                                    :  finish_task_switch:
//!                                                    :    RqLocked::inherit(&last)
//!                                                    :    drop(rq): unlocked, by the task that runs now
//! ```
//! In between the CPU holds the lock, but no value represents it.
//!
//! Book: ch. 7, "The runqueue Data Structure", "The schedule() Function". Linux: 2.6.11
//! `struct runqueue`; 5.4 `prepare_lock_switch`, `finish_lock_switch`.

use core::marker::PhantomData;
use core::mem::offset_of;
use core::ops::Deref;
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering;

use super::hooks::sched_info::sched_info_queued;
use super::prio_array::PrioArray;
use super::rq::{Lists, Rq, this_rq};
use crate::mm::mm_struct::MmStruct;
use crate::sync::preempt::preempt_enable_no_resched;
use crate::task::hooks::HOOK_SCHED_INFO;
use crate::task::last::Last;
use crate::task::sched_entity::{MAX_RT_PRIO, RunList, SchedEntity};
use crate::task::task_struct::TaskStruct;

/// Number of tasks of a queue that are examined for one that may be moved (Linux:
/// `sysctl_sched_nr_migrate`).
const NR_MIGRATE: u32 = 32;

/// The lock of a run queue, held by this CPU, with access to the guarded data. Dropping it releases
/// the lock; with `COUNTS` it then also decrements the preemption count.
#[must_use = "dropped, it releases the lock"]
pub struct RqLocked<const COUNTS: bool = true>(&'static Rq, PhantomData<*mut ()>);

impl<const COUNTS: bool> Drop for RqLocked<COUNTS> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: this value holds the lock.
        unsafe { self.0.release() };
        if COUNTS {
            preempt_enable_no_resched();
        }
    }
}

impl<const COUNTS: bool> Deref for RqLocked<COUNTS> {
    type Target = Rq;
    #[inline(always)]
    fn deref(&self) -> &Rq {
        self.0
    }
}

impl<const COUNTS: bool> RqLocked<COUNTS> {
    /// Makes the value for [`Rq::lock`] and similar functions, which have just taken the lock.
    #[inline(always)]
    pub(super) fn new(rq: &'static Rq) -> Self {
        Self(rq, PhantomData)
    }
}

impl RqLocked {
    /// Gives the held lock to the task that the switch goes to.
    #[inline(always)]
    pub fn hand_over(self) {
        core::mem::forget(self);
    }

    /// Returns the value for the lock of `rq`, which this CPU holds although no value represents
    /// it.
    ///
    /// # Safety
    /// 1. The lock was handed over on this CPU, and nothing else inherits it.
    #[inline(always)]
    pub unsafe fn of_held(rq: &'static Rq) -> Self {
        Self(rq, PhantomData)
    }

    /// Inherits the lock of this CPU's run queue, which `last` took in `schedule` and handed over.
    ///
    /// # Safety
    /// 1. Nothing has happened since the switch away from `last`: the lock is not inherited twice.
    #[inline(always)]
    pub unsafe fn inherit(_last: &Last<TaskStruct>) -> Self {
        // Not the run queue from before the switch: this task may have moved meanwhile.
        // SAFETY: by 1.
        unsafe { Self::of_held(this_rq()) }
    }
}

impl<const COUNTS: bool> RqLocked<COUNTS> {
    /// Returns the task that runs; it is set before the switch to it.
    #[inline(always)]
    pub fn curr(&self) -> *mut TaskStruct {
        self.curr.load(Ordering::Relaxed)
    }

    /// Records that `next` runs.
    ///
    /// # Safety
    /// 1. `next` is live, and the switch to it follows.
    #[inline(always)]
    pub unsafe fn set_curr(&mut self, next: *mut TaskStruct) {
        self.curr.store(next, Ordering::Relaxed);
    }

    /// Stores the address space that a kernel task borrowed, when the CPU switches from it to a
    /// user task. `finish_task_switch` drops it, since `mmdrop` under this lock could deadlock.
    ///
    /// # Safety
    /// 1. The caller passes on the kernel task's reference to `mm`.
    #[inline(always)]
    pub unsafe fn set_prev_mm(&mut self, mm: *mut MmStruct) {
        self.0.prev_mm.store(mm, Ordering::Relaxed);
    }

    /// Takes the address space that [`set_prev_mm`](Self::set_prev_mm) stored, with its reference;
    /// null if there is none.
    #[inline(always)]
    pub fn take_prev_mm(&mut self) -> *mut MmStruct {
        let mm = self.0.prev_mm.load(Ordering::Relaxed);
        if !mm.is_null() {
            self.0.prev_mm.store(ptr::null_mut(), Ordering::Relaxed);
        }
        mm
    }

    /// Returns the roles of the two arrays.
    #[inline(always)]
    fn lists(&mut self) -> &mut Lists {
        // SAFETY: the lock guards them, and we hold it; the borrow is tied to the value that
        // represents it.
        unsafe { &mut *self.0.lists.get() }
    }

    /// Puts a task at the end of its priority's list.
    ///
    /// # Safety
    /// 1. `p` is live, belongs to this CPU and is on no list.
    #[inline(always)]
    pub unsafe fn activate_task(&mut self, p: *mut TaskStruct) {
        // SAFETY: by 1 we may change its entity.
        unsafe {
            let se = (*p).se.get();
            let active = self.lists().active;
            (*active).enqueue_task(&raw mut (*se).run_list, (*se).prio);
            (*se).array = active.cast();
            (*p).on_rq.set_queued();
            if (*p).hooks.contains(HOOK_SCHED_INFO) {
                sched_info_queued(&*p);
            }
        }
        self.nr_running.inc();
    }

    /// Takes a task off this queue. ///
    /// # Safety
    /// 1. `p` is on one of this queue's lists.
    #[inline(always)]
    pub unsafe fn deactivate_task(&mut self, p: *mut TaskStruct) {
        // SAFETY: by 1; `array` is one of this queue's.
        unsafe {
            self.dequeue_task(p);
            (*p).on_rq.set_dequeued();
        }
    }

    /// Takes a task off its list, with the caller recording where it is now.
    ///
    /// # Safety
    /// 1. `p` is on one of this queue's lists, as for [`deactivate_task`](Self::deactivate_task),
    ///    and the caller updates its `on_rq`.
    #[inline(always)]
    unsafe fn dequeue_task(&mut self, p: *mut TaskStruct) {
        // SAFETY: by 1.
        unsafe {
            let se = (*p).se.get();
            (*(*se).array.cast::<PrioArray>()).dequeue_task(&raw mut (*se).run_list, (*se).prio);
        }
        self.nr_running.dec();
    }

    /// Lets other tasks of the same priority run first: a real-time task goes to the end of its
    /// list, a normal one to the expired array.
    ///
    /// # Safety
    /// 1. `p` is on one of this queue's lists.
    #[inline(always)]
    pub unsafe fn yield_task(&mut self, p: *mut TaskStruct) {
        // SAFETY: by 1.
        unsafe {
            let se = (*p).se.get();
            if (*se).prio < MAX_RT_PRIO {
                (*self.lists().active).requeue_task(&raw mut (*se).run_list, (*se).prio);
            } else {
                self.expire_task(se);
            }
        }
    }

    /// Moves the task of `se` to the expired array.
    ///
    /// # Safety
    /// 1. The task is on one of this queue's lists.
    #[cold]
    #[inline(never)]
    unsafe fn expire_task(&mut self, se: *mut SchedEntity) {
        // SAFETY: by 1.
        unsafe {
            let array = (*se).array.cast::<PrioArray>();
            (*array).dequeue_task(&raw mut (*se).run_list, (*se).prio);
            let expired = self.lists().expired;
            (*expired).enqueue_task(&raw mut (*se).run_list, (*se).prio);
            (*se).array = expired.cast();
        }
    }

    /// Changes the priority of a task on this queue, which goes to the end of its new list in its
    /// present array. Only a task that is now real-time goes to the active array, since those never
    /// expire.
    ///
    /// # Safety
    /// 1. `p` is on one of this queue's lists.
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
                true => self.lists().active,
                false => array,
            };
            (*array).enqueue_task(&raw mut (*se).run_list, (*se).prio);
            (*se).array = array.cast();
        }
    }

    /// Takes `p` off, for another queue's [`attach_task`](Self::attach_task); returns whether it
    /// was in the expired array. The caller changes its CPU in between and holds both queues' locks
    /// all the time.
    ///
    /// # Safety
    /// 1. `p` is on one of this queue's lists.
    #[must_use]
    pub unsafe fn detach_task(&mut self, p: *mut TaskStruct) -> bool {
        // SAFETY: by 1.
        unsafe {
            let is_expired = (*(*p).se.get()).array == self.lists().expired.cast();
            // This comes first: from here to `attach_task` a waker waits.
            (*p).on_rq.set_migrating();
            self.dequeue_task(p);
            is_expired
        }
    }

    /// Adds a task from another queue to the same array that it was in there: a move does not give
    /// a task a new time slice.
    ///
    /// # Safety
    /// 1. `p` is live, belongs to this CPU and is on no list.
    pub unsafe fn attach_task(&mut self, p: *mut TaskStruct, is_expired: bool) {
        // SAFETY: by 1.
        unsafe {
            self.activate_task(p);
            if is_expired {
                self.expire_task((*p).se.get());
            }
        }
    }

    /// Returns the task to run: the first of the best priority, or `None` for the idle task.
    #[inline(always)]
    #[must_use]
    pub fn pick_next_task(&mut self) -> Option<NonNull<TaskStruct>> {
        // SAFETY: `active` points to one of `arrays`, which `self` lets us use.
        match NonNull::new(unsafe { (*self.lists().active).first() }) {
            Some(link) => Some(task_of(link)),
            None => self.pick_expired(),
        }
    }

    /// Swaps the arrays and returns the task to run, when the active array is empty: all tasks have
    /// used up their slices, or there is no task.
    #[inline(never)]
    fn pick_expired(&mut self) -> Option<NonNull<TaskStruct>> {
        let lists = self.lists();
        core::mem::swap(&mut lists.active, &mut lists.expired);
        // SAFETY: `active` points to one of `arrays`, which `self` lets us use.
        NonNull::new(unsafe { (*lists.active).first() }).map(task_of)
    }

    /// Calls `will_do` with the tasks of this queue that do not run, until it accepts one. The tasks
    /// that have most likely lost their cache contents come first. Gives up after [`NR_MIGRATE`] of
    /// them, so thousands of tasks that are bound to one CPU do not hold up the others.
    pub fn find_queued(
        &mut self,
        mut will_do: impl FnMut(*mut TaskStruct) -> bool,
    ) -> *mut TaskStruct {
        let curr = self.curr();
        let lists = self.lists();
        let (mut left, mut found) = (NR_MIGRATE, ptr::null_mut());
        for array in [lists.expired, lists.active] {
            let mut is_enough = |link| {
                let p = task_of(link).as_ptr();
                if p != curr && will_do(p) {
                    found = p;
                }
                left = left.saturating_sub(1);
                !found.is_null() || left == 0
            };
            // SAFETY: both point to one of `arrays`, which `self` lets us use.
            if unsafe { (*array).find(&mut is_enough) }.is_some() {
                break;
            }
        }
        found
    }
}

/// Returns the task whose `se.run_list` lies at `link`.
#[inline(always)]
fn task_of(link: NonNull<RunList>) -> NonNull<TaskStruct> {
    const OFFSET: usize = offset_of!(TaskStruct, se) + offset_of!(SchedEntity, run_list);
    // SAFETY: every link on a run queue lies at this offset inside a task.
    unsafe { link.byte_sub(OFFSET).cast() }
}

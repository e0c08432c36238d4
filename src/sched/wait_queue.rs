//! Wait queues: tasks that sleep until a condition holds.
//!
//! A waiting task is on the queue by an entry on its own stack. A wake-up removes the entries of
//! the tasks that it wakes, like Linux's `autoremove_wake_function`. It does not touch an entry
//! after it has cleared `queued`, since the task may then leave at once.
//!
//! A wake-up of many tasks holds the lock for a [`BATCH`] of them at a time. Between two batches an
//! entry of the waker's own marks the end of its work: tasks that come later are not woken. The marker
//! is removed like any other entry, whose task happens to be awake; once it is gone, all entries before
//! it have been woken, by whichever waker.
//!
//! A [`WaitQueue`] has its own lock. A [`WaitList`] is guarded by another lock, under which its
//! users check the condition anyway.
//!
//! Book: ch. 3, "How Processes Are Organized", "Wait queues".
//! Linux: 2.6.38 `prepare_to_wait`, `finish_wait`, `__wake_up`.

use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use super::schedule::schedule;
use super::timer::schedule_timeout;
use super::wake_up::{TASK_NORMAL, try_to_wake_up};
use crate::arch::x86::current::{Current, current};
use crate::base::errno::Errno;
use crate::base::thread_info::{TIF_SIGPENDING, test_flag};
use crate::sync::list::{List, ListHead};
use crate::sync::spinlock::SpinLockGuard;
use crate::sync::{IrqSpinLock, LockClass, SpinLock};
use crate::task::state::{TASK_INTERRUPTIBLE, TASK_UNINTERRUPTIBLE};

/// Number of tasks that are woken while the lock is held once, at most.
pub const BATCH: usize = 32;

/// Waiting tasks in the order of their arrival, with their own lock.
pub struct WaitQueue(IrqSpinLock<WaitList>);

/// Waiting tasks in the order of their arrival, guarded by the owner's lock.
pub struct WaitList(List);

/// A task's entry on a queue. It lies on that task's stack and stays there while `queued`.
#[repr(C)]
struct WaitQueueEntry {
    /// The link in the queue. Guarded by the queue's lock.
    link: UnsafeCell<ListHead>,
    task: Current,
    /// 1 while the entry is on the queue. Written under the queue's lock.
    queued: AtomicU32,
}

impl WaitQueueEntry {
    fn new() -> Self {
        Self {
            link: UnsafeCell::new(ListHead::new()),
            task: current(),
            queued: AtomicU32::new(0),
        }
    }

    fn link(&self) -> NonNull<ListHead> {
        NonNull::from(self).cast()
    }

    fn is_queued(&self) -> bool {
        self.queued.load(Ordering::Acquire) != 0
    }
}

impl WaitQueue {
    /// Returns an empty queue.
    pub const fn new() -> Self {
        Self(IrqSpinLock::new(LockClass::WaitQueue, WaitList::new()))
    }

    /// Sleeps until `condition` holds.
    ///
    /// # Errors
    /// EINTR if a signal arrives first.
    pub fn wait_until(&self, mut condition: impl FnMut() -> bool) -> Result<(), Errno> {
        self.wait(TASK_INTERRUPTIBLE, &mut condition)
    }

    /// Sleeps until `condition` holds, regardless of signals.
    pub fn wait_uninterruptible(&self, mut condition: impl FnMut() -> bool) {
        let _never_interrupted = self.wait(TASK_UNINTERRUPTIBLE, &mut condition);
    }

    fn wait(&self, state: u32, condition: &mut dyn FnMut() -> bool) -> Result<(), Errno> {
        if condition() {
            return Ok(());
        }
        let entry = WaitQueueEntry::new();
        let result = loop {
            // SAFETY: the entry stays here until `finish_wait`.
            unsafe { self.0.lock().prepare_to_wait(&entry, state) };
            if condition() {
                break Ok(());
            }
            if state == TASK_INTERRUPTIBLE && test_flag(entry.task.thread_info(), TIF_SIGPENDING) {
                break Err(Errno::EINTR);
            }
            schedule();
        };
        self.0.lock().finish_wait(&entry);
        result
    }

    /// Wakes all tasks that wait now. In process context interrupts are on between two batches.
    pub fn wake_up(&self) {
        let marker = WaitQueueEntry::new();
        if self.0.lock().wake_up_batch(&marker, true) {
            while self.0.lock().wake_up_batch(&marker, false) {}
        }
    }

    /// Wakes the first task that really sleeps; returns whether there was one.
    pub fn wake_up_one(&self) -> bool {
        self.0.lock().wake_up_until(|woken| woken)
    }
}

impl WaitList {
    /// Returns an empty list.
    pub const fn new() -> Self {
        Self(List::new())
    }

    /// Sleeps until a call of [`WaitList::wake_up`] for the list that `list` selects from the data
    /// of `lock`. The caller has found under `guard` that it must wait. The lock is released when
    /// the task is on the list, and is not held on return; the caller then checks again.
    ///
    /// # Errors
    /// EINTR if a signal arrives first.
    #[doc(alias = "pipe_wait")]
    #[inline(always)]
    pub fn sleep_on<T>(
        lock: &SpinLock<T>,
        guard: SpinLockGuard<'_, T>,
        list: impl Fn(&mut T) -> &mut WaitList,
    ) -> Result<(), Errno> {
        Self::sleep_by(lock, guard, list, || schedule())
    }

    /// Sleeps as [`WaitList::sleep_on`] does, but for at most `ticks`; `None` has no end.
    ///
    /// # Errors
    /// EINTR if a signal arrives first.
    pub fn sleep_on_timeout<T>(
        lock: &SpinLock<T>,
        guard: SpinLockGuard<'_, T>,
        list: impl Fn(&mut T) -> &mut WaitList,
        ticks: Option<u64>,
    ) -> Result<(), Errno> {
        Self::sleep_by(lock, guard, list, || match ticks {
            None => schedule(),
            Some(ticks) => drop(schedule_timeout(ticks)),
        })
    }

    /// Sleeps by `sleep`, which gives the CPU away.
    #[inline(always)]
    fn sleep_by<T>(
        lock: &SpinLock<T>,
        mut guard: SpinLockGuard<'_, T>,
        list: impl Fn(&mut T) -> &mut WaitList,
        sleep: impl FnOnce(),
    ) -> Result<(), Errno> {
        let entry = WaitQueueEntry::new();
        // SAFETY: the entry stays here until a wake-up or we have taken it off.
        unsafe { list(&mut guard).enqueue(&entry, TASK_INTERRUPTIBLE) };
        drop(guard);
        // With a signal pending this returns at once.
        sleep();
        if !entry.is_queued() {
            return Ok(());
        }
        list(&mut lock.lock()).finish_wait(&entry);
        match test_flag(entry.task.thread_info(), TIF_SIGPENDING) {
            true => Err(Errno::EINTR),
            false => Ok(()),
        }
    }

    /// Wakes all waiting tasks, under the lock: interrupts are on.
    #[inline(always)]
    pub fn wake_up(&mut self) {
        while self.wake_up_first() {}
    }

    /// Wakes the first, if there is one, and takes it off the list.
    #[inline(always)]
    fn wake_up_first(&mut self) -> bool {
        let Some(link) = self.0.first() else {
            return false;
        };
        // SAFETY: the list holds links of entries, and an entry stays until it is off the list.
        let entry = unsafe { link.cast::<WaitQueueEntry>().as_ref() };
        // A task that does not sleep yet, or was woken otherwise, checks again anyway.
        try_to_wake_up(&entry.task, TASK_NORMAL);
        // SAFETY: it is on this list.
        unsafe { take_off(&mut self.0, entry) };
        true
    }

    /// Wakes a batch of the tasks that wait before `marker`, which is put behind them after the first
    /// batch. Returns false when all have been woken; `marker` is on no list then.
    #[inline(never)]
    fn wake_up_batch(&mut self, marker: &WaitQueueEntry, is_first_batch: bool) -> bool {
        for _ in 0..BATCH {
            if !is_first_batch && !marker.is_queued() || !self.wake_up_first() {
                return false;
            }
        }
        if is_first_batch && self.0.first().is_some() {
            // SAFETY: it is on no list, and stays in place until we, or another who wakes all, take it off.
            unsafe { self.0.push_back(marker.link()) };
            marker.queued.store(1, Ordering::Relaxed);
        }
        marker.is_queued()
    }

    /// Puts the running task on the list, if it is not there, and sets its state: from now on
    /// a wake-up is not lost.
    ///
    /// # Safety
    /// 1. The entry stays where it is until it is no longer queued.
    #[inline(always)]
    unsafe fn prepare_to_wait(&mut self, entry: &WaitQueueEntry, state: u32) {
        if entry.is_queued() {
            entry.task.state.set_current_state(state);
        } else {
            // SAFETY: it is on no list; by 1.
            unsafe { self.enqueue(entry, state) };
        }
    }

    /// Puts the running task's entry, which is on no list, on this list and sets the task's state.
    ///
    /// # Safety
    /// 1. The entry stays where it is until it is no longer queued. 2. The entry is on no list.
    #[inline(always)]
    unsafe fn enqueue(&mut self, entry: &WaitQueueEntry, state: u32) {
        // SAFETY: by 1 and 2.
        unsafe { self.0.push_back(entry.link()) };
        entry.queued.store(1, Ordering::Relaxed);
        entry.task.state.set_current_state(state);
    }

    /// Takes the running task off the list, if it is there, and makes it runnable.
    fn finish_wait(&mut self, entry: &WaitQueueEntry) {
        entry.task.state.set_running();
        if entry.is_queued() {
            // SAFETY: it is on this list.
            unsafe { take_off(&mut self.0, entry) };
        }
    }

    /// Wakes one task after another until `enough` returns true; `enough` gets whether the task
    /// really slept. Returns whether any did.
    #[inline(always)]
    fn wake_up_until(&mut self, enough: impl Fn(bool) -> bool) -> bool {
        let mut any = false;
        self.0.visit(|list, link| {
            // SAFETY: the list holds links of entries, and an entry's task waits for the lock
            // before it continues.
            let entry = unsafe { link.cast::<WaitQueueEntry>().as_ref() };
            let woken = try_to_wake_up(&entry.task, TASK_NORMAL);
            if woken {
                any = true;
                // SAFETY: it is on this list.
                unsafe { take_off(list, entry) };
            }
            enough(woken)
        });
        any
    }
}

/// Takes an entry off the list. It may cease to exist from then on.
///
/// # Safety
/// 1. The entry is on `list`.
#[inline(always)]
unsafe fn take_off(list: &mut List, entry: &WaitQueueEntry) {
    // SAFETY: by 1.
    unsafe { list.remove(entry.link()) };
    entry.queued.store(0, Ordering::Release);
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for WaitList {
    fn default() -> Self {
        Self::new()
    }
}

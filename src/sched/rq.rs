//! `rq`: the run queue of one CPU.
//!
//! The book's O(1) queue: two priority arrays. A normal task that has used up its time slice, or
//! yields, goes to the expired array; when the active one is empty, the two swap. Real-time tasks
//! never expire.
//!
//! There is never a `&mut Rq`: other processors read some of its words at any time, and try its
//! lock. The guarded data are reached through [`RqLocked`], the proof that this CPU holds the lock:
//! see [`rq_locked`](super::rq_locked).
//!
//! Book: ch. 7, "The runqueue Data Structure". Linux: 2.6.11 `struct runqueue`.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use super::hooks::rseq::rseq_migrate;
use super::hooks::trace::trace_sched_migrate_task;
use super::prio_array::PrioArray;
pub use super::rq_locked::RqLocked;
use super::ttwu::lock_rq_of;
use crate::base::percpu::{NR_CPUS, per_cpu};
use crate::mm::mm_struct::MmStruct;
use crate::sync::counter::{Counter, Counter64};
use crate::sync::irq::irqs_disabled;
use crate::sync::lock_word;
use crate::sync::preempt::{preempt_disable, preempt_enable_no_resched};
use crate::sync::spinlock::IrqSpinLockGuard;
use crate::sync::{LockClass, LockMap};
use crate::task::task_struct::TaskStruct;
use crate::this_cpu_read;

/// A CPU's run queue.
#[repr(C)]
pub struct Rq {
    /// The lock word: 1 while locked.
    locked: AtomicU32,
    map: LockMap,
    /// Number of the queue's CPU. Constant.
    pub cpu: u32,
    /// The task that runs: see [`RqLocked::curr`].
    pub(super) curr: AtomicPtr<TaskStruct>,
    /// A borrowed address space to drop: see [`RqLocked::set_prev_mm`].
    pub(super) prev_mm: AtomicPtr<MmStruct>,
    /// The membarrier registration of the address space that runs here or is borrowed. Only this
    /// CPU writes it; any may read it.
    pub membarrier_state: AtomicU32,
    /// The idle task, which runs when no other can and is on no list. Constant once it is set.
    idle: AtomicPtr<TaskStruct>,
    /// Number of tasks on both arrays. Written with the lock held; read without it for statistics.
    pub nr_running: Counter,
    /// Number of switches on this CPU, which counts them with the lock held; the tick carries.
    pub nr_switches: Counter64,
    /// The active and the expired array. Guarded by the lock.
    pub(super) lists: UnsafeCell<Lists>,
    /// The two arrays, reached through the pointers of `lists`. Guarded by the lock.
    arrays: UnsafeCell<[PrioArray; 2]>,
}

/// The roles of the two priority arrays.
pub(super) struct Lists {
    /// The array from which tasks are picked.
    pub active: *mut PrioArray,
    /// The array of normal tasks that have used up their time slice.
    pub expired: *mut PrioArray,
}

// SAFETY: all fields but the last two are atomic or constant, and those two are reached through
// `RqLocked` only.
unsafe impl Sync for Rq {}

impl Rq {
    /// Initialises `rq` as the empty queue of CPU `cpu`, in place, since it points into itself.
    ///
    /// # Safety
    /// 1. Nothing else refers to `rq` yet, and it stays where it is.
    pub unsafe fn init(rq: *mut Self, cpu: u32) {
        // SAFETY: by 1.
        unsafe {
            let arrays = UnsafeCell::raw_get(&raw const (*rq).arrays);
            rq.write(Self {
                locked: AtomicU32::new(0),
                map: LockMap::new(LockClass::RunQueue),
                cpu,
                curr: AtomicPtr::new(ptr::null_mut()),
                prev_mm: AtomicPtr::new(ptr::null_mut()),
                membarrier_state: AtomicU32::new(0),
                idle: AtomicPtr::new(ptr::null_mut()),
                nr_running: Counter::new(0),
                nr_switches: Counter64::new(0),
                lists: UnsafeCell::new(Lists {
                    active: &raw mut (*arrays)[0],
                    expired: &raw mut (*arrays)[1],
                }),
                arrays: UnsafeCell::new([const { PrioArray::new() }; 2]),
            });
        }
    }

    /// Makes `idle` the running task of this CPU, and its idle task.
    ///
    /// # Safety
    /// 1. Nothing else runs on this CPU yet. 2. `idle` lives for ever.
    pub unsafe fn init_idle(&self, idle: *mut TaskStruct) {
        self.idle.store(idle, Ordering::Relaxed);
        self.curr.store(idle, Ordering::Relaxed);
    }

    /// Returns the idle task.
    #[inline(always)]
    pub fn idle(&self) -> *mut TaskStruct {
        self.idle.load(Ordering::Relaxed)
    }

    /// Returns whether any CPU holds the lock.
    pub fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Relaxed) != 0
    }

    /// Returns the borrowed address space that waits to be dropped, or null; for tests.
    pub fn prev_mm(&self) -> *mut MmStruct {
        self.prev_mm.load(Ordering::Relaxed)
    }

    /// Takes the lock. Interrupts are off; preemption is off until it is released.
    #[inline(always)]
    pub fn lock(&'static self) -> RqLocked {
        debug_assert!(irqs_disabled(), "BUG: run queue locked with interrupts on");
        preempt_disable();
        self.acquire();
        RqLocked::new(self)
    }

    /// Takes the lock like [`lock`](Self::lock), for a caller that keeps interrupts off until after
    /// the release: that alone prevents preemption, so the count does not change.
    #[inline(always)]
    pub fn raw_lock(&'static self) -> RqLocked<false> {
        debug_assert!(irqs_disabled(), "BUG: run queue locked with interrupts on");
        self.acquire();
        RqLocked::new(self)
    }

    /// Takes the lock if it is free, for a caller that already holds another run queue's and must
    /// not wait.
    pub fn trylock(&'static self) -> Option<RqLocked> {
        preempt_disable();
        if !lock_word::try_acquire(&self.locked) {
            preempt_enable_no_resched();
            return None;
        }
        self.map.acquired();
        Some(RqLocked::new(self))
    }

    #[inline(always)]
    fn acquire(&self) {
        self.map.acquire();
        lock_word::acquire(&self.locked);
        self.map.acquired();
    }

    /// Releases the lock without an `RqLocked`.
    ///
    /// # Safety
    /// 1. This CPU holds the lock, and no `RqLocked` will release it again.
    #[inline(always)]
    pub unsafe fn release(&self) {
        self.map.release();
        lock_word::release(&self.locked);
    }
}

/// Takes the locks of two different run queues, in the order of their CPUs; returns them in the
/// order of the arguments.
pub fn double_rq_lock(a: &'static Rq, b: &'static Rq) -> (RqLocked, RqLocked) {
    if a.cpu < b.cpu {
        let a = a.lock();
        (a, b.lock())
    } else {
        let b = b.lock();
        (a.lock(), b)
    }
}

/// Returns this CPU's run queue. Interrupts or preemption are off.
#[inline(always)]
pub fn this_rq() -> &'static Rq {
    // SAFETY: the word is the address of this CPU's queue, which is never freed.
    unsafe { &*(this_cpu_read!(this_rq) as *const Rq) }
}

/// Returns the run queue of CPU `cpu`.
#[inline(always)]
pub fn cpu_rq(cpu: u32) -> &'static Rq {
    // SAFETY: `sched_init` has made it, and nothing has a `&mut` to it.
    unsafe { (*RUNQUEUES[cpu as usize].0.get()).assume_init_ref() }
}

/// Room for a run queue.
struct Slot(UnsafeCell<MaybeUninit<Rq>>);
// SAFETY: written by `sched_init` only, before another CPU runs; a queue may be shared.
unsafe impl Sync for Slot {}

/// `runqueues`: that of each CPU.
static RUNQUEUES: [Slot; NR_CPUS] =
    [const { Slot(UnsafeCell::new(MaybeUninit::uninit())) }; NR_CPUS];

/// Makes the run queues, all empty. Linux: 2.6.38 `sched_init`.
///
/// # Safety
/// 1. Called once, by the boot CPU, after `setup_per_cpu_areas`, before a run queue is used.
pub unsafe fn sched_init() {
    for (slot, cpu) in RUNQUEUES.iter().zip(0..) {
        let rq: *mut Rq = slot.0.get().cast();
        // SAFETY: by 1; a static stays where it is.
        unsafe {
            Rq::init(rq, cpu);
            (*per_cpu(cpu)).this_rq = rq as u32;
        }
    }
}

/// The locks that [`task_rq_lock`] took: the task's `pi_lock` and the lock of its run queue, which
/// is released first.
pub struct TaskRq<'a> {
    /// The locked run queue.
    pub rq: RqLocked,
    _pi: IrqSpinLockGuard<'a, ()>,
}

/// Takes both locks that guard the scheduler's data in `p`.
pub fn task_rq_lock(p: &TaskStruct) -> TaskRq<'_> {
    let pi = p.pi_lock.lock();
    TaskRq {
        // SAFETY: `lock_rq_of` has taken it for us.
        rq: unsafe { RqLocked::of_held(cpu_rq(lock_rq_of(p))) },
        _pi: pi,
    }
}

/// Assigns `p` to CPU `cpu`.
///
/// # Safety
/// 1. `p` is live and on no CPU. 2. Its `pi_lock` is held and it is on no run queue, or the locks
///    of both CPUs' run queues are held.
// Each wake-up calls it, and most find the CPU that the task has already.
#[inline(always)]
pub unsafe fn set_task_cpu(p: *mut TaskStruct, cpu: u32) {
    // SAFETY: by 1 and 2.
    let p = unsafe { &*p };
    if p.cpu() != cpu {
        // SAFETY: the same.
        unsafe { set_another_cpu(p, cpu) };
    }
}

/// Does the work of [`set_task_cpu`] for a task that changes its CPU.
///
/// # Safety
/// The conditions of [`set_task_cpu`] hold.
#[cold]
#[inline(never)]
unsafe fn set_another_cpu(p: &TaskStruct, cpu: u32) {
    trace_sched_migrate_task(p, cpu);
    p.thread_info().cpu.store(cpu, Ordering::Relaxed);
    p.nr_migrations.inc();
    rseq_migrate(p);
}

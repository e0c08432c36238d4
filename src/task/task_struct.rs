//! `task_struct`: the process descriptor.
//!
//! Each group of fields says which lock guards it. This file may name the types of any room,
//! for that is what a process descriptor is, but it calls none of them.
//!
//! A task starts with two references (Linux: `usage` 2): one of who will wait for it, one of
//! the scheduler, given back by `finish_task_switch` after its last switch.
//!
//! Book: ch. 3, "Process Descriptor". Linux: 2.6.38 `struct task_struct`.

extern crate alloc;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

use super::comm::TaskComm;
use super::cred::Cred;
use super::hooks::Hooks;
use super::kcov::KcovTask;
use super::perf_event_context::PerfEventContext;
use super::preempt_notifier::PreemptNotifier;
use super::sched_entity::SchedEntity;
use super::sched_info::SchedInfo;
use super::state::{OnRq, TaskFlags, TaskState};
use super::thread_struct::ThreadStruct;
use crate::base::flags::AtomicFlags;
use crate::base::thread_info::ThreadInfo;
use crate::fs::files_struct::{FilesStruct, FsStruct};
use crate::fs::kcov::Kcov;
use crate::mm::mm_struct::MmStruct;
use crate::process::signal::{SignalStruct, TaskSignals};
use crate::sched::hooks::perf_event::PerfEvent;
use crate::sched::wait_queue::WaitQueue;
use crate::sync::counter::Counter;
use crate::sync::{IrqSpinLock, LockClass, SpinLock};

/// Process descriptor.
#[repr(C)]
pub struct TaskStruct {
    /// Hardware context. Written by the task itself while it runs, by `switch_to` and
    /// `__switch_to` while it is switched, and by `copy_thread` before it first runs.
    pub thread: UnsafeCell<ThreadStruct>,

    // Constant from `fork` on.
    /// See [`stack`](Self::stack).
    stack: *mut ThreadInfo,
    /// What instrumented functions put under their frames while this task runs; in a kernel with the
    /// feature `stack_protector`.
    pub stack_canary: AtomicU32,
    /// Number of the thread group: what `getpid` answers.
    pub tgid: i32,

    // Atomics: each a field of its own.
    /// See [`pid`](Self::pid).
    pid: AtomicI32,
    /// References; the descriptor and its stack go with the last one.
    pub usage: AtomicU32,
    /// TASK_*; written by the task itself, and by whoever wakes it, under the run-queue lock.
    pub state: TaskState,
    /// PF_*.
    pub flags: AtomicFlags<TaskFlags>,
    /// 1 from before this task is switched to until after another's `finish_task_switch`.
    pub on_cpu: AtomicU32,
    /// Whether the task is on a run queue. Written under that queue's lock.
    pub on_rq: OnRq,
    /// Taken by who wakes this task or changes the CPUs that it may run on; a run-queue lock may
    /// be taken after it, not before.
    pub pi_lock: IrqSpinLock<()>,
    /// `tgid` of the parent: what `getppid` answers. Written under the task-list lock.
    pub ppid: AtomicI32,
    /// EXIT_*, 0 while alive. Written under the task-list lock.
    pub exit_state: AtomicU32,
    /// Wait status of a zombie.
    pub exit_code: AtomicI32,
    /// Voluntary switches.
    pub nvcsw: Counter,
    /// Preemptions.
    pub nivcsw: Counter,
    /// Times the task was given to another CPU.
    pub nr_migrations: Counter,
    /// Ticks that found it in ring 3.
    pub utime: Counter,
    /// Ticks that found it in the kernel.
    pub stime: Counter,
    /// Page faults that brought it a page, or a right to one.
    pub min_flt: Counter,
    /// When it began, in microseconds since boot.
    pub start_time: AtomicU64,

    // The address space. `mm` is none for a kernel thread; `active_mm` is what the task runs
    // on and is never none while it runs. Written by the task itself and by `context_switch`.
    /// The task's own address space. Others look at it with `alloc_lock` held, and so the task
    /// changes it.
    pub mm: AtomicPtr<MmStruct>,
    /// The address space it runs on.
    pub active_mm: AtomicPtr<MmStruct>,

    /// `sched::hooks`: what wants to know of this task's switches. Each bit is set and cleared by the
    /// task itself, or at fork; that of perf events with `perf_events` held.
    pub hooks: AtomicFlags<Hooks>,
    /// Preempt notifiers, a list. Changed by the task itself, preemption off.
    pub preempt_notifiers: UnsafeCell<*const PreemptNotifier>,
    /// Where its coverage is recorded, and what the record needs; with the feature `kcov`.
    pub kcov: SpinLock<Option<Arc<Kcov>>>,
    /// Read at each edge of instrumented code.
    pub kcov_task: KcovTask,
    /// What is counted of it. A run-queue lock may be held when this one is taken, not after.
    pub perf_events: IrqSpinLock<PerfEventContext<Arc<PerfEvent>>>,
    /// User address of the `struct rseq` that the task has registered; 0: none. Written by the task.
    pub rseq: AtomicU32,
    /// What stands before every abort handler. Written by the task.
    pub rseq_sig: AtomicU32,
    /// RSEQ_EVENT_*: what happened since the task last went back to ring 3.
    pub rseq_event_mask: AtomicU32,
    /// Guarded by the run-queue lock of the task's CPU.
    pub sched_info: UnsafeCell<SchedInfo>,
    /// Guarded by the run-queue lock of the task's CPU.
    pub se: UnsafeCell<SchedEntity>,

    /// See `mm`.
    pub alloc_lock: SpinLock<()>,
    /// Name of the program.
    pub comm: TaskComm,
    /// See [`cred`](Self::cred). Others read it in interrupts, and with the task list locked.
    cred: IrqSpinLock<Cred>,
    /// Open files; none for kernel threads and after exit.
    pub files: SpinLock<Option<Arc<FilesStruct>>>,
    /// Where paths begin; none for kernel threads and after exit.
    pub fs: SpinLock<Option<Arc<FsStruct>>>,
    /// The process's part of signals. Constant once the task is on the list.
    pub signal: Arc<SignalStruct>,
    /// When a call's time was to end that a signal has interrupted without a handler, in microseconds
    /// since boot: it is run again, and ends then. 0: none. Written by the task.
    pub restart_end: AtomicU64,
    /// The task's own part of signals.
    pub signals: IrqSpinLock<TaskSignals>,
    /// Signal that the parent gets at the end; 0 for a thread.
    pub exit_signal: AtomicU32,
    /// Signal that the task's process gets when its parent ends; 0: none. Written by the task.
    pub pdeath_signal: AtomicU32,
    /// 1 once the parent of a vfork may go on.
    pub vfork_done: AtomicU32,
    /// Where this process waits for its children; and its parent, after vfork, for `vfork_done`.
    pub wait_chldexit: WaitQueue,
    /// User pointer at which the thread number is cleared on exit (`set_tid_address`).
    pub clear_child_tid: AtomicU32,
    /// User address of the head of its robust locks; 0: none. Written by the task.
    pub robust_list: AtomicU32,
    /// User pointer that `schedule_tail` stores the thread number at.
    pub set_child_tid: AtomicU32,
    /// What `personality` set. Written by the task, or at fork.
    pub personality: AtomicU32,
    /// How late a timer of the task may be, in nanoseconds, and what a 0 stands for: its parent's.
    /// Written by the task, or at fork.
    pub timer_slack_ns: AtomicU32,
    /// See `timer_slack_ns`.
    pub default_timer_slack_ns: AtomicU32,
}

// SAFETY: the `UnsafeCell`s are written only by the holder of what their field docs name;
// everything else is an atomic, a lock or constant.
unsafe impl Sync for TaskStruct {}
// SAFETY: as above; no field is tied to the CPU that made the task.
unsafe impl Send for TaskStruct {}

/// Offset of `thread.sp` in a task, for `switch_to`.
pub const THREAD_SP: usize = offset_of!(TaskStruct, thread) + offset_of!(ThreadStruct, sp);
/// Offset of `thread.ip` in a task, for `switch_to`.
pub const THREAD_IP: usize = offset_of!(TaskStruct, thread) + offset_of!(ThreadStruct, ip);
const _: () = assert!(THREAD_SP == 28 && THREAD_IP == 36);

/// Descriptors that exist, each with its stack: what a leak test compares.
pub static TASKS_LIVE: AtomicU32 = AtomicU32::new(0);

impl TaskStruct {
    /// A task with nothing in it but its stack and its numbers, and two references.
    ///
    /// # Safety
    /// 1. `stack` is the foot of a kernel stack that becomes the task's, and has a `ThreadInfo` before the
    ///    task is looked at; or null, and it is not looked at.
    pub unsafe fn new(stack: *mut ThreadInfo, pid: i32, tgid: i32) -> Self {
        TASKS_LIVE.fetch_add(1, Ordering::Relaxed);
        Self {
            thread: UnsafeCell::new(ThreadStruct::new()),
            stack,
            stack_canary: AtomicU32::new(0),
            tgid,
            pid: AtomicI32::new(pid),
            usage: AtomicU32::new(2),
            state: TaskState::new(),
            flags: AtomicFlags::empty(),
            on_cpu: AtomicU32::new(0),
            on_rq: OnRq::new(),
            pi_lock: IrqSpinLock::new(LockClass::PiLock, ()),
            ppid: AtomicI32::new(0),
            exit_state: AtomicU32::new(0),
            exit_code: AtomicI32::new(0),
            nvcsw: Counter::new(0),
            nivcsw: Counter::new(0),
            nr_migrations: Counter::new(0),
            utime: Counter::new(0),
            stime: Counter::new(0),
            min_flt: Counter::new(0),
            start_time: AtomicU64::new(0),
            mm: AtomicPtr::new(core::ptr::null_mut()),
            active_mm: AtomicPtr::new(core::ptr::null_mut()),
            hooks: AtomicFlags::empty(),
            preempt_notifiers: UnsafeCell::new(core::ptr::null()),
            kcov: SpinLock::new(LockClass::TaskKcov, None),
            kcov_task: KcovTask::default(),
            perf_events: IrqSpinLock::new(LockClass::PerfEvents, PerfEventContext::new()),
            rseq: AtomicU32::new(0),
            rseq_sig: AtomicU32::new(0),
            rseq_event_mask: AtomicU32::new(0),
            sched_info: UnsafeCell::new(SchedInfo::default()),
            se: UnsafeCell::new(SchedEntity::new()),
            alloc_lock: SpinLock::new(LockClass::AllocLock, ()),
            comm: TaskComm::new(),
            cred: IrqSpinLock::new(LockClass::Cred, Cred::ROOT),
            files: SpinLock::new(LockClass::TaskFiles, None),
            fs: SpinLock::new(LockClass::TaskFs, None),
            signal: Arc::new(SignalStruct::new()),
            restart_end: AtomicU64::new(0),
            signals: IrqSpinLock::new(LockClass::TaskSignals, TaskSignals::none()),
            exit_signal: AtomicU32::new(0),
            pdeath_signal: AtomicU32::new(0),
            vfork_done: AtomicU32::new(0),
            wait_chldexit: WaitQueue::new(),
            clear_child_tid: AtomicU32::new(0),
            robust_list: AtomicU32::new(0),
            set_child_tid: AtomicU32::new(0),
            personality: AtomicU32::new(0),
            timer_slack_ns: AtomicU32::new(50_000),
            default_timer_slack_ns: AtomicU32::new(50_000),
        }
    }

    /// Foot of the kernel stack, which goes with the task.
    #[inline(always)]
    pub fn stack(&self) -> *mut ThreadInfo {
        self.stack
    }

    /// Thread number. A thread that executes a program takes that of its process's leader; otherwise it
    /// is constant.
    #[inline(always)]
    pub fn pid(&self) -> i32 {
        self.pid.load(Ordering::Relaxed)
    }

    /// Gives the task another number: before it is on the task list, or with the list locked.
    pub fn set_pid(&self, pid: i32) {
        self.pid.store(pid, Ordering::Relaxed);
    }

    /// A copy of the credentials. No guard leaves this function, so that two tasks' credentials, or
    /// one task's twice, may be compared in one expression.
    pub fn cred(&self) -> Cred {
        *self.cred.lock()
    }

    /// Changes the credentials: the task itself does, or whoever makes the task, before it runs.
    pub fn set_cred(&self, cred: Cred) {
        *self.cred.lock() = cred;
    }

    /// The task's thread_info.
    #[inline(always)]
    pub fn thread_info(&self) -> &ThreadInfo {
        // SAFETY: since `new` it is a kernel stack, and it goes with the task's last reference.
        unsafe { &*self.stack }
    }

    /// The hardware context, as a pointer: see the field for who may write.
    #[inline(always)]
    pub fn thread(&self) -> *mut ThreadStruct {
        self.thread.get()
    }

    /// CPU this task runs on, or ran on last.
    #[inline(always)]
    pub fn cpu(&self) -> u32 {
        self.thread_info().cpu.load(Ordering::Relaxed)
    }

    /// The running task stops, or ends. A wake-up for an earlier sleep is over by then, or finds `state`.
    pub fn set_special_state(&self, state: u32) {
        let _pi = self.pi_lock.lock();
        self.state.set_special_state(state);
    }

    /// Whether all of the PF_* `flags` are set.
    #[inline(always)]
    pub fn has_flags(&self, flags: TaskFlags) -> bool {
        self.flags.contains(flags)
    }
}

/// An owned reference to a task: cloning is `get_task_struct`, dropping `put_task_struct`.
pub struct TaskRef(NonNull<TaskStruct>);

// SAFETY: TaskStruct is Sync and Send, and the count is atomic.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// Takes over one reference that `task` already counts.
    ///
    /// # Safety
    /// 1. `task` is live and one of its references is the caller's to give.
    pub unsafe fn from_raw(task: *mut TaskStruct) -> Self {
        // SAFETY: by 1 it is not null.
        Self(unsafe { NonNull::new_unchecked(task) })
    }

    /// Gives the reference away as a pointer.
    pub fn into_raw(self) -> *mut TaskStruct {
        let p = self.0.as_ptr();
        core::mem::forget(self);
        p
    }

    /// The task as a pointer; the reference stays here.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut TaskStruct {
        self.0.as_ptr()
    }

    /// One more reference to the task behind `task` (`get_task_struct`).
    ///
    /// # Safety
    /// 1. `task` is live for the length of the call.
    pub unsafe fn get(task: *mut TaskStruct) -> Self {
        // SAFETY: live by 1.
        unsafe { (*task).usage.fetch_add(1, Ordering::Relaxed) };
        // SAFETY: the reference just counted is ours.
        unsafe { Self::from_raw(task) }
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        // SAFETY: our own reference keeps it live.
        unsafe { Self::get(self.as_ptr()) }
    }
}

impl Deref for TaskRef {
    type Target = TaskStruct;
    #[inline(always)]
    fn deref(&self) -> &TaskStruct {
        // SAFETY: our reference keeps it live.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        if self.usage.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            // SAFETY: that was the last reference, and `Box::into_raw` made the pointer.
            drop(unsafe { Box::from_raw(self.as_ptr()) });
        }
    }
}

impl PartialEq for TaskRef {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Drop for TaskStruct {
    /// `free_task`: the stack goes with the descriptor.
    fn drop(&mut self) {
        assert!(
            self.on_cpu.load(Ordering::Relaxed) == 0,
            "BUG: task {} freed while on a CPU",
            self.pid()
        );
        TASKS_LIVE.fetch_sub(1, Ordering::Relaxed);
        if let Some(stack) = NonNull::new(self.stack) {
            // SAFETY: nothing runs on this stack any more: `on_cpu` is 0 and no reference is left.
            unsafe { crate::mm::thread_stack::free_thread_stack(stack.cast()) };
        }
    }
}

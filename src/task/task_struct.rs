//! `task_struct`: the process descriptor.
//!
//! Each group of fields names the lock that guards it. This file may name the types of any room,
//! since a process descriptor consists of them, but it calls none of their functions.
//!
//! A task starts with two references (Linux: `usage` 2): one for its creator, and one for the
//! scheduler, which `finish_task_switch` drops after the task's last switch.
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
use crate::base::errno::Errno;
use crate::base::flags::AtomicFlags;
use crate::base::thread_info::ThreadInfo;
use crate::fs::files_struct::{FilesStruct, FsStruct};
use crate::fs::kcov::Kcov;
use crate::mm::fallible::{try_arc, try_place};
use crate::mm::mm_struct::MmStruct;
use crate::process::signal::{SignalStruct, TaskSignals, new_sighand};
use crate::sched::cpu_timer::CpuTimers;
use crate::sched::hooks::perf_event::PerfEvent;
use crate::sched::wait_queue::WaitQueue;
use crate::sync::counter::Counter;
use crate::sync::{IrqSpinLock, LockClass, SpinLock};
use crate::task::traced::Traced;

/// The process descriptor.
#[repr(C)]
pub struct TaskStruct {
    /// Hardware context. The task itself writes it while it runs, `switch_to` and `__switch_to` in
    /// a switch, and `copy_thread` before the task first runs.
    pub thread: UnsafeCell<ThreadStruct>,

    // Constant from `fork` on.
    /// Foot of the kernel stack: see [`stack`](Self::stack).
    stack: *mut ThreadInfo,
    /// The canary of this task's functions, in a kernel with the feature `stack_protector`.
    pub stack_canary: AtomicU32,
    /// Number of the thread group, which `getpid` returns.
    pub tgid: i32,

    // Atomics, each independent of the others.
    /// Thread number: see [`pid`](Self::pid).
    pid: AtomicI32,
    /// Number of references; dropping the last frees the descriptor and its stack.
    pub usage: AtomicU32,
    /// The state, TASK_*. The task itself writes it, and its waker under the run-queue lock.
    pub state: TaskState,
    /// The flags, PF_*.
    pub flags: AtomicFlags<TaskFlags>,
    /// 1 from before the switch to this task until the `finish_task_switch` of the task after it.
    pub on_cpu: AtomicU32,
    /// Whether the task is on a run queue. Written under that queue's lock.
    pub on_rq: OnRq,
    /// Held to wake this task or to change its allowed CPUs. A run-queue lock may be taken after
    /// it, not before.
    pub pi_lock: IrqSpinLock<()>,
    /// `tgid` of the parent, which `getppid` returns. Written under the task-list lock.
    pub ppid: AtomicI32,
    /// The exit state, EXIT_*; 0 while alive. Written under the task-list lock.
    pub exit_state: AtomicU32,
    /// Wait status of a zombie.
    pub exit_code: AtomicI32,
    /// Number of voluntary switches.
    pub nvcsw: Counter,
    /// Number of preemptions.
    pub nivcsw: Counter,
    /// Number of times that the task moved to another CPU.
    pub nr_migrations: Counter,
    /// Number of ticks that found the task in ring 3.
    pub utime: Counter,
    /// Number of ticks that found the task in the kernel.
    pub stime: Counter,
    /// The running timers that go by the CPU time of this thread.
    pub cpu_timers: CpuTimers,
    /// Number of page faults that gave the task a page, or a right to one.
    pub min_flt: Counter,
    /// Time when the task began, in microseconds since boot.
    pub start_time: AtomicU64,

    // The address space. `mm` is null for a kernel thread; `active_mm` is the one that the task
    // runs on, and never null while it runs. The task itself and `context_switch` write them.
    /// The task's own address space. Other tasks read it with `alloc_lock` held, so the task
    /// changes it with that lock.
    pub mm: AtomicPtr<MmStruct>,
    /// The address space that the task runs on.
    pub active_mm: AtomicPtr<MmStruct>,

    /// The hooks of this task's switches (`sched::hooks`). The task itself sets and clears each
    /// bit, or fork does; the bit of perf events changes with `perf_events` held.
    pub hooks: AtomicFlags<Hooks>,
    /// List of preempt notifiers. Only the task itself changes it, with preemption off.
    pub preempt_notifiers: UnsafeCell<*const PreemptNotifier>,
    /// The open kcov file that records the task's coverage, with the feature `kcov`.
    pub kcov: SpinLock<Option<Arc<Kcov>>>,
    /// The recording state, which instrumented code reads at each edge.
    pub kcov_task: KcovTask,
    /// The task's perf events. This lock may be taken while a run-queue lock is held, not before
    /// one.
    pub perf_events: IrqSpinLock<PerfEventContext<Arc<PerfEvent>>>,
    /// User address of the `struct rseq` that the task has registered, or 0. Written by the task.
    pub rseq: AtomicU32,
    /// Signature before every abort handler. Written by the task.
    pub rseq_sig: AtomicU32,
    /// Events since the task last returned to ring 3, RSEQ_EVENT_*.
    pub rseq_event_mask: AtomicU32,
    /// Run delay and time on CPU. Guarded by the run-queue lock of the task's CPU.
    pub sched_info: UnsafeCell<SchedInfo>,
    /// The scheduler's part. Guarded by the run-queue lock of the task's CPU.
    pub se: UnsafeCell<SchedEntity>,

    /// Guards `mm` against other tasks.
    pub alloc_lock: SpinLock<()>,
    /// Name of the program.
    pub comm: TaskComm,
    /// The credentials: see [`cred`](Self::cred). Other tasks read them in interrupts, and with the
    /// task list locked.
    cred: IrqSpinLock<Cred>,
    /// Open files; `None` for kernel threads and after exit.
    pub files: SpinLock<Option<Arc<FilesStruct>>>,
    /// Working directory and mask; `None` for kernel threads and after exit.
    pub fs: SpinLock<Option<Arc<FsStruct>>>,
    /// The process's part of signals. Constant once the task is on the list.
    pub signal: Arc<SignalStruct>,
    /// End of the time limit of a call that a signal without a handler interrupted, in microseconds
    /// since boot, or 0. The call runs again and ends then. Written by the task.
    pub restart_end: AtomicU64,
    /// The task's own part of signals.
    pub signals: IrqSpinLock<TaskSignals>,
    /// The task's side of ptrace.
    pub ptrace: Traced,
    /// Signal that the parent gets at the end; 0 for a thread.
    pub exit_signal: AtomicU32,
    /// Signal that the task's process gets when its parent ends, or 0. Written by the task.
    pub pdeath_signal: AtomicU32,
    /// 1 when the parent of a vfork may continue.
    pub vfork_done: AtomicU32,
    /// Queue where this process waits for its children, and where its parent waits for `vfork_done`
    /// after a vfork.
    pub wait_chldexit: WaitQueue,
    /// User pointer at which the thread number is cleared on exit (`set_tid_address`).
    pub clear_child_tid: AtomicU32,
    /// User address of the head of the task's robust locks, or 0. Written by the task.
    pub robust_list: AtomicU32,
    /// User pointer at which `schedule_tail` stores the thread number.
    pub set_child_tid: AtomicU32,
    /// The value that `personality` set. Written by the task, or at fork.
    pub personality: AtomicU32,
    /// Time by which a timer of the task may be late, in nanoseconds. Written by the task, or at
    /// fork.
    pub timer_slack_ns: AtomicU32,
    /// Value of `timer_slack_ns` that a program restores by setting 0: the parent's. Written at
    /// fork.
    pub default_timer_slack_ns: AtomicU32,
}

// SAFETY: only the owner or lock holder that the field's comment names writes an `UnsafeCell`;
// everything else is an atomic, a lock or constant.
unsafe impl Sync for TaskStruct {}
// SAFETY: as above; no field is tied to the CPU that created the task.
unsafe impl Send for TaskStruct {}

/// Offset of `thread.sp` in a task, for `switch_to`.
pub const THREAD_SP: usize = offset_of!(TaskStruct, thread) + offset_of!(ThreadStruct, sp);
/// Offset of `thread.ip` in a task, for `switch_to`.
pub const THREAD_IP: usize = offset_of!(TaskStruct, thread) + offset_of!(ThreadStruct, ip);
const _: () = assert!(THREAD_SP == 28 && THREAD_IP == 36);

/// Number of descriptors that exist, each with its stack. Leak tests compare it.
pub static TASKS_LIVE: AtomicU32 = AtomicU32::new(0);

impl TaskStruct {
    /// Returns a task with only its stack, its numbers and two references.
    ///
    /// # Safety
    /// 1. `foot` is that of a kernel stack that becomes the task's, with a `ThreadInfo` before
    ///    anything reads it; or null, and nothing reads it.
    pub unsafe fn new(
        foot: *mut ThreadInfo,
        pid: i32,
        tgid: i32,
        signal: Arc<SignalStruct>,
    ) -> Self {
        TASKS_LIVE.fetch_add(1, Ordering::Relaxed);
        Self {
            thread: UnsafeCell::new(ThreadStruct::new()),
            stack: foot,
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
            cpu_timers: CpuTimers::default(),
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
            signal,
            restart_end: AtomicU64::new(0),
            signals: IrqSpinLock::new(LockClass::TaskSignals, TaskSignals::none()),
            ptrace: Traced::new(),
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

    /// As [`Self::new`], of a process of its own: each idle task is one. ENOMEM.
    ///
    /// # Safety
    /// As for [`Self::new`].
    pub unsafe fn of_idle(stack: *mut ThreadInfo) -> Result<Box<Self>, Errno> {
        let place = try_place()?;
        let signal = try_arc(SignalStruct::new(new_sighand()?))?;
        // SAFETY: the caller's.
        Ok(Box::write(place, unsafe { Self::new(stack, 0, 0, signal) }))
    }

    /// Returns the foot of the kernel stack, which is freed with the task.
    #[inline(always)]
    pub fn stack(&self) -> *mut ThreadInfo {
        self.stack
    }

    /// Returns the thread number. A thread that executes a program takes the number of its
    /// process's leader; otherwise it is constant.
    #[inline(always)]
    pub fn pid(&self) -> i32 {
        self.pid.load(Ordering::Relaxed)
    }

    /// Gives the task another number, before it is on the task list or with the list locked.
    pub fn set_pid(&self, pid: i32) {
        self.pid.store(pid, Ordering::Relaxed);
    }

    /// Returns a copy of the credentials. No guard leaves this function, so one expression may
    /// compare the credentials of two tasks, or of one task twice.
    pub fn cred(&self) -> Cred {
        *self.cred.lock()
    }

    /// Changes the credentials. Only the task itself does this, or its creator before it runs.
    pub fn set_cred(&self, cred: Cred) {
        *self.cred.lock() = cred;
    }

    /// Returns the task's `thread_info`.
    #[inline(always)]
    pub fn thread_info(&self) -> &ThreadInfo {
        // SAFETY: since `new` it is a kernel stack, freed with the task's last reference.
        unsafe { &*self.stack }
    }

    /// Returns the hardware context as a pointer; the field's comment says which code may write it.
    #[inline(always)]
    pub fn thread(&self) -> *mut ThreadStruct {
        self.thread.get()
    }

    /// Returns the CPU on which this task runs or last ran.
    #[inline(always)]
    pub fn cpu(&self) -> u32 {
        self.thread_info().cpu.load(Ordering::Relaxed)
    }

    /// Sets the state of the running task when it stops or ends. A wake-up for an earlier sleep is
    /// over by then, or sees `state`.
    pub fn set_special_state(&self, state: u32) {
        let _pi = self.pi_lock.lock();
        self.state.set_special_state(state);
    }

    /// Returns whether all of the PF_* `flags` are set.
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
    /// 1. `task` is live and the caller owns one of its references.
    pub unsafe fn from_raw(task: *mut TaskStruct) -> Self {
        // SAFETY: by 1 it is not null.
        Self(unsafe { NonNull::new_unchecked(task) })
    }

    /// Turns the reference into a pointer, which keeps it.
    pub fn into_raw(self) -> *mut TaskStruct {
        let p = self.0.as_ptr();
        core::mem::forget(self);
        p
    }

    /// Returns the task as a pointer; the reference stays here.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut TaskStruct {
        self.0.as_ptr()
    }

    /// Takes one more reference to `task` (`get_task_struct`).
    ///
    /// # Safety
    /// 1. `task` is live for the length of the call.
    pub unsafe fn get(task: *mut TaskStruct) -> Self {
        // SAFETY: `task` is live by 1.
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
    /// Frees the stack with the descriptor (`free_task`).
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

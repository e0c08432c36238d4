#![forbid(unsafe_code)]
//! `Traced`: a task's side of ptrace: whether it is traced, by which task, and what was asked of it.
//!
//! Signal delivery, fork, exec and exit look at the flags; the requests of the tracer set them.
//!
//! Linux: 2.6.38 `task_struct.ptrace`, `ptrace_message`, `last_siginfo`; 3.4 `jobctl`.

use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};

use bitflags::bitflags;

use super::siginfo::SigInfo;
use crate::base::flags::AtomicFlags;
use crate::sync::{IrqSpinLock, LockClass};
use crate::task::task_struct::TaskStruct;

bitflags! {
    /// What is asked of a traced task: `Traced::flags`. The lower bits are the tracer's options,
    /// with the numbers of PTRACE_O_*.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct PtraceFlags: u32 {
        const _ = !0;
    }
}

const fn flag(bit: u32) -> PtraceFlags {
    PtraceFlags::from_bits_retain(1 << bit)
}

/// Option: the code of a stop at a system call has bit 7 set.
pub const PT_TRACESYSGOOD: PtraceFlags = flag(0);
/// Option: the task stops when it forks, and its child is traced too.
pub const PT_TRACE_FORK: PtraceFlags = flag(1);
/// Option: the same for vfork.
pub const PT_TRACE_VFORK: PtraceFlags = flag(2);
/// Option: the same for a clone whose exit signal is not SIGCHLD.
pub const PT_TRACE_CLONE: PtraceFlags = flag(3);
/// Option: the task stops after it has executed a program.
pub const PT_TRACE_EXEC: PtraceFlags = flag(4);
/// Option: the task stops when its vfork is over.
pub const PT_TRACE_VFORK_DONE: PtraceFlags = flag(5);
/// Option: the task stops before it ends.
pub const PT_TRACE_EXIT: PtraceFlags = flag(6);
/// Option: the task is killed when its tracer ends.
pub const PT_EXITKILL: PtraceFlags = flag(20);
/// All options, those without effect here included: PTRACE_O_TRACESECCOMP.
pub const PT_OPTIONS: PtraceFlags = PtraceFlags::from_bits_retain(0xff | 1 << 20);
/// The task is traced.
pub const PT_PTRACED: PtraceFlags = flag(24);
/// The tracer used PTRACE_SEIZE.
pub const PT_SEIZED: PtraceFlags = flag(25);
/// The tracer had root's rights when it began: exec may raise the task's rights.
pub const PT_PTRACE_CAP: PtraceFlags = flag(26);
/// The task has stopped with its process once, and is not to stop for this stop again.
pub const PT_STOP_TAKEN: PtraceFlags = flag(27);
/// The tracer asked for a stop (PTRACE_INTERRUPT).
pub const PT_TRAP_STOP: PtraceFlags = flag(28);
/// The stop of the task's process has begun or ended, and a tracer that used PTRACE_SEIZE is told.
pub const PT_TRAP_NOTIFY: PtraceFlags = flag(29);
/// The task stays stopped with its process (PTRACE_LISTEN).
pub const PT_LISTENING: PtraceFlags = flag(30);
/// System calls are not made, only reported (PTRACE_SYSEMU).
pub const PT_SYSCALL_EMU: PtraceFlags = flag(16);
/// The task stops after one instruction, or one system call (PTRACE_SINGLESTEP).
pub const PT_SINGLESTEP: PtraceFlags = flag(17);
/// The tracer, not the program, has set TF (Linux: TIF_FORCED_TF).
pub const PT_FORCED_TF: PtraceFlags = flag(18);
/// The tracer is told of each system call (PTRACE_SYSCALL).
pub const PT_SYSCALL_TRACE: PtraceFlags = flag(19);

/// The flags that a resumption replaces.
pub const PT_RESUME: PtraceFlags = PT_SYSCALL_EMU.union(PT_SINGLESTEP).union(PT_SYSCALL_TRACE);

/// A task's side of ptrace.
pub struct Traced {
    /// The flags PT_*; none while the task is not traced. PT_PTRACED changes under the task-list
    /// lock.
    pub flags: AtomicFlags<PtraceFlags>,
    /// The thread that traces; only compared, since it may have ended. Changed under the task-list
    /// lock.
    tracer: AtomicPtr<TaskStruct>,
    /// Number and real user of that thread when it began.
    pub tracer_pid: AtomicI32,
    /// See `tracer_pid`.
    pub tracer_uid: AtomicU32,
    /// While the task is stopped: the code of its wait status, 0 once it was reported, then the
    /// signal that the tracer leaves it. Written under the task-list lock, and by the tracer of a
    /// stopped task.
    pub code: AtomicI32,
    /// The number that comes with an event: PTRACE_GETEVENTMSG.
    pub message: AtomicU32,
    /// Number of the thread that forked this task.
    pub forker: AtomicI32,
    /// DR7 as the tracer wrote it.
    pub dr7: AtomicU32,
    /// The facts about the signal for which the task has stopped, if it is one.
    pub siginfo: IrqSpinLock<Option<SigInfo>>,
}

impl Traced {
    /// Returns the state of a task that is not traced.
    pub const fn new() -> Self {
        Self {
            flags: AtomicFlags::empty(),
            tracer: AtomicPtr::new(core::ptr::null_mut()),
            tracer_pid: AtomicI32::new(0),
            tracer_uid: AtomicU32::new(0),
            code: AtomicI32::new(0),
            message: AtomicU32::new(0),
            forker: AtomicI32::new(0),
            dr7: AtomicU32::new(0),
            siginfo: IrqSpinLock::new(LockClass::LastSiginfo, None),
        }
    }

    /// Returns whether all of `flags` are set.
    pub fn has(&self, flags: PtraceFlags) -> bool {
        self.flags.contains(flags)
    }

    /// Returns whether `tracer` traces this task.
    pub fn is_tracer(&self, tracer: *const TaskStruct) -> bool {
        self.has(PT_PTRACED) && core::ptr::eq(self.tracer.load(Ordering::Relaxed), tracer)
    }

    /// Notes the tracer; the task list is locked.
    pub fn set_tracer(&self, tracer: *const TaskStruct) {
        self.tracer.store(tracer.cast_mut(), Ordering::Relaxed);
    }

    /// Returns the tracer, only to be compared.
    pub fn tracer(&self) -> *const TaskStruct {
        self.tracer.load(Ordering::Relaxed)
    }
}

impl Default for Traced {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns whether `task` is traced.
#[inline(always)]
pub fn is_traced(task: &TaskStruct) -> bool {
    task.ptrace.has(PT_PTRACED)
}

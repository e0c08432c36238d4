//! Signals: which are pending where, and how one is sent.
//!
//! A signal is pending in a task (sent to a thread, or raised by its own fault) or in the process
//! (the first thread that does not block it takes it). Sending a signal wakes a task that sleeps
//! interruptibly.
//!
//! Called in process context. Delivery is in `signal_delivery`.
//!
//! Lock order: the task list, then a process's or a task's pending signals, then its actions.
//!
//! Book: ch. 11, "Data Structures Associated with Signals", "Generating a Signal".
//! Linux: 2.6.38 `kernel/signal.c`.

use alloc::sync::Arc;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use super::altstack::AltStack;
use super::exec_id::ExecId;
use super::pid::PidType;
use super::process_timers::ProcessTimers;
use super::rlimit::init_rlimits;
use super::signal_group::{complete_signal, retarget_shared_pending};
use super::sigpending::SigPending;
use super::sigset::{
    DefaultAction, NSIG, SIGCHLD, SIGKILL, SIGSEGV, SIGSTOP, SigSet, default_action,
};
use super::stop::{GroupStop, has_to_stop, prepare_signal};
use super::tasklist::{TASKLIST, TaskList, do_each_task_pid};
use super::usage::UsageOfOthers;
use crate::arch::x86::current::{Current, current};
use crate::base::errno::Errno;
use crate::base::thread_info::{TIF_SIGPENDING, clear_flag, set_flag, test_flag};
use crate::mm::fallible::try_arc;
use crate::provides_upward;
use crate::sched::wake_up::{kick_process, try_to_wake_up};
use crate::sync::{IrqSpinLock, LockClass};
use crate::task::rlimit::Rlimits;
use crate::task::siginfo::SigInfo;
use crate::task::state::{PF_KTHREAD, TASK_INTERRUPTIBLE, TASK_STOPPED, TASK_TRACED};
use crate::task::task_struct::TaskStruct;
use crate::task::traced::is_traced;

/// Handler value: the default action.
pub const SIG_DFL: u32 = 0;
/// Handler value: nothing happens.
pub const SIG_IGN: u32 = 1;
/// `sa_flags` of SIGCHLD: children that end need not be waited for.
const SA_NOCLDWAIT: u32 = 2;

/// A process's action for a signal: `struct k_sigaction`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SigAction {
    /// [`SIG_DFL`], [`SIG_IGN`] or a user address.
    pub handler: u32,
    /// SA_* flags.
    pub flags: u32,
    /// User address that a handler returns to, with SA_RESTORER.
    pub restorer: u32,
    /// Signals blocked while the handler runs.
    pub mask: SigSet,
}

/// A task's own signals.
#[derive(Debug)]
pub struct TaskSignals {
    /// Signals sent to this thread.
    pub pending: SigPending,
    /// Signals that stay pending until they are unblocked.
    pub blocked: SigSet,
    /// Blocked signals that `rt_sigtimedwait` is waiting for: not ignored, whatever the action.
    pub awaited: SigSet,
    /// Blocked set to restore once a signal is handled: `sigsuspend` is waiting.
    pub saved_blocked: Option<SigSet>,
    /// Alternate stack for handlers.
    pub altstack: AltStack,
}

impl TaskSignals {
    /// Returns a state with nothing pending or blocked, and no alternate stack.
    pub const fn none() -> Self {
        Self {
            pending: SigPending::new(),
            blocked: SigSet::EMPTY,
            awaited: SigSet::EMPTY,
            saved_blocked: None,
            altstack: AltStack::NONE,
        }
    }
}

/// The actions, by signal number minus one. They belong to one process, or to several that share
/// them (`CLONE_SIGHAND`).
pub type SigHand = IrqSpinLock<[SigAction; NSIG as usize]>;

/// A process's signals, shared by its threads.
pub struct SignalStruct {
    /// The actions. The lock is held only to take or to change the reference.
    sighand: IrqSpinLock<Arc<SigHand>>,
    /// Signals sent to the whole process.
    pub shared_pending: IrqSpinLock<SigPending>,
    /// Number of the process group.
    pub pgrp: AtomicI32,
    /// Number of the session.
    pub session: AtomicI32,
    /// Wait status of the process once a thread has ended it as a whole; [`NOT_EXITING`] before.
    group_exit_code: AtomicU32,
    /// The thread that executes a program, for which all other threads end; 0 if there is none.
    pub exec_pid: AtomicI32,
    /// Number of the last signal to several processes that has reached this one, or its parent
    /// before the birth; 0 if none has. Written under the task-list lock.
    pub sent_to_many: AtomicU32,
    /// Whether the process adopts the children of its descendants that end.
    pub is_child_subreaper: AtomicBool,
    /// SIGNAL_UNKILLABLE: init gets only the signals that it handles, until a fault ends it.
    unkillable: AtomicBool,
    /// Whether the process and its parent still run the programs of its birth.
    pub exec_id: ExecId,
    /// Whether the process is stopped.
    pub stop: GroupStop,
    /// The process's timers.
    pub timers: ProcessTimers,
    /// How much of each resource the process may use.
    pub rlim: Rlimits,
    /// Time used by ended threads and children.
    pub usage: IrqSpinLock<UsageOfOthers>,
}

const NOT_EXITING: u32 = u32::MAX;

impl SignalStruct {
    /// Returns the state of a process in process group and session 0, with `sighand`.
    pub fn new(sighand: Arc<SigHand>) -> Self {
        Self::with(sighand, init_rlimits())
    }

    fn with(sighand: Arc<SigHand>, rlim: Rlimits) -> Self {
        Self {
            sighand: IrqSpinLock::new(LockClass::Sighand, sighand),
            shared_pending: IrqSpinLock::new(LockClass::SharedPending, SigPending::new()),
            pgrp: AtomicI32::new(0),
            session: AtomicI32::new(0),
            group_exit_code: AtomicU32::new(NOT_EXITING),
            exec_pid: AtomicI32::new(0),
            sent_to_many: AtomicU32::new(0),
            is_child_subreaper: AtomicBool::new(false),
            unkillable: AtomicBool::new(false),
            exec_id: ExecId::new(),
            stop: GroupStop::default(),
            timers: ProcessTimers::new(),
            rlim,
            usage: IrqSpinLock::new(LockClass::Usage, UsageOfOthers::default()),
        }
    }

    /// Returns the state of a forked process: the same group, nothing pending, and `sighand`. A
    /// sibling of the caller has the caller's parent.
    pub fn copy(&self, sighand: Arc<SigHand>, is_sibling: bool) -> Self {
        let mut copy = Self::with(sighand, self.rlim.copy());
        *copy.pgrp.get_mut() = self.pgrp.load(Ordering::Relaxed);
        *copy.session.get_mut() = self.session.load(Ordering::Relaxed);
        copy.exec_id = self.exec_id.copy(is_sibling);
        copy
    }

    /// Returns the actions for all signals.
    pub fn sighand(&self) -> Arc<SigHand> {
        self.sighand.lock().clone()
    }

    /// Returns the wait status of the process if a thread has ended it as a whole.
    pub fn group_exit_code(&self) -> Option<i32> {
        match self.group_exit_code.load(Ordering::Acquire) {
            NOT_EXITING => None,
            code => Some(code as i32),
        }
    }

    /// Makes this process init: signals that it does not handle no longer end it.
    pub fn make_unkillable(&self) {
        self.unkillable.store(true, Ordering::Relaxed);
    }

    /// Returns whether this process is init, and gets only the signals that it handles.
    #[doc(alias = "SIGNAL_UNKILLABLE")]
    pub fn is_unkillable(&self) -> bool {
        self.unkillable.load(Ordering::Relaxed)
    }

    /// Returns whether the ends of children need not be waited for.
    pub fn ignores_children(&self) -> bool {
        let action = self.action(SIGCHLD);
        action.handler == SIG_IGN || action.flags & SA_NOCLDWAIT != 0
    }

    /// Returns the action for `signal`.
    pub fn action(&self, signal: u32) -> SigAction {
        self.sighand().lock()[index(signal)]
    }

    /// Resets the handler of `signal` to the default.
    pub fn set_default(&self, signal: u32) {
        self.sighand().lock()[index(signal)].handler = SIG_DFL;
    }

    /// Resets handlers for exec; ignored signals stay ignored. Processes that shared the actions
    /// keep the old ones: this process has `own` from now on.
    pub fn flush_signal_handlers(&self, own: Arc<SigHand>) {
        let mut actions = *self.sighand().lock();
        for action in &mut actions {
            let handler = if action.handler == SIG_IGN {
                SIG_IGN
            } else {
                SIG_DFL
            };
            *action = SigAction {
                handler,
                ..SigAction::default()
            };
        }
        *own.lock() = actions;
        let old = core::mem::replace(&mut *self.sighand.lock(), own);
        drop(old);
    }

    /// Returns whether `signal` has no effect on this process.
    fn ignores(&self, signal: u32) -> bool {
        let handler = self.action(signal).handler;
        self.is_unkillable() && handler == SIG_DFL || without_effect(signal, handler)
    }
}

/// Returns whether `signal` has no effect on a process with this handler.
pub fn without_effect(signal: u32, handler: u32) -> bool {
    match handler {
        SIG_IGN => true,
        SIG_DFL => matches!(
            default_action(signal),
            DefaultAction::Ignore | DefaultAction::Continue
        ),
        _ => false,
    }
}

/// Returns actions that are all default. ENOMEM when there is no memory.
#[inline(never)]
pub fn new_sighand() -> Result<Arc<SigHand>, Errno> {
    let actions = [SigAction::default(); NSIG as usize];
    try_arc(IrqSpinLock::new(LockClass::SigActions, actions))
}

/// Returns whether a signal should end a wait of this task.
pub fn signal_pending(task: &TaskStruct) -> bool {
    test_flag(task.thread_info(), TIF_SIGPENDING)
}

/// Sets or clears TIF_SIGPENDING by the running task's pending signals that are not blocked.
pub fn recalc_sigpending(me: Current) {
    // Cleared first: a sender that sets it during the checks below must not be lost.
    clear_flag(me.thread_info(), TIF_SIGPENDING);
    let shared = me.signal.shared_pending.lock().set();
    let own = me.signals.lock();
    let deliverable = own.pending.set().union(shared).without(own.blocked);
    if !deliverable.is_empty() || has_to_stop(&me) {
        set_flag(me.thread_info(), TIF_SIGPENDING);
    }
}

/// Changes the running task's blocked set.
pub fn set_blocked(me: Current, blocked: SigSet) {
    let blocked = blocked.without(SigSet::UNBLOCKABLE);
    let old = core::mem::replace(&mut me.signals.lock().blocked, blocked);
    recalc_sigpending(me);
    let newly = blocked.without(old);
    if !newly.is_empty() {
        retarget_shared_pending(me, newly);
    }
}

/// The outcome of sending a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// The signal is pending.
    Waits,
    /// The signal was dropped, since it has no effect on its process.
    Dropped,
}

/// Sends a signal to one thread. EAGAIN when too many are queued.
pub fn send_to_thread(info: SigInfo, task: &TaskStruct) -> Result<(), Errno> {
    send_sigqueue(info, task, true).map(|_| ())
}

/// Sends a signal to the whole process of `task`. EAGAIN when too many are queued.
pub fn send_to_process(info: SigInfo, task: &TaskStruct) -> Result<(), Errno> {
    group_send_sig_info(&TASKLIST.lock(), info, task)
}

/// Does the work of [`send_to_process`] with the list locked.
pub fn group_send_sig_info(list: &TaskList, info: SigInfo, task: &TaskStruct) -> Result<(), Errno> {
    send_signal(list, info, task, false).map(|_| ())
}

/// Sends a signal to the thread `task`, or to its whole process. Returns whether it is pending: a
/// timer then waits until it is taken. EAGAIN when too many are queued.
pub fn send_sigqueue(info: SigInfo, task: &TaskStruct, to_thread: bool) -> Result<Sent, Errno> {
    send_signal(&TASKLIST.lock(), info, task, to_thread)
}

#[inline]
fn send_signal(
    list: &TaskList,
    info: SigInfo,
    task: &TaskStruct,
    to_thread: bool,
) -> Result<Sent, Errno> {
    prepare_signal(list, info.signal, task);
    if task.has_flags(PF_KTHREAD) || is_dropped(task, info.signal) {
        return Ok(Sent::Dropped);
    }
    if to_thread {
        task.signals.lock().pending.add(info)?;
        signal_wake_up(task, info.signal == SIGKILL);
    } else {
        task.signal.shared_pending.lock().add(info)?;
        complete_signal(list, task, info.signal);
    }
    Ok(Sent::Waits)
}

/// Sends SIGSTOP to one thread, which a task begins to trace.
pub fn send_sigstop(list: &TaskList, task: &TaskStruct) {
    // Only real-time signals are refused.
    let _queued = send_signal(list, SigInfo::kernel(SIGSTOP), task, true);
}

/// Raises a signal for the running task's own fault, which not even init can block or ignore.
pub fn force_sig_info(info: SigInfo, me: Current) {
    let sighand = me.signal.sighand();
    let mut actions = sighand.lock();
    let action = &mut actions[index(info.signal)];
    let mut own = me.signals.lock();
    if own.blocked.contains(info.signal) || action.handler == SIG_IGN {
        action.handler = SIG_DFL;
        own.blocked = own.blocked.without(SigSet::of(info.signal));
    }
    if action.handler == SIG_DFL {
        me.signal.unkillable.store(false, Ordering::Relaxed);
    }
    // A signal raised by a fault is never refused.
    let _queued = own.pending.add(info);
    drop(own);
    drop(actions);
    set_flag(me.thread_info(), TIF_SIGPENDING);
}

/// Returns the index of the action for `signal` (1 to NSIG).
pub fn index(signal: u32) -> usize {
    (signal.saturating_sub(1) as usize).min((NSIG - 1) as usize)
}

/// Raises a signal as [`force_sig_info`] does, from the kernel and without details.
pub fn force_sig(signal: u32, me: Current) {
    force_sig_info(SigInfo::kernel(signal), me);
}

/// Raises SIGSEGV because `signal` could not be delivered (0: there was no signal). A handler that
/// failed for SIGSEGV itself is reset.
pub fn force_sigsegv(signal: u32, me: Current) {
    if signal == SIGSEGV {
        me.signal.set_default(SIGSEGV);
    }
    force_sig(SIGSEGV, me);
}

/// Raises a signal for a fault at `addr`. Called by the trap handlers.
#[unsafe(no_mangle)]
fn force_sig_fault(sig: i32, code: i32, addr: u32) {
    let info = SigInfo::fault(sig as u32, code, addr);
    match sig as u32 {
        // No process handles it, not even init; only real-time signals are refused.
        SIGKILL => {
            current().signal.unkillable.store(false, Ordering::Relaxed);
            let _queued = send_to_thread(info, &current());
        }
        _ => force_sig_info(info, current()),
    }
}

provides_upward!(force_sig_fault);

/// Returns whether the running task has neither a handler for `sig` nor a tracer.
#[unsafe(no_mangle)]
fn unhandled_signal(sig: i32) -> bool {
    current().signal.action(sig as u32).handler <= SIG_IGN && !is_traced(&current())
}

provides_upward!(unhandled_signal);

/// Starts the end of the running task's process with wait status `code`, or joins an end that
/// another thread has started. Returns the wait status of the process.
pub fn begin_group_exit(me: Current, code: i32) -> i32 {
    let exit = &me.signal.group_exit_code;
    match exit.compare_exchange(
        NOT_EXITING,
        code as u32,
        Ordering::AcqRel,
        Ordering::Acquire,
    ) {
        Err(first) => first as i32,
        Ok(_) => {
            zap_other_threads(me);
            code
        }
    }
}

/// Returns whether the process of `task` is being ended as a whole.
pub fn is_group_exiting(task: &TaskStruct) -> bool {
    task.signal.group_exit_code().is_some()
}

/// Returns whether the running task must end, with its process or for another thread's exec.
pub fn is_being_ended(me: Current) -> bool {
    let exec_pid = me.signal.exec_pid.load(Ordering::Acquire);
    is_group_exiting(&me) || exec_pid != 0 && exec_pid != me.pid()
}

/// Sends SIGKILL to every other thread of the running task's process. A thread that is just being
/// made finds out by itself.
pub fn zap_other_threads(me: Current) {
    let _all = do_each_task_pid(PidType::Tgid, me.tgid, |_, thread| {
        if thread.pid() != me.pid() {
            kill_thread(thread);
        }
        ControlFlow::<()>::Continue(())
    });
}

/// Sends SIGKILL from the kernel to one thread; it is never refused. The task list is locked.
pub fn kill_thread(thread: &TaskStruct) {
    let _queued = thread.signals.lock().pending.add(SigInfo::kernel(SIGKILL));
    signal_wake_up(thread, true);
}

/// Returns whether `task` must end before ring 3: SIGKILL is pending, or its process is ending.
pub fn fatal_signal_pending(task: &TaskStruct) -> bool {
    let own = task.signals.lock().pending.set();
    let shared = task.signal.shared_pending.lock().set();
    is_group_exiting(task) || own.union(shared).contains(SIGKILL)
}

/// Returns whether a signal without effect is dropped: the task does not block it for later.
fn is_dropped(task: &TaskStruct, signal: u32) -> bool {
    task.signal.ignores(signal) && !is_held(task, signal)
}

fn is_held(task: &TaskStruct, signal: u32) -> bool {
    let own = task.signals.lock();
    // A tracer learns of a signal without effect too.
    is_traced(task) && signal != SIGKILL || own.blocked.union(own.awaited).contains(signal)
}

/// Makes a thread check its pending signals. `resume`, for SIGKILL, wakes it even if it is stopped.
pub fn signal_wake_up(task: &TaskStruct, resume: bool) {
    set_flag(task.thread_info(), TIF_SIGPENDING);
    let states = match resume {
        true => TASK_INTERRUPTIBLE | TASK_STOPPED | TASK_TRACED,
        false => TASK_INTERRUPTIBLE,
    };
    if !try_to_wake_up(task, states) {
        // A task in ring 3 on another CPU sees the flag on the way out of an interrupt.
        kick_process(task);
    }
}

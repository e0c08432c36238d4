//! `do_fork`: a new task as a copy of the running one.
//!
//! Called by fork, vfork, clone and `kernel_thread`, in the parent's context.
//!
//! A signal that was sent to the parent before is handled first, and then the call begins anew. A
//! signal to several processes reaches all that exist at one moment, so it may not fall between a
//! parent that already has it and a child that is not yet on any list: then, too, the call begins
//! anew.
//!
//! Book: ch. 3, "The clone(), fork(), and vfork() System Calls". Linux: 5.4 `copy_process`.

extern crate alloc;
use alloc::boxed::Box;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::copy_signal::copy_signal;
use super::itimer_cpu::update_rlimit_cpu;
use super::rseq::rseq_fork;
use super::signal::{is_being_ended, recalc_sigpending, signal_pending};
use super::sigset::SIGCHLD;
use super::tasklist::{INIT_PID, TASKLIST, TaskList};
use super::trace_link::ptrace_init_task;
use super::trace_stop::{
    PTRACE_EVENT_CLONE, PTRACE_EVENT_FORK, PTRACE_EVENT_VFORK, PTRACE_EVENT_VFORK_DONE,
    ptrace_event,
};
use crate::arch::x86::current::{Current, current};
use crate::arch::x86::entry::uaccess::{get_user, put_user};
use crate::arch::x86::switch::canary::STACK_PROTECTOR;
use crate::arch::x86::switch::copy_thread::copy_thread;
use crate::base::errno::Errno;
use crate::base::percpu::smp_processor_id;
use crate::base::pt_regs::PtRegs;
use crate::base::thread_info::{TIF_LDT, TIF_SIGPENDING, ThreadInfo, set_flag};
use crate::drivers::tsc::since_boot_us;
use crate::fs::random::get_random_bytes;
use crate::hw::eflags::Eflags;
use crate::mm::fallible::{try_arc, try_box, try_place};
use crate::mm::mm_struct::{MM_CONTEXT_LDT, MmStruct, mmput};
use crate::mm::mmap::dup_mmap;
use crate::mm::thread_stack::alloc_thread_stack;
use crate::sched::hooks::hooks_of_new_task;
use crate::sched::hooks::perf_event::{
    perf_event_free_task, perf_event_init_task, perf_event_task_made,
};
use crate::sched::hooks::rseq::rseq_migrate;
use crate::sched::hooks::trace::trace_sched_process_fork;
use crate::sched::sched_fork::sched_fork;
use crate::sched::wake_up::wake_up_new_task;
use crate::task::clone_flags::{
    CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_FILES, CLONE_FS, CLONE_NEW_ANY, CLONE_NEWNS,
    CLONE_PARENT, CLONE_PARENT_SETTID, CLONE_PTRACE, CLONE_SETTLS, CLONE_SIGHAND, CLONE_THREAD,
    CLONE_UNTRACED, CLONE_VFORK, CLONE_VM, CSIGNAL,
};
use crate::task::rlimit::{RLIM_INFINITY, RLIMIT_CPU};
use crate::task::state::{PF_FORKNOEXEC, PF_KTHREAD};
use crate::task::task_struct::{TaskRef, TaskStruct};
use crate::task::thread_struct::{TIF_TLS_ALL, ThreadStruct};
use crate::task::traced::{
    PT_FORCED_TF, PT_TRACE_CLONE, PT_TRACE_FORK, PT_TRACE_VFORK, PT_TRACE_VFORK_DONE, PtraceFlags,
    is_traced,
};
use crate::task::user_desc::{UserDesc, do_set_thread_area};

/// The arguments of clone. Pointers are user addresses.
#[derive(Clone, Copy, Default)]
pub struct CloneArgs {
    /// CLONE_* flags; the low byte is the signal that the parent gets at the child's end. With
    /// CLONE_PARENT it is the caller's own exit signal, whatever is asked for.
    pub flags: u32,
    /// Stack pointer of the child; 0 means the parent's.
    pub stack: u32,
    /// Address in the parent where the child's number is stored.
    pub parent_tid: u32,
    /// `struct user_desc` for CLONE_SETTLS.
    pub tls: u32,
    /// Address in the child where its number is stored and cleared.
    pub child_tid: u32,
}

/// Makes a task and starts it; returns its number.
///
/// # Errors
/// EINVAL for flags that contradict each other or a bad TLS descriptor, EFAULT, EAGAIN when
/// there is no number left, ENOMEM, ERESTARTNOINTR when a signal must be handled first.
pub fn do_fork(args: &CloneArgs, regs: &PtRegs) -> Result<i32, Errno> {
    let me = current();
    let mut regs = *regs;
    if me.ptrace.has(PT_FORCED_TF) {
        // The tracer steps the caller, not its child.
        regs.flags &= !Eflags::TF.bits();
    }
    let child = copy_process(args, &regs, None)?;
    let pid = child.pid();
    if args.flags & CLONE_PARENT_SETTID != 0 {
        // Linux too ignores a bad pointer here: the child exists already.
        let _stored = put_user(args.parent_tid, pid as u32);
    }
    if args.flags & CLONE_THREAD == 0 && me.signal.rlim.cur(RLIMIT_CPU) != RLIM_INFINITY {
        update_rlimit_cpu(&child);
    }
    wake_up_new_task(&child);
    let event = clone_event(args.flags);
    if let Some((option, event)) = event {
        ptrace_event(me, option, event, pid as u32);
    }
    if args.flags & CLONE_VFORK != 0 {
        // Wait where the child signals: the caller need not be the thread that waits for children.
        child
            .wait_chldexit
            .wait_uninterruptible(|| child.vfork_done.load(Ordering::Acquire) != 0);
        ptrace_event(me, PT_TRACE_VFORK_DONE, PTRACE_EVENT_VFORK_DONE, pid as u32);
    }
    Ok(pid)
}

/// Returns the event of a fork with `flags`, and the tracer's option that asks for it.
#[doc(alias = "tracehook_prepare_clone")]
fn clone_event(flags: u32) -> Option<(PtraceFlags, u32)> {
    match flags {
        flags if flags & CLONE_UNTRACED != 0 => None,
        flags if flags & CLONE_VFORK != 0 => Some((PT_TRACE_VFORK, PTRACE_EVENT_VFORK)),
        flags if flags & CSIGNAL != SIGCHLD => Some((PT_TRACE_CLONE, PTRACE_EVENT_CLONE)),
        _ => Some((PT_TRACE_FORK, PTRACE_EVENT_FORK)),
    }
}

/// Gives a new task the tracer of its parent, if that has asked for it or the flags do.
fn trace_child(list: &mut TaskList, me: Current, flags: u32, child: &TaskStruct) {
    child.ptrace.forker.store(me.pid(), Ordering::Relaxed);
    let asked = clone_event(flags).is_some_and(|(option, _)| me.ptrace.has(option));
    if is_traced(&me) && (asked || flags & CLONE_PTRACE != 0) {
        ptrace_init_task(list, me, child);
    }
}

/// Builds a task and puts it on the task list, but on no run queue. `name` is given for a kernel
/// thread, which has no address space.
pub fn copy_process(args: &CloneArgs, regs: &PtRegs, name: Option<&str>) -> Result<TaskRef, Errno> {
    let me = current();
    check_flags(me, args.flags)?;
    // Read before pending signals are checked: a signal that is not pending now will be counted.
    let sent_to_many = me.signal.sent_to_many.load(Ordering::Acquire);
    if name.is_none() {
        recalc_sigpending(me);
        if signal_pending(&me) {
            return Err(Errno::ERESTARTNOINTR);
        }
    }
    let place = try_place()?;
    let signal = copy_signal(&me.signal, args.flags)?;
    let stack = alloc_thread_stack()
        .ok_or(Errno::ENOMEM)?
        .cast::<ThreadInfo>();
    // SAFETY: a fresh stack that nobody else uses; `publish` writes its `ThreadInfo`.
    let mut task = unsafe { TaskStruct::new(stack.as_ptr(), 0, 0, signal) };
    // From here on dropping `task` gives the stack back.
    task.flags.store(
        match name {
            Some(_) => PF_FORKNOEXEC | PF_KTHREAD,
            None => PF_FORKNOEXEC,
        },
        Ordering::Relaxed,
    );
    match name {
        Some(name) => task.comm.set(name.as_bytes()),
        None => task.comm.set(&me.comm.get().0),
    }
    task.set_cred(me.cred());
    let copied = |word: &AtomicU32| AtomicU32::new(word.load(Ordering::Relaxed));
    task.personality = copied(&me.personality);
    task.timer_slack_ns = copied(&me.timer_slack_ns);
    task.default_timer_slack_ns = copied(&me.timer_slack_ns);
    copy_files(me, args.flags, &task)?;
    copy_signals(me, args.flags, &task);
    sched_fork(me, &mut task);
    if STACK_PROTECTOR {
        let mut canary = [0; 4];
        get_random_bytes(&mut canary);
        task.stack_canary = AtomicU32::new(u32::from_le_bytes(canary));
    }
    task.hooks.store(hooks_of_new_task(), Ordering::Relaxed);
    task.start_time = AtomicU64::new(since_boot_us());
    rseq_fork(me, args.flags, &task);
    *task.thread.get_mut() = copy_thread(me, stack.as_ptr() as usize, regs, args.stack)?;
    if args.flags & CLONE_SETTLS != 0 {
        set_tls(task.thread.get_mut(), args.tls)?;
    }
    if args.flags & CLONE_CHILD_SETTID != 0 {
        task.set_child_tid.store(args.child_tid, Ordering::Relaxed);
    }
    if args.flags & CLONE_CHILD_CLEARTID != 0 {
        task.clear_child_tid
            .store(args.child_tid, Ordering::Relaxed);
    }
    if name.is_none() {
        let mm = copy_mm(me, args.flags)?;
        task.mm.store(mm, Ordering::Relaxed);
        task.active_mm.store(mm, Ordering::Relaxed);
        if let Err(errno) = perf_event_init_task(me, &task) {
            unmake(&task);
            return Err(errno);
        }
    }
    publish(me, args.flags, sent_to_many, task, place, stack)
}

/// Gives the task its number, its memory and its place in the list. `sent_to_many` is the parent's
/// count at the start of the copy.
fn publish(
    me: Current,
    flags: u32,
    sent_to_many: u32,
    task: TaskStruct,
    place: Box<MaybeUninit<TaskStruct>>,
    stack: NonNull<ThreadInfo>,
) -> Result<TaskRef, Errno> {
    let is_thread = flags & CLONE_THREAD != 0;
    let kthread = task.has_flags(PF_KTHREAD);
    let mut task = Box::write(place, task);
    let mut list = TASKLIST.lock();
    let is_late = me.signal.sent_to_many.load(Ordering::Relaxed) != sent_to_many;
    let pid = match is_late && !kthread {
        true => {
            // Even if another thread takes the signal, the call is run again on the way to ring 3.
            set_flag(me.thread_info(), TIF_SIGPENDING);
            Err(Errno::ERESTARTNOINTR)
        }
        false => list.pids.alloc_pid(),
    };
    let pid = match pid {
        Ok(pid) => pid,
        Err(errno) => {
            drop(list);
            unmake(&task);
            return Err(errno);
        }
    };
    task.set_pid(pid);
    task.tgid = if is_thread { me.tgid } else { pid };
    let parent = match () {
        () if kthread => 0,
        () if is_thread || flags & CLONE_PARENT != 0 => me.ppid.load(Ordering::Relaxed),
        () => me.tgid,
    };
    task.ppid.store(parent, Ordering::Relaxed);
    if !is_thread {
        // Copied under the lock: they may have changed since the copy began.
        let signal = (&task.signal, &me.signal);
        for (child, parent) in [
            (&signal.0.pgrp, &signal.1.pgrp),
            (&signal.0.session, &signal.1.session),
        ] {
            child.store(parent.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        signal.0.sent_to_many.store(sent_to_many, Ordering::Relaxed);
    }
    task.exit_signal = AtomicU32::new(match () {
        () if is_thread => 0,
        // The caller must not choose the signal that its own parent gets.
        () if flags & CLONE_PARENT != 0 => list
            .find_task_by_pid(me.tgid)
            .map_or(SIGCHLD, |leader| leader.exit_signal.load(Ordering::Relaxed)),
        () => flags & CSIGNAL,
    });
    let p = Box::into_raw(task);
    // SAFETY: the foot of the new stack, which nobody else knows yet. The count is the one that
    // `schedule` has at a switch: one for its own disabling, one for the run-queue lock.
    unsafe {
        stack
            .as_ptr()
            .write(ThreadInfo::new(p.cast(), smp_processor_id(), 2))
    };
    // SAFETY: as above; the vDSO is at the same place in a copy of the address space.
    unsafe {
        stack.as_ref().sysenter_return.store(
            me.thread_info().sysenter_return.load(Ordering::Relaxed),
            Ordering::Relaxed,
        )
    };
    // SAFETY: a task starts with two references: this one is the reaper's, and the other stays
    // with the scheduler until the last switch.
    let child = unsafe { TaskRef::from_raw(p) };
    list.link(child.clone(), parent);
    trace_child(&mut list, me, flags, &child);
    drop(list);
    if !kthread {
        perf_event_task_made(&child);
    }
    rseq_migrate(&child);
    if is_thread && is_being_ended(me) {
        // Whoever ends all threads may have gone through the list before this one was on it.
        set_flag(child.thread_info(), TIF_SIGPENDING);
    }
    if is_thread && me.signal.stop.is_under_way() {
        // The same holds for a signal that stops the whole group.
        set_flag(child.thread_info(), TIF_SIGPENDING);
    }
    // Checked once the child is on the list: whoever makes an LDT sets the flag first, then looks
    // at the list.
    // SAFETY: the child's address space, which lives until the child has run.
    let mm = unsafe { child.mm.load(Ordering::Relaxed).as_ref() };
    if mm.is_some_and(|mm| mm.context_flags.load(Ordering::SeqCst) & MM_CONTEXT_LDT != 0) {
        set_flag(child.thread_info(), TIF_LDT);
    }
    trace_sched_process_fork(&child);
    Ok(child)
}

/// Checks clone's flags. EINVAL for flags that contradict each other, for a sibling of init, and
/// for namespaces, of which there is one each; for namespaces EPERM without privilege.
fn check_flags(me: Current, flags: u32) -> Result<(), Errno> {
    let has = |bits| flags & bits == bits;
    let wrong = has(CLONE_NEWNS | CLONE_FS)
        || has(CLONE_THREAD) && !has(CLONE_SIGHAND)
        || has(CLONE_SIGHAND) && !has(CLONE_VM)
        || has(CLONE_PARENT) && me.tgid == INIT_PID;
    if wrong {
        return Err(Errno::EINVAL);
    }
    match flags & CLONE_NEW_ANY {
        0 => Ok(()),
        _ if me.cred().capable() => Err(Errno::EINVAL),
        _ => Err(Errno::EPERM),
    }
}

/// Sets the TLS descriptor for CLONE_SETTLS. It must name its entry; -1 is EINVAL here.
fn set_tls(thread: &mut ThreadStruct, tls: u32) -> Result<(), Errno> {
    let desc = UserDesc::from_bytes(&get_user::<[u8; 16]>(tls)?);
    do_set_thread_area(&mut thread.tls_array, &desc, false)?;
    let all = thread.tls_array[1..].iter().any(|d| !d.is_empty());
    thread.set_work(TIF_TLS_ALL, all);
    Ok(())
}

/// Copies the blocked signals, but not the pending ones, and the alternate stack if the memory it
/// lies in is copied.
fn copy_signals(me: Current, flags: u32, task: &TaskStruct) {
    let (blocked, altstack) = {
        let mine = me.signals.lock();
        (mine.blocked, mine.altstack)
    };
    let mut signals = task.signals.lock();
    signals.blocked = blocked;
    // vfork's child only borrows the memory: its parent does not run meanwhile.
    if flags & (CLONE_VM | CLONE_VFORK) != CLONE_VM {
        signals.altstack = altstack;
    }
}

/// Sets the child's open files and working directory: the parent's own for CLONE_FILES and
/// CLONE_FS, or copies.
fn copy_files(me: Current, flags: u32, task: &TaskStruct) -> Result<(), Errno> {
    let files = me.files.lock().clone();
    let files = match files {
        Some(files) if flags & CLONE_FILES == 0 => Some(try_arc(files.try_clone()?)?),
        shared => shared,
    };
    *task.files.lock() = files;
    let fs = me.fs.lock().clone();
    let fs = match fs {
        Some(fs) if flags & CLONE_FS == 0 => Some(try_arc(fs.copy())?),
        shared => shared,
    };
    *task.fs.lock() = fs;
    Ok(())
}

/// Returns the child's address space: the parent's own for CLONE_VM, or a copy.
fn copy_mm(me: Current, flags: u32) -> Result<*mut MmStruct, Errno> {
    let old = me.mm.load(Ordering::Relaxed);
    if old.is_null() {
        return Ok(old);
    }
    // SAFETY: we live in it.
    let old_mm = unsafe { &*old };
    if flags & CLONE_VM != 0 {
        old_mm.counts.get_user();
        return Ok(old);
    }
    let new = MmStruct::alloc().ok_or(Errno::ENOMEM)?;
    // SAFETY: just made, with one user, which is ours; given back below only after its last use.
    let new_mm = unsafe { &*new };
    if let Err(e) = dup_mmap(old_mm, new_mm).and_then(|()| copy_ldt(old_mm, new_mm)) {
        // SAFETY: its only user is us.
        unsafe { mmput(new) };
        return Err(e);
    }
    let context = old_mm.context_flags.load(Ordering::Relaxed) & !MM_CONTEXT_LDT;
    new_mm.context_flags.fetch_or(context, Ordering::Relaxed);
    let not_dumpable = old_mm.not_dumpable.load(Ordering::Relaxed);
    new_mm.not_dumpable.store(not_dumpable, Ordering::Relaxed);
    Ok(new)
}

/// Gives a new process a copy of its parent's LDT (Linux: `init_new_context`).
fn copy_ldt(old_mm: &MmStruct, new: &MmStruct) -> Result<(), Errno> {
    if old_mm.context_flags.load(Ordering::Relaxed) & MM_CONTEXT_LDT == 0 {
        return Ok(());
    }
    let copy = match old_mm.lock_ldt().get() {
        None => return Ok(()),
        Some(ldt) => try_box(ldt.try_clone()?)?,
    };
    // SAFETY: no processor has the new address space yet, and it had no LDT.
    drop(unsafe { new.lock_ldt().replace(copy) });
    Ok(())
}

/// Gives back everything that an unpublished task holds beyond its own memory.
fn unmake(task: &TaskStruct) {
    perf_event_free_task(task);
    let mm = task.mm.swap(core::ptr::null_mut(), Ordering::Relaxed);
    if !mm.is_null() {
        // SAFETY: the user that `copy_mm` took.
        unsafe { mmput(mm) };
    }
}

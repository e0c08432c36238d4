//! `do_exit`: the end of a task.
//!
//! It runs on the dying task's own stack, which therefore cannot be freed here: the next task frees
//! it, in `finish_task_switch`. The same holds for the page directory: the dying process first
//! becomes a kernel task that borrows its former address space.
//!
//! Book: ch. 3, "Process Termination". Linux: 2.6.38 `do_exit`, `exit_mm`, `exit_notify`.

use core::ptr;
use core::sync::atomic::Ordering;

use super::itimer::exit_itimers;
use super::release::{News, notify_parent, release_zombie};
use super::signal::begin_group_exit;
use super::signal_group::exit_signals;
use super::sigset::{SIGCHLD, SIGKILL, SIGSEGV, SigSet};
use super::stop::{
    disconnects, group_stop_is_complete, kill_orphaned_pgrps, notify_parent_cldstop,
};
use super::tasklist::{INIT_PID, TASKLIST, TaskList};
use super::trace_link::exit_ptrace;
use super::trace_stop::{PTRACE_EVENT_EXIT, ptrace_event};
use super::usage::Usage;
use super::wait4::wait_status;
use crate::arch::x86::current::{Current, current};
use crate::arch::x86::entry::uaccess::put_user;
use crate::arch::x86::irq::irqsoff_report::irqsoff_report;
use crate::arch::x86::switch::copy_thread::exit_thread;
use crate::arch::x86::switch::math_state::exit_fpu;
use crate::arch::x86::switch::mmu_context::enter_lazy_tlb;
use crate::base::upward::{exit_robust_list, futex_wake_tid};
use crate::fs::kcov::kcov_task_exit;
use crate::mm::mm_struct::{mmgrab, mmput};
use crate::provides_upward;
use crate::sched::hooks::perf_event::perf_event_exit_task;
use crate::sched::hooks::trace::trace_sched_process_exit;
use crate::sched::sched_fork::sched_exit;
use crate::sched::schedule::schedule;
use crate::sync::irq::local_irq_disable;
use crate::sync::preempt::preempt_count;
use crate::sync::spinlock::IrqSpinLockGuard;
use crate::task::siginfo::CLD_STOPPED;
use crate::task::state::{EXIT_DEAD, EXIT_ZOMBIE, TASK_DEAD};
use crate::task::task_struct::TaskRef;
use crate::task::traced::{PT_TRACE_EXIT, is_traced};

/// Ends the running task; `code` is the wait status: exit code << 8, or the signal's number.
///
/// # Panics
/// In an interrupt or with a lock held, and in the idle task, which never ends.
pub fn do_exit(code: i32) -> ! {
    let me = current();
    assert!(me.pid() != 0, "BUG: the idle task exits");
    assert!(
        preempt_count() == 0,
        "BUG: task {} exits with preempt_count {:#x}",
        me.pid(),
        preempt_count()
    );
    if is_traced(&me) {
        // The signal that brought it here has had its effect; another one ends the stop.
        me.signals.lock().pending.forget(SigSet::of(SIGKILL));
        ptrace_event(me, PT_TRACE_EXIT, PTRACE_EVENT_EXIT, code as u32);
    }
    exit_signals(me);
    trace_sched_process_exit();
    mm_release(me);
    exit_mm(me);
    exit_files(me);
    exit_thread(me);
    exit_fpu(me);
    kcov_task_exit(me);
    perf_event_exit_task(me);
    exit_notify(me, code);

    // From here on nothing may preempt us: with TASK_DEAD set, any switch is the last.
    local_irq_disable();
    // A waker that has seen an earlier sleep would make us runnable again.
    me.set_special_state(TASK_DEAD);
    schedule();
    unreachable!("BUG: a dead task runs");
}

/// Ends the whole thread group of the running task.
pub fn do_group_exit(code: i32) -> ! {
    do_exit(begin_group_exit(current(), code))
}

/// Upward call of the entry code: ends a program that entered virtual-8086 mode, as if by SIGSEGV.
#[unsafe(no_mangle)]
extern "C" fn exit_from_vm86() -> ! {
    let me = current();
    log::info!(
        "{}[{}]: entered virtual-8086 mode, which is not offered",
        me.comm.get(),
        me.pid()
    );
    do_group_exit(SIGSEGV as i32)
}

provides_upward!(exit_from_vm86);

/// Stops the machine when the first process ends, with `code` as its wait status.
fn init_exits(code: i32) -> ! {
    use crate::base::exit_value::ExitValue;
    irqsoff_report();
    if code == 0 {
        log::info!("init: exited with status 0");
        crate::drivers::exit(ExitValue::Success);
    }
    if code & 0x7f == 0 {
        log::error!("init: exited with status {}", code >> 8);
    } else {
        log::error!("init: killed by signal {}", code & 0x7f);
    }
    crate::drivers::exit(ExitValue::Failure);
}

/// Tells whoever waits for this task to stop using its memory: `vfork`, `pthread_join`.
pub fn mm_release(me: Current) {
    exit_robust_list();
    let tid = me.clear_child_tid.swap(0, Ordering::Relaxed);
    // Linux: only if another user of the memory is left to see it.
    if tid != 0 && me.mm_struct().is_some_and(|mm| mm.counts.users() > 1) {
        // A bad pointer harms only the program itself.
        if put_user(tid, 0u32).is_ok() {
            futex_wake_tid(tid);
        }
    }
    me.vfork_done.store(1, Ordering::Release);
    me.wait_chldexit.wake_up();
}

/// Drops the task's references to its open files and working directory.
fn exit_files(me: Current) {
    // Separate statements: dropping files may wake sleepers, which must not happen under the lock.
    let files = me.files.lock().take();
    drop(files);
    let fs = me.fs.lock().take();
    drop(fs);
}

/// Leaves the address space. The task goes on as a kernel task that borrows it, which keeps the
/// page directory until the last switch away from it.
fn exit_mm(me: Current) {
    let mm = me.mm.load(Ordering::Relaxed);
    if mm.is_null() {
        return;
    }
    // SAFETY: we live in it.
    unsafe { mmgrab(mm) };
    {
        let _locked = me.alloc_lock.lock();
        me.mm.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: the count just taken keeps it while we borrow it; we never go back to ring 3.
        unsafe { enter_lazy_tlb() };
    }
    // SAFETY: our user, given back once; the directory stays for the count just taken.
    unsafe { mmput(mm) };
}

/// Makes the running task a zombie, and releases it unless it is a leader or traced. With its last
/// thread the process ends: its children go to init, and its parent is told.
fn exit_notify(me: Current, code: i32) {
    me.exit_code.store(code, Ordering::Relaxed);
    exit_ptrace(me);
    let mut news = News::default();
    let (last, stopped) = {
        let mut list = forget_original_parent(me);
        let last = end_thread_of(&mut list, me.tgid);
        if me.pid() != me.tgid {
            let mut others = me.signal.usage.lock();
            others.threads = others.threads.plus(Usage::of(&me));
        }
        me.exit_state.store(EXIT_ZOMBIE, Ordering::Relaxed);
        let task = list.find_task_by_pid(me.pid()).cloned();
        if let Some(task) = &task {
            release_zombie(&mut list, task, &mut news);
        }
        let stopped = group_stop_is_complete(&list, &me);
        (last, stopped)
    };
    // The others have stopped already.
    if let Some(signal) = stopped {
        notify_parent_cldstop(&me, CLD_STOPPED, signal);
    }
    if let Some(Ended { leader, parent }) = last {
        kill_orphaned_pgrps();
        if leader.pid() == INIT_PID {
            init_exits(wait_status(&leader));
        }
        exit_itimers(&leader);
        if let Some(parent) = &parent {
            sched_exit(me, parent);
        }
    }
    // Its references are the reaper's; the scheduler's keeps us until the next task has switched.
    news.tell();
}

/// A process whose last thread has ended, and its parent.
struct Ended {
    leader: TaskRef,
    parent: Option<TaskRef>,
}

/// Gives the children of the running task's process to a reaper if this is the last thread, some at a
/// time. Returns with the list locked, and locked without a gap since the last child went.
fn forget_original_parent(me: Current) -> IrqSpinLockGuard<'static, TaskList> {
    loop {
        let mut list = TASKLIST.lock();
        let is_last = list
            .pids
            .get(me.tgid)
            .is_some_and(|entry| entry.live_threads == 1);
        // Nobody adopts the children of init: the system ends with it.
        if !is_last || me.tgid == INIT_PID {
            return list;
        }
        let Some((reaper, zombies)) = list.reparent_children(me.tgid, disconnects) else {
            return list;
        };
        let reaper = list.find_task_by_pid(reaper).cloned();
        if reaper.iter().any(|it| it.signal.ignores_children()) {
            for zombie in &zombies {
                zombie.exit_state.store(EXIT_DEAD, Ordering::Relaxed);
                let _ours_too = list.release(zombie.pid());
            }
        }
        drop(list);
        if let Some(reaper) = reaper.filter(|_| !zombies.is_empty()) {
            for zombie in &zombies {
                notify_parent(&reaper, zombie, SIGCHLD);
            }
            reaper.wait_chldexit.wake_up();
        }
    }
}

/// Counts one thread less, and returns the process if that was its last thread.
fn end_thread_of(list: &mut TaskList, tgid: i32) -> Option<Ended> {
    let entry = list.pids.get_mut(tgid)?;
    entry.live_threads = entry.live_threads.saturating_sub(1);
    if entry.live_threads != 0 {
        return None;
    }
    let leader = entry.task.clone();
    disconnects(list, tgid);
    let parent = list.find_task_by_pid(leader.ppid.load(Ordering::Relaxed));
    Some(Ended {
        parent: parent.cloned(),
        leader,
    })
}

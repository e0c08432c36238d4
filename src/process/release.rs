//! The last traces of a task, and the news of its end.
//!
//! A task that has ended stays on the task list until nobody will wait for it: its parent, once all
//! threads of the process are gone, and its tracer. Whoever takes the last step collects in [`News`]
//! those who must be told, and tells them with the list unlocked.
//!
//! Used by exit, by `wait4`, and when tracing ends.
//!
//! Book: ch. 3, "Process Removal". Linux: 2.6.38 `release_task`, `do_notify_parent`.

use core::sync::atomic::Ordering;

use arrayvec::ArrayVec;

use super::pid::PidType;
use super::signal::send_to_process;
use super::sigset::{NSIG, SIGCHLD};
use super::tasklist::TaskList;
use super::usage::Usage;
use super::wait4::wait_status;
use crate::task::siginfo::{CLD_DUMPED, CLD_EXITED, CLD_KILLED, SI_USER, SigInfo};
use crate::task::state::{EXIT_DEAD, EXIT_ZOMBIE};
use crate::task::task_struct::{TaskRef, TaskStruct};
use crate::task::traced::is_traced;

/// A zombie, the leader of the process to tell, and the signal that tells it.
struct Told {
    zombie: TaskRef,
    to: TaskRef,
    signal: u32,
}

/// The tasks to tell, and the references to drop, once the list is unlocked.
#[derive(Default)]
#[must_use = "it has to be told"]
pub struct News {
    told: ArrayVec<Told, 3>,
    released: ArrayVec<TaskRef, 3>,
}

impl News {
    /// Tells everybody. Called in process context with no lock held.
    pub fn tell(self) {
        for Told { zombie, to, signal } in &self.told {
            notify_parent(to, zombie, *signal);
            to.wait_chldexit.wake_up();
        }
    }

    fn add(&mut self, zombie: &TaskRef, to: &TaskRef, signal: u32) {
        let (zombie, to) = (zombie.clone(), to.clone());
        self.told.push(Told { zombie, to, signal });
    }

    fn add_released(&mut self, task: Option<TaskRef>) {
        self.released.extend(task);
    }
}

/// Tells `to` of the end of `child` by `signal`; 0 stands for no signal. With the list unlocked.
pub fn notify_parent(to: &TaskStruct, child: &TaskStruct, signal: u32) {
    if signal == 0 || signal > NSIG {
        return;
    }
    let status = wait_status(child);
    let (code, value) = match status & 0x7f {
        0 => (CLD_EXITED, status >> 8),
        signal if status & 0x80 != 0 => (CLD_DUMPED, signal),
        signal => (CLD_KILLED, signal),
    };
    let code = if signal == SIGCHLD { code } else { SI_USER };
    let uid = child.cred().uid.real;
    // The sum has all its threads except the leader.
    let used = match child.pid() == child.tgid {
        true => child.signal.usage.lock().threads.plus(Usage::of(child)),
        false => Usage::of(child),
    };
    let info = SigInfo::child(
        signal,
        code,
        child.pid(),
        uid,
        value as u32,
        used.clock_ticks(),
    );
    send_sigchld(to, info);
}

/// Sends news of a child to a process, unless it ignores them.
pub fn send_sigchld(to: &TaskStruct, info: SigInfo) {
    // Only a real-time signal is refused; a parent that wants those learns of the end from wait4.
    let _queued = send_to_process(info, to);
}

/// Handles the end of the thread `task`, which is a zombie: its tracer is told; without one, a
/// thread is released, and a leader waits for the other threads.
pub fn release_zombie(list: &mut TaskList, task: &TaskRef, news: &mut News) {
    if is_traced(task) {
        let tracer = list.pids.head_of(PidType::Tracee, task.pid());
        let tracer = tracer.and_then(|tracer| list.find_task_by_pid(tracer));
        // The tracer of a process that is over is told below.
        if let Some(tracer) = tracer
            && !(task.pid() == task.tgid && is_over(list, task.tgid))
        {
            news.add(task, tracer, SIGCHLD);
        }
    } else if task.pid() != task.tgid {
        task.exit_state.store(EXIT_DEAD, Ordering::Relaxed);
        news.add_released(list.release(task.pid()));
    }
    end_process(list, task.tgid, news);
}

/// Returns whether nothing is left of process `tgid` but its leader, a zombie.
pub fn is_over(list: &TaskList, tgid: i32) -> bool {
    let entry = list.pids.get(tgid);
    entry.is_some_and(|entry| {
        entry.live_threads == 0 && entry.task.exit_state.load(Ordering::Relaxed) == EXIT_ZOMBIE
    }) && list.each(PidType::Tgid, tgid).all(|it| it.pid() == tgid)
}

/// If nothing is left of process `tgid` but its leader, makes it a zombie that its parent can wait
/// for, or releases it if no parent will. A leader that another process traces is the tracer's
/// first.
fn end_process(list: &mut TaskList, tgid: i32, news: &mut News) {
    if list.pids.head_of(PidType::Zombie, tgid).is_some() || !is_over(list, tgid) {
        return;
    }
    let Some(leader) = list.find_task_by_pid(tgid).cloned() else {
        return;
    };
    let ppid = leader.ppid.load(Ordering::Relaxed);
    let tracer = list.pids.head_of(PidType::Tracee, tgid);
    if let Some(tracer) = tracer.filter(|tracer| *tracer != ppid) {
        if let Some(tracer) = list.find_task_by_pid(tracer) {
            news.add(&leader, tracer, SIGCHLD);
        }
        return;
    }
    let parent = list.find_task_by_pid(ppid).cloned();
    forget_exit_signal(&leader, parent.as_ref());
    // Nobody waits for a kernel thread, nor for a program that a kernel thread became.
    let is_nobodys = ppid == 0;
    let signal = leader.exit_signal.load(Ordering::Relaxed);
    let ignores = || parent.iter().any(|it| it.signal.ignores_children());
    if is_nobodys || signal == SIGCHLD && tracer.is_none() && ignores() {
        leader.exit_state.store(EXIT_DEAD, Ordering::Relaxed);
        news.add_released(list.release(tgid));
    } else {
        list.becomes_zombie(tgid);
    }
    if let Some(parent) = parent {
        news.add(&leader, &parent, signal);
    }
}

/// Resets the exit signal to SIGCHLD if the parent or the child has executed another program since
/// the birth: the signal was chosen for the earlier programs, which may have had other rights.
fn forget_exit_signal(leader: &TaskStruct, parent: Option<&TaskRef>) {
    let changed = |parent: &TaskRef| !leader.signal.exec_id.is_as_at_birth(&parent.signal.exec_id);
    if parent.is_some_and(changed) {
        leader.exit_signal.store(SIGCHLD, Ordering::Relaxed);
    }
}

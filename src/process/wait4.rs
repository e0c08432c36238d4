//! `wait4`: reports a child that has ended, and reaps it; or one that has stopped or resumed.
//!
//! Book: ch. 3, "Process Removal". Linux: 2.6.38 `do_wait`, `release_task`.

use core::ops::ControlFlow;
use core::sync::atomic::Ordering;

use super::pid::PidType;
use super::release::News;
use super::sigset::SIGCHLD;
use super::tasklist::{TASKLIST, TaskList, do_each_task_pid};
use super::trace_wait::take_tracee;
use super::usage::Usage;
use crate::arch::x86::current::{Current, current};
use crate::base::errno::Errno;
use crate::task::state::EXIT_DEAD;
use crate::task::task_struct::{TaskRef, TaskStruct};
use crate::task::traced::is_traced;

/// `options`: do not sleep.
pub const WNOHANG: u32 = 1;
const WUNTRACED: u32 = 2;
const WCONTINUED: u32 = 8;
const __WNOTHREAD: u32 = 0x2000_0000;
const __WALL: u32 = 0x4000_0000;
const __WCLONE: u32 = 0x8000_0000;

/// The report on a child.
pub struct Reaped {
    /// The child's number.
    pub pid: i32,
    /// The child's wait status.
    pub status: i32,
    /// Usage of the child and of the children that it has waited for.
    pub usage: Usage,
    /// The child; dropping this reference leaves only the scheduler's.
    pub task: TaskRef,
    /// Whether its usage becomes the caller's: it is a child that was not traced.
    counts: bool,
    /// Those who learn of its end when its tracer has heard of it.
    news: News,
}

/// Waits for a child: with `pid` > 0 the child of that number, with -1 any child, with 0 a child in
/// the caller's process group, below -1 a child in group -`pid`. Returns `None` with WNOHANG when
/// there is a child but nothing to report.
///
/// # Errors
/// ECHILD without such a child, EINVAL for unknown options, ESRCH for an impossible group,
/// ERESTARTSYS.
#[inline(never)]
pub fn do_wait(pid: i32, options: u32) -> Result<Option<Reaped>, Errno> {
    if options & !(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WALL | __WCLONE) != 0 {
        return Err(Errno::EINVAL);
    }
    if pid == i32::MIN {
        return Err(Errno::ESRCH);
    }
    let me = current();
    let leader = leader_of(me)?;
    let wanted = Wanted {
        me,
        leader: leader.pid(),
        pid,
        options,
        pgrp: match pid {
            0 => me.signal.pgrp.load(Ordering::Relaxed),
            pid => pid.wrapping_neg(),
        },
    };
    let mut found = Ok(None);
    let mut look = || {
        found = wanted.look_once();
        !matches!(found, Ok(None))
    };
    if !look() && options & WNOHANG == 0 {
        let slept = leader.wait_chldexit.wait_until(&mut look);
        slept.map_err(|_| Errno::ERESTARTSYS)?;
    }
    if let Ok(Some(reaped)) = &mut found {
        core::mem::take(&mut reaped.news).tell();
        if reaped.status & 0x7f == 0x7f {
            // Stopped or resumed.
            let children = reaped.task.signal.usage.lock().children;
            reaped.usage = Usage::of_process(&reaped.task).plus(children);
        } else if reaped.counts {
            let mut others = me.signal.usage.lock();
            others.children = others.children.plus(reaped.usage);
        }
    }
    found
}

/// Returns the wait status of a process: of the thread that ended it as a whole, or else of its
/// leader.
pub fn wait_status(leader: &TaskStruct) -> i32 {
    let of_leader = || leader.exit_code.load(Ordering::Relaxed);
    leader.signal.group_exit_code().unwrap_or_else(of_leader)
}

fn leader_of(me: Current) -> Result<TaskRef, Errno> {
    super::tasklist::find_task_by_pid(me.tgid).ok_or(Errno::ECHILD)
}

/// The children that a call waits for.
struct Wanted {
    me: Current,
    leader: i32,
    pid: i32,
    options: u32,
    /// The process group, for `pid` 0 and below -1.
    pgrp: i32,
}

impl Wanted {
    fn is_named(&self, child: &TaskStruct) -> bool {
        match self.pid {
            -1 => true,
            1.. => child.pid() == self.pid,
            _ => child.signal.pgrp.load(Ordering::Relaxed) == self.pgrp,
        }
    }

    /// Returns whether the call waits for a task that the caller's process traces, whatever its
    /// exit signal (Linux: since 4.7).
    fn is_traced(&self, task: &TaskStruct) -> bool {
        let any_thread = self.options & __WNOTHREAD == 0;
        self.is_named(task) && (any_thread || task.ptrace.is_tracer(self.me.as_ptr()))
    }

    fn is_meant(&self, child: &TaskStruct) -> bool {
        let is_meant = self.is_named(child);
        // Children whose end raises another signal are only reported on request.
        let is_clone = child.exit_signal.load(Ordering::Relaxed) != SIGCHLD;
        let is_asked_for = self.options & __WALL != 0 || is_clone == (self.options & __WCLONE != 0);
        is_meant && is_asked_for
    }

    fn look_once(&self) -> Result<Option<Reaped>, Errno> {
        if self.pid > 0 {
            return self.look_at_one();
        }
        let zombie = self.first(PidType::Zombie, reap);
        if zombie.is_some() {
            return Ok(zombie);
        }
        if self.options & (WUNTRACED | WCONTINUED) != 0 {
            let news = self.first(PidType::Child, |list, child| self.take_news(list, child));
            if news.is_some() {
                return Ok(news);
            }
        }
        let mut any = false;
        let trapped = do_each_task_pid(PidType::Tracee, self.leader, |list, task| {
            let is_meant = self.is_traced(task);
            any |= is_meant;
            match Some(task)
                .filter(|_| is_meant)
                .and_then(|task| take_tracee(list, task))
            {
                Some(found) => ControlFlow::Break(found),
                None => ControlFlow::Continue(()),
            }
        });
        match any || self.first(PidType::Child, |_, _| Some(())).is_some() {
            true => Ok(trapped),
            false => Err(Errno::ECHILD),
        }
    }

    /// Checks a child that is named by its number.
    fn look_at_one(&self) -> Result<Option<Reaped>, Errno> {
        let mut list = TASKLIST.lock();
        let is_ours = |kind| list.pids.head_of(kind, self.pid) == Some(self.leader);
        let (is_child, is_tracee) = (is_ours(PidType::Child), is_ours(PidType::Tracee));
        let child = list
            .find_task_by_pid(self.pid)
            .ok_or(Errno::ECHILD)?
            .clone();
        let is_tracee = is_tracee && self.is_traced(&child);
        let is_meant = is_tracee || is_child && self.is_meant(&child);
        if !is_meant {
            return Err(Errno::ECHILD);
        }
        if is_tracee && let Some(found) = take_tracee(&mut list, &child) {
            return Ok(Some(found));
        }
        Ok(match list.pids.head_of(PidType::Zombie, self.pid) {
            Some(_) if is_child => reap(&mut list, &child),
            _ if is_child => self.take_news(&list, &child),
            _ => None,
        })
    }

    /// Reports that a child has stopped or resumed, unless the caller's process traces it: its stops
    /// are told otherwise. The caller adds up its usage.
    fn take_news(&self, list: &TaskList, child: &TaskRef) -> Option<Reaped> {
        let is_tracee = list.pids.head_of(PidType::Tracee, child.pid()) == Some(self.leader);
        let stops = self.options & WUNTRACED != 0 && !is_tracee;
        let continues = self.options & WCONTINUED != 0;
        let status = child.signal.stop.take_news(stops, continues)?;
        Some(Reaped::of_stop(child, status))
    }

    /// Returns the first result of `found` for the children on a list that the call waits for.
    fn first<R>(
        &self,
        kind: PidType,
        found: impl Fn(&mut TaskList, &TaskRef) -> Option<R>,
    ) -> Option<R> {
        {
            // Most processes have few children: often the first one fits, or there is no child.
            let mut list = TASKLIST.lock();
            let child = list.find_task_by_pid(list.pids.first(kind, self.leader)?)?;
            if self.is_meant(child) {
                let child = child.clone();
                if let Some(found) = found(&mut list, &child) {
                    return Some(found);
                }
            }
        }
        do_each_task_pid(kind, self.leader, |list, child| {
            let is_meant = self.is_meant(child);
            match Some(child)
                .filter(|_| is_meant)
                .and_then(|child| found(list, child))
            {
                Some(found) => ControlFlow::Break(found),
                None => ControlFlow::Continue(()),
            }
        })
    }
}

impl Reaped {
    /// Returns the report that `task` has stopped or resumed.
    pub fn of_stop(task: &TaskRef, status: i32) -> Self {
        Self {
            pid: task.pid(),
            status,
            usage: Usage::default(),
            task: task.clone(),
            counts: false,
            news: News::default(),
        }
    }

    /// Returns the report that `task` has ended; `news` are told when the list is unlocked.
    pub fn of_end(task: TaskRef, counts: bool, news: News) -> Self {
        let of_others = *task.signal.usage.lock();
        let own = Usage::of(&task);
        let usage = match task.pid() == task.tgid {
            true => own.plus(of_others.threads).plus(of_others.children),
            false => own,
        };
        Self {
            pid: task.pid(),
            status: wait_status(&task),
            usage,
            task,
            counts,
            news,
        }
    }
}

/// Takes a zombie off the list.
pub fn reap(list: &mut TaskList, child: &TaskRef) -> Option<Reaped> {
    let counts = !is_traced(child);
    let task = list.release(child.pid())?;
    task.exit_state.store(EXIT_DEAD, Ordering::Relaxed);
    Some(Reaped::of_end(task, counts, News::default()))
}

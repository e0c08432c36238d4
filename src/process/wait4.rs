//! `wait4` and `waitid`: report a child that has ended, and reap it; or one that has stopped or
//! resumed.
//!
//! Book: ch. 3, "Process Removal". Linux: 2.6.38 `do_wait`, `release_task`.

use core::ops::ControlFlow;
use core::sync::atomic::Ordering;

use super::pid::PidType;
use super::release::News;
use super::sigset::{SIGCHLD, SIGCONT};
use super::stop::CONTINUED;
use super::tasklist::{TASKLIST, TaskList, do_each_task_pid};
use super::trace_wait::take_tracee;
use super::usage::Usage;
use crate::arch::x86::current::{Current, current};
use crate::base::errno::Errno;
use crate::task::siginfo::{
    CLD_CONTINUED, CLD_DUMPED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, CLD_TRAPPED,
};
use crate::task::state::EXIT_DEAD;
use crate::task::task_struct::{TaskRef, TaskStruct};
use crate::task::traced::is_traced;

/// `options`: do not sleep.
pub const WNOHANG: u32 = 1;
/// `options`: report children that have stopped (waitid: `WSTOPPED`).
pub const WUNTRACED: u32 = 2;
/// `options`: report children that have ended; `wait4` always does.
pub const WEXITED: u32 = 4;
/// `options`: report children that have resumed.
pub const WCONTINUED: u32 = 8;
/// `options`: leave the child as it is, so that another call reports the same.
pub const WNOWAIT: u32 = 0x0100_0000;
/// `options`: which threads' children and which kinds of children are meant.
pub const WAIT_KINDS: u32 = __WNOTHREAD | __WALL | __WCLONE;
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

/// The children that a call waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// Any child.
    Any,
    /// The child of this number.
    One(i32),
    /// A child in this process group.
    Group(i32),
}

/// Waits for a child. Returns `None` with WNOHANG when there is a child but nothing to report.
///
/// # Errors
/// ECHILD without such a child, ERESTARTSYS.
#[inline(never)]
pub fn do_wait(which: Which, options: u32) -> Result<Option<Reaped>, Errno> {
    let me = current();
    let leader = leader_of(me)?;
    let wanted = Wanted {
        me,
        leader: leader.pid(),
        which,
        options,
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

/// A call, and the process whose children it waits for.
struct Wanted {
    me: Current,
    leader: i32,
    which: Which,
    options: u32,
}

impl Wanted {
    fn is_named(&self, child: &TaskStruct) -> bool {
        match self.which {
            Which::Any => true,
            Which::One(pid) => child.pid() == pid,
            Which::Group(pgrp) => child.signal.pgrp.load(Ordering::Relaxed) == pgrp,
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
        if let Which::One(pid) = self.which {
            return self.look_at_one(pid);
        }
        if self.has(WEXITED) {
            let zombie = self.first(PidType::Zombie, |list, child| self.take_end(list, child));
            if zombie.is_some() {
                return Ok(zombie);
            }
        }
        if self.has(WUNTRACED | WCONTINUED) {
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
                .and_then(|task| take_tracee(list, task, self.options))
            {
                Some(found) => ControlFlow::Break(found),
                None => ControlFlow::Continue(()),
            }
        });
        // Nothing more comes of a zombie than its end.
        let waits_for = |list: &mut TaskList, child: &TaskRef| {
            let has_ended = list.pids.head_of(PidType::Zombie, child.pid()).is_some();
            (self.has(WEXITED) || !has_ended).then_some(())
        };
        match any || self.first(PidType::Child, waits_for).is_some() {
            true => Ok(trapped),
            false => Err(Errno::ECHILD),
        }
    }

    /// Checks a child that is named by its number.
    fn look_at_one(&self, pid: i32) -> Result<Option<Reaped>, Errno> {
        let mut list = TASKLIST.lock();
        let is_ours = |kind| list.pids.head_of(kind, pid) == Some(self.leader);
        let (is_child, is_tracee) = (is_ours(PidType::Child), is_ours(PidType::Tracee));
        let child = list.find_task_by_pid(pid).ok_or(Errno::ECHILD)?.clone();
        let is_tracee = is_tracee && self.is_traced(&child);
        let is_meant = is_tracee || is_child && self.is_meant(&child);
        if !is_meant {
            return Err(Errno::ECHILD);
        }
        if is_tracee && let Some(found) = take_tracee(&mut list, &child, self.options) {
            return Ok(Some(found));
        }
        match list.pids.head_of(PidType::Zombie, pid) {
            _ if !is_child => Ok(None),
            Some(_) if self.has(WEXITED) => Ok(self.take_end(&mut list, &child)),
            Some(_) => Err(Errno::ECHILD),
            None => Ok(self.take_news(&list, &child)),
        }
    }

    fn has(&self, option: u32) -> bool {
        self.options & option != 0
    }

    /// Reports the end of a child, and takes it off the list unless it is to stay.
    fn take_end(&self, list: &mut TaskList, child: &TaskRef) -> Option<Reaped> {
        match self.has(WNOWAIT) {
            true => Some(Reaped::of_end(child.clone(), false, News::default())),
            false => reap(list, child),
        }
    }

    /// Reports that a child has stopped or resumed, unless the caller's process traces it: its stops
    /// are told otherwise. The caller adds up its usage.
    fn take_news(&self, list: &TaskList, child: &TaskRef) -> Option<Reaped> {
        let is_tracee = list.pids.head_of(PidType::Tracee, child.pid()) == Some(self.leader);
        let stops = self.options & WUNTRACED != 0 && !is_tracee;
        let continues = self.options & WCONTINUED != 0;
        let stop = &child.signal.stop;
        let status = stop.take_news(stops, continues, self.has(WNOWAIT))?;
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

    /// Returns what has happened (`CLD_*`), and the exit code or the signal.
    pub fn code_and_value(&self) -> (i32, u32) {
        let (low, high) = (self.status & 0x7f, (self.status >> 8 & 0xff) as u32);
        match (self.status, low) {
            (CONTINUED, _) => (CLD_CONTINUED, SIGCONT),
            (_, 0x7f) if is_traced(&self.task) => (CLD_TRAPPED, high),
            (_, 0x7f) => (CLD_STOPPED, high),
            (_, 0) => (CLD_EXITED, high),
            (status, signal) if status & 0x80 != 0 => (CLD_DUMPED, signal as u32),
            (_, signal) => (CLD_KILLED, signal as u32),
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

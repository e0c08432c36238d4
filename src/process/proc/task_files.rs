//! The files of a process in `/proc/PID`, and of a thread in `/proc/PID/task/TID`; see also
//! `status`.
//!
//! Linux: 5.4 `fs/proc/array.c` (`do_task_stat`), `fs/proc/base.c`.

use alloc::vec::Vec;
use core::ops::ControlFlow;
use core::sync::atomic::Ordering;

use super::format::{TaskStat, USER_HZ};
use super::status::{Signals, status};
use super::task_mm::{Memory, get_task_mm, maps};
use super::wchan::get_wchan;
use crate::base::errno::Errno;
use crate::drivers::tsc::cycles_to_ns;
use crate::fs::procfs::{Part, TaskFile};
use crate::hw::pte::PAGE_SHIFT;
use crate::mm::fallible::{Text, TryVec, try_concat};
use crate::mm::fault::read_from_mm;
use crate::process::pid::PidType;
use crate::process::ptrace::{PtraceMode, ptrace_may_access};
use crate::process::tasklist::do_each_task_pid;
use crate::process::usage::Usage;
use crate::sched::hooks::sched_info::sched_info_of;
use crate::sched::policy::get_scheduler;
use crate::sched::timer::ticks_in;
use crate::task::sched_entity::{DEFAULT_PRIO, MAX_RT_PRIO, rt_policy};
use crate::task::state::{EXIT_ZOMBIE, state_letter};
use crate::task::task_struct::{TaskRef, TaskStruct};

/// Most bytes of `cmdline` that are shown.
const CMDLINE_MAX: u32 = 4096;

/// Returns the part of `file` that begins at `mark`. For a `process`, times and faults are those of
/// all its threads.
pub fn show(task: &TaskRef, process: bool, file: TaskFile, mark: u32) -> Result<Part, Errno> {
    let text = match file {
        TaskFile::Cmdline => return cmdline(task).map(Part::from),
        TaskFile::Maps => return maps(task, mark),
        TaskFile::Comm => return try_concat(&[task.comm.get().bytes(), b"\n"]).map(Part::from),
        TaskFile::Schedstat => schedstat(task)?,
        TaskFile::Stat => stat(task, process)?.line()?,
        TaskFile::Status => status(task)?,
        TaskFile::Wchan => {
            let waits_in = match ptrace_may_access(task, PtraceMode::FsCreds) {
                true => get_wchan(task)?,
                false => None,
            };
            let mut text = Text::new();
            text.put(waits_in.as_deref().unwrap_or("0"))?;
            text
        }
    };
    Ok(text.into_bytes().into())
}

/// Returns the arguments, each with its final zero; nothing for a kernel thread or a zombie.
/// ENOMEM.
fn cmdline(task: &TaskStruct) -> Result<Vec<u8>, Errno> {
    let Some(mm) = get_task_mm(task) else {
        return Ok(Vec::new());
    };
    let (start, end) = {
        let map = mm.map.lock();
        (map.arg_start, map.arg_end)
    };
    let mut bytes = [0; 256];
    let mut text = Vec::new();
    let mut at = start;
    while at < end.min(start.saturating_add(CMDLINE_MAX)) {
        let rest = end.saturating_sub(at) as usize;
        let chunk = &mut bytes[..rest.min(256)];
        if read_from_mm(&mm, at, chunk).is_err() {
            break;
        }
        text.try_extend_from_slice(chunk)?;
        at = at.saturating_add(chunk.len() as u32);
    }
    Ok(text)
}

/// Returns the time on a CPU and the time waited for one, in nanoseconds, and the number of slices.
/// All are 0 unless `schedstats=on`.
fn schedstat(task: &TaskStruct) -> Result<Text, Errno> {
    let info = sched_info_of(task);
    let [ran, waited] = [info.cpu_time, info.run_delay].map(cycles_to_ns);
    let mut text = Text::new();
    writeln!(text, "{ran} {waited} {}", info.pcount)?;
    Ok(text)
}

/// Returns the letter of the task's state.
pub fn state(task: &TaskStruct) -> char {
    match task.exit_state.load(Ordering::Relaxed) {
        0 => state_letter(task.state.get()),
        EXIT_ZOMBIE => 'Z',
        _ => 'X',
    }
}

/// Returns the number of threads of the process, and their usage.
pub fn of_threads(task: &TaskStruct) -> (u32, Usage) {
    let mut count = 0u32;
    let _all = do_each_task_pid(PidType::Tgid, task.tgid, |_, _| {
        count = count.wrapping_add(1);
        ControlFlow::<()>::Continue(())
    });
    (count, Usage::of_process(task))
}

/// Converts ticks to units of 1 / `USER_HZ` s.
fn clock_t(ticks: u32) -> u64 {
    ticks_in(USER_HZ, ticks.into())
}

fn stat(task: &TaskStruct, process: bool) -> Result<TaskStat, Errno> {
    let (num_threads, all) = of_threads(task);
    let used = if process { all } else { Usage::of(task) };
    // Each thread reports the faults and times of the process's children.
    let children = task.signal.usage.lock().children;
    let permitted = ptrace_may_access(task, PtraceMode::FsCreds);
    let (policy, rt_priority, static_prio) = get_scheduler(task);
    let signals = Signals::of(task);
    let sleeps = permitted && (!process || num_threads < 2) && get_wchan(task)?.is_some();
    let mut stat = TaskStat {
        pid: task.pid(),
        comm: task.comm.get(),
        state: state(task),
        ppid: task.ppid.load(Ordering::Relaxed),
        pgrp: task.signal.pgrp.load(Ordering::Relaxed),
        session: task.signal.session.load(Ordering::Relaxed),
        flags: task.flags.load(Ordering::Relaxed).bits(),
        min_flt: used.min_flt,
        cmin_flt: children.min_flt,
        utime: clock_t(used.utime),
        stime: clock_t(used.stime),
        cutime: clock_t(children.utime),
        cstime: clock_t(children.stime),
        priority: match policy {
            policy if rt_policy(policy) => !rt_priority as i32,
            _ => static_prio.wrapping_sub(MAX_RT_PRIO) as i32,
        },
        nice: static_prio.wrapping_sub(DEFAULT_PRIO) as i32,
        num_threads,
        start_time: task.start_time.load(Ordering::Relaxed) / (1_000_000 / USER_HZ),
        signal: signals.pending.0,
        blocked: signals.blocked.0,
        sigignore: signals.ignored.0,
        sigcatch: signals.caught.0,
        wchan: u32::from(sleeps),
        exit_signal: match task.pid() == task.tgid {
            true => task.exit_signal.load(Ordering::Relaxed) as i32,
            false => -1,
        },
        processor: task.cpu(),
        rt_priority,
        policy,
        exit_code: match permitted {
            true => task.exit_code.load(Ordering::Relaxed),
            false => 0,
        },
        ..TaskStat::default()
    };
    if let Some(mm) = get_task_mm(task) {
        let memory = Memory::of(&mm);
        stat.vsize = memory.total;
        stat.rss = (memory.resident() >> PAGE_SHIFT) as u32;
        // The reply for callers without permission: not 0, which would mean that there is no code.
        (stat.start_code, stat.end_code) = (1, 1);
        if permitted {
            let map = mm.map.lock();
            (stat.start_code, stat.end_code) = (map.code.start, map.code.end);
            (stat.start_data, stat.end_data) = (map.data.start, map.data.end);
            stat.start_stack = map.start_stack;
            stat.start_brk = map.start_brk;
            (stat.arg_start, stat.arg_end) = (map.arg_start, map.arg_end);
            stat.env_end = map.env_end;
        }
    }
    Ok(stat)
}

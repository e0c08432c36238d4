//! What `/proc/PID` says of a process, and `/proc/PID/task/TID` of a thread.
//!
//! Linux: 5.4 `fs/proc/array.c` (`do_task_stat`, `proc_pid_status`), `fs/proc/base.c`.

use alloc::format;
use alloc::string::{String, ToString};
use core::sync::atomic::Ordering;

use super::format::{TaskStat, USER_HZ, cpu_list, state_name};
use super::task_mm::{get_task_mm, maps, ptrace_may_access};
use super::wchan::get_wchan;
use crate::drivers::tsc::cycles_to_ns;
use crate::fs::procfs::TaskFile;
use crate::mm::fault::read_from_mm;
use crate::mm::mm_struct::MmStruct;
use crate::mm::pgtable::for_each_used;
use crate::mm::vma::{TASK_SIZE, VmFlags};
use crate::process::signal::{SIG_DFL, SIG_IGN};
use crate::process::signal_group::threads;
use crate::process::sigset::SigSet;
use crate::process::tasklist::TASKLIST;
use crate::process::usage::Usage;
use crate::sched::hooks::sched_info::sched_info_of;
use crate::sched::migration::get_cpus_allowed;
use crate::sched::policy::get_scheduler;
use crate::sched::timer::HZ;
use crate::syscall::errno::Errno;
use crate::task::sched_entity::{DEFAULT_PRIO, MAX_RT_PRIO, SCHED_NORMAL};
use crate::task::state::{EXIT_ZOMBIE, state_letter};
use crate::task::task_struct::{TaskRef, TaskStruct};

/// Bytes of `cmdline` that are shown.
const CMDLINE_MAX: u32 = 4096;

/// The contents of `file`. For a `process`, times and faults are those of all its threads.
pub fn show(task: &TaskRef, process: bool, file: TaskFile) -> Result<String, Errno> {
    Ok(match file {
        TaskFile::Cmdline => cmdline(task),
        TaskFile::Comm => format!("{}\n", task.comm.get()),
        TaskFile::Maps => maps(task)?,
        TaskFile::Schedstat => schedstat(task),
        TaskFile::Stat => stat(task, process).line(),
        TaskFile::Status => status(task),
        TaskFile::Wchan => Some(task)
            .filter(|task| ptrace_may_access(task))
            .and_then(|task| get_wchan(task))
            .unwrap_or_else(|| "0".to_string()),
    })
}

/// The arguments, each with its final zero; nothing for a kernel thread and a zombie.
fn cmdline(task: &TaskStruct) -> String {
    let Some(mm) = get_task_mm(task) else {
        return String::new();
    };
    let (start, end) = {
        let map = mm.map.lock();
        (map.arg_start, map.arg_end)
    };
    let mut bytes = [0; 256];
    let mut text = String::new();
    let mut at = start;
    while at < end.min(start.saturating_add(CMDLINE_MAX)) {
        let chunk = &mut bytes[..((end - at) as usize).min(256)];
        if read_from_mm(&mm, at, chunk).is_err() {
            break;
        }
        text += &String::from_utf8_lossy(chunk);
        at += chunk.len() as u32;
    }
    text
}

/// Time on a CPU and time waited for one, in nanoseconds, and slices. Zeroes unless `schedstats=on`.
fn schedstat(task: &TaskStruct) -> String {
    let info = sched_info_of(task);
    let [ran, waited] = [info.cpu_time, info.run_delay].map(cycles_to_ns);
    format!("{ran} {waited} {}\n", info.pcount)
}

fn state(task: &TaskStruct) -> char {
    match task.exit_state.load(Ordering::Relaxed) {
        0 => state_letter(task.state.load(Ordering::Relaxed)),
        EXIT_ZOMBIE => 'Z',
        _ => 'X',
    }
}

/// Threads of the process, and what they have used.
fn of_threads(task: &TaskStruct) -> (u32, Usage) {
    let list = TASKLIST.lock();
    let count = threads(&list, task.tgid).count();
    (count as u32, Usage::of_process(&list, task))
}

/// Ticks in units of 1 / `USER_HZ`.
fn clock_t(ticks: u32) -> u64 {
    u64::from(ticks) * USER_HZ / u64::from(HZ)
}

fn stat(task: &TaskStruct, process: bool) -> TaskStat {
    let (num_threads, all) = of_threads(task);
    let used = if process { all } else { Usage::of(task) };
    let children = match process {
        true => task.signal.usage.lock().children,
        false => Usage::default(),
    };
    let (policy, rt_priority, static_prio) = get_scheduler(task);
    let signals = Signals::of(task);
    let mut stat = TaskStat {
        pid: task.pid(),
        comm: task.comm.get().to_string(),
        state: state(task),
        ppid: task.ppid.load(Ordering::Relaxed),
        pgrp: task.signal.pgrp.load(Ordering::Relaxed),
        session: task.signal.session.load(Ordering::Relaxed),
        flags: task.flags.load(Ordering::Relaxed),
        min_flt: used.min_flt,
        cmin_flt: children.min_flt,
        utime: clock_t(used.utime),
        stime: clock_t(used.stime),
        cutime: clock_t(children.utime),
        cstime: clock_t(children.stime),
        priority: match policy {
            SCHED_NORMAL => static_prio as i32 - MAX_RT_PRIO as i32,
            _ => -1 - rt_priority as i32,
        },
        nice: static_prio as i32 - DEFAULT_PRIO as i32,
        num_threads,
        start_time: task.start_time.load(Ordering::Relaxed) * USER_HZ / 1_000_000,
        signal: signals.pending.0,
        blocked: signals.blocked.0,
        sigignore: signals.ignored.0,
        sigcatch: signals.caught.0,
        wchan: u32::from(get_wchan(task).is_some()),
        exit_signal: match task.pid() == task.tgid {
            true => task.exit_signal.load(Ordering::Relaxed) as i32,
            false => -1,
        },
        processor: task.cpu(),
        rt_priority,
        policy,
        exit_code: task.exit_code.load(Ordering::Relaxed),
        ..TaskStat::default()
    };
    if let Some(mm) = get_task_mm(task) {
        let memory = Memory::of(&mm);
        stat.vsize = memory.total;
        stat.rss = memory.resident;
        let map = mm.map.lock();
        let text = map
            .areas()
            .iter()
            .find(|vma| vma.flags.contains(VmFlags::EXEC));
        (stat.start_code, stat.end_code) = text.map_or((0, 0), |vma| (vma.start, vma.end));
        stat.start_stack = map.start_stack;
        stat.start_brk = map.start_brk;
        (stat.arg_start, stat.arg_end) = (map.arg_start, map.arg_end);
    }
    stat
}

/// Which signals wait, and what happens to them.
struct Signals {
    /// For this thread.
    pending: SigSet,
    /// For the process.
    shared: SigSet,
    blocked: SigSet,
    ignored: SigSet,
    caught: SigSet,
}

impl Signals {
    fn of(task: &TaskStruct) -> Self {
        let (pending, blocked) = {
            let signals = task.signals.lock();
            (signals.pending.set(), signals.blocked)
        };
        let with_handler = |wanted: fn(u32) -> bool| {
            let sighand = task.signal.sighand();
            let actions = sighand.lock();
            (1u32..)
                .zip(actions.iter())
                .filter(|(_, action)| wanted(action.handler))
                .fold(SigSet::EMPTY, |set, (signal, _)| {
                    set.union(SigSet::of(signal))
                })
        };
        Self {
            pending,
            shared: task.signal.shared_pending.lock().set(),
            blocked,
            ignored: with_handler(|handler| handler == SIG_IGN),
            caught: with_handler(|handler| handler != SIG_IGN && handler != SIG_DFL),
        }
    }
}

/// How much memory a process has.
struct Memory {
    /// Bytes of all areas.
    total: u64,
    /// Bytes of the stack, of other writable areas, and of code.
    stack: u64,
    data: u64,
    exec: u64,
    /// Pages that are there.
    resident: u32,
}

impl Memory {
    fn of(mm: &MmStruct) -> Self {
        let map = mm.map.lock();
        let bytes = |wanted: &dyn Fn(VmFlags) -> bool| -> u64 {
            let areas = map.areas().iter().filter(|vma| wanted(vma.flags));
            areas.map(|vma| u64::from(vma.length())).sum()
        };
        let stack = bytes(&|flags| flags.contains(VmFlags::GROWSDOWN));
        let mut resident = 0;
        for_each_used(mm.pgd.load(Ordering::Relaxed), 0, TASK_SIZE, |_, _| {
            resident += 1
        });
        Self {
            total: bytes(&|_| true),
            stack,
            data: bytes(&|flags| flags.contains(VmFlags::WRITE)) - stack,
            exec: bytes(&|flags| flags.contains(VmFlags::EXEC)),
            resident,
        }
    }
}

fn status(task: &TaskStruct) -> String {
    use core::fmt::Write;
    let mut out = String::new();
    let cred = *task.cred.lock();
    let (threads, _) = of_threads(task);
    let signals = Signals::of(task);
    let allowed = get_cpus_allowed(task);
    let ids = |ids: crate::task::cred::Ids| {
        format!("{}\t{}\t{}\t{}", ids.real, ids.effective, ids.saved, ids.fs)
    };
    // Writing to a string never fails.
    let _ = write!(
        out,
        "Name:\t{}\nState:\t{}\nTgid:\t{}\nPid:\t{}\nPPid:\t{}\nTracerPid:\t0\nUid:\t{}\nGid:\t{}\n",
        task.comm.get(),
        state_name(state(task)),
        task.tgid,
        task.pid(),
        task.ppid.load(Ordering::Relaxed),
        ids(cred.uid),
        ids(cred.gid),
    );
    if let Some(mm) = get_task_mm(task) {
        let memory = Memory::of(&mm);
        let lines = [
            ("VmSize", memory.total),
            ("VmRSS", u64::from(memory.resident) * 4096),
            ("VmData", memory.data),
            ("VmStk", memory.stack),
            ("VmExe", memory.exec),
        ];
        for (name, bytes) in lines {
            let _ = writeln!(out, "{name}:\t{:8} kB", bytes / 1024);
        }
    }
    let _ = write!(
        out,
        "Threads:\t{threads}\nSigPnd:\t{:016x}\nShdPnd:\t{:016x}\nSigBlk:\t{:016x}\nSigIgn:\t{:016x}\nSigCgt:\t{:016x}\n",
        signals.pending.0, signals.shared.0, signals.blocked.0, signals.ignored.0, signals.caught.0,
    );
    let _ = write!(
        out,
        "Cpus_allowed:\t{allowed:x}\nCpus_allowed_list:\t{}\nvoluntary_ctxt_switches:\t{}\nnonvoluntary_ctxt_switches:\t{}\n",
        cpu_list(allowed),
        task.nvcsw.load(Ordering::Relaxed),
        task.nivcsw.load(Ordering::Relaxed),
    );
    out
}

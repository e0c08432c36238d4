//! `/proc/PID/status`: a summary of a process, a line for each fact, for people and programs.
//!
//! A line appears only if its value is known: a kernel thread has no lines about memory, and an
//! ended task has no umask. There are no calls for capabilities: a root process has all that Linux
//! 5.4 knows, as it has there without such calls, and loses them with its user ID.
//!
//! Linux: 5.4 `proc_pid_status`, `task_mem`, `task_sig`.

use core::sync::atomic::Ordering;

use super::format::{CpuList, put_escaped_name, state_name};
use super::task_files::{of_threads, state};
use super::task_mm::{Memory, get_task_mm};
use crate::base::errno::Errno;
use crate::mm::fallible::Text;
use crate::process::signal::{SIG_DFL, SIG_IGN};
use crate::process::sigpending::MAX_QUEUED;
use crate::process::sigset::SigSet;
use crate::sched::migration::get_cpus_allowed;
use crate::task::cred::{Cred, Ids};
use crate::task::task_struct::TaskStruct;

/// All capabilities of Linux 5.4 (`CAP_LAST_CAP` is 37).
const CAP_FULL_SET: u64 = (1 << 38) - 1;

/// Returns the text of the file.
///
/// # Errors
/// ENOMEM.
pub fn status(task: &TaskStruct) -> Result<Text, Errno> {
    let mut out = Text::new();
    put_all(&mut out, task)?;
    Ok(out)
}

fn put_all(out: &mut Text, task: &TaskStruct) -> Result<(), Errno> {
    put_identity(out, task)?;
    put_memory(out, task)?;
    writeln!(out, "Threads:\t{}", of_threads(task).0)?;
    put_signals(out, task)?;
    let cred = task.cred();
    put_rights(out, &cred)?;
    let allowed = get_cpus_allowed(task);
    writeln!(out, "Cpus_allowed:\t{allowed:x}")?;
    writeln!(out, "Cpus_allowed_list:\t{}", CpuList(allowed))?;
    let counts = [&task.nvcsw, &task.nivcsw].map(|count| count.get());
    writeln!(out, "voluntary_ctxt_switches:\t{}", counts[0])?;
    writeln!(out, "nonvoluntary_ctxt_switches:\t{}", counts[1])
}

fn put_identity(out: &mut Text, task: &TaskStruct) -> Result<(), Errno> {
    let cred = task.cred();
    let fs = task.fs.lock().clone();
    let files = task.files.lock().clone();
    let load = |number: &core::sync::atomic::AtomicI32| number.load(Ordering::Relaxed);
    out.put("Name:\t")?;
    put_escaped_name(out, task.comm.get().bytes())?;
    out.put("\n")?;
    if let Some(fs) = fs {
        writeln!(out, "Umask:\t{:04o}", fs.current_umask())?;
    }
    writeln!(out, "State:\t{}", state_name(state(task)))?;
    // There are no NUMA groups.
    writeln!(out, "Tgid:\t{}\nNgid:\t0\nPid:\t{}", task.tgid, task.pid())?;
    let tracer = load(&task.ptrace.tracer_pid);
    writeln!(out, "PPid:\t{}\nTracerPid:\t{tracer}", load(&task.ppid))?;
    for (name, ids) in [("Uid", cred.uid), ("Gid", cred.gid)] {
        let Ids {
            real,
            effective,
            saved,
            fs,
        } = ids;
        writeln!(out, "{name}:\t{real}\t{effective}\t{saved}\t{fs}")?;
    }
    let size = files.map_or(0, |files| files.table_size());
    // A user has one group.
    writeln!(out, "FDSize:\t{size}\nGroups:\t ")?;
    let (pgrp, session) = (load(&task.signal.pgrp), load(&task.signal.session));
    writeln!(out, "NStgid:\t{}\nNSpid:\t{}", task.tgid, task.pid())?;
    writeln!(out, "NSpgid:\t{pgrp}\nNSsid:\t{session}")
}

fn put_memory(out: &mut Text, task: &TaskStruct) -> Result<(), Errno> {
    let Some(mm) = get_task_mm(task) else {
        return Ok(());
    };
    let memory = Memory::of(&mm);
    let lines = [
        ("VmPeak", memory.peak),
        ("VmSize", memory.total),
        // Nothing can be locked, pinned or swapped out.
        ("VmLck", 0),
        ("VmPin", 0),
        ("VmHWM", memory.resident_peak),
        ("VmRSS", memory.resident()),
        ("RssAnon", memory.anonymous),
        ("RssFile", memory.file),
        ("RssShmem", memory.shared),
        ("VmData", memory.data),
        ("VmStk", memory.stack),
        ("VmExe", memory.text),
        ("VmLib", memory.exec.saturating_sub(memory.text)),
        ("VmPTE", memory.page_tables),
        ("VmSwap", 0),
    ];
    for (name, bytes) in lines {
        writeln!(out, "{name}:\t{:8} kB", bytes / 1024)?;
    }
    Ok(())
}

fn put_signals(out: &mut Text, task: &TaskStruct) -> Result<(), Errno> {
    let signals = Signals::of(task);
    writeln!(out, "SigQ:\t{}/{MAX_QUEUED}", signals.queued)?;
    let sets = [
        ("SigPnd", signals.pending),
        ("ShdPnd", signals.shared),
        ("SigBlk", signals.blocked),
        ("SigIgn", signals.ignored),
        ("SigCgt", signals.caught),
    ];
    for (name, set) in sets {
        writeln!(out, "{name}:\t{:016x}", set.0)?;
    }
    Ok(())
}

fn put_rights(out: &mut Text, cred: &Cred) -> Result<(), Errno> {
    let all_if = |has: bool| if has { CAP_FULL_SET } else { 0 };
    let Ids {
        real,
        effective,
        saved,
        ..
    } = cred.uid;
    let sets = [
        ("CapInh", 0),
        ("CapPrm", all_if([real, effective, saved].contains(&0))),
        ("CapEff", all_if(cred.capable())),
        ("CapBnd", CAP_FULL_SET),
        ("CapAmb", 0),
    ];
    for (name, set) in sets {
        writeln!(out, "{name}:\t{set:016x}")?;
    }
    // Neither can be turned on.
    writeln!(out, "NoNewPrivs:\t0\nSeccomp:\t0")
}

/// A thread's pending signals, and its process's actions.
pub struct Signals {
    /// Signals pending for this thread.
    pub pending: SigSet,
    /// Signals pending for the process.
    pub shared: SigSet,
    /// Number of both whose facts are kept.
    pub queued: usize,
    pub blocked: SigSet,
    pub ignored: SigSet,
    pub caught: SigSet,
}

impl Signals {
    /// Returns the signals of a thread and its process.
    pub fn of(task: &TaskStruct) -> Self {
        let (pending, own, blocked) = {
            let signals = task.signals.lock();
            (
                signals.pending.set(),
                signals.pending.queued(),
                signals.blocked,
            )
        };
        let (shared, of_all) = {
            let shared = task.signal.shared_pending.lock();
            (shared.set(), shared.queued())
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
            shared,
            queued: own.saturating_add(of_all),
            blocked,
            ignored: with_handler(|handler| handler == SIG_IGN),
            caught: with_handler(|handler| handler != SIG_IGN && handler != SIG_DFL),
        }
    }
}

//! Trace events of the scheduler and of processes, with `trace=on`.
//!
//! The code that causes an event calls these, with any locks held. A bit in a task's `hooks` says
//! that it is traced; all tasks have it or none.
//!
//! Linux: 5.4 `include/trace/events/sched.h`; `tracing_mark_write`.

use core::sync::atomic::Ordering;

use super::add_hook_of_new_tasks;
use crate::arch::x86::current::current;
use crate::sync::preempt::{PREEMPT_ACTIVE, preempt_count};
use crate::task::hooks::HOOK_TRACE;
use crate::task::state::TASK_RUNNING;
use crate::task::task_struct::TaskStruct;
use crate::trace::record::{Event, FLAG_NEXT_MM, FLAG_PREV_MM, STATE_PREEMPTED, TEXT_BYTES, Woken};
use crate::trace::rings;

/// Traces every task that is created from now on. Called at boot, before the first.
pub fn trace_all_tasks() {
    add_hook_of_new_tasks(HOOK_TRACE);
}

fn is_traced(p: &TaskStruct) -> bool {
    p.hooks.contains(HOOK_TRACE)
}

/// Records an event that the running task causes.
fn event(event: Event) {
    event_with(0, event);
}

/// Records an event that the running task causes, with more bits `FLAG_*`.
fn event_with(flags: u8, event: Event) {
    let me = current();
    rings::event(me.pid(), me.comm.get().0, flags, event);
}

fn prio(p: &TaskStruct) -> u32 {
    // SAFETY: a word of a live task, only shown: a concurrent change may or may not be seen.
    unsafe { (&raw const (*p.se.get()).prio).read_volatile() }
}

fn woken(p: &TaskStruct) -> Woken {
    Woken {
        pid: p.pid(),
        prio: prio(p),
        target_cpu: p.cpu(),
        comm: p.comm.get().0,
    }
}

/// Records the switch from `prev`, which runs, to `next`.
#[inline(never)]
pub fn trace_sched_switch(prev: &TaskStruct, next: &TaskStruct) {
    if !is_traced(prev) {
        return;
    }
    let state = prev.state.get();
    // A preempted task stays runnable, whatever state it has set.
    let prev_state = match preempt_count() & PREEMPT_ACTIVE != 0 {
        true => TASK_RUNNING | STATE_PREEMPTED,
        false => state,
    };
    let flags = [(prev, FLAG_PREV_MM), (next, FLAG_NEXT_MM)]
        .iter()
        .filter(|(task, _)| !task.mm.load(Ordering::Relaxed).is_null())
        .fold(0, |all, (_, flag)| all | flag);
    let switch = Event::SchedSwitch {
        prev_prio: prio(prev),
        prev_state,
        next_pid: next.pid(),
        next_prio: prio(next),
        next_comm: next.comm.get().0,
    };
    event_with(flags, switch);
}

/// Records that `p` is being woken, wherever it will run.
#[cold]
#[inline(never)]
pub fn trace_sched_waking(p: &TaskStruct) {
    event(Event::SchedWaking(woken(p)));
}

/// Records that `p` is new and will first run on `target_cpu`.
pub fn trace_sched_wakeup_new(p: &TaskStruct, target_cpu: u32) {
    if is_traced(p) {
        event(Event::SchedWakeupNew(Woken {
            target_cpu,
            ..woken(p)
        }));
    }
}

/// Records that `p` moves to `dest_cpu`, while its own CPU number is still the old one.
pub fn trace_sched_migrate_task(p: &TaskStruct, dest_cpu: u32) {
    if is_traced(p) {
        event(Event::SchedMigrateTask {
            pid: p.pid(),
            prio: prio(p),
            orig_cpu: p.cpu(),
            dest_cpu,
            comm: p.comm.get().0,
        });
    }
}

/// Records that the running task has created `child`.
pub fn trace_sched_process_fork(child: &TaskStruct) {
    if is_traced(child) {
        event(Event::SchedProcessFork {
            child_pid: child.pid(),
            child_comm: child.comm.get().0,
        });
    }
}

/// Records that the running task, which had the number `old_pid`, now runs the program `path`.
pub fn trace_sched_process_exec(path: &[u8], old_pid: i32) {
    if is_traced(&current()) {
        let (filename, _) = text(path);
        event(Event::SchedProcessExec { old_pid, filename });
    }
}

/// Records that the running task ends.
pub fn trace_sched_process_exit() {
    let me = current();
    if is_traced(&me) {
        event(Event::SchedProcessExit { prio: prio(&me) });
    }
}

/// Records `bytes`, which the running task has written to the trace.
pub fn trace_print(bytes: &[u8]) {
    let me = current();
    if !is_traced(&me) {
        return;
    }
    // No other record of this CPU comes between the pieces.
    let _irq = crate::sync::IrqGuard::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (text, count) = text(rest);
        let len = rest.len() as u32;
        event(Event::Print { len, text });
        rest = &rest[count..];
    }
}

/// Returns the part of `bytes` that fits into one record, and its length.
fn text(bytes: &[u8]) -> ([u8; TEXT_BYTES], usize) {
    let mut text = [0; TEXT_BYTES];
    let count = bytes.len().min(TEXT_BYTES);
    text[..count].copy_from_slice(&bytes[..count]);
    (text, count)
}

//! `wchan`: the function that a sleeping task waits in.
//!
//! A task that does not run has its frame pointer on its stack, where `switch_to` put it:
//! `thread.sp` points at it. From there the frames lead up through the scheduler's functions, which
//! all sleepers share, to their caller.
//!
//! Linux: 2.6.38 `get_wchan`, `in_sched_functions`.

use alloc::string::String;
use core::sync::atomic::Ordering;

use arrayvec::ArrayVec;
use rustc_demangle::demangle;

use super::format::{bare_name, function_path};
use crate::arch::x86::backtrace::{lookup, return_addresses};
use crate::arch::x86::entry::extable::probe_kernel_read;
use crate::base::errno::Errno;
use crate::mm::fallible::{Text, try_to_string};
use crate::sched::rq::task_rq_lock;
use crate::task::task_struct::TaskStruct;

/// Most frames that are followed (Linux: 16).
const MAX_DEPTH: usize = 16;

/// Returns the name of the function; `None` for a task that runs or is runnable.
///
/// # Errors
/// ENOMEM.
pub fn get_wchan(task: &TaskStruct) -> Result<Option<String>, Errno> {
    // Names are looked up without the lock, because that takes long.
    for address in saved_return_addresses(task) {
        let Some((name, _)) = lookup(address) else {
            continue;
        };
        let mut demangled = Text::new();
        write!(demangled, "{:#}", demangle(name))?;
        let path = function_path(demangled.as_str())?;
        if !in_sched_functions(&path) {
            return try_to_string(bare_name(&path)).map(Some);
        }
    }
    Ok(None)
}

/// Returns the return addresses of the functions that the task is in, innermost first.
fn saved_return_addresses(task: &TaskStruct) -> ArrayVec<u32, MAX_DEPTH> {
    // While the lock is held the task cannot wake, so its stack does not change.
    let _locked = task_rq_lock(task);
    let runs = task.on_cpu.load(Ordering::Relaxed) != 0 || task.on_rq.is_on_rq();
    if runs {
        return ArrayVec::new();
    }
    // SAFETY: one word of a context that nothing writes now.
    let sp = unsafe { (*task.thread()).sp };
    probe_kernel_read(sp)
        .map(|ebp| return_addresses(ebp).take(MAX_DEPTH).collect())
        .unwrap_or_default()
}

/// Returns whether `path` is a function that every sleeper is in.
fn in_sched_functions(path: &str) -> bool {
    path.starts_with("sched::") || path.starts_with("schedule") || path.starts_with("preempt_")
}

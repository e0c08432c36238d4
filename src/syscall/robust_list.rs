//! set_robust_list, get_robust_list: the locks that a thread still holds when it ends.
//!
//! A thread keeps a list of its robust locks in its own memory. When it ends, or executes another
//! program, each lock that still has its number is marked: the next owner learns that the guarded
//! data may be half changed. Nothing in that memory is trusted: the walk ends after
//! [`ROBUST_LIST_LIMIT`] entries, and at the first that cannot be read.
//!
//! ```text
//!   struct robust_list_head (12 bytes)      an entry
//!     0  first entry; the head if none        0  next entry; bit 0: priority inheritance
//!     4  from an entry to its lock word       + offset: the lock word
//!     8  entry that is being locked or         bits 0-29 owner, 30 owner died, 31 waiters
//!        unlocked just now
//! ```
//! Linux: 5.4 `kernel/futex.c` (`exit_robust_list`, `handle_futex_death`).

use core::sync::atomic::Ordering;

use super::SysResult;
use super::futex::futex_wake_one;
use crate::arch::x86::current::{Current, current};
use crate::arch::x86::entry::uaccess::{cmpxchg_user, get_user, put_user};
use crate::base::errno::Errno;
use crate::process::ptrace::{PtraceMode, ptrace_may_access};
use crate::process::tasklist::find_task_by_pid;
use crate::provides_upward;

/// Bytes of `struct robust_list_head`.
const HEAD_BYTES: u32 = 12;
/// Most entries that are followed.
const ROBUST_LIST_LIMIT: u32 = 2048;
const FUTEX_WAITERS: u32 = 1 << 31;
const FUTEX_OWNER_DIED: u32 = 1 << 30;
const FUTEX_TID_MASK: u32 = FUTEX_OWNER_DIED - 1;

/// Saves the address of the running thread's list.
///
/// # Errors
/// EINVAL for another length.
pub fn sys_set_robust_list(head: u32, length: u32) -> SysResult {
    if length != HEAD_BYTES {
        return Err(Errno::EINVAL);
    }
    current().robust_list.store(head, Ordering::Relaxed);
    Ok(0)
}

/// Stores the address of a thread's list, and its length.
///
/// # Errors
/// ESRCH, EPERM for another user's thread, EFAULT.
pub fn sys_get_robust_list(pid: u32, head: u32, length: u32) -> SysResult {
    let me = current();
    let list = if pid == 0 {
        me.robust_list.load(Ordering::Relaxed)
    } else {
        let task = find_task_by_pid(pid as i32).ok_or(Errno::ESRCH)?;
        if !ptrace_may_access(&task, PtraceMode::RealCreds) {
            return Err(Errno::EPERM);
        }
        task.robust_list.load(Ordering::Relaxed)
    };
    put_user(length, HEAD_BYTES)?;
    put_user(head, list)?;
    Ok(0)
}

/// Gives up the running thread's robust locks before its memory. Called by `mm_release`.
#[unsafe(no_mangle)]
fn exit_robust_list() {
    let me = current();
    let head = me.robust_list.swap(0, Ordering::Relaxed);
    if head != 0 {
        // An unreadable list harms only the program itself.
        let _rest = give_up_locks(me, head);
    }
}

provides_upward!(exit_robust_list);

fn give_up_locks(me: Current, head: u32) -> Result<(), Errno> {
    let [first, offset, pending]: [u32; 3] = get_user(head)?;
    let (pending, pending_pi) = entry(pending);
    let (mut at, mut pi) = entry(first);
    let mut limit = ROBUST_LIST_LIMIT;
    while at != head && limit != 0 {
        // Read before the lock is given up: afterwards its owner may reuse the entry.
        let next = get_user::<u32>(at);
        if at != pending {
            handle_futex_death(me, at.wrapping_add(offset), pi, false)?;
        }
        (at, pi) = entry(next?);
        limit = limit.saturating_sub(1);
    }
    if pending != 0 {
        handle_futex_death(me, pending.wrapping_add(offset), pending_pi, true)?;
    }
    Ok(())
}

/// Returns an entry's address, and whether its lock has priority inheritance.
fn entry(word: u32) -> (u32, bool) {
    (word & !1, word & 1 != 0)
}

/// Marks the lock word at `at` if the thread owns it, and wakes a task that waits for it.
fn handle_futex_death(me: Current, at: u32, pi: bool, pending: bool) -> Result<(), Errno> {
    if !at.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    loop {
        let word: u32 = get_user(at)?;
        if pending && !pi && word == 0 {
            // The thread died between unlocking and waking.
            futex_wake_one(at);
            return Ok(());
        }
        if word & FUTEX_TID_MASK != me.pid() as u32 {
            return Ok(());
        }
        let marked = word & FUTEX_WAITERS | FUTEX_OWNER_DIED;
        if cmpxchg_user(at, word, marked)? == word {
            if !pi && word & FUTEX_WAITERS != 0 {
                futex_wake_one(at);
            }
            return Ok(());
        }
    }
}

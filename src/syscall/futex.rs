//! `futex`: sleep while a word of user memory has a value, and wake who sleeps on it.
//!
//! A sleeper first puts itself on the queue of its word's bucket and only then reads the word, so
//! that a wake-up between the two is not lost. A word is known by address space and address; a
//! shared one by its physical address.
//!
//! Linux: 2.6.38 `kernel/futex.c` (no priority inheritance).

extern crate alloc;
use alloc::collections::VecDeque;
use core::sync::atomic::Ordering;

use super::SysResult;
use super::errno::Errno;
use crate::arch::x86::current::{Current, current};
use crate::arch::x86::uaccess::get_user;
use crate::drivers::tsc::since_boot_us;
use crate::hw::pte::PAGE_SIZE;
use crate::mm::pgtable::walk_pte;
use crate::sched::schedule::schedule;
use crate::sched::timer::{HZ, schedule_timeout};
use crate::sched::wake_up::wake_up_process;
use crate::sync::IrqSpinLock;
use crate::task::state::{TASK_INTERRUPTIBLE, TASK_RUNNING};
use crate::task::task_struct::TaskRef;
use crate::task::thread_info::{TIF_SIGPENDING, test_flag};

const FUTEX_WAIT: u32 = 0;
const FUTEX_WAKE: u32 = 1;
const FUTEX_REQUEUE: u32 = 3;
const FUTEX_CMP_REQUEUE: u32 = 4;
const FUTEX_WAIT_BITSET: u32 = 9;
const FUTEX_WAKE_BITSET: u32 = 10;
const FUTEX_PRIVATE_FLAG: u32 = 128;
const FUTEX_CLOCK_REALTIME: u32 = 256;
const MATCH_ANY: u32 = u32::MAX;

/// Which word: (address space, address), or (0, physical address).
type Key = (u32, u32);

struct Waiter {
    key: Key,
    bitset: u32,
    task: TaskRef,
}

const BUCKETS: usize = 64;
static QUEUES: [IrqSpinLock<VecDeque<Waiter>>; BUCKETS] =
    [const { IrqSpinLock::new(VecDeque::new()) }; BUCKETS];

fn bucket(key: Key) -> &'static IrqSpinLock<VecDeque<Waiter>> {
    let hash = (key.0 >> 4 ^ key.1 >> 2).wrapping_mul(0x9e37_79b1) >> 26;
    &QUEUES[hash as usize % BUCKETS]
}

/// The key of a word.
///
/// # Errors
/// EINVAL when it is not aligned, EFAULT when it is not there.
fn get_futex_key(me: Current, address: u32, private: bool) -> Result<Key, Errno> {
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    let mm = me.mm.load(Ordering::Relaxed);
    if private {
        return Ok((mm as u32, address));
    }
    get_user::<u32>(address)?;
    // SAFETY: we live in it.
    let pgd = unsafe { &*mm }.pgd.load(Ordering::Relaxed);
    let pte = walk_pte(pgd, address)
        .ok_or(Errno::EFAULT)?
        .load(Ordering::Relaxed);
    Ok((0, pte & !(PAGE_SIZE - 1) | address & (PAGE_SIZE - 1)))
}

/// See the head of this file.
///
/// # Errors
/// ENOSYS for operations that are not here, EINVAL, EFAULT, EAGAIN when the word has another
/// value, ETIMEDOUT, EINTR.
pub fn sys_futex(uaddr: u32, op: u32, val: u32, timeout: u32, uaddr2: u32, val3: u32) -> SysResult {
    let private = op & FUTEX_PRIVATE_FLAG != 0;
    let me = current();
    let key = |address| get_futex_key(me, address, private);
    match op & !(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME) {
        FUTEX_WAIT => futex_wait(
            me,
            key(uaddr)?,
            uaddr,
            val,
            ticks_from(timeout, false)?,
            MATCH_ANY,
        ),
        FUTEX_WAIT_BITSET => futex_wait(
            me,
            key(uaddr)?,
            uaddr,
            val,
            ticks_from(timeout, true)?,
            val3,
        ),
        FUTEX_WAKE => futex_wake(key(uaddr)?, val, MATCH_ANY),
        FUTEX_WAKE_BITSET => futex_wake(key(uaddr)?, val, val3),
        FUTEX_REQUEUE => futex_requeue(key(uaddr)?, key(uaddr2)?, val, timeout),
        FUTEX_CMP_REQUEUE => {
            if get_user::<u32>(uaddr)? != val3 {
                return Err(Errno::EAGAIN);
            }
            futex_requeue(key(uaddr)?, key(uaddr2)?, val, timeout)
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// A user's `struct timespec` in ticks; none for a null pointer. Absolute ones are of the
/// monotonic clock.
fn ticks_from(timeout: u32, absolute: bool) -> Result<Option<u64>, Errno> {
    if timeout == 0 {
        return Ok(None);
    }
    let [sec, nsec]: [u32; 2] = get_user(timeout)?;
    if (sec as i32) < 0 || nsec >= 1_000_000_000 {
        return Err(Errno::EINVAL);
    }
    let mut ns = u64::from(sec) * 1_000_000_000 + u64::from(nsec);
    if absolute {
        ns = ns.saturating_sub(since_boot_us() * 1000);
    }
    Ok(Some(ns.div_ceil(u64::from(1_000_000_000 / HZ))))
}

fn futex_wait(
    me: Current,
    key: Key,
    uaddr: u32,
    val: u32,
    ticks: Option<u64>,
    bitset: u32,
) -> SysResult {
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    let task = me.get_task_struct();
    {
        let mut queue = bucket(key).lock();
        queue.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        me.futex_queued.store(1, Ordering::Relaxed);
        queue.push_back(Waiter { key, bitset, task });
        me.state.store(TASK_INTERRUPTIBLE, Ordering::SeqCst);
    }
    let mut result = match get_user::<u32>(uaddr) {
        Err(errno) => Err(errno),
        Ok(now) if now != val => Err(Errno::EAGAIN),
        Ok(_) => {
            let mut timed_out = false;
            match ticks {
                None => schedule(),
                Some(ticks) => timed_out = schedule_timeout(ticks) == 0,
            }
            Err(if timed_out {
                Errno::ETIMEDOUT
            } else {
                Errno::EINTR
            })
        }
    };
    me.state.store(TASK_RUNNING, Ordering::Relaxed);
    // Whoever woke us took us off the queue, wherever a requeue had put us.
    if !unqueue(me) {
        result = Ok(0);
    } else if result == Err(Errno::EINTR) && !test_flag(me.thread_info(), TIF_SIGPENDING) {
        // Neither woken nor interrupted: the caller looks again.
        result = Ok(0);
    }
    result
}

/// Takes the running task off whatever queue it is on; says whether it was on one.
fn unqueue(me: Current) -> bool {
    if me.futex_queued.load(Ordering::Acquire) == 0 {
        return false;
    }
    QUEUES.iter().any(|queue| {
        let mut queue = queue.lock();
        let at = queue.iter().position(|w| w.task.as_ptr() == me.as_ptr());
        let waiter = at.and_then(|at| queue.remove(at));
        waiter
            .inspect(|w| w.task.futex_queued.store(0, Ordering::Release))
            .is_some()
    })
}

/// Wakes at most `count` sleepers whose bits meet `bitset`; returns how many.
pub fn futex_wake(key: Key, count: u32, bitset: u32) -> SysResult {
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    let mut woken = 0;
    while woken < count {
        let waiter = {
            let mut queue = bucket(key).lock();
            let at = queue
                .iter()
                .position(|w| w.key == key && w.bitset & bitset != 0);
            at.and_then(|at| queue.remove(at))
        };
        let Some(waiter) = waiter else { break };
        waiter.task.futex_queued.store(0, Ordering::Release);
        wake_up_process(&waiter.task);
        woken += 1;
    }
    Ok(woken)
}

/// Wakes `wake` sleepers of `from`, and lets at most `most` others sleep on `to` instead.
fn futex_requeue(from: Key, to: Key, wake: u32, most: u32) -> SysResult {
    let woken = futex_wake(from, wake, MATCH_ANY)?;
    let (source, target) = (bucket(from), bucket(to));
    if core::ptr::eq(source, target) {
        return Ok(woken + move_waiters(&mut source.lock(), None, from, to, most));
    }
    // In the order of their addresses, so that two requeues cannot wait for each other.
    let moved = if core::ptr::from_ref(source) < core::ptr::from_ref(target) {
        let mut source = source.lock();
        move_waiters(&mut source, Some(&mut target.lock()), from, to, most)
    } else {
        let mut target = target.lock();
        move_waiters(&mut source.lock(), Some(&mut target), from, to, most)
    };
    Ok(woken + moved)
}

fn move_waiters(
    source: &mut VecDeque<Waiter>,
    mut target: Option<&mut VecDeque<Waiter>>,
    from: Key,
    to: Key,
    most: u32,
) -> u32 {
    let mut moved = 0;
    while moved < most
        && let Some(at) = source.iter().position(|w| w.key == from)
        && let Some(mut waiter) = source.remove(at)
    {
        waiter.key = to;
        match target.as_deref_mut() {
            Some(target) => target.push_back(waiter),
            None => source.push_back(waiter),
        }
        moved += 1;
        if from == to {
            break;
        }
    }
    moved
}

/// For `mm_release`: the thread's number at `address` has become 0; wakes who joins it.
#[unsafe(no_mangle)]
extern "C" fn futex_wake_tid(address: u32) {
    let me = current();
    for private in [true, false] {
        if let Ok(key) = get_futex_key(me, address, private) {
            // Nobody may be there.
            let _woken = futex_wake(key, 1, MATCH_ANY);
        }
    }
}

//! `futex`: sleep while a word of user memory has a value, and wake the tasks that sleep on it.
//!
//! A sleeper first puts itself on the queue of its word's bucket and only then reads the word: a
//! wake-up between the two is not lost. A word is identified by address space and address; in
//! memory that processes share, by its physical address; in a file, by its place there, since each
//! process has its own copy of the page.
//!
//! Linux: 2.6.38 `kernel/futex.c` (no priority inheritance).

use core::ptr;
use core::sync::atomic::Ordering;

use super::SysResult;
use super::futex_op::FutexOp;
use super::futex_queue::{Bucket, FutexQ, Key, OF_A_FILE, Walk, bucket, futex_q, wake_futex};
use super::restart::{end_us, keep_end, take_end};
use super::timespec::{Timespec32, Timespec64, UserTime};
use super::user_time::{get_ns, ticks};
use crate::arch::x86::current::{Current, current};
use crate::arch::x86::entry::uaccess::{
    Pod, access_ok, cmpxchg_user, fault_in_writeable, get_user,
};
use crate::base::errno::Errno;
use crate::base::thread_info::{TIF_SIGPENDING, test_flag};
use crate::drivers::rtc::time_of_day_us;
use crate::drivers::tsc::since_boot_us;
use crate::hw::pte::{PAGE_SIZE, Pte, PteFlags};
use crate::mm::mm_struct::MmStruct;
use crate::mm::pgtable::walk_pte;
use crate::mm::vma::{Backing, VmFlags};
use crate::provides_upward;
use crate::sched::schedule::schedule;
use crate::sched::timer::{TICK_US, schedule_timeout};
use crate::sync::list::List;
use crate::sync::{IrqGuard, IrqSpinLock};
use crate::task::state::TASK_INTERRUPTIBLE;

const FUTEX_WAIT: u32 = 0;
const FUTEX_WAKE: u32 = 1;
const FUTEX_REQUEUE: u32 = 3;
const FUTEX_CMP_REQUEUE: u32 = 4;
const FUTEX_WAKE_OP: u32 = 5;
const FUTEX_WAIT_BITSET: u32 = 9;
const FUTEX_WAKE_BITSET: u32 = 10;
const FUTEX_PRIVATE_FLAG: u32 = 128;
const FUTEX_CLOCK_REALTIME: u32 = 256;
const MATCH_ANY: u32 = u32::MAX;

/// Returns the key of a word.
///
/// # Errors
/// EINVAL when the word is not aligned, EFAULT when it is not mapped.
#[inline(always)]
fn get_futex_key(me: Current, address: u32, private: bool) -> Result<Key, Errno> {
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    let mm = me.mm.load(Ordering::Relaxed);
    if private {
        access_ok(address, 4)?;
        return Ok((mm as u32, address));
    }
    shared_key(me.mm_struct().ok_or(Errno::EFAULT)?, address)
}

/// Returns the key of a word that other processes may share; `mm` is the running task's address
/// space. Private memory is not shared, and its page changes when it is copied on write. A
/// read-only page of a file is shared by all that map it; a read-only page of the process's own is
/// EFAULT, since its value never changes.
///
/// Linux: 5.4 `get_futex_key`, `FUTEX_READ`.
#[inline(never)]
fn shared_key(mm: &MmStruct, address: u32) -> Result<Key, Errno> {
    get_user::<u32>(address)?;
    let map = mm.map.lock();
    let vma = map.find_containing(address).ok_or(Errno::EFAULT)?;
    let is_shared = vma.flags.contains(VmFlags::SHARED);
    if vma.flags.contains(VmFlags::WRITE) && !is_shared {
        return Ok((core::ptr::from_ref(mm) as u32, address));
    }
    let pte = walk_pte(mm.pgd.load(Ordering::Relaxed), address).ok_or(Errno::EFAULT)?;
    let pte = Pte(pte.load(Ordering::Relaxed));
    match &vma.backing {
        Backing::Shared { .. } => Ok((0, pte.phys() | address & (PAGE_SIZE - 1))),
        Backing::Mapped { object, first }
            if is_shared || !pte.flags().contains(PteFlags::DIRTY) =>
        {
            let start = object.identity();
            let start = start.wrapping_add(first.wrapping_mul(PAGE_SIZE));
            Ok((
                OF_A_FILE,
                start.wrapping_add(address.wrapping_sub(vma.start)),
            ))
        }
        // A page that the process has written no longer belongs to the file.
        Backing::File { data, offset } if !pte.flags().contains(PteFlags::DIRTY) => {
            let start = (data.as_ptr() as u32).wrapping_add(*offset);
            Ok((
                OF_A_FILE,
                start.wrapping_add(address.wrapping_sub(vma.start)),
            ))
        }
        _ => Err(Errno::EFAULT),
    }
}

/// Performs the futex operation `op` on the word at `uaddr`: wait, wake, requeue or wake-op.
/// `timeout` is a 32-bit timespec.
///
/// # Errors
/// ENOSYS for operations that are not implemented, EINVAL, EFAULT, EAGAIN when the word has another
/// value, ETIMEDOUT, ERESTARTNOHAND with a time, ERESTARTSYS without.
pub fn sys_futex(uaddr: u32, op: u32, val: u32, timeout: u32, uaddr2: u32, val3: u32) -> SysResult {
    futex::<Timespec32>(uaddr, op, val, timeout, uaddr2, val3)
}

/// Performs a futex operation as [`sys_futex`] does, with a 64-bit time.
pub fn sys_futex64(
    uaddr: u32,
    op: u32,
    val: u32,
    timeout: u32,
    uaddr2: u32,
    val3: u32,
) -> SysResult {
    futex::<Timespec64>(uaddr, op, val, timeout, uaddr2, val3)
}

#[inline(always)]
fn futex<T: UserTime + Pod>(
    uaddr: u32,
    op: u32,
    val: u32,
    timeout: u32,
    uaddr2: u32,
    val3: u32,
) -> SysResult {
    let private = op & FUTEX_PRIVATE_FLAG != 0;
    let me = current();
    let key = |address| get_futex_key(me, address, private);
    let cmd = op & !(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
    let of_day = op & FUTEX_CLOCK_REALTIME != 0;
    if of_day && cmd != FUTEX_WAIT_BITSET {
        return Err(Errno::ENOSYS);
    }
    match cmd {
        FUTEX_WAIT => {
            let end = wait_end::<T>(timeout, None)?;
            futex_wait(me, key(uaddr)?, uaddr, val, end, MATCH_ANY)
        }
        FUTEX_WAIT_BITSET => {
            let end = wait_end::<T>(timeout, Some(of_day))?;
            futex_wait(me, key(uaddr)?, uaddr, val, end, val3)
        }
        FUTEX_WAKE => futex_wake(key(uaddr)?, val, MATCH_ANY),
        FUTEX_WAKE_BITSET => futex_wake(key(uaddr)?, val, val3),
        FUTEX_REQUEUE | FUTEX_CMP_REQUEUE => {
            // How many to wake, and how many to move.
            if (val as i32) < 0 || (timeout as i32) < 0 {
                return Err(Errno::EINVAL);
            }
            let compare = (cmd == FUTEX_CMP_REQUEUE).then_some((uaddr, val3));
            futex_requeue(key(uaddr)?, key(uaddr2)?, val, timeout, compare)
        }
        FUTEX_WAKE_OP => {
            let op = FutexOp::decode(val3);
            futex_wake_op(key(uaddr)?, key(uaddr2)?, uaddr2, [val, timeout], op)
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// Returns the end of a wait, in microseconds since boot; `None` for a null pointer, which leaves
/// no time to keep for a restarted call.
#[inline(always)]
fn wait_end<T: UserTime + Pod>(timeout: u32, until: Option<bool>) -> Result<Option<u64>, Errno> {
    match timeout {
        0 => Ok(None),
        timeout => timed_wait_end::<T>(timeout, until).map(Some),
    }
}

/// Returns the end of a wait by a user's timespec: a time to wait, or, with `until`, a time of the
/// monotonic clock or of the day.
#[inline(never)]
fn timed_wait_end<T: UserTime + Pod>(timeout: u32, until: Option<bool>) -> Result<u64, Errno> {
    let taken = take_end();
    let mut ns = get_ns::<T>(timeout)?;
    if let Some(of_day) = until {
        let now_us = if of_day {
            time_of_day_us()
        } else {
            since_boot_us()
        };
        ns = ns.saturating_sub(now_us.saturating_mul(1000));
    }
    Ok(end_us(taken, ticks(ns)))
}

// Not inlined: `wchan` recognizes sleepers by this frame.
#[inline(never)]
fn futex_wait(
    me: Current,
    key: Key,
    uaddr: u32,
    val: u32,
    end: Option<u64>,
    bitset: u32,
) -> SysResult {
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    let q = FutexQ::new(me, key, bitset);
    queue_me(&q);
    let mut result = match get_user::<u32>(uaddr) {
        Err(errno) => Err(errno),
        Ok(now) if now != val => Err(Errno::EAGAIN),
        Ok(_) => Err(match end {
            None => {
                schedule();
                Errno::ERESTARTSYS
            }
            Some(end_us) => {
                let left_us = end_us.saturating_sub(since_boot_us());
                match schedule_timeout(left_us.div_ceil(TICK_US)) {
                    0 => Errno::ETIMEDOUT,
                    _ => Errno::ERESTARTNOHAND,
                }
            }
        }),
    };
    me.state.set_running();
    // Whoever woke us took us off the queue, wherever a requeue had put us.
    if !unqueue_me(&q) {
        result = Ok(0);
    } else if matches!(result, Err(Errno::ERESTARTNOHAND | Errno::ERESTARTSYS)) {
        match (test_flag(me.thread_info(), TIF_SIGPENDING), end) {
            (true, Some(end_us)) => keep_end(end_us),
            (true, None) => {}
            // Neither woken nor interrupted: the caller checks again.
            (false, _) => result = Ok(0),
        }
    }
    result
}

/// Puts the running task on the queue of its word, and sets its state.
#[inline(always)]
fn queue_me(q: &FutexQ) {
    let bucket = bucket(q.key.get());
    let mut list = bucket.lock();
    // SAFETY: `futex_wait` keeps it in place until a wake-up or `unqueue_me` has taken it off.
    unsafe { list.push_back(q.link()) };
    q.bucket
        .store(ptr::from_ref(bucket).cast_mut(), Ordering::Relaxed);
    q.task.state.set_current_state(TASK_INTERRUPTIBLE);
}

/// Takes the running task off its queue; returns false if it was on no queue.
#[inline(always)]
fn unqueue_me(q: &FutexQ) -> bool {
    loop {
        // SAFETY: buckets live for ever.
        let Some(bucket) = (unsafe { q.bucket.load(Ordering::Acquire).as_ref() }) else {
            return false;
        };
        let mut list = bucket.lock();
        // A requeue may have been faster.
        if ptr::eq(q.bucket.load(Ordering::Relaxed), bucket) {
            // SAFETY: it is on this bucket.
            unsafe { list.remove(q.link()) };
            return true;
        }
    }
}

/// Wakes at most `count` sleepers, but at least one, whose bits meet `bitset`; returns their
/// number.
#[inline(always)]
fn futex_wake(key: Key, count: u32, bitset: u32) -> SysResult {
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    // A count of 0 or less wakes one: Linux counts before it compares.
    let count = (count as i32).max(1) as u32;
    let bucket = bucket(key);
    {
        let mut list = bucket.lock();
        let Some(link) = list.first() else {
            return Ok(0);
        };
        // SAFETY: it is on this bucket, whose lock is held.
        let q = unsafe { futex_q(link) };
        // The common case: one sleeper is woken, and it is the first.
        if count == 1 && q.key.get() == key && q.bitset & bitset != 0 {
            // SAFETY: as above.
            unsafe { wake_futex(&mut list, q) };
            return Ok(1);
        }
    }
    let walk = Walk::of(current());
    // SAFETY: the bucket's; `wake_waiters` walks to the end.
    unsafe { walk.begin(&mut bucket.lock()) };
    Ok(wake_waiters(&walk, bucket, key, count, bitset))
}

/// Wakes at most `count` (not 0) of the sleepers that `walk` began with; returns their number.
#[inline(never)]
fn wake_waiters(walk: &Walk, bucket: &Bucket, key: Key, count: u32, bitset: u32) -> u32 {
    let mut woken = 0_u32;
    let mut wake = |list: &mut List, q: &FutexQ| {
        if q.key.get() == key && q.bitset & bitset != 0 {
            // SAFETY: called by the walk, with a sleeper of the bucket and its lock held.
            unsafe { wake_futex(list, q) };
            woken = woken.wrapping_add(1);
        }
        woken == count
    };
    // SAFETY: the walk has begun with this bucket.
    while unsafe { walk.batch(&mut bucket.lock(), &mut wake) } {}
    woken
}

/// Wakes `wake` sleepers of `from` and moves at most `most` others to `to`. With `compare`, EAGAIN
/// if the word at its address has another value.
#[inline(never)]
fn futex_requeue(
    from: Key,
    to: Key,
    wake: u32,
    most: u32,
    compare: Option<(u32, u32)>,
) -> SysResult {
    let walk = Walk::of(current());
    loop {
        {
            // The two are released in any order.
            let _irq = IrqGuard::new();
            let (mut source, _target) = IrqSpinLock::lock_both(bucket(from), bucket(to));
            // Under the locks: no task can begin to sleep on the old value any more.
            let value = compare.map(|(address, _)| get_user::<u32>(address));
            match (value, compare) {
                (Some(Ok(now)), Some((_, expected))) if now != expected => {
                    return Err(Errno::EAGAIN);
                }
                // The page is missing, and cannot be brought in here.
                (Some(Err(_)), _) => {}
                _ => {
                    // SAFETY: the bucket's; walked to the end below.
                    unsafe { walk.begin(&mut source) };
                    break;
                }
            }
        }
        if let Some((address, _)) = compare {
            get_user::<u32>(address)?;
        }
    }
    let (mut woken, mut moved) = (0_u32, 0_u32);
    loop {
        // The two are released in any order.
        let _irq = IrqGuard::new();
        let (mut source, mut target) = IrqSpinLock::lock_both(bucket(from), bucket(to));
        let mut visit = |source: &mut List, q: &FutexQ| {
            if q.key.get() == from && woken < wake {
                // SAFETY: called by the walk, with a sleeper of the source and its lock held.
                unsafe { wake_futex(source, q) };
                woken = woken.wrapping_add(1);
            } else if q.key.get() == from && moved < most {
                let target = target.as_deref_mut().map(|list| (bucket(to), list));
                // SAFETY: as above, and the target's lock is held.
                unsafe { move_futex(source, target, q, to) };
                moved = moved.wrapping_add(1);
            }
            woken >= wake && moved >= most
        };
        // SAFETY: the walk has begun with the source.
        if !unsafe { walk.batch(&mut source, &mut visit) } {
            return Ok(woken.wrapping_add(moved));
        }
    }
}

/// Moves a sleeper to the word `to`: to the end of the list of `target`, or of its own list.
///
/// # Safety
/// 1. `q` is on `source`.
/// 2. The locks of its bucket and of `target`, the bucket of `to`, are held.
unsafe fn move_futex(
    source: &mut List,
    target: Option<(&'static Bucket, &mut List)>,
    q: &FutexQ,
    to: Key,
) {
    q.key.set(to);
    // SAFETY: by 1; then it is on no list.
    unsafe {
        source.remove(q.link());
        match target {
            Some((bucket, list)) => {
                list.push_back(q.link());
                q.bucket
                    .store(ptr::from_ref(bucket).cast_mut(), Ordering::Relaxed);
            }
            None => source.push_back(q.link()),
        }
    }
}

/// Changes the word at `address` by `op`. Wakes sleepers of `first`; if the old value satisfies
/// `op`, also of `second`, that word's key. Each count limits its sleepers, but at least one is
/// woken.
#[inline(never)]
fn futex_wake_op(
    first: Key,
    second: Key,
    address: u32,
    counts: [u32; 2],
    op: FutexOp,
) -> SysResult {
    let [count, second_count] = counts.map(|count| (count as i32).max(1) as u32);
    access_ok(address, 4)?;
    let (walk, second_walk) = (Walk::of(current()), Walk::of(current()));
    let both = loop {
        {
            // The two are released in any order.
            let _irq = IrqGuard::new();
            let (mut list, mut other) = IrqSpinLock::lock_both(bucket(first), bucket(second));
            match futex_atomic_op_inuser(op, address) {
                // The page is missing, and cannot be brought in here.
                Err(Errno::EFAULT) => {}
                Err(errno) => return Err(errno),
                Ok(both) => {
                    // SAFETY: the buckets'; walked to the end below.
                    unsafe {
                        walk.begin(&mut list);
                        if both {
                            second_walk.begin(other.as_deref_mut().unwrap_or(&mut list));
                        }
                    }
                    break both;
                }
            }
        }
        fault_in_writeable(address, 4)?;
    };
    let mut woken = wake_waiters(&walk, bucket(first), first, count, MATCH_ANY);
    if both {
        let others = wake_waiters(
            &second_walk,
            bucket(second),
            second,
            second_count,
            MATCH_ANY,
        );
        woken = woken.wrapping_add(others);
    }
    Ok(woken)
}

/// Changes the user's word at `address` atomically on all processors; returns whether its old value
/// satisfies `op`. EFAULT, ENOSYS.
fn futex_atomic_op_inuser(op: FutexOp, address: u32) -> Result<bool, Errno> {
    let mut old = get_user::<u32>(address)?;
    loop {
        let was = cmpxchg_user(address, old, op.apply(old)?)?;
        if was == old {
            return op.compare(old);
        }
        old = was;
    }
}

/// Wakes a task that joins the thread whose number at `address` has become 0. Called by
/// `mm_release`.
#[unsafe(no_mangle)]
fn futex_wake_tid(address: u32) {
    futex_wake_one(address);
}

provides_upward!(futex_wake_tid);

/// Wakes one sleeper on the running task's word at `address`, which other processes may share.
pub fn futex_wake_one(address: u32) {
    if let Ok(key) = get_futex_key(current(), address, false) {
        // There may be no sleeper.
        let _woken = futex_wake(key, 1, MATCH_ANY);
    }
}

//! The lock checker of kernels with debug assertions. It knows the holder of each lock and the
//! place where it was taken, and checks that the lock may be waited for.
//!
//! ```text
//!   owner     the same CPU takes it again; another than its owner releases it, or it is free
//!   order     a lock of a class is waited for while one further down in the table is held
//!   context   a `Task` lock is waited for with interrupts off, or any lock in an NMI
//! ```
//! The last two are the rules of `lock_order`, by the table of `lock_class`. A misuse ends the
//! kernel with two back-traces: of this place, and of the place where the other lock was taken.
//! Held locks are noted per CPU, not per task: prev takes the lock of a run queue and next releases
//! it.
//!
//! Every lock calls it, on any stack. A kernel without debug assertions does not contain it.
//!
//! Linux: 2.6.38 `kernel/lockdep.c`, `lib/spinlock_debug.c`.

use core::cell::UnsafeCell;
use core::fmt::Debug;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use super::irq::{IrqGuard, irqs_disabled};
use super::lock_class::{Context, LOCK_CLASSES, LockClass};
use super::lock_order::{self, Here, Lock};
use super::preempt::in_nmi;
use crate::base::insn;
use crate::base::percpu::{NR_CPUS, smp_processor_id};
use crate::base::thread_info::THREAD_SIZE;
use crate::base::upward::{Misuse, TRACE_DEPTH, Trace, lock_misuse};

/// Locks that a CPU may hold at once: a self-test holds one of each class.
const MAX_HELD: usize = 64;
const _: () = assert!(LOCK_CLASSES.len() < MAX_HELD);

/// The checker's part of each lock.
pub struct LockMap {
    class: LockClass,
    /// Number of the holding CPU plus 1; 0 while the lock is free.
    owner: AtomicU32,
    /// Back-trace of the place where the lock was taken.
    taken_at: TraceCell,
}

/// A back-trace that the new holder of a lock writes.
struct TraceCell(UnsafeCell<Trace>);

// SAFETY: written under its lock; a reader for a report may get a mixture of two back-traces, which
// still consists of return addresses.
unsafe impl Sync for TraceCell {}
// SAFETY: plain words.
unsafe impl Send for TraceCell {}

impl TraceCell {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; TRACE_DEPTH]))
    }

    fn set(&self, trace: &Trace) {
        // SAFETY: see the `Sync` above.
        unsafe { self.0.get().write_volatile(*trace) };
    }

    fn get(&self) -> Trace {
        // SAFETY: see the `Sync` above.
        unsafe { self.0.get().read_volatile() }
    }
}

/// Whether interrupts were ever on. Before that only one CPU runs, and nothing interrupts it.
static INTERRUPTS_BEGUN: AtomicBool = AtomicBool::new(false);

/// The locks that a CPU holds, in no particular order after a release out of turn.
struct Held {
    depth: AtomicU32,
    locks: [AtomicPtr<LockMap>; MAX_HELD],
}

static HELD: [Held; NR_CPUS] = [const {
    Held {
        depth: AtomicU32::new(0),
        locks: [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_HELD],
    }
}; NR_CPUS];

impl LockMap {
    /// Returns the checker's part for a lock of `class`.
    pub const fn new(class: LockClass) -> Self {
        Self {
            class,
            owner: AtomicU32::new(0),
            taken_at: TraceCell::new(),
        }
    }

    /// Checks, before the CPU waits for the lock, that it may wait here. Preemption is off.
    #[inline(never)]
    pub fn acquire(&self) {
        let Some(cpu) = this_cpu() else { return };
        if self.owner.load(Ordering::Relaxed) == cpu + 1 {
            self.misuse("lock taken twice by one CPU", None, self.taken_at.get());
        }
        let here = Here {
            interrupts_on: self.class.row().context == Context::Any || interrupts_on(),
            in_nmi: in_nmi(),
        };
        let held = held_by(cpu).map(LockMap::lock);
        let Err(wrong) = lock_order::may_wait_for(self.lock(), here, held) else {
            return;
        };
        let other = match wrong {
            lock_order::Misuse::OutOfOrder(index) | lock_order::Misuse::SameClass(index) => {
                held_by(cpu).nth(index)
            }
            lock_order::Misuse::InNmi | lock_order::Misuse::InterruptsOff => None,
        };
        let there = other.map_or([0; TRACE_DEPTH], |other| other.taken_at.get());
        self.misuse(wrong.what(), other.map(|other| other.class), there);
    }

    /// Notes that this CPU now holds the lock.
    #[inline(never)]
    pub fn acquired(&self) {
        let Some(cpu) = this_cpu() else { return };
        self.owner.store(cpu + 1, Ordering::Relaxed);
        self.taken_at.set(&capture());
        // Locks of an interrupt would come between the slot and the depth.
        let _irq = IrqGuard::new();
        let held = &HELD[cpu as usize];
        let depth = held.depth.load(Ordering::Relaxed);
        let Some(slot) = held.locks.get(depth as usize) else {
            return self.misuse("too many locks held", None, self.taken_at.get());
        };
        slot.store(core::ptr::from_ref(self).cast_mut(), Ordering::Relaxed);
        held.depth.store(depth + 1, Ordering::Relaxed);
    }

    /// Checks, before the release of the lock, that this CPU holds it, and forgets it.
    #[inline(never)]
    pub fn release(&self) {
        let Some(cpu) = this_cpu() else { return };
        let owner = self.owner.swap(0, Ordering::Relaxed);
        if owner == 0 {
            // A lock taken before the CPU had its number has no recorded place.
            if self.taken_at.get()[0] != 0 {
                self.misuse("lock released that nobody holds", None, self.taken_at.get());
            }
            return;
        }
        if owner != cpu + 1 {
            self.misuse(
                "lock released by another CPU than its owner",
                None,
                self.taken_at.get(),
            );
        }
        let _irq = IrqGuard::new();
        let held = &HELD[cpu as usize];
        let depth = held.depth.load(Ordering::Relaxed) as usize;
        let locks = &held.locks[..depth];
        let is_me = |slot: &AtomicPtr<LockMap>| core::ptr::eq(slot.load(Ordering::Relaxed), self);
        if let Some(at) = locks.iter().rposition(is_me) {
            locks[at].store(locks[depth - 1].load(Ordering::Relaxed), Ordering::Relaxed);
            held.depth.store(depth as u32 - 1, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> Lock {
        Lock {
            class: self.class,
            address: core::ptr::from_ref(self) as usize,
        }
    }

    #[cold]
    fn misuse(&self, what: &'static str, other: Option<LockClass>, there: Trace) {
        let other = other.as_ref().map(|class| class as &dyn Debug);
        lock_misuse(&Misuse {
            what,
            lock: &self.class,
            other,
            there,
        })
    }
}

/// Returns whether interrupts are on here, or have never been on, since then nothing can interrupt
/// either.
fn interrupts_on() -> bool {
    let on = !irqs_disabled();
    if on && !INTERRUPTS_BEGUN.load(Ordering::Relaxed) {
        INTERRUPTS_BEGUN.store(true, Ordering::Relaxed);
    }
    on || !INTERRUPTS_BEGUN.load(Ordering::Relaxed)
}

/// Returns the locks that this CPU holds.
fn held_by(cpu: u32) -> impl Iterator<Item = &'static LockMap> {
    let held = &HELD[cpu as usize];
    let depth = held.depth.load(Ordering::Relaxed) as usize;
    // SAFETY: a held lock stays where it is.
    held.locks[..depth]
        .iter()
        .map(|slot| unsafe { &*slot.load(Ordering::Relaxed) })
}

/// Returns the number of this CPU, or `None` before it has one.
fn this_cpu() -> Option<u32> {
    (insn::str() != 0).then(smp_processor_id)
}

/// Returns the chain of callers, as far as the frames on this stack show it.
#[inline(always)]
fn capture() -> Trace {
    let mut trace = [0; TRACE_DEPTH];
    let stack = insn::read_esp() & !(THREAD_SIZE as u32 - 1);
    let mut ebp = insn::read_ebp();
    for slot in &mut trace {
        let is_frame = ebp & !(THREAD_SIZE as u32 - 1) == stack
            && ebp.is_multiple_of(4)
            && ebp & (THREAD_SIZE as u32 - 1) < THREAD_SIZE as u32 - 8;
        if !is_frame {
            break;
        }
        // SAFETY: two words of this stack, above our own frame.
        let [next, address] = unsafe { *(ebp as *const [u32; 2]) };
        *slot = address;
        if next <= ebp {
            break;
        }
        ebp = next;
    }
    trace
}

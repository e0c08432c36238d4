//! The lock checker of kernels with debug assertions: who holds a lock, since where, and whether
//! taking it here can end in a deadlock.
//!
//! ```text
//!   owner        the same CPU takes it again; another than its owner releases it, or it is free
//!   order        a class is taken while another is held that was once taken the other way round
//!   interrupts   a class is taken in an interrupt handler, and elsewhere with interrupts on
//! ```
//! A misuse ends the kernel with two backtraces: here, and where the other half happened. Locks made
//! at one place in the source are one class. What a CPU holds is noted per CPU, not per task: the
//! lock of a run queue is taken by prev and released by next.
//!
//! Called by every lock, on any stack. In a kernel without debug assertions there is nothing of it.
//!
//! Linux: 2.6.38 `kernel/lockdep.c`, `lib/spinlock_debug.c`.

use core::cell::UnsafeCell;
use core::panic::Location;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use super::irq::{IrqGuard, irqs_disabled};
use super::lock_order::{LockOrder, MAX_CLASSES};
use super::preempt::in_interrupt;
use crate::arch::x86::insn;
use crate::arch::x86::percpu::{NR_CPUS, smp_processor_id};
use crate::task::thread_info::THREAD_SIZE;

/// Return addresses that are kept of a backtrace.
pub const TRACE_DEPTH: usize = 8;
/// Locks that a CPU may hold at once.
const MAX_HELD: usize = 16;

/// Return addresses, innermost first; 0 after the last.
pub type Trace = [u32; TRACE_DEPTH];

/// What is wrong, for the report.
#[derive(Clone, Copy, Debug)]
pub struct Misuse {
    /// In words.
    pub what: &'static str,
    /// Where the lock was made.
    pub lock: &'static Location<'static>,
    /// Where the other lock was made, if it takes two.
    pub other: Option<&'static Location<'static>>,
    /// Where the other half happened.
    pub there: Trace,
}

unsafe extern "C" {
    /// Upward call: `arch::x86::epitaph`. Takes a [`Misuse`].
    fn lock_misuse(misuse: *const ()) -> !;
}

/// What the checker keeps in each lock.
pub struct LockMap {
    made_at: &'static Location<'static>,
    /// Number of the class and 1; 0 until the lock is first taken.
    class: AtomicU32,
    /// Number of the CPU that holds it and 1; 0 while it is free.
    owner: AtomicU32,
    /// Where that took it.
    taken_at: TraceCell,
}

/// A backtrace that is written by who has just taken a lock, or found a class's first use.
struct TraceCell(UnsafeCell<Trace>);

// SAFETY: written under the lock that it belongs to, or once; a reader for a report may get a mixture
// of two, which are return addresses all the same.
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

/// What is known of a class.
struct Class {
    made_at: AtomicPtr<Location<'static>>,
    /// Where it was first taken in an interrupt handler, and first with interrupts on.
    in_irq: Usage,
    irqs_on: Usage,
}

struct Usage {
    seen: AtomicU32,
    trace: TraceCell,
}

impl Usage {
    const fn new() -> Self {
        Self {
            seen: AtomicU32::new(0),
            trace: TraceCell::new(),
        }
    }

    fn note(&self, trace: &Trace) {
        if self.seen.load(Ordering::Relaxed) == 0 {
            self.trace.set(trace);
            self.seen.store(1, Ordering::Release);
        }
    }

    fn get(&self) -> Option<Trace> {
        (self.seen.load(Ordering::Acquire) != 0).then(|| self.trace.get())
    }
}

static CLASSES: [Class; MAX_CLASSES] = [const {
    Class {
        made_at: AtomicPtr::new(core::ptr::null_mut()),
        in_irq: Usage::new(),
        irqs_on: Usage::new(),
    }
}; MAX_CLASSES];
static ORDER: LockOrder = LockOrder::new();
/// Where the second of two classes was first taken while the first was held.
static EDGES: [[TraceCell; MAX_CLASSES]; MAX_CLASSES] =
    [const { [const { TraceCell::new() }; MAX_CLASSES] }; MAX_CLASSES];

/// The locks that a CPU holds, in no order after a release out of turn.
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
    /// For a lock that is made where this is called from.
    #[track_caller]
    pub const fn new() -> Self {
        Self {
            made_at: Location::caller(),
            class: AtomicU32::new(0),
            owner: AtomicU32::new(0),
            taken_at: TraceCell::new(),
        }
    }

    /// Before waiting for the lock: may it be taken here? Preemption is off.
    #[inline(never)]
    pub fn acquire(&self) {
        let Some(cpu) = this_cpu() else { return };
        let trace = capture();
        if self.owner.load(Ordering::Relaxed) == cpu + 1 {
            self.misuse("lock taken twice by one CPU", None, self.taken_at.get());
        }
        let Some(class) = self.class() else { return };
        self.check_interrupts(class, &trace);
        for held in held_by(cpu) {
            self.check_order(held, class, &trace);
        }
    }

    /// The lock is ours now.
    #[inline(never)]
    pub fn acquired(&self) {
        let Some(cpu) = this_cpu() else { return };
        self.owner.store(cpu + 1, Ordering::Relaxed);
        self.taken_at.set(&capture());
        // An interrupt's own locks would come between the slot and the depth.
        let _irq = IrqGuard::new();
        let held = &HELD[cpu as usize];
        let depth = held.depth.load(Ordering::Relaxed);
        let Some(slot) = held.locks.get(depth as usize) else {
            return self.misuse("too many locks held", None, self.taken_at.get());
        };
        slot.store(core::ptr::from_ref(self).cast_mut(), Ordering::Relaxed);
        held.depth.store(depth + 1, Ordering::Relaxed);
    }

    /// Before the lock is given back.
    #[inline(never)]
    pub fn release(&self) {
        let Some(cpu) = this_cpu() else { return };
        let owner = self.owner.swap(0, Ordering::Relaxed);
        if owner == 0 {
            // Taken before the CPU had its number; then it has no class yet either.
            if self.class.load(Ordering::Relaxed) != 0 {
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

    /// The class's number, given at the first call; none if there are too many.
    fn class(&self) -> Option<usize> {
        if let Some(known) = self.class.load(Ordering::Relaxed).checked_sub(1) {
            return Some(known as usize);
        }
        let place = core::ptr::from_ref(self.made_at).cast_mut();
        let number = CLASSES.iter().position(|class| {
            let free = core::ptr::null_mut();
            match class
                .made_at
                .compare_exchange(free, place, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => true,
                // SAFETY: only locations, which are static, are ever stored.
                Err(other) => unsafe { *other == *place },
            }
        })?;
        self.class.store(number as u32 + 1, Ordering::Relaxed);
        Some(number)
    }

    fn check_interrupts(&self, class: usize, trace: &Trace) {
        let Class {
            in_irq, irqs_on, ..
        } = &CLASSES[class];
        if in_interrupt() {
            in_irq.note(trace);
            if let Some(there) = irqs_on.get() {
                self.misuse(
                    "lock taken in an interrupt, and elsewhere with interrupts on",
                    None,
                    there,
                );
            }
        } else if !irqs_disabled() {
            irqs_on.note(trace);
            if let Some(there) = in_irq.get() {
                self.misuse(
                    "lock taken with interrupts on, and elsewhere in an interrupt",
                    None,
                    there,
                );
            }
        }
    }

    fn check_order(&self, held: &LockMap, class: usize, trace: &Trace) {
        let Some(before) = held.class() else { return };
        if before == class {
            // Several of one class have to be taken in the order of their addresses, as those of
            // two run queues are.
            if core::ptr::from_ref(held) >= core::ptr::from_ref(self) {
                self.misuse(
                    "two locks of a class not in order",
                    None,
                    held.taken_at.get(),
                );
            }
            return;
        }
        if let Some(step) = ORDER.first_step(class, before) {
            self.misuse(
                "locks taken in two orders",
                Some(held.made_at),
                EDGES[class][step].get(),
            );
        }
        if ORDER.add(before, class) {
            EDGES[before][class].set(trace);
        }
    }

    #[cold]
    fn misuse(&self, what: &'static str, other: Option<&'static Location<'static>>, there: Trace) {
        let misuse = Misuse {
            what,
            lock: self.made_at,
            other,
            there,
        };
        // SAFETY: takes any misuse.
        unsafe { lock_misuse((&raw const misuse).cast()) }
    }
}

impl Default for LockMap {
    fn default() -> Self {
        Self::new()
    }
}

/// Locks that this CPU holds just now.
fn held_by(cpu: u32) -> impl Iterator<Item = &'static LockMap> {
    let held = &HELD[cpu as usize];
    let depth = held.depth.load(Ordering::Relaxed) as usize;
    // SAFETY: a lock that is held stays where it is.
    held.locks[..depth]
        .iter()
        .map(|slot| unsafe { &*slot.load(Ordering::Relaxed) })
}

/// The number of this CPU, once it has one.
fn this_cpu() -> Option<u32> {
    (insn::str() != 0).then(smp_processor_id)
}

/// Who called, as far as the frames on this stack tell.
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

//! The longest stretch of each CPU with interrupts off, and the places where it began and ended.
//!
//! A stretch begins where the kernel turns interrupts off or an interrupt arrives, and ends where
//! the kernel turns them on or the interrupt's handler is done. It includes neither the few
//! instructions of the entry code around it nor the time that a CPU halts.
//!
//! Only a kernel built for it (`VARIANT=irqsoff`) measures: in any other [`IRQSOFF`] is false and
//! the compiler removes this code. `sync::irq`, the idle loop and `do_IRQ` call it;
//! `arch::x86::irq::irqsoff_report` reports at the end of a run.
//!
//! Linux: 2.6.38 `kernel/trace/trace_irqsoff.c`, `trace_hardirqs_off`.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::base::insn;
use crate::base::percpu::{NR_CPUS, smp_processor_id};

/// Whether this kernel measures.
pub const IRQSOFF: bool = cfg!(feature = "irqsoff");

/// A stretch with interrupts off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// Length in counts of the time-stamp counter.
    pub counts: u64,
    /// Code address where the stretch began.
    pub from: u32,
    /// Code address where the stretch ended.
    pub to: u32,
}

/// The measurements of a CPU, which only that CPU writes, with interrupts off.
struct Tracer {
    /// The time-stamp counter at the beginning of the present stretch, or 0 without one.
    begin: AtomicU64,
    from: AtomicU32,
    longest: AtomicU64,
    longest_from: AtomicU32,
    longest_to: AtomicU32,
}

impl Tracer {
    const fn new() -> Self {
        Self {
            begin: AtomicU64::new(0),
            from: AtomicU32::new(0),
            longest: AtomicU64::new(0),
            longest_from: AtomicU32::new(0),
            longest_to: AtomicU32::new(0),
        }
    }
}

static TRACERS: [Tracer; NR_CPUS] = [const { Tracer::new() }; NR_CPUS];
/// 1 after [`start`]: stretches during the boot do not count.
static COUNTS: AtomicU32 = AtomicU32::new(0);

/// Makes stretches count from now on.
pub fn start() {
    COUNTS.store(1, Ordering::Release);
}

/// Returns the longest stretch of CPU `cpu` so far.
pub fn longest(cpu: usize) -> Stretch {
    let tracer = &TRACERS[cpu];
    Stretch {
        counts: tracer.longest.load(Ordering::Relaxed),
        from: tracer.longest_from.load(Ordering::Relaxed),
        to: tracer.longest_to.load(Ordering::Relaxed),
    }
}

/// Begins a stretch: interrupts were on, and are off now.
#[inline(always)]
pub fn trace_hardirqs_off() {
    if IRQSOFF {
        begin();
    }
}

/// Ends a stretch: interrupts will be on at once.
#[inline(always)]
pub fn trace_hardirqs_on() {
    if IRQSOFF {
        end();
    }
}

/// Returns the address at which the function that called us continues in its caller.
#[inline(always)]
fn return_address() -> u32 {
    // SAFETY: the kernel is built with frame pointers, so above the saved one is the return address.
    unsafe { *((insn::read_ebp().wrapping_add(4)) as *const u32) }
}

#[cold]
#[inline(never)]
fn begin() {
    if COUNTS.load(Ordering::Relaxed) == 0 {
        return;
    }
    let tracer = &TRACERS[smp_processor_id() as usize];
    tracer.from.store(return_address(), Ordering::Relaxed);
    tracer.begin.store(insn::rdtsc(), Ordering::Relaxed);
}

#[cold]
#[inline(never)]
fn end() {
    let tracer = &TRACERS[smp_processor_id() as usize];
    let begin = tracer.begin.swap(0, Ordering::Relaxed);
    if begin == 0 {
        return;
    }
    let counts = insn::rdtsc().saturating_sub(begin);
    if counts > tracer.longest.load(Ordering::Relaxed) {
        tracer.longest.store(counts, Ordering::Relaxed);
        let from = tracer.from.load(Ordering::Relaxed);
        tracer.longest_from.store(from, Ordering::Relaxed);
        tracer.longest_to.store(return_address(), Ordering::Relaxed);
    }
}

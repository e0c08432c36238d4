//! The rings of all CPUs: any code adds events, and records are taken out when there is time.
//!
//! Any context except an NMI may call [`event`], with any locks held.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use spin::Once;

use super::debugcon;
use super::record::{
    Event, FLAG_HARDIRQ, FLAG_IRQS_OFF, FLAG_NEED_RESCHED, NAME_BYTES, RECORD_WORDS, Record,
};
use super::ring::{Ring, Slot, is_due};
use crate::base::insn::rdtsc;
use crate::base::percpu::{NR_CPUS, smp_processor_id};
use crate::base::thread_info::{TIF_NEED_RESCHED, current_thread_info, test_flag};
use crate::sync::irq::irqs_disabled;
use crate::sync::preempt::{PREEMPT_ACTIVE, preempt_count};
use crate::sync::{IrqGuard, IrqSpinLock, LockClass};
use crate::this_cpu_read;

/// Number of records in a CPU's ring, more than occur between two ticks: a power of two.
const SLOTS: usize = 8192;
/// Number of attempts of a CPU that ends the run to get the port, in case another holds it for
/// ever.
const PATIENCE: u32 = 10_000_000;

static RINGS: [Ring; NR_CPUS] = [const { Ring::new() }; NR_CPUS];
/// The slots of all rings; unset while nothing is traced.
static ALL_SLOTS: Once<Vec<Slot>> = Once::new();
/// Whether records leave several times a second, few as they may be.
static IS_LIVE: AtomicBool = AtomicBool::new(false);
/// The lock of the output port; a CPU holds it for one record at a time.
static OUTPUT: IrqSpinLock<()> = IrqSpinLock::new(LockClass::TraceOutput, ());

fn slots(cpu: usize) -> Option<&'static [Slot]> {
    Some(&ALL_SLOTS.get()?[cpu.saturating_mul(SLOTS)..][..SLOTS])
}

/// Returns whether events are recorded.
pub fn is_on() -> bool {
    ALL_SLOTS.get().is_some()
}

/// Starts recording. Called once, on the boot CPU, when there is a heap and the clock is
/// calibrated. With `live` few records are worth sending too.
///
/// # Errors
/// The reason for which nothing is recorded.
pub fn start(tsc_khz: u32, boot_tsc: u64, live: bool) -> Result<(), &'static str> {
    if !debugcon::is_present() {
        return Err("nobody listens at the debug console, port 0xe9");
    }
    let mut slots = Vec::new();
    slots
        .try_reserve_exact(SLOTS * NR_CPUS)
        .map_err(|_| "too little memory for the rings")?;
    while slots
        .push_within_capacity([const { AtomicU32::new(0) }; RECORD_WORDS])
        .is_ok()
    {}
    let start = Event::Start { tsc_khz, boot_tsc };
    debugcon::write(&record(true, 0, [0; NAME_BYTES], start).encode());
    IS_LIVE.store(live, Ordering::Relaxed);
    ALL_SLOTS.call_once(|| slots);
    Ok(())
}

/// Records `event`, which the task `pid` with the name `comm` causes now on this CPU. `flags` has the
/// bits that only the caller knows, such as [`FLAG_PREV_MM`](super::record::FLAG_PREV_MM).
#[inline(never)]
pub fn event(pid: i32, comm: [u8; NAME_BYTES], flags: u8, event: Event) {
    let irqs_off = irqs_disabled();
    let _irq = IrqGuard::new();
    let mut record = record(irqs_off, pid, comm, event);
    record.flags |= flags;
    let cpu = usize::from(record.cpu);
    let Some(slots) = slots(cpu) else {
        return;
    };
    RINGS[cpu].push(slots, &record.encode(), |count| {
        let event = Event::Lost { count };
        Record { event, ..record }.encode()
    });
}

/// Returns a record of this CPU and this moment. Interrupts are off; `irqs_off` says whether they
/// were off before.
fn record(irqs_off: bool, pid: i32, comm: [u8; NAME_BYTES], event: Event) -> Record {
    let flags = [
        (irqs_off, FLAG_IRQS_OFF),
        (
            test_flag(current_thread_info(), TIF_NEED_RESCHED),
            FLAG_NEED_RESCHED,
        ),
        (this_cpu_read!(irq_regs) != 0, FLAG_HARDIRQ),
    ];
    Record {
        tsc: rdtsc(),
        cpu: smp_processor_id() as u8,
        flags: flags
            .iter()
            .filter(|flag| flag.0)
            .fold(0, |all, flag| all | flag.1),
        preempt_count: (preempt_count() & !PREEMPT_ACTIVE) as u8,
        pid,
        comm,
        event,
    }
}

/// Returns whether this CPU's ring should be emptied soon. `is_period` says that a moment has come at
/// which a live trace sends what it has.
pub fn wants_drain(is_period: bool) -> bool {
    let used = RINGS[smp_processor_id() as usize].used();
    is_due(used, SLOTS, is_period && IS_LIVE.load(Ordering::Relaxed))
}

/// Writes out all records of the ring of `cpu`. Called in process context.
pub fn drain(cpu: u32) {
    let Some(slots) = slots(cpu as usize) else {
        return;
    };
    loop {
        let _output = OUTPUT.lock();
        match RINGS[cpu as usize].pop(slots) {
            Some(words) => debugcon::write(&words),
            None => break,
        }
    }
}

/// Writes out all records of all rings at the end of a run, in any state of the kernel. It gives up
/// on a port that another CPU does not release.
pub fn flush() {
    for (cpu, ring) in RINGS.iter().enumerate() {
        let Some(slots) = slots(cpu) else {
            return;
        };
        loop {
            let Some(_output) = (0..PATIENCE).find_map(|_| OUTPUT.try_lock()) else {
                return;
            };
            if let Some(words) = ring.pop(slots) {
                debugcon::write(&words);
                continue;
            }
            let count = ring.take_lost();
            if count != 0 {
                let event = Event::Lost { count };
                let cpu = cpu as u8;
                let record = record(true, 0, [0; NAME_BYTES], event);
                debugcon::write(&Record { cpu, ..record }.encode());
            }
            break;
        }
    }
}

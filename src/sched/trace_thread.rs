//! `trace/N`: the kernel thread that sends the trace records of CPU N out of the machine, with
//! `trace=on` or `trace=live`.
//!
//! It sleeps until the CPU's tick finds the ring a quarter full, or, with `trace=live`, until the end
//! of an eighth of a second in which something was recorded. It runs only on that CPU, with a
//! better priority than any thread but the migration thread, so the ring does not fill faster than
//! the thread empties it.

use core::sync::atomic::{AtomicBool, Ordering};

use super::timer::{HZ, jiffies};
use super::wait_queue::WaitQueue;
use crate::base::percpu::{NR_CPUS, smp_processor_id};
use crate::trace::rings;

/// Ticks between two looks at the ring with `trace=live`.
const LIVE_TICKS: u64 = HZ as u64 / 8;

struct Drain {
    is_wanted: AtomicBool,
    waiting: WaitQueue,
}

static DRAINS: [Drain; NR_CPUS] = [const {
    Drain {
        is_wanted: AtomicBool::new(false),
        waiting: WaitQueue::new(),
    }
}; NR_CPUS];

/// Runs the thread of CPU `cpu`, which empties the CPU's ring for ever.
pub extern "C" fn trace_thread(cpu: u32) -> i32 {
    let drain = &DRAINS[cpu as usize];
    loop {
        drain
            .waiting
            .wait_uninterruptible(|| drain.is_wanted.swap(false, Ordering::AcqRel));
        rings::drain(cpu);
    }
}

/// Wakes this CPU's thread if the ring should be emptied. Called in each tick.
pub fn trace_tick() {
    if rings::wants_drain(jiffies().is_multiple_of(LIVE_TICKS)) {
        let drain = &DRAINS[smp_processor_id() as usize];
        if !drain.is_wanted.swap(true, Ordering::AcqRel) {
            drain.waiting.wake_up();
        }
    }
}

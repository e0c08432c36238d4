//! The load averages: the number of runnable tasks over the last 1, 5 and 15 minutes.
//!
//! Every five seconds each average moves towards the present number, by a share that makes older
//! values fade exponentially. The numbers have 11 fractional bits.
//!
//! The tick of the boot CPU calls this. Tasks in uninterruptible sleep are not counted.
//!
//! Book: ch. 6, "Keeping Track of System Load". Linux: 2.6.38 `calc_load`, `calc_global_load`.

use core::sync::atomic::{AtomicU32, Ordering};

use super::rq::cpu_rq;
use super::timer::HZ;
use crate::base::percpu::{CPU_ONLINE_MASK, NR_CPUS};

/// The number 1.0.
pub const FIXED_1: u32 = 1 << 11;
/// Share of an average that remains after five seconds: e to the power of -5 s / 1, 5, 15 min.
const EXP: [u32; 3] = [1884, 2014, 2037];
/// Ticks between two updates: a little more than five seconds, which avoids a beat with events that
/// occur each second.
const LOAD_FREQ: u64 = 5 * HZ as u64 + 1;

static AVENRUN: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

/// Returns the averages, in units of 1 / [`FIXED_1`].
pub fn avenrun() -> [u32; 3] {
    [0, 1, 2].map(|i: usize| AVENRUN[i].load(Ordering::Relaxed))
}

/// Returns the number of runnable tasks, including those that run.
pub fn nr_running() -> u32 {
    let online = CPU_ONLINE_MASK.load(Ordering::Relaxed);
    (0..NR_CPUS as u32)
        .filter(|cpu| online & 1 << cpu != 0)
        .map(|cpu| cpu_rq(cpu).nr_running.get())
        .fold(0, u32::saturating_add)
}

/// Updates the averages when they are due. Called in each tick.
pub fn calc_global_load(jiffies: u64) {
    if !jiffies.is_multiple_of(LOAD_FREQ) {
        return;
    }
    let active = nr_running().saturating_mul(FIXED_1);
    for (average, exp) in AVENRUN.iter().zip(EXP) {
        let load = average.load(Ordering::Relaxed);
        average.store(calc_load(load, exp, active), Ordering::Relaxed);
    }
}

/// Returns the new average: the remaining share of `load`, and the other share of `active`.
const fn calc_load(load: u32, exp: u32, active: u32) -> u32 {
    let (load, exp, active, one) = (load as u64, exp as u64, active as u64, FIXED_1 as u64);
    let rest = active.saturating_mul(one.saturating_sub(exp));
    (load.saturating_mul(exp).saturating_add(rest) >> 11) as u32
}

const _: () = {
    // An average stays constant, rises and falls.
    assert!(calc_load(3 * FIXED_1, 1884, 3 * FIXED_1) == 3 * FIXED_1);
    assert!(calc_load(0, 1884, FIXED_1) == FIXED_1 - 1884);
    assert!(calc_load(FIXED_1, 1884, 0) == 1884);
};
